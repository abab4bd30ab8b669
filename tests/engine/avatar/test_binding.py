# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from engine.avatar.binding import (
    matrix_to_quaternion,
    quaternion_product,
    transformed,
    triangle_frames,
)

SEEDS = st.integers(0, 2**31)


def triangles(seed, count=20, size=0.01):
    random = np.random.default_rng(seed)
    vertices = torch.tensor(random.normal(size=(3 * count, 3)) * size, dtype=torch.float32)
    return vertices, torch.arange(3 * count, dtype=torch.int32).reshape(count, 3)


def as_matrices(quats):
    return torch.tensor(Rotation.from_quat(quats.numpy()[:, [1, 2, 3, 0]]).as_matrix()).float()


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_frames_are_those_of_the_paper(seed):
    vertices, faces = triangles(seed)
    frames = triangle_frames(vertices, faces)
    for index, (v0, v1, v2) in enumerate(vertices.double().reshape(-1, 3, 3)):
        a0 = (v1 - v0) / (v1 - v0).norm()
        normal = torch.linalg.cross(a0, v2 - v0)
        a1 = normal / normal.norm()
        a2 = -torch.linalg.cross(a1, a0)
        expected = torch.stack([a0, a1, a2], 1)
        torch.testing.assert_close(frames.rotations[index].double(), expected, atol=2e-4, rtol=0)
        size = 0.5 * ((v1 - v0).norm() + (a2 @ (v2 - v0)).abs())
        torch.testing.assert_close(frames.scales[index].double(), size, atol=1e-8, rtol=1e-4)
    centers = vertices.reshape(-1, 3, 3).mean(1)
    torch.testing.assert_close(frames.centers, centers)


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_quaternions_and_matrices_of_a_frame_are_the_same_rotation(seed):
    frames = triangle_frames(*triangles(seed))
    torch.testing.assert_close(as_matrices(frames.quats), frames.rotations, atol=1e-5, rtol=0)


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_any_rotation_matrix_gives_its_quaternion(seed):
    turned = Rotation.random(50, random_state=seed)
    half_turns = Rotation.from_rotvec(np.pi * np.eye(3))
    matrices = torch.tensor(np.concatenate([turned.as_matrix(), half_turns.as_matrix()])).float()
    torch.testing.assert_close(
        as_matrices(matrix_to_quaternion(matrices)), matrices, atol=1e-5, rtol=0
    )


def test_quaternions_multiply_as_rotations_do():
    first, second = (Rotation.random(9, random_state=seed) for seed in (1, 2))
    quats = [torch.tensor(r.as_quat()[:, [3, 0, 1, 2]]).float() for r in (first, second)]
    product = as_matrices(quaternion_product(*quats))
    expected = torch.tensor((first * second).as_matrix()).float()
    torch.testing.assert_close(product, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "corners",
    [
        [[0, 0, 0], [0, 0, 0], [0, 0, 0]],
        [[0, 0, 0], [1e-2, 0, 0], [2e-2, 0, 0]],
        [[0, 0, 0], [0, 0, 0], [0, 1e-2, 0]],
        [[0, 0, 0], [0, 1e-2, 0], [0, 0, 0]],
        [[0, 0, 0], [0, 1e-2, 0], [0, 1e-2, 0]],
    ],
)
def test_triangles_without_area_give_a_rotation_and_finite_gradients(corners):
    vertices = torch.tensor(corners, dtype=torch.float32, requires_grad=True)
    frames = triangle_frames(vertices, torch.tensor([[0, 1, 2]]))
    product = frames.rotations @ frames.rotations.transpose(1, 2)
    torch.testing.assert_close(product[0], torch.eye(3), atol=1e-5, rtol=0)
    assert torch.linalg.det(frames.rotations)[0].item() == pytest.approx(1, abs=1e-5)
    total = sum(tensor.sum() for tensor in frames)
    (gradient,) = torch.autograd.grad(total, vertices)
    assert torch.isfinite(gradient).all()


def test_micrometre_triangles_keep_their_normal():
    vertices = torch.tensor([[0, 0, 0], [1e-6, 0, 0], [0, 1e-6, 0]], dtype=torch.float32) + 0.01
    frames = triangle_frames(vertices, torch.tensor([[0, 1, 2]]))
    torch.testing.assert_close(frames.rotations[0, :, 1], torch.tensor([0.0, 0, 1]))


def test_frames_turn_and_grow_with_the_mesh():
    vertices, faces = triangles(3)
    turn = torch.tensor(Rotation.from_euler("xyz", [0.3, 1.2, -2]).as_matrix()).float()
    matrix = torch.eye(4)
    matrix[:3, :3], matrix[:3, 3] = 2.5 * turn, torch.tensor([1.0, 2, 3])
    before, after = (triangle_frames(v, faces) for v in (vertices, transformed(vertices, matrix)))
    torch.testing.assert_close(after.rotations, turn @ before.rotations, atol=1e-3, rtol=0)
    torch.testing.assert_close(after.scales, 2.5 * before.scales, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(after.centers, transformed(before.centers, matrix))
