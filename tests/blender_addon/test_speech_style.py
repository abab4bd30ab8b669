# SPDX-License-Identifier: GPL-3.0-or-later
"""Articulation and smile on a baked head: at once, without the engine, and the lips still meet."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.blender_addon.small_head import add_small_head, bake_line
from tests.blender_addon.speaking import action_of

NAMES = ("jawOpen", "mouthClose", "mouthSmileLeft", "eyeBlinkLeft")
UPPER, LOWER = 1, 0
OFFSETS = {
    "jawOpen": {LOWER: (0, 0, -0.03)},
    "mouthClose": {LOWER: (0, 0, 0.03)},
    # This smile lifts the upper lip by 5 mm at weight 1.
    "mouthSmileLeft": {UPPER: (0.002, 0, 0.005)},
    "eyeBlinkLeft": {},
}
SHUT = slice(10, 20)


@pytest.fixture
def head(blender):
    """Two lips and two vertices more, with four expressions."""
    return add_small_head(blender, {name: OFFSETS[name] for name in NAMES})


@pytest.fixture
def spoken(blender, addon, head, engine_aside):
    """The values of a bake in which the lips meet in the middle of an open mouth."""
    values = np.zeros((30, len(NAMES)), np.float32)
    values[:, 0] = 0.4
    values[SHUT, 1] = 0.4
    values[5, 3] = 1.0
    bake_line(
        *(blender, addon, head, NAMES, values),
        lip_pairs=((UPPER,), (LOWER,)),
        phones=(("SIL", 0.0, 0.8), ("AA", 0.8, 1.2)),
    )
    return values


def played(blender, head):
    """(30, N) values of the keys, and (30,) metres between the lips."""
    keys, rows = head.data.shape_keys.key_blocks, []
    for frame in range(1, 31):
        blender.context.scene.frame_set(frame)
        rows.append([keys[name].value for name in NAMES])
    heights = np.array([keys[n].points[UPPER].co.z - keys[n].points[LOWER].co.z for n in NAMES])
    return np.array(rows), np.array(rows) @ heights


def test_a_smile_is_baked_at_once_and_the_lips_still_meet(blender, addon, head, spoken):
    head.gaussianspeech_speech.smile = 1.0
    values, gap = played(blender, head)
    assert values[:, 2].min() > 0.4
    assert np.abs(gap[SHUT]).max() < 1e-5
    assert gap[0] > 0.011
    assert addon("engine_link.session").current_engine() is None


def test_articulation_scales_the_mouth_and_the_lips_still_meet(blender, head, spoken):
    head.gaussianspeech_speech.articulation = 1.5
    values, gap = played(blender, head)
    np.testing.assert_allclose(values[:, 0], 0.6, atol=1e-4)
    assert np.abs(gap[SHUT]).max() < 1e-5
    assert values[5, 3] == 1.0


def test_less_rest_leaves_the_mouth_open_in_silence_at_once(blender, addon, head, spoken):
    head.gaussianspeech_speech.rest = 0.0
    values, _ = played(blender, head)
    # What the layer adds to a jaw that the bake holds open at 0.4.
    assert values[2, 0] == pytest.approx(0.4 + 4.0 / 32.0, abs=0.002)
    assert values[26, 0] == pytest.approx(0.4, abs=1e-4)
    assert addon("engine_link.session").current_engine() is None


def test_back_at_the_defaults_it_is_what_was_predicted(blender, head, spoken):
    settings = head.gaussianspeech_speech
    settings.smile, settings.articulation, settings.rest = -0.5, 0.3, 0.2
    settings.smile, settings.articulation, settings.rest = 0.0, 1.0, 1.0
    np.testing.assert_allclose(played(blender, head)[0], spoken, atol=2e-5)


def test_a_bake_kept_from_before_smiles_too(blender, addon, head, spoken):
    action = action_of(head)
    kept = addon("speech.action").read_prediction(action)
    about, packed = kept.pack()
    older = json.loads(about)
    for name in ("lip_pairs", "prosody", "neck", "eyes", "head_rotation"):
        del older[name]
    again = addon("speech.prediction").Prediction.unpack(json.dumps(older), packed)
    assert again.lip_pairs == ((), ())
    assert again.head_rotation.shape == (30, 3)
    adjust = addon("speech.adjust")
    values = adjust.adjusted(again, adjust.Adjustments(smile=1.0)).values
    assert values[:, 2].min() > 0.4
