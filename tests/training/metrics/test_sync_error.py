# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.errors import BadInputError
from training.metrics.sync_error import REACH, sync_error


@given(st.integers(-REACH, REACH), st.integers(0, 2**31))
@settings(deadline=None, max_examples=25)
def test_the_offset_of_a_late_mouth_is_found(late, seed):
    sound = np.random.default_rng(seed).normal(size=(200, 8))
    mouth = np.roll(sound, late, axis=0)
    found = sync_error(mouth, sound)
    assert found.offset == late
    assert found.confidence > 0


def test_a_mouth_that_agrees_has_no_distance_and_high_confidence():
    sound = np.random.default_rng(0).normal(size=(300, 16))
    found = sync_error(sound, sound)
    assert found.distance == pytest.approx(0.0, abs=1e-5)
    assert found.confidence == pytest.approx(np.sqrt(2 * 16), rel=0.1)


def test_a_mouth_of_another_clip_has_little_confidence():
    sound, mouth = np.random.default_rng(0).normal(size=(2, 300, 16))
    assert sync_error(mouth, sound).confidence < 0.5


def test_a_case_computed_by_hand():
    mouth, sound = np.array([[3.0], [3.0]]), np.array([[3.0], [0.0]])
    # At offset 0 the distances are 0 and 3; one frame early or late 3 and 0, beyond it 3 and 3.
    found = sync_error(mouth, sound)
    assert found.distance == pytest.approx(1.5, abs=1e-5)
    assert found.confidence == pytest.approx(1.5, abs=1e-5)


@pytest.mark.parametrize("shape", [(0, 4), (3, 5), (3,)])
def test_embeddings_that_do_not_fit_are_refused(shape):
    with pytest.raises(BadInputError, match="cannot be compared"):
        sync_error(np.zeros(shape), np.zeros((3, 4)))
