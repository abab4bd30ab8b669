# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest

from engine.motion.face.head_motion import head_motion
from engine.motion.face.pose import pose_matrices, rotation_vectors, rotations
from engine.motion.face.prosody import Accent
from engine.motion.style import Style
from engine.phonemes import Phone

FPS = 50.0
PHONES = (
    Phone("SIL", 0.0, 1.0),
    Phone("AA", 1.0, 7.0),
    Phone("SIL", 7.0, 12.0),
    Phone("AA", 12.0, 15.0),
)
ACCENTS = (Accent(2.0, 1.0), Accent(4.5, 0.3), Accent(13.0, 0.8))


def moved(accents=ACCENTS, seconds=15.0, **style):
    frames = round(seconds * FPS)
    return np.degrees(
        head_motion(PHONES, accents, frames, FPS, Style(**{"head_motion": 1.0, **style}))
    )


def test_off_the_head_is_still():
    assert not moved(head_motion=0.0).any()


def test_it_nods_on_stress_by_how_much_that_stands_out():
    nods = np.mean([(moved(seed=s) - moved((), seed=s))[:, 0] for s in range(20)], axis=0)
    at = [nods[round((time + 0.03) * FPS)] for time in (2.0, 4.5, 13.0)]
    assert at[0] > 2.0
    assert at[0] > at[2] > at[1] > 0.5
    assert abs(nods[round(9.0 * FPS)]) < 0.3


def test_it_is_still_in_silence():
    for seed in range(5):
        speed = np.linalg.norm(np.diff(moved(seed=seed), axis=0), axis=1) * FPS
        assert speed[: round(0.5 * FPS)].max() < 1e-3
        assert speed[round(9.0 * FPS) : round(11.5 * FPS)].max() < 1e-3
        assert speed[round(2.0 * FPS) : round(6.0 * FPS)].mean() > 0.5


def test_without_any_phones_it_is_still():
    assert not head_motion((), (), 40, 24.0, Style(head_motion=1.0)).any()


def test_angles_are_those_of_speakers():
    spread = np.mean([moved(seed=seed).std(axis=0) for seed in range(20)], axis=0)
    assert (spread > 0.5).all()
    assert (spread < 3.0).all()
    assert max(np.abs(moved(seed=seed, head_motion=2.0)).max() for seed in range(20)) <= 12.0


def test_nothing_jerks():
    for seed in range(5):
        steps = np.diff(moved(seed=seed), axis=0) * FPS
        assert np.abs(steps).max() < 60.0  # Degrees per second.


def test_the_seed_decides():
    assert np.array_equal(moved(seed=3), moved(seed=3))
    assert not np.array_equal(moved(seed=3), moved(seed=4))


def test_a_pose_turns_about_its_pivot():
    pivot = np.array([0.0, -0.1, -0.03], np.float32)
    (matrix,) = pose_matrices(np.array([[0.0, np.radians(90.0), 0.0]], np.float32), pivot)
    np.testing.assert_allclose(matrix[:3, :3] @ pivot + matrix[:3, 3], pivot, atol=1e-7)
    # A turn about +Y brings what looks ahead (+Z) to the head's left (+X).
    np.testing.assert_allclose(matrix[:3, :3] @ [0, 0, 1], [1, 0, 0], atol=1e-6)


def test_a_positive_angle_about_x_nods_down():
    (matrix,) = rotations(np.array([[0.2, 0.0, 0.0]], np.float32))
    assert (matrix @ [0, 0, 1])[1] < 0


@pytest.mark.parametrize("size", [0.0, 1e-6, 0.3, 3.0])
def test_rotation_vectors_are_those_of_their_matrices(size):
    vectors = np.random.default_rng(0).normal(size=(50, 3))
    vectors = (size * vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    np.testing.assert_allclose(rotation_vectors(rotations(vectors)), vectors, atol=2e-6)


def test_somebody_who_says_nothing_may_sway_but_does_not_nod():
    silence = (Phone("SIL", 0.0, 2.0),)
    found = head_motion(silence, (), 100, FPS, Style(head_motion=1.0))
    assert found.shape == (100, 3)
    assert np.degrees(np.abs(found)).max() < 3.0
