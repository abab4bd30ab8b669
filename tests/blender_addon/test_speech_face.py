# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaze, head motion and emotion on a baked head: at once, without the engine, and removable."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.blender_addon.small_head import add_small_head, bake_line
from tests.blender_addon.speaking import action_of, line_of, strip_of

NAMES = (
    "jawOpen",
    "mouthClose",
    "mouthSmileLeft",
    "eyeLookOutLeft",
    "eyeLookInLeft",
    "eyeBlinkLeft",
)
FRAMES = 150
NECK = (0.0, -0.1, -0.03)


@pytest.fixture
def head(blender):
    """A few vertices with six expressions, turned and moved by its artist."""
    vertices = ((0, 0, 0), (0, 0, 0.1), (1, 0, 0), (0, 1, 0))
    obj = add_small_head(blender, {name: {} for name in NAMES}, vertices)
    obj.location, obj.rotation_euler = (1.0, 2.0, 3.0), (0.0, 0.0, math.radians(90))
    return obj


@pytest.fixture
def spoken(blender, addon, head, engine_aside):
    """A bake of six seconds of speech with two stresses."""
    prosody = addon("speech.prediction").Prosody
    values = np.zeros((FRAMES, len(NAMES)), np.float32)
    values[:, 0] = 0.4
    bake_line(
        *(blender, addon, head, NAMES, values),
        phones=(("AA", 0.0, 4.5), ("SIL", 4.5, 6.0)),
        prosody=prosody.from_json({"accents": [[1.0, 1.0], [3.0, 0.5]], "tones": []}),
        neck=NECK,
    )
    return values


def key_values(blender, head):
    """(150, N) values of the keys."""
    rows = []
    for frame in range(1, FRAMES + 1):
        blender.context.scene.frame_set(frame)
        rows.append([head.data.shape_keys.key_blocks[name].value for name in NAMES])
    return np.array(rows)


def matrices(blender, obj):
    """(150, 4, 4) of an object as it is evaluated."""
    rows = []
    for frame in range(1, FRAMES + 1):
        blender.context.scene.frame_set(frame)
        depsgraph = blender.context.evaluated_depsgraph_get()
        rows.append(np.array(obj.evaluated_get(depsgraph).matrix_world))
    return np.array(rows)


def head_motion_object(head):
    return head.constraints["GaussianSpeech Head Motion"].target


def test_the_head_nods_about_its_neck_in_its_own_axes(blender, addon, head, spoken):
    still = matrices(blender, head)[0]
    head.gaussianspeech_speech.head_motion = 1.0
    moved = matrices(blender, head)
    local = np.linalg.inv(still) @ moved
    neck = np.array([NECK[0], -NECK[2], NECK[1], 1.0])
    np.testing.assert_allclose(local @ neck, np.tile(neck, (FRAMES, 1)), atol=1e-4)
    angle = np.degrees(
        np.arccos(np.clip((np.trace(local[:, :3, :3], axis1=1, axis2=2) - 1) / 2, -1, 1))
    )
    assert angle.max() > 2
    # A nod: what looks ahead (−Y) goes down (−Z).
    nod = (local[:, :3, :3] @ [0, -1, 0])[:, 2]
    assert nod[25] < nod[10] - 0.01
    assert addon("engine_link.session").current_engine() is None


def test_the_artists_own_transforms_and_action_stay(blender, head, spoken):
    head.keyframe_insert("location", frame=1)
    action = head.animation_data.action
    head.gaussianspeech_speech.head_motion = 1.0
    assert head.animation_data.action == action
    assert tuple(head.location) == (1.0, 2.0, 3.0)
    assert tuple(head.rotation_euler) == pytest.approx((0.0, 0.0, math.radians(90)))
    assert not any(b.value for b in head.data.shape_keys.key_blocks if b.name.startswith("eye"))


def test_at_zero_everything_of_it_is_gone(blender, head, spoken):
    objects, actions = set(blender.data.objects), set(blender.data.actions)
    still = matrices(blender, head)
    head.gaussianspeech_speech.head_motion = 1.0
    assert set(blender.data.objects) != objects
    head.gaussianspeech_speech.head_motion = 0.0
    assert set(blender.data.objects) == objects
    assert set(blender.data.actions) == actions
    assert not head.constraints
    np.testing.assert_array_equal(matrices(blender, head), still)


