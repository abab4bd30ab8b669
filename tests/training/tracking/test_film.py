# SPDX-License-Identifier: GPL-3.0-or-later
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile
from PIL import Image

from engine.core.errors import BadInputError
from engine.rendering.video import write_video
from training.tracking.film import open_film, pictures, write_sound

SIZE = (160, 200)


def grey(level, size=SIZE):
    return np.full((*size, 3), level, np.uint8)


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


def levels(film):
    return [round((image.mean() - 20) / 4) for _, image in pictures(film)]


def test_frames_of_a_constant_rate_come_as_they_are(tmp_path):
    film = open_film(numbered(tmp_path / "a.mp4"), 1280)
    assert film.fps == 25
    assert levels(film) == list(range(50))


def test_a_rate_that_varies_becomes_constant(tmp_path):
    times = np.sort(np.arange(40) / 25 + np.random.default_rng(0).uniform(0, 0.03, 40))
    times[0] = 0
    film = open_film(write_times(tmp_path / "a.mp4", times), 1280)
    shown = levels(film)
    grid = np.arange(len(shown)) / film.fps
    nearest = np.abs(times[None] - grid[:, None]).argmin(1)
    assert np.abs(np.array(shown) - nearest).max() <= 1
    assert len(shown) / film.fps == pytest.approx(times[-1], abs=0.1)


def test_large_pictures_are_made_smaller_and_keep_their_shape(tmp_path):
    film = open_film(numbered(tmp_path / "a.mp4"), 100)
    _, image = next(pictures(film))
    assert image.shape == (80, 100, 3)
    assert film.scale == pytest.approx(0.5)


def test_fast_films_are_thinned_out(tmp_path):
    film = open_film(numbered(tmp_path / "a.mp4", 240, 120.0), 1280)
    assert film.fps == 60
    assert "60" in film.notes[0]


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
