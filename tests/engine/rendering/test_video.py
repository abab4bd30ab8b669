# SPDX-License-Identifier: GPL-3.0-or-later
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile

from engine.core.errors import BadInputError, CancelledError
from engine.rendering.video import exact_fps, write_video


def frames(count, height=48, width=64, color=(200, 90, 40)):
    for index in range(count):
        frame = np.empty((height, width, 3), np.uint8)
        frame[:] = color
        frame[:, : 1 + index % (width - 1)] //= 2
        yield frame


@pytest.fixture
def voice(tmp_path):
    """Two seconds of noise bursts at 22.05 kHz: unmistakable in a correlation."""
    rate = 22050
    random = np.random.default_rng(0)
    sound = 0.3 * random.normal(size=2 * rate) * (np.sin(np.arange(2 * rate) / rate * 9) > 0)
    path = tmp_path / "voice.wav"
    soundfile.write(path, sound, rate)
    return path, sound, rate


def decoded(path):
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        rate, size = video.average_rate, (video.width, video.height)
        pictures = list(container.decode(video))
    return rate, size, pictures


@pytest.mark.parametrize(
    ("fps", "exact"),
    [
        (25.0, Fraction(25)),
        (23.976, Fraction(24000, 1001)),
        (24000 / 1001, Fraction(24000, 1001)),
        (29.97, Fraction(30000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (12.5, Fraction(25, 2)),
        (120.0, Fraction(120)),
    ],
)
def test_frame_rates_are_exact(fps, exact):
    assert exact_fps(fps) == exact


@pytest.mark.parametrize("fps", [25.0, 24000 / 1001, 60.0])
def test_every_frame_arrives_at_its_time(fps, tmp_path):
    write_video(tmp_path / "a.mp4", frames(37), fps)
    rate, _, pictures = decoded(tmp_path / "a.mp4")
    assert rate == exact_fps(fps)
    assert len(pictures) == 37
    times = [picture.pts * picture.time_base for picture in pictures]
    assert times == [pytest.approx(float(k / exact_fps(fps)), abs=1e-4) for k in range(37)]


def test_the_file_is_h264_in_420_with_its_index_in_front(tmp_path):
    write_video(tmp_path / "a.mp4", frames(5), 25)
    with av.open(str(tmp_path / "a.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("size", [(47, 63), (48, 63), (47, 64), (1, 1)])
def test_odd_sizes_grow_by_one_pixel(size, tmp_path):
    write_video(tmp_path / "a.mp4", frames(3, *size) if min(size) > 1 else black(3), 25)
    _, (width, height), pictures = decoded(tmp_path / "a.mp4")
    assert (height, width) == tuple(n + n % 2 for n in size)
    assert len(pictures) == 3


def black(count):
    return (np.zeros((1, 1, 3), np.uint8) for _ in range(count))


def test_colours_come_back_as_they_were(tmp_path):
    flat = np.empty((64, 64, 3), np.uint8)
    for color in ((200, 90, 40), (30, 160, 220), (255, 255, 255), (0, 0, 0)):
        flat[:] = color
        write_video(tmp_path / "a.mp4", [flat] * 2, 25)
        _, _, pictures = decoded(tmp_path / "a.mp4")
        assert pictures[0].colorspace == 1
        back = pictures[0].to_ndarray(format="rgb24")[32, 32].astype(int)
        assert np.abs(back - color).max() <= 4


def sound_of(path, rate):
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        parts, first = [], None
        for frame in container.decode(stream):
            first = float(frame.pts * frame.time_base) if first is None else first
            parts += [f.to_ndarray().ravel() for f in resampler.resample(frame)]
        parts += [f.to_ndarray().ravel() for f in resampler.resample(None)]
    return first, np.concatenate(parts)


@pytest.mark.parametrize("size", [(48, 64), (47, 63)])
def test_the_sound_starts_at_zero_and_is_the_source(size, voice, tmp_path):
    path, sound, rate = voice
    write_video(tmp_path / "a.mp4", frames(50, *size), 25, path)
    first, decoded = sound_of(tmp_path / "a.mp4", rate)
    assert first == pytest.approx(0, abs=1e-3)
    count = min(len(decoded), len(sound))
    assert count >= len(sound) - 2048
    spectrum = np.fft.rfft(decoded[:count], 2 * count) * np.conj(
        np.fft.rfft(sound[:count], 2 * count)
    )
    lag = int(np.fft.irfft(spectrum).argmax())
    lag = lag if lag < count else lag - 2 * count
    assert abs(lag) / rate < 0.003
    assert np.corrcoef(decoded[:count], np.roll(sound, lag)[:count])[0, 1] > 0.9


def test_sound_and_picture_last_equally_long(voice, tmp_path):
    write_video(tmp_path / "a.mp4", frames(48), 24000 / 1001, voice[0])
    with av.open(str(tmp_path / "a.mp4")) as container:
        durations = [float(s.duration * s.time_base) for s in container.streams]
    assert durations[0] == pytest.approx(48 * 1001 / 24000, abs=1e-3)
    assert durations[1] == pytest.approx(2.0, abs=0.05)


def test_a_failure_in_the_middle_leaves_no_file(tmp_path):
    def failing():
        yield from frames(5)
        raise CancelledError

    with pytest.raises(CancelledError):
        write_video(tmp_path / "a.mp4", failing(), 25)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_an_older_video_as_it_was(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"older")
    with pytest.raises(BadInputError, match="Frame 3"):
        write_video(tmp_path / "a.mp4", [*frames(3), *frames(1, 20, 20)], 25)
    assert (tmp_path / "a.mp4").read_bytes() == b"older"
    assert len(list(tmp_path.iterdir())) == 1


def test_no_frames_are_refused(tmp_path):
    with pytest.raises(BadInputError, match="no frames"):
        write_video(tmp_path / "a.mp4", [], 25)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_kind_of_video_is_refused(tmp_path):
    with pytest.raises(BadInputError, match=r"a\.webp"):
        write_video(tmp_path / "a.webp", frames(2), 25)


def test_a_missing_sound_is_named_before_any_frame_is_asked_for(tmp_path):
    def never():
        pytest.fail("a frame was rendered")
        yield

    with pytest.raises(BadInputError, match=r"gone\.wav"):
        write_video(tmp_path / "a.mp4", never(), 25, tmp_path / "gone.wav")


def test_a_file_without_sound_is_refused(tmp_path):
    (tmp_path / "note.wav").write_text("this is no sound at all")
    with pytest.raises(BadInputError, match=r"note\.wav"):
        write_video(tmp_path / "a.mp4", frames(2), 25, tmp_path / "note.wav")
    write_video(tmp_path / "silent.mp4", frames(2), 25)
    with pytest.raises(BadInputError, match="holds no sound"):
        write_video(tmp_path / "a.mp4", frames(2), 25, tmp_path / "silent.mp4")


@pytest.mark.parametrize("channels", [1, 2, 8])
def test_the_sound_begins_where_the_performance_made_of_it_does(
    tmp_path, write_container, channels
):
    sound = np.random.default_rng(0).normal(0, 0.2, 48_000).astype(np.float32)
    sound[:24_000] = 0
    write_container(tmp_path / "voice.aac", "aac", np.tile(sound, (channels, 1)))
    write_video(tmp_path / "a.mp4", frames(25), 25, sound=tmp_path / "voice.aac")
    with av.open(str(tmp_path / "a.mp4")) as container:
        blocks = [frame.to_ndarray() for frame in container.decode(audio=0)]
    written = np.abs(np.concatenate(blocks, axis=1)[0])
    assert np.flatnonzero(written > 0.1)[0] / 48_000 == pytest.approx(0.5, abs=0.004)
