# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest

from training.tracking.identity_space import default_space


@pytest.fixture(scope="module")
def space():
    return default_space()


def random_offsets(space, seed=0):
    coefficients = np.random.default_rng(seed).normal(size=len(space.basis))
    return np.tensordot(coefficients, space.basis, 1)


def test_lips_that_touch_keep_touching(head, space):
    pairs = [head.landmarks[f"inner_lip_{side}"] for side in ("upper", "lower")]
    rest = np.linalg.norm(np.diff(head.template[np.array(pairs)], axis=0)[0], axis=1)
    moved = head.template + random_offsets(space)
    now = np.linalg.norm(np.diff(moved[np.array(pairs)], axis=0)[0], axis=1)
    assert np.abs(now - rest).max() < 3e-4


def test_eyeballs_stay_balls(head, space):
    ball = head.regions["left_eyeball"]
    rest = head.template[ball].astype(np.float64)
    moved = rest + random_offsets(space)[ball]
    before = np.linalg.norm(rest - rest.mean(0), axis=1)
    after = np.linalg.norm(moved - moved.mean(0), axis=1)
    assert np.ptp(after / before) < 0.02


def test_faces_are_more_alike_on_both_sides_than_not(head, space):
    face = head.regions["face"]
    points = head.template[face].astype(np.float64)
    mirrored = points * [-1, 1, 1]
    near = np.linalg.norm(points[:, None, :] - mirrored[None], axis=2).argmin(1)
    offsets = np.array([random_offsets(space, seed)[face] for seed in range(6)])
    apart = offsets - offsets[:, near] * [-1, 1, 1]
    assert np.linalg.norm(apart, axis=2).mean() < 0.8 * np.linalg.norm(offsets, axis=2).mean()


def test_a_shaped_head_has_an_id_of_its_own_and_moves_its_joints(head, space):
    coefficients = np.random.default_rng(1).normal(size=len(space.basis))
    shaped = space.shaped(coefficients)
    assert shaped.id != head.id
    assert shaped.id == space.shaped(coefficients).id
    assert np.abs(shaped.skeleton.positions - head.skeleton.positions).max() > 1e-4
    assert shaped.template.dtype == np.float32
