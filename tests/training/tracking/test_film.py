# SPDX-License-Identifier: GPL-3.0-or-later
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile
from PIL import Image

from engine.core.errors import BadInputError
from engine.rendering.video import write_video
from training.tracking.film import open_film, pictures
from training.tracking.film_sound import write_sound

SIZE = (160, 200)


def grey(level, size=SIZE):
    return np.full((*size, 3), level % 256, np.uint8)


def numbered(path, count=50, fps=25.0, sound=None):
    """Frames that grow brighter, each unlike the others."""
    write_video(path, (grey(20 + 4 * i) for i in range(count)), fps, sound, quality=5)
    return path


def write_times(path, times, rotation=0):
    """A film whose frame i is shown at times[i] seconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=1000, options={"crf": "5", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(grey(20 + 4 * number), format="rgb24")
            frame.pts, frame.time_base = round(1000 * time), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def turned_by_metadata(path, degrees):
    """A film of pictures that are bright at their left, to be shown turned clockwise."""
    bright = np.zeros((*SIZE, 3), np.uint8)
    bright[:, : SIZE[1] // 4] = 240
    write_video(path, (bright for _ in range(50)), 25.0)
    data = bytearray(path.read_bytes())
    # The track header's matrix (ISO 14496-12): identity as it is written.
    at = data.index(b"tkhd") + 44
    assert np.frombuffer(data[at : at + 4], ">i4") == 0x10000
    cos, sin = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    height, width = SIZE
    aside = {90: (height, 0), 180: (width, height), 270: (0, width)}[degrees]
    turn = (cos << 16, sin << 16, 0, -sin << 16, cos << 16, 0)
    matrix = (*turn, aside[0] << 16, aside[1] << 16, 0x40000000)
    data[at : at + 36] = np.array(matrix, ">i4").tobytes()
    path.write_bytes(data)
    return path


def write_hdr(path, signal, transfer, size=SIZE):
    """A grey film of ten bits in BT.2020, its signal of a transfer function of BT.2100."""
    options = {"crf": "5", "preset": "ultrafast"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = size[1], size[0], "yuv420p10le"
        context = stream.codec_context
        context.color_trc, context.colorspace, context.color_primaries = transfer, 9, 9
        for number in range(30):
            frame = av.VideoFrame(size[1], size[0], "yuv420p10le")
            for plane, level in zip(frame.planes, (64 + 876 * signal, 512, 512), strict=True):
                row = np.full(plane.line_size // 2, round(level), "<u2")
                plane.update(np.tile(row, plane.height).tobytes())
            frame.color_trc, frame.colorspace, frame.color_primaries = transfer, 9, 9
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def levels(film):
    return [round((image.mean() - 20) / 4) for _, image in pictures(film)]


def test_frames_of_a_constant_rate_come_as_they_are(tmp_path):
    film = open_film(numbered(tmp_path / "a.mp4"), 1280)
    assert film.fps == 25
    assert levels(film) == list(range(50))


def test_only_the_frames_that_are_wanted_are_given_out(tmp_path):
    film = open_film(numbered(tmp_path / "a.mp4"), 1280)
    found = list(pictures(film, only={3, 41}))
    assert [number for number, _ in found] == [3, 41]
    assert [round((image.mean() - 20) / 4) for _, image in found] == [3, 41]
    assert not list(pictures(film, only=set()))


def test_a_rate_that_varies_becomes_constant(tmp_path):
    times = np.sort(np.arange(40) / 25 + np.random.default_rng(0).uniform(0, 0.03, 40))
    times[0] = 0
    film = open_film(write_times(tmp_path / "a.mp4", times), 1280)
    shown = levels(film)
    grid = np.arange(len(shown)) / film.fps
    nearest = np.abs(times[None] - grid[:, None]).argmin(1)
    assert np.abs(np.array(shown) - nearest).max() <= 1
    assert len(shown) / film.fps == pytest.approx(times[-1], abs=0.1)


@pytest.mark.parametrize(("degrees", "bright"), [(90, "top"), (180, "right"), (270, "bottom")])
def test_what_metadata_turns_is_turned(tmp_path, degrees, bright):
    film = open_film(turned_by_metadata(tmp_path / "a.mp4", degrees), 1280)
    shape = SIZE if degrees == 180 else SIZE[::-1]
    assert (film.height, film.width) == shape
    _, image = next(pictures(film))
    assert image.shape == (*shape, 3)
    edge = min(SIZE) // 6
    edges = {
        "top": image[:edge],
        "bottom": image[-edge:],
        "left": image[:, :edge],
        "right": image[:, -edge:],
    }
    middle = image[2 * edge : -2 * edge, 2 * edge : -2 * edge]
    assert edges[bright].mean() > 200
    assert middle.mean() < 40
    assert max(edges, key=lambda name: edges[name].mean()) == bright


@pytest.mark.parametrize(
    ("signal", "transfer", "linear"),
    [
        # Light against diffuse white, 203 nits (ITU-R BT.2408, table 1: 58 % of PQ, 75 % of HLG;
        # a grey card is 38 % of both: 26 nits).
        (0.38, 16, 0.13),
        (0.58, 16, 1.0),
        (0.38, 18, 0.13),
        (0.75, 18, 1.0),
    ],
)
def test_hdr_becomes_what_a_screen_shows(tmp_path, signal, transfer, linear):
    film = open_film(write_hdr(tmp_path / "a.mp4", signal, transfer), 1280)
    assert "HDR" in film.notes[0]
    _, image = next(pictures(film))
    expected = linear if linear < 0.8 else 1 - 0.2 / np.e
    srgb = 255 * (1.055 * expected ** (1 / 2.4) - 0.055)
    assert np.abs(image.mean() - srgb) < 6
    assert np.ptp(image.reshape(-1, 3).mean(0)) < 2


def test_hdr_of_4k_becomes_smaller_pictures_of_eight_bits(tmp_path):
    film = open_film(write_hdr(tmp_path / "a.mp4", 0.58, 16, (2160, 3840)), 1280)
    _, image = next(pictures(film))
    assert (image.shape, image.dtype) == ((720, 1280, 3), np.uint8)
    assert film.scale == pytest.approx(1 / 3)
    assert 225 < image.mean() < 250


def test_rates_that_no_motion_has_are_refused(tmp_path):
    numbered(tmp_path / "a.mp4", 30, 10.0)
    assert "10 frames a second" in refused(tmp_path / "a.mp4")


def test_large_pictures_are_made_smaller_and_keep_their_shape(tmp_path):
    film = open_film(numbered(tmp_path / "a.mp4"), 100)
    _, image = next(pictures(film))
    assert image.shape == (80, 100, 3)
    assert film.scale == pytest.approx(0.5)


def test_fast_films_are_thinned_out(tmp_path):
    film = open_film(numbered(tmp_path / "a.mp4", 240, 120.0), 1280)
    assert film.fps == 60
    assert "60" in film.remarks[0]


def test_the_sound_begins_with_the_pictures_and_is_as_long(tmp_path):
    wav = tmp_path / "a.wav"
    samples = np.zeros(48000 * 2, np.float32)
    samples[24000] = 0.9
    soundfile.write(wav, samples, 48000)
    film = open_film(numbered(tmp_path / "a.mp4", sound=wav), 1280)
    assert film.sound
    write_sound(film, tmp_path / "out.wav", 50)
    decoded, rate = soundfile.read(tmp_path / "out.wav")
    assert len(decoded) == 2 * rate
    assert np.abs(decoded).argmax() / rate == pytest.approx(0.5, abs=0.002)


def test_a_sound_track_that_holds_nothing_is_none(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(48000), 48000)
    film = numbered(tmp_path / "a.mp4", sound=tmp_path / "a.wav")
    with av.open(str(film)) as source, av.open(str(tmp_path / "b.mkv"), "w") as out:
        shown = source.streams.video[0]
        kept = out.add_stream_from_template(shown)
        out.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(shown):
            if packet.dts is not None:
                packet.stream = kept
                out.mux(packet)
    empty = open_film(tmp_path / "b.mkv", 1280)
    assert not empty.sound
    assert "sound track is empty" in empty.notes[0]
    assert not open_film(numbered(tmp_path / "c.mp4"), 1280).sound


def test_a_film_of_few_bits_is_named(tmp_path):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (*SIZE, 3), np.uint8) for _ in range(50)]
    write_video(tmp_path / "rich.mp4", iter(frames), 25.0)
    assert not open_film(tmp_path / "rich.mp4", 1280).smeared
    write_video(tmp_path / "poor.mp4", (grey(90) for _ in range(50)), 25.0, quality=51)
    poor = open_film(tmp_path / "poor.mp4", 1280)
    assert poor.smeared
    assert "kbit/s" in poor.notes[0]


def test_a_film_without_sound_is_a_film(tmp_path):
    assert not open_film(numbered(tmp_path / "a.mp4"), 1280).sound


def refused(path):
    with pytest.raises(BadInputError) as caught:
        open_film(path, 1280)
    assert caught.value.hint
    return caught.value.message


def test_what_is_no_video_is_refused(tmp_path):
    assert "no video" in refused(tmp_path / "missing.mp4")
    (tmp_path / "text.mp4").write_text("no film")
    assert "no video that can be read" in refused(tmp_path / "text.mp4")
    soundfile.write(tmp_path / "a.wav", np.zeros(8000), 8000)
    assert "no pictures" in refused(tmp_path / "a.wav")
    numbered(tmp_path / "other.mp4", 30)
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile other.mp4\n")
    assert "no video that can be read" in refused(tmp_path / "list.mp4")


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_photo_is_refused(tmp_path, suffix):
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(grey(90)).save(path)
    assert "single picture" in refused(path)


def test_a_film_of_half_a_second_is_refused(tmp_path):
    assert "lasts 0.48 s" in refused(numbered(tmp_path / "a.mp4", 12))


def test_tiny_pictures_are_refused(tmp_path):
    write_video(tmp_path / "a.mp4", (grey(9, (64, 64)) for _ in range(50)), 25.0)
    assert "64×64" in refused(tmp_path / "a.mp4")
