# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest

from training.synthetic.person.surface import soften, vertex_normals

SQUARE = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
FACES = np.array([[0, 1, 2], [0, 2, 3]], np.int32)


def test_normals_point_out_of_a_counter_clockwise_face():
    assert vertex_normals(SQUARE, FACES) == pytest.approx(np.tile([0.0, 0, 1], (4, 1)))


def test_a_softened_region_reaches_one_edge_farther_each_round(head):
    hard, once, twice = (soften(head, {"lips": rounds})["lips"] for rounds in (0, 1, 2))
    assert np.array_equal(np.flatnonzero(hard), np.sort(head.regions["lips"]))
    i, j = head.faces[:, [0, 1, 2]].ravel(), head.faces[:, [1, 2, 0]].ravel()
    near = np.union1d(j[hard[i] > 0], i[hard[j] > 0])
    reached = np.union1d(np.flatnonzero(hard), near)
    assert np.array_equal(np.flatnonzero(once), reached)
    assert (twice > 0).sum() > len(reached)
    assert 0 <= twice.min() < twice.max() <= 1
