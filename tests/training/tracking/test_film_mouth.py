# SPDX-License-Identifier: GPL-3.0-or-later
"""The mouth of a filmed speaker, measured by landmarks against the eyes."""

import numpy as np
import pytest

from engine.core.errors import BadInputError
from engine.rendering.video import write_video
from tests.training.speech.recordings import write_sound
from training.cli import main
from training.data.filmed_mouth import load_filmed_mouth
from training.data.speech import find_speech, load_aligned_speech
from training.tracking.film_mouth import measure_mouth
from training.tracking.landmarks import POINTS, FaceLandmarks

FPS = 25.0


class Face:
    """A detector that sees a mouth open by 2 pixels more in each picture; eyes 45 pixels apart."""

    name = "drawn"

    def __init__(self, missing=()):
        self.missing, self.seen = missing, 0

    def detect(self, image, seconds):
        number = round(seconds * FPS)
        assert number == self.seen
        self.seen += 1
        if number in self.missing:
            return []
        points = np.zeros((POINTS, 2), np.float32)
        points[33], points[263] = (10.0, 40.0), (55.0, 40.0)
        points[13], points[14] = (30.0, 80.0), (30.0, 80.0 + 2.0 * number)
        points[61], points[291] = (20.0, 80.0), (45.0, 80.0)
        return [FaceLandmarks(points)]

    def close(self):
        """Nothing is held."""


@pytest.fixture
def film(tmp_path):
    write_sound(tmp_path / "said.wav", 0)
    frames = (np.full((176, 160, 3), 20 + i, np.uint8) for i in range(25))
    write_video(tmp_path / "clip.mp4", frames, FPS, tmp_path / "said.wav")
    return tmp_path / "clip.mp4"


def test_millimetres_follow_from_the_distance_of_the_eyes(film, tmp_path):
    sound = measure_mouth(film, tmp_path / "films", Face(), "What is said.")
    mouth = load_filmed_mouth(tmp_path / "films" / "clip.mouth.json")
    assert mouth.text == "What is said."
    assert mouth.curve.fps == FPS
    np.testing.assert_allclose(mouth.curve.opening, 4.0 * np.arange(25), atol=1e-3)
    np.testing.assert_allclose(mouth.curve.width, 50.0, atol=1e-3)
    assert find_speech([tmp_path / "films"]) == (sound,)
    assert load_aligned_speech(sound).speech.duration == pytest.approx(1.0, abs=0.02)


def test_single_pictures_without_a_face_are_bridged(film, tmp_path):
    measure_mouth(film, tmp_path / "films", Face(missing=(4, 5)))
    mouth = load_filmed_mouth(tmp_path / "films" / "clip.mouth.json")
    np.testing.assert_allclose(mouth.curve.opening, 4.0 * np.arange(25), atol=1e-3)


def test_what_a_longer_part_without_a_face_hides_stays_unknown(tmp_path):
    write_sound(tmp_path / "said.wav", 0)
    frames = (np.full((176, 160, 3), 20 + i, np.uint8) for i in range(50))
    write_video(tmp_path / "clip.mp4", frames, FPS, tmp_path / "said.wav")
    measure_mouth(tmp_path / "clip.mp4", tmp_path / "films", Face(missing=(3, *range(10, 20))))
    curve = load_filmed_mouth(tmp_path / "films" / "clip.mouth.json").curve
    assert np.flatnonzero(np.isnan(curve.opening)).tolist() == list(range(10, 20))
    assert np.isnan(curve.width).sum() == 10
    np.testing.assert_allclose(curve.opening[:10], 4.0 * np.arange(10), atol=1e-3)


def test_a_film_without_a_face_or_a_sound_is_refused(film, tmp_path):
    with pytest.raises(BadInputError, match="no face in 13 of 25"):
        measure_mouth(film, tmp_path / "films", Face(missing=range(13)))
    silent = tmp_path / "silent.mp4"
    write_video(silent, (np.zeros((176, 160, 3), np.uint8) for _ in range(30)), FPS)
    with pytest.raises(BadInputError, match="no sound"):
        measure_mouth(silent, tmp_path / "films", Face())
    assert not (tmp_path / "films").exists()


def test_the_command_compares_rules_with_the_film(film, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("training.tracking.mediapipe_faces.open_detector", Face)
    film.with_suffix(".txt").write_text("My mother may move.")
    out = tmp_path / "report"
    words = ["evaluate", "speech", "--video", str(film), "--out", str(out), "--avatar", "default"]
    assert main(words) == 0
    assert (out / "films" / "clip.mouth.json").is_file()
    assert '"film"' in (out / "report.json").read_text()
    assert main(["evaluate", "speech"]) == 2
    assert "--video" in capsys.readouterr().err
