# SPDX-License-Identifier: GPL-3.0-or-later
"""Best rigid motions, beside SciPy's."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from engine.heads.correspondence import rigid


@pytest.mark.parametrize("weighted", [False, True])
def test_the_best_rigid_motion_is_scipys(weighted):
    rng = np.random.default_rng(0)
    start, end = rng.normal(size=(2, 40, 3))
    weights = rng.uniform(0, 2, 40) if weighted else None
    share = np.full(40, 1 / 40) if weights is None else weights / weights.sum()
    before, after = share @ start, share @ end
    turn = Rotation.align_vectors(end - after, start - before, weights)[0].as_matrix()
    rotation, shift = rigid(start, end, weights)
    np.testing.assert_allclose(rotation, turn, atol=1e-12)
    np.testing.assert_allclose(shift, after - turn @ before, atol=1e-12)


def test_a_mirrored_cloud_is_turned_and_not_mirrored():
    start = np.random.default_rng(0).normal(size=(40, 3))
    rotation, _ = rigid(start, start * [-1, 1, 1])
    assert np.linalg.det(rotation) == pytest.approx(1)
