# SPDX-License-Identifier: GPL-3.0-or-later
"""Performances taken apart for a rig that skins the mesh itself."""

import numpy as np
import pytest

from engine.avatar.flame_motion import performance_of
from engine.avatar.flame_param import flame_param_of
from engine.heads.flame_param import FlameParam
from engine.motion.face.pose import rotations
from engine.motion.performance import Performance
from engine.motion.shape_keys import fit_shape_keys
from engine.motion.unposed import posed, unposed
from tests.engine.heads.flame_people import TEETH

FRAMES = 40
LEFT_EYE = 3


@pytest.fixture(scope="module")
def param():
    """A person who talks, nods, looks about and walks."""
    made = FlameParam.neutral(TEETH, FRAMES)
    time = np.linspace(0, 6, FRAMES)[:, None]
    made.expr[:, :6] = 1.5 * np.sin(time * np.arange(1, 7))
    made.rotation[:] = 0.3 * np.sin(time * [1, 2, 3])
    made.neck_pose[:] = 0.2 * np.sin(time * [2, 1, 3] + 1)
    made.jaw_pose[:] = np.abs(np.sin(time * 3)) * [0.3, 0.05, 0.02]
    made.eyes_pose[:] = 0.3 * np.sin(time * [1, 2, 0, 1, 2, 0] + 2)
    made.translation[:] = 0.05 * np.sin(time * [1, 3, 2])
    return made


@pytest.fixture(scope="module")
def performance(person, param):
    return performance_of(param, person.model, person.head, 25.0)


def test_skinning_the_unposed_mesh_gives_the_performance_again(person, performance):
    taken, pose = unposed(performance, person.head)
    again = posed(taken.offsets(), person.head, pose)
    truth = person.head.template + performance.offsets()
    assert np.abs(again - truth).max() < 1e-5


def test_the_heads_own_keys_show_the_unposed_mesh(person, param, performance):
    """Joints, how the expression moves them, and correctives of poses are the rig's."""
    taken, pose = unposed(performance, person.head)
    fit = fit_shape_keys(taken, person.head)
    assert fit.max_error_mm == 0.0
    np.testing.assert_array_equal(fit.key_values[:, :100], param.expr)
    assert not fit.key_values[:, 100:].any()
    np.testing.assert_allclose(pose.rotation[:, 2], param.jaw_pose, atol=1e-6)
    np.testing.assert_allclose(pose.rotation[:, 3:].reshape(FRAMES, 6), param.eyes_pose, atol=1e-6)


def test_gaze_turns_the_eyes_as_rigid_bodies(person):
    """ARKit's expressions move eyeballs along straight lines; the rig turns them about joints."""
    head, angle = person.head, 0.3
    eye = head.regions["left_eyeball"]
    middle = head.skeleton.positions[LEFT_EYE]
    turn = rotations(np.array([[0, angle, 0]], np.float32))[0]
    basis = np.zeros((1, TEETH, 3), np.float32)
    points = head.template[eye] - middle
    basis[0, eye] = points @ turn.T - points
    weights = np.array([[0.0], [0.5], [1.0]], np.float32)
    looking = Performance(25.0, weights, basis, weights, ("eyeLookOutLeft",), head.id)
    taken, pose = unposed(looking, head)
    np.testing.assert_allclose(pose.rotation[:, LEFT_EYE, 1], angle * weights[:, 0], atol=2e-3)
    assert not pose.rotation[:, [0, 1, 2, 4]].any()
    seen = posed(taken.offsets(), head, pose)[:, eye]
    wide = np.linalg.norm(seen - seen.mean(axis=1, keepdims=True), axis=2)
    assert np.ptp(wide, axis=0).max() < 2e-5
    np.testing.assert_allclose(seen[2], head.template[eye] + basis[0, eye], atol=1e-4)


def test_a_performance_at_rest_is_left_alone(person):
    weights = np.ones((2, 1), np.float32)
    still = Performance(
        25.0, weights, np.ones((1, TEETH, 3), np.float32), weights, ("jawOpen",), person.head.id
    )
    taken, pose = unposed(still, person.head)
    assert taken is still
    assert not pose.rotation.any()


def test_the_pose_is_kept_in_the_file_and_goes_back_to_flame(
    person, param, performance, model_file, tmp_path
):
    performance.save(tmp_path / "a.performance.npz")
    kept = Performance.load(tmp_path / "a.performance.npz")
    np.testing.assert_array_equal(kept.pose.rotation, performance.pose.rotation)
    again, error = flame_param_of(kept, person.head, model_file)
    assert error < 1e-5
    for name in ("expr", "rotation", "neck_pose", "jaw_pose", "eyes_pose"):
        np.testing.assert_allclose(getattr(again, name), getattr(param, name), atol=1e-5)
