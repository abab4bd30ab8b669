# SPDX-License-Identifier: GPL-3.0-or-later
"""Videos that do not begin together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import engine.assets
from engine.core.errors import BadInputError
from engine.rendering.video import write_video
from training.tracking.film import Film, open_film, pictures
from training.tracking.film_sound import write_sound
from training.tracking.simultaneous import simultaneous

SAMPLE_VOICE = Path(engine.assets.__file__).with_name("sample_voice.wav")
FPS = 25.0


def silent(name, seconds=4.0, fps=FPS):
    return Film(Path(name), 200, 200, fps, round(seconds * fps), sound=False)


def numbered(path, first, count, sound=None):
    """A film whose pictures' grey is twice their number in the room's time."""
    images = (np.full((160, 160, 3), 2 * (first + n), np.uint8) for n in range(count))
    write_video(path, images, FPS, sound, quality=4)
    return open_film(path, 1280)


def test_what_all_have_is_left(tmp_path):
    films = [silent("a.mp4", 4.0), silent("b.mp4", 4.0), silent("c.mp4", 2.8)]
    found = simultaneous(films, (0.0, 1.0, -0.4))
    # The second begins last, the third ends first.
    assert [film.begin for film in found.films] == pytest.approx([1.0, 0.0, 1.4])
    assert {film.frames for film in found.films} == {35}
    assert found.offsets == (0.0, 1.0, -0.4)


def test_offsets_are_against_the_first(tmp_path):
    found = simultaneous([silent("a.mp4"), silent("b.mp4")], (5.0, 5.5))
    assert found.offsets == pytest.approx((0.0, 0.5))


def test_pictures_of_one_number_are_of_one_time(tmp_path):
    films = [numbered(tmp_path / "a.mp4", 0, 50), numbered(tmp_path / "b.mp4", 10, 50)]
    found = simultaneous(films, (0.0, 10 / FPS))
    assert {film.frames for film in found.films} == {40}
    pairs = zip(*map(pictures, found.films), strict=True)
    for (one, a), (other, b) in pairs:
        assert one == other
        assert int(np.median(a)) // 2 == pytest.approx(int(np.median(b)) // 2, abs=1)
    assert one == 39


def test_rates_that_differ_become_the_first_ones(tmp_path):
    found = simultaneous([silent("a.mp4", fps=25.0), silent("b.mp4", fps=50.0)], (0.0, 0.0))
    assert [(film.fps, film.frames) for film in found.films] == [(25.0, 100)] * 2


def test_without_sound_they_begin_together(tmp_path):
    found = simultaneous([silent("a.mp4"), replace(silent("b.mp4"), sound=True)])
    assert found.offsets == (0.0, 0.0)
    assert "Without sound in a.mp4" in found.notes[0]


def voiced(tmp_path, name, first, seconds, gain=1.0, noise=0.002):
    """A film that begins ``first`` seconds into the sample voice, as its own microphone has it."""
    samples, rate = soundfile.read(SAMPLE_VOICE)
    part = gain * samples[round(first * rate) : round((first + seconds) * rate)]
    part = part + noise * np.random.default_rng(len(part)).normal(size=len(part))
    soundfile.write(tmp_path / f"{name}.wav", part, rate)
    return numbered(tmp_path / f"{name}.mp4", 0, round(seconds * FPS), tmp_path / f"{name}.wav")


def test_the_sound_says_when_a_video_begins(tmp_path):
    films = [
        voiced(tmp_path, "front", 0.5, 2.5),
        voiced(tmp_path, "left", 0.82, 2.5, gain=0.3),
        voiced(tmp_path, "right", 0.2, 2.5, gain=0.6, noise=0.005),
    ]
    found = simultaneous(films)
    assert found.offsets == pytest.approx((0.0, 0.32, -0.3), abs=0.02)
    assert "left.mp4 +0.3" in found.notes[0]
    for film in found.films:
        write_sound(film, tmp_path / "common.wav", film.frames)
        sound, rate = soundfile.read(tmp_path / "common.wav")
        assert len(sound) / rate == pytest.approx(film.frames / film.fps, abs=0.01)


def test_sounds_of_different_recordings_are_refused(tmp_path):
    rng = np.random.default_rng(0)
    one = voiced(tmp_path, "front", 0.2, 2.5)
    soundfile.write(tmp_path / "b.wav", 0.1 * rng.normal(size=40000), 16000)
    other = numbered(tmp_path / "b.mp4", 0, 60, tmp_path / "b.wav")
    with pytest.raises(BadInputError, match=r"b\.mp4 .* cannot be found by their sound"):
        simultaneous([one, other])


def test_videos_that_do_not_overlap_are_refused():
    with pytest.raises(BadInputError, match=r"0\.00 s in common: b\.mp4 begins 4\.50 s"):
        simultaneous([silent("a.mp4"), silent("b.mp4")], (0.0, 4.5))
