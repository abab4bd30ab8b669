# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from training.synthetic.person.brows import eyebrows, eyelashes, lid_edges
from training.synthetic.person.hair import hair_cover, scalp_hair
from training.synthetic.person.strands import Binding, Front, joined, scattered


@pytest.fixture(scope="module")
def front(head, skin):
    return Front(head, skin)


@pytest.fixture(scope="module")
def hair(head, skin):
    return scalp_hair(head, skin, np.random.default_rng(1), 1500)


@pytest.fixture(scope="module")
def lashes(head, front):
    return eyelashes(head, front, np.random.default_rng(1), 60)


@pytest.fixture(scope="module")
def brows(head, front):
    return eyebrows(head, front, np.random.default_rng(1), 150)


def lengths(points):
    return np.linalg.norm(np.diff(points, axis=1), axis=2).sum(1)


def test_strands_of_the_neutral_head_stay_where_they_grew(head, hair):
    np.testing.assert_allclose(Binding(head, hair).points(head.template), hair.points, atol=1e-6)


def test_strands_turn_and_travel_with_the_head(head, hair):
    turn = Rotation.from_euler("xyz", [20, -35, 10], degrees=True).as_matrix()
    shift = np.array([0.1, -0.2, 0.05])
    moved = (head.template @ turn.T + shift).astype(np.float32)
    expected = hair.points @ turn.T + shift
    np.testing.assert_allclose(Binding(head, hair).points(moved), expected, atol=2e-6)


def test_hair_does_not_stretch_with_the_skin(head, brows, weights):
    raised = head.deform(weights(browInnerUp=1, browOuterUpLeft=1, browOuterUpRight=1))
    posed = Binding(head, brows).points(raised)
    np.testing.assert_allclose(lengths(posed), lengths(brows.points), rtol=1e-3)


def test_brows_rise_with_the_forehead(head, brows, weights):
    binding = Binding(head, brows)
    raised = head.deform(weights(browInnerUp=1, browOuterUpLeft=1, browOuterUpRight=1))
    rise = (binding.points(raised) - binding.points(head.template))[:, 0, 1]
    assert np.median(rise) > 0.002


def test_upper_lashes_close_with_the_lids(head, front, lashes, weights):
    binding = Binding(head, lashes)
    closed = head.deform(weights(eyeBlinkLeft=1, eyeBlinkRight=1))
    before, after = binding.points(head.template)[:, 0], binding.points(closed)[:, 0]
    for side in ("left", "right"):
        edges = lid_edges(head, front, side)
        gap = np.ptp([edges.upper.max(), edges.lower.min()])
        near = np.abs(before[:, 0] - edges.center[0]) < 0.006
        upper = near & (before[:, 1] > edges.upper.max() - 0.002)
        assert upper.sum() > 10
        assert np.median((before - after)[upper, 1]) > 0.5 * gap


def test_lids_part_at_the_middle_of_an_open_eye(head, front):
    for side in ("left", "right"):
        edges = lid_edges(head, front, side)
        assert (edges.upper > edges.lower).all()
        assert 0.007 < (edges.upper - edges.lower).max() < 0.014
        assert np.ptp(edges.x) > 0.018
        # A line, not a saw: what lies above an eye is not taken for its edge.
        assert np.abs(np.diff(edges.upper)).max() < 0.001


def test_hair_grows_on_the_skull_and_stays_off_the_face(head, hair):
    roots = hair.points[:, 0]
    eyes = head.template[head.regions["eyeballs"], 1].max()
    face = (roots[:, 2] > 0.06) & (roots[:, 1] < eyes)
    assert not face.any()
    assert (roots[:, 2] < -0.05).any()


def test_hair_lies_outside_the_skull(head, hair):
    crown = hair.points[hair.points[:, 0, 1] > 0.09]
    center = np.array([0.0, 0.02, 0.0])
    outward = np.linalg.norm(crown - center, axis=2)
    assert (outward[:, -1] > outward[:, 0]).mean() > 0.9


def test_the_hairline_has_no_edge(head):
    """From the forehead to the crown the cover rises over a centimetre or more."""
    y = np.linspace(0.05, 0.12, 141)
    cover = hair_cover(np.stack([np.full_like(y, 0.0), y, np.full_like(y, 0.08)], 1))
    assert cover[0] == 0
    assert cover[-1] == 1
    between = y[(cover > 0.1) & (cover < 0.9)]
    assert np.ptp(between) > 0.01


def test_strands_thin_out_to_the_tip(hair, brows, lashes):
    for field in (hair, brows, lashes):
        assert (np.diff(field.radius, axis=1) < 0).all()


def test_one_seed_makes_one_head_of_hair(head, skin, hair):
    again = scalp_hair(head, skin, np.random.default_rng(1), 1500)
    other = scalp_hair(head, skin, np.random.default_rng(2), 1500)
    assert np.array_equal(again.points, hair.points)
    assert not np.array_equal(other.points[:100], hair.points[:100])


def test_scattered_roots_lie_on_their_triangles_as_densely_everywhere(head, skin):
    own = np.isin(head.faces, head.regions["scalp"]).all(1)
    faces = np.flatnonzero(own)
    roots = scattered(head, faces, 6000, np.random.default_rng(0))
    corners = head.template[head.faces[roots.face]].astype(np.float64)
    on_plane = np.einsum("nk,nkc->nc", roots.weights, corners)
    np.testing.assert_allclose(roots.points, on_plane, atol=1e-9)
    assert roots.weights.min() >= 0
    side = head.template[head.faces[faces]].astype(np.float64)
    area = np.linalg.norm(np.cross(side[:, 1] - side[:, 0], side[:, 2] - side[:, 0]), axis=1)
    expected = 6000 * area / area.sum()
    found = np.bincount(np.searchsorted(faces, roots.face), minlength=len(faces))
    assert np.abs(found - expected).max() <= 2


def test_the_front_is_the_skin_before_everything_else(head, front):
    tip = head.template[head.landmarks["nose_tip"][0]].astype(np.float64)
    roots, found = front.at(np.array([tip[0], 0.5]), np.array([tip[1], 0.5]))
    assert found.tolist() == [True, False]
    np.testing.assert_allclose(roots.points[0], tip, atol=3e-4)


def test_fields_joined_keep_their_order(hair):
    both = joined([hair, hair])
    assert np.array_equal(both.points[len(hair.points) :], hair.points)
    assert len(both.roots.face) == len(both.radius) == 2 * len(hair.points)


def test_hair_is_as_long_as_asked(head, skin, hair):
    long = scalp_hair(head, skin, np.random.default_rng(1), 1500, hair_length=2.0)

    def lengths(field):
        return np.linalg.norm(np.diff(field.points, axis=1), axis=2).sum(1)

    assert np.median(lengths(long)) == pytest.approx(2 * np.median(lengths(hair)), rel=0.15)
