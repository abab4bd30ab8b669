# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest

from engine.core.errors import BadInputError
from engine.heads import load_head
from engine.motion.arkit import ARKIT_NAMES
from engine.motion.characters.conventions import Row, propose
from engine.motion.characters.mapping import (
    default_lip_gap,
    expression_geometry,
    mapping_of_rows,
)
from engine.motion.characters.poses import VISEMES
from training.assets import expression_geometry as asset

OCULUS = [f"viseme_{name}" for name in ("PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR")]
OCULUS += [f"viseme_{name}" for name in ("aa", "E", "I", "O", "U")]
VROID = [f"Fcl_MTH_{name}" for name in "AIUEO"]


def arkit(**weights):
    row = np.zeros((1, len(ARKIT_NAMES)), np.float32)
    for name, weight in weights.items():
        row[0, ARKIT_NAMES.index(name)] = weight
    return row


def mapping(keys):
    return mapping_of_rows(propose(keys).rows)


def shown(known, values):
    """The (T, 52) ARKit weights that a character shows."""
    return values @ known.poses


def gap(weights):
    return (weights @ expression_geometry().parting).max(axis=1)


@pytest.fixture(scope="module")
def speech():
    """(T, 52) weights of mouths that move between the visemes, smoothly, closures among them."""
    rng = np.random.default_rng(3)
    visemes = np.array([[one.get(name, 0.0) for name in ARKIT_NAMES] for one in VISEMES.values()])
    order = rng.integers(0, len(visemes), 40)
    order[::5] = 0  # PP
    steps = np.linspace(0, 1, 6, endpoint=False)[:, None]
    moves = [a + (b - a) * steps for a, b in zip(visemes[order], visemes[order[1:]], strict=False)]
    return np.concatenate(moves).astype(np.float32)


def test_keys_that_are_arkits_get_its_values_bit_by_bit(speech):
    known = mapping_of_rows([Row(f"{name}!", name) for name in ARKIT_NAMES])
    np.testing.assert_array_equal(known.values(speech, ARKIT_NAMES), speech)


def test_expressions_come_in_any_order_and_foreign_ones_are_left_out():
    known = mapping_of_rows([Row("open", "jawOpen")])
    values = known.values(np.array([[0.9, 0.4]], np.float32), ["shape_000", "jawOpen"])
    np.testing.assert_allclose(values, [[0.4]])


def test_an_unsplit_key_gets_the_mean_of_both_halves():
    known = mapping_of_rows([Row("smile", "mouthSmile")])
    values = known.values(arkit(mouthSmileLeft=0.2, mouthSmileRight=0.6), ARKIT_NAMES)
    np.testing.assert_allclose(values, [[0.4]], rtol=1e-6)


def test_an_amount_is_the_value_at_which_the_pose_is_shown():
    known = mapping_of_rows([Row("open", "jawOpen", 0.5)])
    np.testing.assert_allclose(known.values(arkit(jawOpen=0.6), ARKIT_NAMES), [[0.3]], rtol=1e-6)


@pytest.mark.parametrize("name", VISEMES)
def test_a_viseme_is_shown_by_its_key_or_by_keys_that_look_the_same(name):
    known, wanted = mapping(OCULUS), arkit(**VISEMES[name])
    values = known.values(wanted, ARKIT_NAMES)
    off = shown(known, values.astype(float)) - wanted
    assert np.sqrt(off @ expression_geometry().metric @ off.T).item() < 0.15  # mm
    if name in ("PP", "FF", "TH", "CH", "SS", "ih", "ou"):  # Nothing else looks like these.
        assert values[0, list(VISEMES).index(name)] > 0.9


@pytest.mark.parametrize("keys", [OCULUS, VROID], ids=["oculus", "vroid"])
def test_the_mouth_of_few_shapes_opens_like_that_of_many(speech, keys):
    known = mapping(keys)
    values = known.values(speech, ARKIT_NAMES)
    assert values.min() >= 0
    assert values.max() <= 1
    opening = gap(shown(known, values.astype(float)))
    assert np.corrcoef(opening, gap(speech))[0, 1] > 0.95


