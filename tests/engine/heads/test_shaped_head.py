# SPDX-License-Identifier: GPL-3.0-or-later
"""The default head as other people: twenty drawn from its identity space."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.core.errors import BadInputError
from engine.core.json_values import JsonObject
from engine.heads import Head, load_head, lower_lip_roll
from engine.heads.carried_head import head_of_identity
from engine.heads.eye_clearance import fitted_sphere
from engine.heads.identity import Identity, difference, read_identity
from engine.heads.shape_basis import LARGEST, load_shape_basis
from engine.heads.shaped_head import shaped_head
from engine.motion.lip_contact import LABIODENTAL_JAW, LABIODENTAL_ROLL

PEOPLE = 20
CLOSED = (
    {},
    {"jawOpen": 0.6, "mouthClose": 0.6},
    # p, b and m of the rules.
    {"mouthRollLower": 0.05, "mouthRollUpper": 0.05, "mouthPressLeft": 0.14,
     "mouthPressRight": 0.14},
    {"mouthPressLeft": 1.0, "mouthPressRight": 1.0},
    {"mouthPucker": 1.0},
    {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0},
)  # fmt: skip
MM = 1e-3


@pytest.fixture(scope="module")
def people() -> list[Head]:
    basis = load_shape_basis()
    return [shaped_head(basis.random(seed)) for seed in range(PEOPLE)]


def posed(head: Head, **weights: float) -> NDArray[np.float32]:
    expression = np.zeros(len(head.expression_names), np.float32)
    for name, value in weights.items():
        expression[head.expression_index(name)] = value
    return head.deform(expression)


def lip_gap(head: Head, vertices: NDArray[np.float32]) -> float:
    """The widest distance across the slit of the mouth, metres."""
    upper, lower = (head.landmarks[f"inner_lip_{side}"] for side in ("upper", "lower"))
    return float(np.linalg.norm(vertices[upper] - vertices[lower], axis=1).max())


def covered(
    head: Head, vertices: NDArray[np.float32], points: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """Whether skin lies in front of each point, seen along the head's axis."""
    inner = np.concatenate([head.regions[n] for n in ("eyeballs", "teeth", "gums", "tongue")])
    skin = head.faces[~np.isin(head.faces, inner).any(axis=1)]
    corners = vertices[skin].astype(np.float64)
    first, second, third = corners[:, 0], corners[:, 1], corners[:, 2]
    area = _cross(second - first, third - first)
    result = np.zeros(len(points), bool)
    for row, point in enumerate(vertices[points].astype(np.float64)):
        with np.errstate(divide="ignore", invalid="ignore"):
            u = _cross(second - point, third - point) / area
            v = _cross(third - point, first - point) / area
        depth = u * first[:, 2] + v * second[:, 2] + (1 - u - v) * third[:, 2]
        inside = (u >= 0) & (v >= 0) & (u + v <= 1)
        result[row] = bool((inside & (depth > point[2])).any())
    return result


def _cross(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]


def ball(head: Head, side: str) -> tuple[NDArray[np.float64], float]:
    return fitted_sphere(head.template[head.regions[f"{side}_eyeball"]].astype(np.float64))


def lid_heights(head: Head, side: str, vertices: NDArray[np.float32]) -> NDArray[np.float64]:
    """Distances from the eyeball of what is the front of the lids on the default head, metres."""
    default = load_head("default")
    centre, radius = ball(default, side)
    height = np.linalg.norm(default.template - centre, axis=1) - radius
    near = (height > 0) & (height < 6 * MM) & (default.template[:, 2] > centre[2])
    lids = np.intersect1d(np.flatnonzero(near), default.regions["eyelids"])
    centre, radius = ball(head, side)
    return np.asarray(np.linalg.norm(vertices[lids] - centre, axis=1) - radius)


@pytest.mark.parametrize("weights", CLOSED, ids=lambda weights: "+".join(weights) or "neutral")
def test_lips_meet_where_those_of_the_default_head_do(
    people: list[Head], weights: dict[str, float]
) -> None:
    default = load_head("default")
    allowed = lip_gap(default, posed(default, **weights)) * 1.3 + 0.06 * MM
    assert max(lip_gap(head, posed(head, **weights)) for head in people) < allowed


def test_an_open_jaw_parts_the_lips(people: list[Head]) -> None:
    assert min(lip_gap(head, posed(head, jawOpen=0.5)) for head in people) > 12 * MM


def test_a_blink_covers_the_eyes_that_are_open_at_rest(people: list[Head]) -> None:
    for head in people:
        pupils = head.regions["pupils"]
        assert covered(head, head.template, pupils).mean() < 0.2, head.id
        blink = posed(head, eyeBlinkLeft=1.0, eyeBlinkRight=1.0)
        assert covered(head, blink, head.regions["irises"]).all(), head.id


@pytest.mark.parametrize(
    "name", ["", "eyeBlink", "eyeSquint", "eyeWide", "eyeLookDown", "eyeLookUp"]
)
def test_lids_stay_outside_the_eyeballs(people: list[Head], name: str) -> None:
    for head in people:
        for side in ("left", "right"):
            weights = {name + side.title(): 1.0} if name else {}
            assert lid_heights(head, side, posed(head, **weights)).min() > -0.1 * MM


def test_eyes_are_balls_that_turn_about_their_joints(people: list[Head]) -> None:
    for head in people:
        for side in ("left", "right"):
            centre, radius = ball(head, side)
            points = head.template[head.regions[f"{side}_eyeball"]]
            apart = np.linalg.norm(points - centre, axis=1) - radius
            assert np.abs(apart).max() < 0.1 * MM
            joint = head.skeleton.positions[head.skeleton.names.index(f"{side}_eye")]
            assert np.linalg.norm(joint - centre) < 0.3 * MM


