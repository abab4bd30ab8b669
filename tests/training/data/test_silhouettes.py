# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures whose head stands elsewhere than their pictures show it are refused before training."""

import json
import shutil

import numpy as np
import pytest

from engine.core.errors import BadInputError
from training.data.layout_head_param import load_head_param, save_head_param
from training.data.multiview import MultiViewCapture


@pytest.fixture
def capture(small_capture, tmp_path):
    return shutil.copytree(small_capture, tmp_path / "capture")


def with_cameras(folder, change):
    for path in folder.glob("transforms_*.json"):
        content = json.loads(path.read_text())
        for frame in content["frames"]:
            frame["transform_matrix"] = change(np.array(frame["transform_matrix"])).tolist()
        path.write_text(json.dumps(content))


def test_a_sound_capture_opens(capture):
    assert len(MultiViewCapture.open(capture).split("train")) > 0


@pytest.mark.parametrize(
    "change",
    [
        lambda matrix: matrix @ np.diag([1, -1, -1, 1]),
        lambda matrix: np.vstack([matrix[:3] * [1, 1, 1, 1000], matrix[3:]]),
        np.linalg.inv,
    ],
    ids=["axes of OpenCV", "millimetres", "world to camera"],
)
def test_cameras_of_another_convention_are_named(capture, change):
    with_cameras(capture, change)
    with pytest.raises(BadInputError, match=r"does not stand where the pictures.*images") as caught:
        MultiViewCapture.open(capture)
    assert "OpenGL axes" in caught.value.hint


def test_a_head_that_stands_elsewhere_is_named(capture):
    for path in capture.glob("head_param/*.npz"):
        param = load_head_param(path)
        param.head_matrix[:3, 3] += [0.5, 0, 0]
        save_head_param(param, path)
    with pytest.raises(BadInputError, match="does not stand where the pictures"):
        MultiViewCapture.open(capture)