@pytest.mark.parametrize(
    "keys",
    [OCULUS, VROID, ["jawOpen", "mouthFunnel", "mouthPucker", "mouthLeft", "jawLeft", "jawRight"]],
    ids=["oculus", "vroid", "arkit without mouthClose"],
)
def test_lips_that_touch_touch_on_the_character(speech, keys):
    known = mapping(keys)
    opening = gap(shown(known, known.values(speech, ARKIT_NAMES).astype(float)))
    closed = gap(speech) < 0.0003
    assert closed.sum() >= 5
    assert opening[closed].max() < 0.0004


def test_teeth_go_with_the_jaw_of_the_face(speech):
    face = mapping_of_rows([Row(name, name) for name in ("jawOpen", "mouthFunnel", "mouthSmile")])
    teeth = mapping_of_rows([Row("jaw", "jawOpen"), Row("tongue", "tongueOut")])
    jaw = face.values(speech, ARKIT_NAMES)[:, 0]
    assert (jaw < speech[:, ARKIT_NAMES.index("jawOpen")] - 0.01).any()  # Closed lips hold it up.
    values = teeth.values(speech, ARKIT_NAMES, face)
    np.testing.assert_array_equal(values[:, 0], jaw)
    np.testing.assert_allclose(values[:, 1], speech[:, ARKIT_NAMES.index("tongueOut")])


def test_small_steps_of_the_performance_are_small_steps_of_the_character(speech):
    between = np.repeat(speech, 8, axis=0)
    for k in range(8):
        between[k:-8:8] = speech[:-1] + (speech[1:] - speech[:-1]) * (k / 8)
    step = np.abs(np.diff(between, axis=0)).max()
    moved = np.abs(np.diff(mapping(OCULUS).values(between, ARKIT_NAMES), axis=0)).max()
    assert moved < 6 * step


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "No shape key is mapped"),
        ([Row("a", "jawOpen"), Row("a", "mouthClose")], "mapped twice"),
        ([Row("a", "grin")], "'grin', which is no pose"),
        ([Row("a", "jawOpen", 0.0)], "the amount 0"),
        ([Row("a", "jawOpen", float("nan"))], "the amount nan"),
    ],
)
def test_a_table_that_cannot_be_used_names_its_key(rows, message):
    with pytest.raises(BadInputError, match=message):
        mapping_of_rows(rows)


def test_the_geometry_is_that_of_the_default_head():
    arrays = asset.expression_geometry(load_head("default"))
    known = expression_geometry()
    np.testing.assert_allclose(known.metric, arrays["metric"], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(known.parting, arrays["parting"], rtol=1e-6, atol=1e-9)


def test_the_lip_gap_follows_the_order_of_the_names():
    names = tuple(reversed(ARKIT_NAMES))
    turned, known = default_lip_gap(names), default_lip_gap(ARKIT_NAMES)
    np.testing.assert_array_equal(turned.parting, known.parting[::-1])
    assert default_lip_gap(("shape_000",)) is None


def test_keys_that_show_the_same_move_alike():
    quarters = ("UL", "UR", "DL", "DR")
    rows = [Row(f"mouthFunnel{one}", "mouthFunnel") for one in quarters]
    known = mapping_of_rows([*rows, Row("half", "mouthFunnel", 0.5), Row("open", "jawOpen")])
    values = known.values(arkit(mouthFunnel=0.6, jawOpen=0.25), ARKIT_NAMES)
    np.testing.assert_allclose(values, [[0.6, 0.6, 0.6, 0.6, 0.3, 0.25]], rtol=1e-6)
    np.testing.assert_allclose(known.shown(values), arkit(mouthFunnel=0.6, jawOpen=0.25), atol=1e-6)


def test_the_lips_of_a_mouth_in_quarters_meet():
    keys = [f"mouthFunnel{one}" for one in ("UL", "UR", "DL", "DR")]
    known = mapping_of_rows([Row("jaw", "jawOpen"), *(Row(key, "mouthFunnel") for key in keys)])
    closed = known.values(arkit(jawOpen=0.2, mouthClose=0.2, mouthFunnel=0.1), ARKIT_NAMES)
    once = mapping_of_rows([Row("jaw", "jawOpen"), Row("funnel", "mouthFunnel")])
    expected = once.values(arkit(jawOpen=0.2, mouthClose=0.2, mouthFunnel=0.1), ARKIT_NAMES)
    np.testing.assert_allclose(closed[:, [0, 1]], expected, rtol=1e-6)