def test_what_was_edited_in_head_motion_is_kept_in_a_layer(blender, addon, head, spoken):
    head.gaussianspeech_speech.head_motion = 1.0
    action = strip_of(head_motion_object(head), line_of(head)).action
    addon("compat").fcurves(action)[0].keyframe_points[3].co.y += 0.5
    head.gaussianspeech_speech.head_motion = 0.5
    assert strip_of(head_motion_object(head), line_of(head)).action == action
    (layer,) = [other for other in blender.data.actions if "gaussianspeech_edits" in other]
    (curve,) = addon("compat").fcurves(layer)
    assert max(abs(point.co.y) for point in curve.keyframe_points) == pytest.approx(0.5, abs=1e-3)


def test_a_copy_of_the_head_moves_by_itself(blender, head, spoken):
    head.gaussianspeech_speech.head_motion = 1.0
    copy = head.copy()
    copy.data = head.data.copy()
    blender.context.collection.objects.link(copy)
    copy.gaussianspeech_speech.head_motion = 0.5
    assert head_motion_object(copy) != head_motion_object(head)
    copy.gaussianspeech_speech.head_motion = 0.0
    assert head_motion_object(head) is not None


def test_the_eyes_look_about_and_at_what_is_chosen(blender, head, spoken):
    target = blender.data.objects.new("Camera", None)
    blender.context.collection.objects.link(target)
    # The head faces −Y, turned by 90 degrees +X; ten degrees to its left lies at +Y.
    target.location = (11.0, 2.0 + 10 * math.tan(math.radians(10)), 3.0)
    blender.context.view_layer.update()
    settings = head.gaussianspeech_speech
    settings.gaze = 1.0
    ahead = key_values(blender, head)
    settings.look_at = target
    at_target = key_values(blender, head)
    out = NAMES.index("eyeLookOutLeft")
    assert len(np.unique(ahead[:, out] - ahead[:, out + 1])) > 5
    assert np.median(at_target[:, out]) == pytest.approx(10 / 13.3, abs=0.1)
    settings.gaze = 0.0
    np.testing.assert_allclose(key_values(blender, head), spoken, atol=2e-5)


def test_eyes_stay_on_the_target_as_the_head_turns(blender, head, spoken):
    settings = head.gaussianspeech_speech
    settings.gaze = 0.3
    settings.seed = 4
    still = key_values(blender, head)
    settings.head_motion = 2.0
    moved = key_values(blender, head)
    eyes = slice(NAMES.index("eyeLookOutLeft"), NAMES.index("eyeLookInLeft") + 1)
    assert np.abs(moved[:, eyes] - still[:, eyes]).max() > 0.1


def test_an_emotion_is_baked_at_once(blender, head, spoken):
    head.gaussianspeech_speech.joy = 1.0
    assert key_values(blender, head)[:, 2].min() > 0.5
    head.gaussianspeech_speech.joy = 0.0
    np.testing.assert_allclose(key_values(blender, head), spoken, atol=2e-5)


def test_a_keyed_emotion_follows_its_keys(blender, head, spoken):
    settings = head.gaussianspeech_speech
    for frame, amount in ((1, 0.0), (51, 0.0), (101, 1.0)):
        settings.joy = amount
        settings.keyframe_insert("joy", frame=frame)
    assert blender.ops.gaussianspeech.rebake() == {"FINISHED"}
    smile = key_values(blender, head)[:, 2]
    assert smile[:50].max() == 0
    assert smile[100:].min() > 0.5
    assert 0.1 < smile[75] < 0.5


def test_a_saved_prediction_keeps_prosody_and_rotation(addon, head, spoken):
    stored, action = addon("speech.prediction"), action_of(head)
    kept = addon("speech.action").read_prediction(action)
    turned = np.random.default_rng(0).normal(0, 0.1, (FRAMES, 3)).astype(np.float32)
    again = stored.Prediction.unpack(
        *addon("speech.prediction").replace(kept, head_rotation=turned).pack()
    )
    np.testing.assert_allclose(again.head_rotation, turned, atol=1e-4)
    assert again.prosody == kept.prosody
    assert again.neck == NECK
