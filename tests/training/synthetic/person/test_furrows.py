# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from training.synthetic.person import furrows
from training.synthetic.person.furrows import CAUSES, LAYERS, strengths

RIGHT, LEFT = 0, 1


@pytest.fixture(scope="module")
def maps(head):
    return furrows.height_maps(head)


def on(expression: str) -> list[str]:
    """The expression on each of the sides that it has."""
    if expression.endswith("S"):
        return [f"{expression[:-1]}{side}" for side in ("Right", "Left")]
    return [expression]


def test_a_neutral_face_has_no_furrows(head, weights):
    assert not strengths(head.expression_names, weights()).any()


@pytest.mark.parametrize("layer", LAYERS)
def test_each_cause_is_an_expression_of_the_head_and_deepens_its_layer(head, weights, layer):
    for cause in CAUSES[layer]:
        sides = on(cause.expression)
        depths = [
            strengths(head.expression_names, weights(**dict.fromkeys(sides, value)))
            for value in (0.0, 0.3, 0.6)
        ]
        for shallow, deep in pairwise(depths):
            assert (deep[LAYERS.index(layer)] > shallow[LAYERS.index(layer)]).all()


def test_half_a_smile_folds_half_the_face(head, weights):
    fold = strengths(head.expression_names, weights(mouthSmileLeft=1))[LAYERS.index("nasolabial")]
    assert fold[LEFT] > 0.5
    assert fold[RIGHT] == 0


def test_causes_together_do_not_cut_without_end(head):
    everything = np.ones(len(head.expression_names), np.float32)
    assert strengths(head.expression_names, everything).max() <= 1.2


def test_weights_below_zero_call_up_nothing(head, weights):
    assert not strengths(head.expression_names, weights(browInnerUp=-1)).any()


def test_expressions_of_another_name_call_up_nothing():
    assert not strengths(("expr_000", "expr_001"), np.ones(2, np.float32)).any()


def test_left_and_right_strength_meet_in_the_middle():
    points = np.array([[0.03, 0, 0.1], [0, 0, 0.1], [-0.03, 0, 0.1]])
    np.testing.assert_allclose(furrows.left_share(points), [1, 0.5, 0])


@pytest.mark.parametrize("layer", LAYERS)
def test_furrows_are_cut_half_to_two_millimetres_deep_on_both_halves(maps, layer):
    height = maps[LAYERS.index(layer)]
    halves = height[:, : furrows.COLUMNS // 2], height[:, furrows.COLUMNS // 2 :]
    for half in halves:
        assert -0.002 < half.min() < -0.0002
        assert half.max() < 0.001


def test_bare_skin_between_the_furrows_is_left_alone(maps, head):
    tip = head.template[head.landmarks["nose_tip"][:1]].astype(np.float64)
    column, row = (furrows.map_coordinates(tip)[0] * [furrows.COLUMNS, furrows.ROWS]).astype(int)
    assert np.abs(maps[:, row, column]).max() < 1e-5


def test_the_map_is_flat_where_it_ends(maps):
    """Outside the map the shader continues with its last row and column."""
    border = [maps[:, 0], maps[:, -1], maps[:, :, 0], maps[:, :, -1]]
    assert max(np.abs(edge).max() for edge in border) < 1e-6


def test_forehead_furrows_lie_on_the_forehead_and_nasolabial_ones_beside_the_nose(maps, head):
    def height_of(layer):
        rows, _ = np.nonzero(maps[LAYERS.index(layer)] < -1e-4)
        return furrows.LOW + rows / furrows.ROWS * (furrows.HIGH - furrows.LOW)

    brows = head.template[head.regions["brows"], 1]
    assert height_of("forehead").min() > brows.max()
    nose = head.template[head.landmarks["nose_tip"][0], 1]
    mouth = head.template[head.landmarks["mouth_corners"], 1].min()
    fold = height_of("nasolabial")
    assert mouth - 0.01 < fold.min() < mouth + 0.01
    assert fold.max() > nose


def test_the_maps_are_the_same_each_time(maps, head):
    assert np.array_equal(maps, furrows.height_maps(head))
