# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import torch

from engine.avatar import load_avatar, splats
from engine.splatting.cpu.backend import CpuBackend
from tests.training.data.small_capture import FRONT
from training.data.multiview import MultiViewCapture


def test_the_front_camera_is_kept_from_training(small_capture):
    capture = MultiViewCapture.open(small_capture)
    assert capture.test_camera == FRONT
    assert len(capture.split("train")) == 9
    assert {frame.camera_id for frame in capture.split("train").frames} == {"left", "right", "low"}
    for split in ("val", "test"):
        assert {frame.camera_id for frame in capture.split(split).frames} == {FRONT}


def test_a_view_is_what_the_avatar_rendered_there(small_capture):
    capture = MultiViewCapture.open(small_capture, background=(0.2, 0.4, 0.6))
    view = capture.split("train")[4]
    avatar = load_avatar("default", capture.head)
    gaussians = splats(
        avatar,
        torch.from_numpy(capture.head.deform(view.expression.numpy())),
        view.expression,
        view.head_matrix,
        torch.from_numpy(view.camera.position),
    )
    picture = CpuBackend().render(gaussians, view.camera, torch.tensor([0.2, 0.4, 0.6]))
    assert view.image.shape == (64, 44, 3)
    assert view.image.dtype == view.alpha.dtype == torch.float32
    assert torch.allclose(view.alpha, picture.alpha, atol=1 / 255)
    assert torch.allclose(view.image, picture.rgb.clamp(0, 1), atol=4 / 255)


def test_vertices_stand_in_the_world(small_capture):
    capture = MultiViewCapture.open(small_capture)
    view = capture.split("test")[2]
    matrix = view.head_matrix.numpy()
    expected = capture.head.deform(view.expression.numpy()) @ matrix[:3, :3].T + matrix[:3, 3]
    assert not np.allclose(matrix, np.eye(4))
    assert np.allclose(view.vertices.numpy(), expected, atol=1e-6)


def test_scale_keeps_where_points_fall_in_the_picture(small_capture):
    full = MultiViewCapture.open(small_capture).split("test")[0]
    half = MultiViewCapture.open(small_capture, scale=0.5).split("test")[0]
    assert half.image.shape == (32, 22, 3)
    point = np.array([0.02, -0.03, 0.1, 1.0])
    pixels = []
    for view in (full, half):
        x, y, z = view.camera.K @ (view.camera.viewmat @ point)[:3]
        pixels.append([x / z / view.camera.width, y / z / view.camera.height])
    assert np.allclose(*pixels, atol=1e-6)
