# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech track`` with the videos of calibrated cameras."""

import json

import numpy as np
import pytest

from tests.training.tracking.filmed_head import NoHands
from tests.training.tracking.test_scan import Faces
from tests.training.tracking.three_videos import FPS, LATE, substitute_detectors, three_videos
from training.cli import main
from training.data.layout import read_transforms, transforms_path
from training.data.multiview import MultiViewCapture

OFFSETS = ["--offsets", "0", "0.25", "0.0833"]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return three_videos(tmp_path_factory.mktemp("three"))


@pytest.fixture(scope="module")
def capture(videos, tmp_path_factory):
    out = tmp_path_factory.mktemp("tracked") / "capture"
    with pytest.MonkeyPatch.context() as patch:
        substitute_detectors(patch, videos)
        paths = [str(path) for path in videos.paths]
        given = ["--cameras", str(videos.cameras), *OFFSETS]
        assert main(["track", *paths, "--out", str(out), *given]) == 0
    return out


@pytest.mark.slow
def test_trainings_open_all_cameras(capture, videos):
    opened = MultiViewCapture.open(capture)
    frames = [f for s in ("train", "val", "test") for f in opened.split(s).frames]
    assert {frame.camera_id for frame in frames} == {"front", "left", "right"}
    # All cameras are trained on: timesteps are kept for the test, none of them.
    for split in ("train", "val", "test"):
        kept = opened.split(split).frames
        assert {frame.camera_id for frame in kept} == {"front", "left", "right"}
    trained = {frame.timestep for frame in opened.split("train").frames}
    assert not trained & {frame.timestep for frame in opened.split("test").frames}
    listed = [
        f for s in ("train", "val", "test") for f in read_transforms(transforms_path(capture, s))
    ]
    common = videos.frames - max(LATE.values())
    assert len(listed) == 3 * common
    assert opened.head.source.kind == "default"


@pytest.mark.slow
def test_the_head_lies_where_each_camera_shows_it(capture, videos):
    """Poses, intrinsics with pixels that are not square, and the time of each video."""
    opened = MultiViewCapture.open(capture)
    late = max(LATE.values())
    for split in ("train", "val", "test"):
        for view in opened.split(split):
            camera, vertices = view.camera, view.vertices.numpy()
            local = vertices @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
            flat = local @ camera.K.T
            face = opened.head.regions["face"]
            true = videos.vertices[view.camera_id][view.timestep + late][face]
            away = np.linalg.norm((flat[:, :2] / flat[:, 2:])[face] - true, axis=1)
            # A millimetre is half a pixel.
            assert away.mean() < 1.5, (view.camera_id, view.timestep)


@pytest.mark.slow
def test_the_report_says_how_well_each_camera_is_met(capture):
    report = json.loads((capture / "report.json").read_text())
    rows = report["summary"]["cameras"]
    assert [row["video"] for row in rows] == ["front.mp4", "left.mp4", "right.mp4"]
    assert [row["begins_seconds"] for row in rows] == [0.0, 0.25, 0.0833]
    assert all(row["frames"] == report["summary"]["frames"] for row in rows)
    assert all(row["error_percent_of_eye_distance"] < 4 for row in rows)
    assert (capture / "preview.mp4").is_file()


def refused(videos, out, capsys, *options, paths=None):
    """The one line that is said; nothing is left."""
    given = [str(path) for path in (videos.paths if paths is None else paths)]
    assert main(["track", *given, "--out", str(out), *options]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert not out.exists()
    return said[-1]


def test_another_number_of_cameras(videos, tmp_path, capsys):
    content = json.loads(videos.cameras.read_text())
    for entry in content["frames"]:
        entry["camera_id"] = f"cam {entry['camera_index']}"
    (tmp_path / "cameras.json").write_text(json.dumps(content))
    options = ["--cameras", str(tmp_path / "cameras.json")]
    said = refused(videos, tmp_path / "out", capsys, *options, paths=videos.paths[:2])
    assert "has 3 cameras" in said
    assert "for 2 videos" in said


def test_offsets_of_other_videos(videos, tmp_path, capsys):
    options = ["--cameras", str(videos.cameras), "--offsets", "0", "0.5"]
    said = refused(videos, tmp_path / "out", capsys, *options)
    assert "--offsets has 2 times for 3 videos" in said


def test_one_camera_has_to_show_the_face_most_of_the_time(videos, tmp_path, monkeypatch, capsys):
    content = json.loads(videos.cameras.read_text())
    content["frames"] = [row for row in content["frames"] if row["camera_id"] == "front"]
    (tmp_path / "cameras.json").write_text(json.dumps(content))
    faces = Faces({frame: [] for frame in range(11, videos.frames)}, FPS)
    monkeypatch.setattr("training.tracking.run.open_detector", lambda *_, **__: faces)
    monkeypatch.setattr("training.tracking.run.HandDetector", NoHands)
    monkeypatch.setattr("training.tracking.run.PersonSegmenter", NoHands)
    options = ["--cameras", str(tmp_path / "cameras.json")]
    said = refused(videos, tmp_path / "out", capsys, *options, paths=videos.paths[:1])
    assert "only 11 of 28 frames are of use" in said


def test_videos_that_do_not_overlap(videos, tmp_path, monkeypatch, capsys):
    substitute_detectors(monkeypatch, videos)
    options = ["--cameras", str(videos.cameras), "--offsets", "0", "9", "0"]
    said = refused(videos, tmp_path / "out", capsys, *options)
    assert "0.00 s in common" in said
    assert "left.mp4" in said


def test_a_focal_length_beside_the_calibration(videos, tmp_path, capsys):
    options = ["--cameras", str(videos.cameras), "--focal", "900"]
    assert "Leave out --focal" in refused(videos, tmp_path / "out", capsys, *options)


def test_a_camera_without_a_face_is_named(videos, tmp_path, monkeypatch, capsys):
    substitute_detectors(monkeypatch, videos, lost=("left",))
    options = ["--cameras", str(videos.cameras), *OFFSETS]
    said = refused(videos, tmp_path / "out", capsys, *options)
    assert "left.mp4 shows no face" in said


def test_the_calibration_of_other_cameras_is_refused(videos, tmp_path, monkeypatch, capsys):
    """Left and right are exchanged."""
    substitute_detectors(monkeypatch, videos)
    content = json.loads(videos.cameras.read_text())
    for entry, name in zip(content["frames"], ("front", "right", "left"), strict=True):
        entry["camera_id"] = name
    (tmp_path / "cameras.json").write_text(json.dumps(content))
    options = ["--cameras", str(tmp_path / "cameras.json"), *OFFSETS]
    said = refused(videos, tmp_path / "out", capsys, *options)
    assert "The calibration does not fit" in said