def test_front_teeth_are_behind_closed_lips(people: list[Head]) -> None:
    for head in people:
        teeth = head.template[head.regions["teeth"]]
        teeth = teeth[np.abs(teeth[:, 0]) < 18 * MM]
        outside = head.template[np.union1d(head.regions["face"], head.regions["lips"])]
        for point in teeth:
            before = np.linalg.norm(outside[:, :2] - point[:2], axis=1) < 3 * MM
            assert outside[before, 2].max() > point[2] + 3 * MM


def test_the_roll_of_people_is_fitted_to_the_contact_that_speech_makes() -> None:
    assert lower_lip_roll._POSE == {"mouthRollLower": LABIODENTAL_ROLL, "jawOpen": LABIODENTAL_JAW}


def test_the_lower_lip_reaches_the_upper_teeth_for_f_and_v(people: list[Head]) -> None:
    default = load_head("default")

    def reach(head: Head) -> float:
        vertices = posed(head, mouthRollLower=LABIODENTAL_ROLL, jawOpen=LABIODENTAL_JAW)
        lip = vertices[head.landmarks["inner_lip_lower"][4:9]]
        teeth = vertices[head.landmarks["upper_teeth_edge"]]
        return float(np.linalg.norm(lip[:, None] - teeth[None], axis=2).min())

    assert max(reach(head) for head in people) < 1.2 * reach(default)


def test_people_differ_by_millimetres_and_are_of_human_size(people: list[Head]) -> None:
    eyes = [np.linalg.norm(np.subtract(*(ball(head, side)[0] for side in ("left", "right"))))
            for head in people]  # fmt: skip
    assert 50 * MM < min(eyes) < max(eyes) < 80 * MM
    apart = np.linalg.norm(people[0].template - people[1].template, axis=1)
    assert apart[people[0].regions["face"]].mean() > 2 * MM


def test_zero_is_the_default_head() -> None:
    assert shaped_head(np.zeros(3, np.float32)) is load_head("default")
    assert load_head("default#0=0") is load_head("default")


def test_a_name_is_an_identity() -> None:
    basis = load_shape_basis()
    shape = np.zeros(4, np.float32)
    shape[[0, 3]] = 1.5, -0.8
    named = load_head("default#0=1.5,3=-.8")
    assert named.id == shaped_head(shape).id
    np.testing.assert_array_equal(named.source.shape, shape)
    assert load_head("default#7").id == shaped_head(basis.random(7)).id
    assert len({load_head(f"default#{seed}").id for seed in range(3)}) == 3


@pytest.mark.parametrize(
    "name", ["default#", "default#x", "default#1=", "default#1=2;3", "default#99=1", "default#-1",
             "default#0=1e3", f"default#0={LARGEST + 1}"]
)  # fmt: skip
def test_names_that_say_no_identity_are_refused(name: str) -> None:
    with pytest.raises(BadInputError) as caught:
        load_head(name)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("shape", [np.zeros((2, 3)), np.zeros(500), np.array([np.nan])])
def test_coefficients_that_are_no_identity_are_refused(shape: NDArray[np.float64]) -> None:
    with pytest.raises(BadInputError):
        shaped_head(shape.astype(np.float32))


def test_offsets_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BadInputError, match="do not fit"):
        shaped_head(np.zeros(1, np.float32), np.zeros((5, 3), np.float32))


def test_own_offsets_come_on_top(people: list[Head]) -> None:
    offset = np.zeros_like(people[0].template)
    offset[people[0].landmarks["nose_tip"], 2] = 2 * MM
    head = shaped_head(people[0].source.shape, offset)
    np.testing.assert_allclose(head.template - people[0].template, offset, atol=1e-7)
    assert head.id != people[0].id
    np.testing.assert_array_equal(head.source.static_offset, offset)


def test_an_avatar_carries_the_identity(people: list[Head], tmp_path: Path) -> None:
    head = people[3]
    offset = np.zeros_like(head.template)
    offset[head.landmarks["chin"]] = 1 * MM
    for own in (head, shaped_head(head.source.shape, offset)):
        identity = Identity.of(own)
        about = JsonObject(identity.about(), "an avatar")
        again = head_of_identity(read_identity(about, identity.arrays()), tmp_path)
        assert again.id == own.id
        np.testing.assert_array_equal(again.template, own.template)
        np.testing.assert_allclose(again.expression_basis, own.expression_basis, atol=1e-7)
        assert not difference(identity, own)
        assert "neutral face is another" in difference(identity, people[4])


def test_components_are_those_of_a_population() -> None:
    basis = load_shape_basis()
    assert 60 <= basis.count <= 100
    face = np.linalg.norm(basis.components[:, load_head("default").regions["face"]], axis=2)
    moved = face.mean(axis=1)
    assert 2 * MM < moved[0] < 10 * MM
    # In falling order, but for what counts for less than the face.
    assert moved[:10].mean() > 3 * moved[20:40].mean() > 6 * moved[60:].mean()
    drawn = np.stack([basis.random(seed) for seed in range(200)])
    np.testing.assert_allclose(drawn.mean(axis=0), basis.mean, atol=0.3)
    np.testing.assert_allclose(drawn.std(axis=0), 1.0, atol=0.25)


def test_the_asset_stays_small() -> None:
    assert Path("engine/assets/default_shapes.npz").stat().st_size < 1_300_000
