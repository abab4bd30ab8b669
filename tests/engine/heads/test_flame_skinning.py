# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from engine.core.errors import BadInputError
from engine.heads.flame_model import FlameModel
from engine.heads.skinning import flame_vertices, rotation_matrices


@pytest.fixture(scope="module")
def model():
    """A small model with random arrays: every term of the equation matters at every vertex."""
    random = np.random.default_rng(3)
    V = 20
    weights, regressor = random.random((V, 5)), random.random((5, V))
    return FlameModel(
        v_template=random.standard_normal((V, 3)),
        f=np.zeros((1, 3), np.int32),
        shapedirs=random.standard_normal((V, 3, 400)),
        posedirs=random.standard_normal((V, 3, 36)),
        J_regressor=regressor / regressor.sum(1, keepdims=True),
        parents=np.array([-1, 0, 1, 1, 1], np.int32),
        weights=weights / weights.sum(1, keepdims=True),
    )


def brute_force(model, shape, expression, pose, translation):
    """One frame, one vertex at a time in float64, with 4×4 matrices: the definition itself."""
    rotations = [Rotation.from_rotvec(pose[3 * j : 3 * j + 3]).as_matrix() for j in range(5)]
    V = len(model.v_template)
    unposed = np.array(model.v_template, np.float64)
    for k, value in enumerate(shape):
        unposed += value * model.shapedirs[:, :, k]
    for k, value in enumerate(expression):
        unposed += value * model.shapedirs[:, :, 300 + k]
    joints = np.array(
        [sum(model.J_regressor[j, v] * unposed[v] for v in range(V)) for j in range(5)]
    )
    corrected = unposed.copy()
    for joint in range(1, 5):
        for row in range(3):
            for column in range(3):
                bent = rotations[joint][row, column] - (row == column)
                corrected += bent * model.posedirs[:, :, 9 * (joint - 1) + 3 * row + column]
    chain, rest = [], []
    for j, parent in enumerate(model.parents):
        local, local_rest = np.eye(4), np.eye(4)
        local[:3, :3] = rotations[j]
        local[:3, 3] = joints[j] - (joints[parent] if parent >= 0 else 0)
        local_rest[:3, 3] = local[:3, 3]
        chain.append(chain[parent] @ local if parent >= 0 else local)
        rest.append(rest[parent] @ local_rest if parent >= 0 else local_rest)
    result = np.empty((V, 3))
    for v in range(V):
        blended = sum(model.weights[v, j] * chain[j] @ np.linalg.inv(rest[j]) for j in range(5))
        result[v] = (blended @ [*corrected[v], 1])[:3] + translation
    return result


def random_parameters(seed, frames):
    random = np.random.default_rng(seed)
    return (
        torch.from_numpy(random.standard_normal(300)),
        torch.from_numpy(random.standard_normal((frames, 100))),
        torch.from_numpy(random.standard_normal((frames, 15))),
        torch.from_numpy(random.standard_normal((frames, 3))),
    )


def test_vertices_are_those_of_the_definition(model):
    shape, expression, pose, translation = random_parameters(0, 4)
    found = flame_vertices(model, shape, expression, pose, translation)
    for t in range(4):
        expected = brute_force(
            model, *(x.numpy() for x in (shape, expression[t], pose[t])), translation[t].numpy()
        )
        np.testing.assert_allclose(found[t], expected, atol=1e-9)


def test_float32_is_close_to_float64(model):
    parameters = random_parameters(1, 3)
    exact = flame_vertices(model, *parameters)
    found = flame_vertices(model, *(x.float() for x in parameters))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, atol=1e-3, rtol=1e-4)


def test_without_pose_the_template_and_its_directions_remain(model):
    shape, expression, _, _ = random_parameters(2, 2)
    found = flame_vertices(model, shape, expression, torch.zeros(2, 15).double())
    coefficients = np.concatenate([np.tile(shape, (2, 1)), expression], 1)
    expected = model.v_template + np.einsum("vdk,tk->tvd", model.shapedirs, coefficients)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_fewer_coefficients_are_the_leading_ones(model):
    shape, expression, pose, _ = random_parameters(4, 1)
    shape[10:], expression[:, 5:] = 0, 0
    torch.testing.assert_close(
        flame_vertices(model, shape[:10], expression[:, :5], pose),
        flame_vertices(model, shape, expression, pose),
    )


def test_leading_sizes_broadcast(model):
    shape, expression, pose, translation = random_parameters(5, 6)
    grid = flame_vertices(
        model, shape.expand(2, 3, 300), expression.reshape(2, 3, 100), pose.reshape(2, 3, 15)
    )
    assert grid.shape == (2, 3, 20, 3)
    torch.testing.assert_close(
        grid.reshape(6, 20, 3), flame_vertices(model, shape, expression, pose)
    )
    moved = flame_vertices(model, shape, expression, pose, translation)
    torch.testing.assert_close(moved[1] - grid[0, 1], translation[1].expand(20, 3))


def test_many_poses_of_one_face_and_many_faces_in_one_pose(model):
    shape, expression, pose, _ = random_parameters(6, 3)
    poses = flame_vertices(model, shape, expression[0], pose)
    faces = flame_vertices(model, shape, expression, pose[0])
    torch.testing.assert_close(poses[2], flame_vertices(model, shape, expression[0], pose[2]))
    torch.testing.assert_close(faces[2], flame_vertices(model, shape, expression[2], pose[0]))


def test_gradients_reach_every_parameter_also_at_the_neutral_pose(model):
    def vertices(expression, pose):
        return flame_vertices(model, torch.zeros(1).double(), expression, pose).sum(0)

    expression, pose = torch.zeros(1, 4).double(), 0.1 * torch.ones(1, 15).double()
    for start in (pose, 0 * pose):
        pose = start.clone().requires_grad_()
        flame_vertices(model, torch.zeros(1).double(), expression, pose).pow(2).sum().backward()
        assert torch.isfinite(pose.grad).all()
        assert pose.grad.abs().max() > 0
    assert torch.autograd.gradcheck(
        vertices, (expression.requires_grad_(), (0.1 * torch.ones(1, 15).double()).requires_grad_())
    )


@given(
    axis=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda a: sum(x * x for x in a) > 1e-3),
    angle=st.sampled_from([0.0, 1e-12, 1e-7, 1e-4, 0.3, 1.0, 3.0, np.pi, 5.0, 2 * np.pi]),
)
def test_rotations_are_those_of_scipy(axis, angle):
    vector = angle * np.array(axis) / np.linalg.norm(axis)
    found = rotation_matrices(torch.from_numpy(vector))
    np.testing.assert_allclose(found, Rotation.from_rotvec(vector).as_matrix(), atol=1e-12)


@pytest.mark.parametrize("sizes", [(301, 100, 15), (300, 101, 15), (300, 100, 12)])
def test_other_sizes_are_refused(model, sizes):
    with pytest.raises(BadInputError, match="FLAME takes"):
        flame_vertices(model, *(torch.zeros(size) for size in sizes))
