# SPDX-License-Identifier: GPL-3.0-or-later
"""The calibration of several videos, and what is wrong with one."""

import json
from pathlib import Path

import numpy as np
import pytest

from engine.core.errors import BadInputError
from tests.training.tracking.filmed_by_three import calibration, placed
from training.tracking.film import Film
from training.tracking.rig import read_rig, relative

K = np.array([[900.0, 0, 250.0], [0, 880.0, 330.0], [0, 0, 1]])


def film(name, size=(500, 640), scale=1.0):
    width, height = (round(side * scale) for side in size)
    return Film(Path(name), width, height, 25.0, 50, sound=False, scale=scale, file_size=size)


def rows(*names):
    return [(name, K, placed(30.0 * number), 500, 640) for number, name in enumerate(names)]


def test_cameras_are_found_by_the_names_of_the_videos(tmp_path):
    path = calibration(tmp_path / "a.json", rows("side", "front"))
    front, side = read_rig(path, [film("front.mp4"), film("cam_side.mov")])
    assert (front.id, side.id) == ("front", "side")
    assert np.abs(front.camera.K - K).max() < 1e-3
    # The first video's space is that of its own camera.
    to_front, to_side = relative([front, side])
    assert to_front == pytest.approx(np.eye(4), abs=1e-6)
    assert to_side == pytest.approx(np.linalg.inv(placed(30.0)), abs=1e-6)


def test_cameras_are_found_by_the_files_that_they_took(tmp_path):
    path = calibration(tmp_path / "a.json", rows("7", "8"))
    content = json.loads(path.read_text())
    for entry, name in zip(content["frames"], ("left", "right"), strict=True):
        entry["file_path"] = f"videos/{name}.mp4"
    path.write_text(json.dumps(content))
    found = read_rig(path, [film("right.mp4"), film("left.mp4")])
    assert [camera.id for camera in found] == ["8", "7"]


def test_without_names_the_order_counts(tmp_path):
    path = calibration(tmp_path / "a.json", rows("0", "1"))
    found = read_rig(path, [film("x.mp4"), film("y.mp4")])
    assert [camera.id for camera in found] == ["0", "1"]


def test_smaller_pictures_have_a_smaller_camera(tmp_path):
    path = calibration(tmp_path / "a.json", rows("x"))
    (camera,) = read_rig(path, [film("x.mp4", scale=0.5)])
    assert camera.camera.K[:2] == pytest.approx(0.5 * K[:2])
    assert (camera.camera.width, camera.camera.height) == (250, 320)


def test_a_capture_lends_its_cameras(tmp_path):
    """All three files count, each camera once for however many frames."""
    calibration(tmp_path / "transforms_train.json", [*rows("a", "b"), *rows("a", "b")])
    calibration(tmp_path / "transforms_val.json", rows("x", "y", "c")[2:], camera_index=2)
    found = read_rig(tmp_path, [film(f"{name}.mp4") for name in "abc"])
    assert [camera.id for camera in found] == ["a", "b", "c"]


WRONG = {
    "another number": (rows("0", "1"), ["x", "y", "z"], {}, "2 cameras .0, 1. for 3 videos"),
    "no calibration": (rows("x", "1"), ["x", "y"], {}, r"no camera for y\.mp4"),
    "twice": (rows("x", "1"), ["x", "x"], {}, "'x' .* more than one"),
    "size": (rows("x"), ["x"], {"w": 640}, "500×640 pixels, its camera 'x' .* 640×640"),
    "distortion": (rows("x"), ["x"], {"k1": -0.1}, "distorts .k1."),
    "no focal length": (rows("x"), ["x"], {"fl_x": 0}, "fl_x"),
    "moves": ([*rows("x"), ("x", K, placed(5.0), 500, 640)], ["x"], {}, "cameras that move"),
    "empty": ([], ["x"], {}, "lists no cameras"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_calibration_is_named(tmp_path, kind):
    cameras, names, changes, said = WRONG[kind]
    path = calibration(tmp_path / "cameras.json", cameras, **changes)
    with pytest.raises(BadInputError, match=said) as raised:
        read_rig(path, [film(f"{name}.mp4") for name in names])
    assert "cameras.json" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"frames": 3}'])
def test_what_is_no_calibration_is_named(tmp_path, text):
    path = tmp_path / "cameras.json"
    path.write_text(text)
    with pytest.raises(BadInputError, match=r"cameras\.json"):
        read_rig(path, [film("x.mp4")])
