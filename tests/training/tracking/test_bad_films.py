# SPDX-License-Identifier: GPL-3.0-or-later
"""Films that cannot become a capture, or not a whole one: a message, and nothing half-written."""

import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from engine.core.errors import BadInputError
from engine.jobs import folder as jobs
from engine.rendering.video import write_video
from tests.training.tracking.filmed_head import FPS, film_head, substitute_detectors
from training.cli import main
from training.data.multiview import MultiViewCapture
from training.tracking.landmarks import FaceLandmarks


@pytest.fixture(scope="module")
def silent(tmp_path_factory):
    """Two seconds without sound."""
    return film_head(tmp_path_factory.mktemp("films") / "ada.mp4", None, frames=24)


def refused(film, out, capsys):
    """The one line that is said; nothing is left."""
    assert main(["track", str(film), "--out", str(out)]) == 2
    assert not out.exists()
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert film.name in said
    return said


def drawn_dog(frame):
    """A dog's head from in front, which nods."""
    picture = Image.new("RGB", (320, 320), (120, 150, 110))
    pen, y = ImageDraw.Draw(picture), round(4 * np.sin(0.4 * frame))
    fur, dark = (170, 120, 70), (30, 22, 18)
    pen.ellipse((80, 60 + y, 240, 230 + y), fill=fur)
    for x in (50, 210):
        pen.ellipse((x, 60 + y, x + 60, 200 + y), fill=(110, 70, 40))
    pen.ellipse((115, 150 + y, 205, 260 + y), fill=(225, 205, 180))
    pen.ellipse((138, 160 + y, 182, 190 + y), fill=dark)
    for x in (118, 180):
        pen.ellipse((x, 110 + y, x + 22, 132 + y), fill=dark)
    pen.arc((130, 180 + y, 190, 235 + y), 20, 160, fill=dark, width=4)
    return np.asarray(picture)


def test_no_face(silent, tmp_path, monkeypatch, capsys):
    substitute_detectors(monkeypatch, silent, lambda _frame: [])
    assert "shows no face in 24 frames" in refused(silent.path, tmp_path / "out", capsys)


def test_two_faces(silent, tmp_path, monkeypatch, capsys):
    def pair(frame):
        points = silent.points[frame]
        return [FaceLandmarks(points), FaceLandmarks(0.9 * points + [12, 0])]

    substitute_detectors(monkeypatch, silent, pair)
    said = refused(silent.path, tmp_path / "out", capsys)
    assert "two faces in 24" in said
    assert "Let one person alone be in the picture" in said


@pytest.mark.slow
def test_an_animal_in_which_landmarks_are_found(silent, tmp_path, monkeypatch, capsys):
    """A muzzle: all below the eyes is long and narrow, and the eyes are at the sides."""

    def muzzle(frame):
        points = silent.points[frame].astype(float)
        middle = points.mean(axis=0)
        apart = points - middle
        low = np.clip(apart[:, 1] / np.ptp(apart[:, 1]) + 0.2, 0, 1)
        apart *= np.stack([1.5 - 2.2 * low, 1 + 1.2 * low], 1)
        return [FaceLandmarks((middle + 0.7 * apart).astype(np.float32))]

    substitute_detectors(monkeypatch, silent, muzzle)
    said = refused(silent.path, tmp_path / "out", capsys)
    assert "is no person's" in said
    assert "animals" in said


@pytest.mark.slow
def test_landmarks_of_no_head(silent, tmp_path, monkeypatch, capsys):
    """They are mixed up: each is another's."""
    order = np.random.default_rng(0).permutation(silent.points.shape[1])

    def mixed(frame):
        return [FaceLandmarks(silent.points[frame, order])]

    substitute_detectors(monkeypatch, silent, mixed)
    monkeypatch.setattr("training.tracking.scan.LEAST_EYES", 0.0)
    said = refused(silent.path, tmp_path / "out", capsys)
    assert "does not fit" in said or "is no person's" in said


@pytest.mark.slow
def test_a_drawn_dog(tmp_path, mediapipe, capsys):
    write_video(tmp_path / "dog.mp4", (drawn_dog(frame) for frame in range(30)), 25.0)
    said = refused(tmp_path / "dog.mp4", tmp_path / "out", capsys)
    assert "shows no face" in said
    assert "animals" in said


@pytest.mark.slow
def test_two_seconds_without_sound_become_views_alone(silent, tmp_path, monkeypatch):
    substitute_detectors(monkeypatch, silent)
    out = tmp_path / "out"
    assert main(["track", str(silent.path), "--out", str(out)]) == 0
    capture = MultiViewCapture.open(out)
    assert sum(len(capture.split(split)) for split in ("train", "val", "test")) == 24
    assert not (out / "speech").exists()
    assert [note for note in jobs.show(out).status.notes if "has no sound" in note]
    summary = json.loads((out / "report.json").read_text())["summary"]
    assert (summary["tracked"], summary["seconds"]) == (24, 24 / FPS)


@pytest.mark.slow
def test_a_text_that_is_gone_meanwhile_was_read_at_the_beginning(silent, tmp_path, monkeypatch):
    text = tmp_path / "said.txt"
    text.write_text("Hello there.")

    def faces(frame):
        text.unlink(missing_ok=True)
        return [FaceLandmarks(silent.points[frame])]

    substitute_detectors(monkeypatch, silent, faces)
    out = tmp_path / "out"
    assert main(["track", str(silent.path), "--out", str(out), "--text", str(text)]) == 0
    record = json.loads((out / "capture.json").read_text())
    assert record["made_of"]["settings"]["text"] == "Hello there."


@pytest.mark.slow
def test_a_film_that_is_gone_meanwhile_is_tracked_on_once_it_is_back(
    silent, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("training.tracking.scan.CHUNK", 10)
    film, away, out = tmp_path / "ada.mp4", tmp_path / "away.mp4", tmp_path / "out"
    film.write_bytes(silent.path.read_bytes())
    looked = []

    def faces(frame):
        looked.append(frame)
        return [FaceLandmarks(silent.points[frame])]

    def taken_off(*_args, **_options):
        film.rename(away)
        raise BadInputError(f"{film} cannot be decoded.")

    substitute_detectors(monkeypatch, silent, faces)
    with monkeypatch.context() as patch:
        patch.setattr("training.tracking.run.track_scan", taken_off)
        assert main(["track", str(film), "--out", str(out)]) == 2
    assert "ada.mp4 cannot be decoded" in capsys.readouterr().err
    away.rename(film)
    looked.clear()
    assert main(["track", str(film), "--out", str(out)]) == 0
    assert not looked
