# SPDX-License-Identifier: GPL-3.0-or-later
import dataclasses
import math

import numpy as np
import pytest

from engine.splatting.camera import look_at

EYE, TARGET = np.array([1.0, 2.0, 3.0], np.float32), np.array([0.5, 1.0, -1.0], np.float32)


@pytest.fixture
def camera():
    return look_at(EYE, TARGET, width=200, height=100, vertical_fov=0.6)


def seen(camera, point):
    x, y, z = camera.viewmat[:3, :3] @ point + camera.viewmat[:3, 3]
    return camera.K @ [x / z, y / z, 1], z


def test_the_target_lies_in_the_middle_at_its_distance(camera):
    pixel, depth = seen(camera, TARGET)
    assert pixel[:2] == pytest.approx([100, 50], abs=1e-3)
    assert depth == pytest.approx(np.linalg.norm(TARGET - EYE), abs=1e-5)


def test_up_is_up_in_the_picture_and_the_axes_are_right_handed(camera):
    above, _ = seen(camera, TARGET + np.array([0, 0.1, 0]))
    assert above[1] < 50
    assert np.linalg.det(camera.viewmat[:3, :3]) == pytest.approx(1, abs=1e-5)


def test_the_field_of_view_fills_the_height(camera):
    assert math.atan(50 / camera.K[1, 1]) == pytest.approx(0.3, abs=1e-6)


def test_position_is_where_the_eye_was_put(camera):
    assert camera.position == pytest.approx(EYE, abs=1e-5)
    assert camera.viewpoint == pytest.approx(EYE, abs=1e-5)


def test_parallel_rays_come_from_far_behind_the_camera(camera):
    parallel = dataclasses.replace(camera, orthographic=True)
    forward = (TARGET - EYE) / np.linalg.norm(TARGET - EYE)
    for point in (TARGET, TARGET + np.array([0.3, 0.2, 0])):
        ray = point - parallel.viewpoint
        assert ray / np.linalg.norm(ray) == pytest.approx(forward, abs=1e-3)
