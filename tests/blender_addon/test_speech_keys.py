# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a bake: few, exact where it counts, in groups, and known after an edit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.blender_addon.small_head import bake_line
from tests.blender_addon.speaking import action_of
from tests.blender_addon.spoken_head import small_head

VOICE = Path(__file__).resolve().parents[2] / "engine" / "assets" / "sample_voice.wav"
NAMES = ("jawOpen", "mouthClose", "mouthPucker", "browInnerUp", "eyeBlinkLeft", "noseSneerLeft")
FRAMES = 90


@pytest.fixture
def head(blender):
    """A head whose keys each move a vertex by a few centimetres."""
    obj = small_head(blender, NAMES)
    for row, name in enumerate(NAMES):
        obj.data.shape_keys.key_blocks[name].points[row % 4].co.z -= 0.02
    return obj


@pytest.fixture
def speak(blender, addon, head):
    """Bake curves on the head; returns the Action."""

    def speak(values):
        return bake_line(blender, addon, head, NAMES, values, fps=24.0).action

    return speak


def curves():
    """Every key moves, some with corners, and holds."""
    times = np.arange(FRAMES)[:, None]
    values = 0.5 + 0.5 * np.sin(times / (3.0 + np.arange(len(NAMES))) + np.arange(len(NAMES)))
    values[20:40, 1] = 0.25
    return np.clip(1.4 * values - 0.2, 0.0, 1.0)


def evaluated(addon, action, name, frames):
    """What Blender makes of a key's curve at frames of the Action."""
    path = addon("characters.targets").key_path(name)
    found = [curve for curve in addon("compat").fcurves(action) if curve.data_path == path]
    if not found:
        return np.zeros(len(frames))
    return np.array([found[0].evaluate(frame) for frame in frames])


def count_keys(addon, action):
    return sum(len(curve.keyframe_points) for curve in addon("compat").fcurves(action))


def test_blender_plays_the_curves_that_were_fitted(addon, head, speak):
    """At all frames and half frames, whatever Blender does to handles that reach too far."""
    action, fitting, keying = speak(curves()), addon("speech.fitting"), addon("speech.keying")
    halves = np.arange(2 * FRAMES - 1) / 2
    reach = keying.Reach(np.full(len(NAMES), 50.0))
    expected = keying.keys_of(curves().astype(np.float32), keying.Keying(), reach, 1.0)
    for name, keys in zip(NAMES, expected, strict=True):
        curve = keys.curve
        key = np.clip(np.searchsorted(curve.sample, halves, "right") - 1, 0, len(keys.at) - 2)
        length = np.diff(curve.sample)[key]
        shares = fitting._hermite((halves - curve.sample[key]) / length, length)
        ends = curve.value[key], curve.value[key + 1], curve.right[key], curve.left[key + 1]
        cubic = sum(share * end for share, end in zip(shares, ends, strict=True))
        np.testing.assert_allclose(evaluated(addon, action, name, halves), cubic, atol=2e-5)


def test_each_frame_plays_within_the_tolerance(addon, head, speak):
    action = speak(curves())
    error = [
        evaluated(addon, action, name, range(FRAMES)) - column
        for name, column in zip(NAMES, curves().T, strict=True)
    ]
    moved = np.zeros((4, FRAMES))
    for row, channel in enumerate(error):
        moved[row % 4] += 0.02 * channel
    assert np.abs(moved).max() < 1.02e-4
    every = FRAMES * len(NAMES)
    assert count_keys(addon, action) < every / 4


def test_a_wider_tolerance_bakes_fewer_keys_at_once(addon, head, speak):
    speak(curves())
    before = count_keys(addon, action_of(head))
    head.gaussianspeech_speech.key_tolerance = 1.0
    assert count_keys(addon, action_of(head)) < before


def interpolations(addon, action):
    return {
        point.interpolation
        for curve in addon("compat").fcurves(action)
        for point in curve.keyframe_points
    }


def test_the_choice_of_keys_bakes_again(addon, head, speak):
    speak(curves())
    settings = head.gaussianspeech_speech
    assert interpolations(addon, action_of(head)) == {"BEZIER"}
    settings.keying = "EVERY_FRAME"
    assert interpolations(addon, action_of(head)) == {"LINEAR"}
    jaw = evaluated(addon, action_of(head), "jawOpen", range(FRAMES))
    np.testing.assert_allclose(jaw, curves()[:, 0], atol=2e-5)
    settings.keying = "STEPPED"
    assert interpolations(addon, action_of(head)) == {"CONSTANT"}
    jaw = evaluated(addon, action_of(head), "jawOpen", range(FRAMES))
    assert len(set(jaw)) < FRAMES / 2
    settings.keying = "ON_TWOS"
    jaw = evaluated(addon, action_of(head), "jawOpen", range(FRAMES))
    np.testing.assert_array_equal(jaw[::2], jaw[1::2])
    np.testing.assert_allclose(jaw[::2], curves()[::2, 0], atol=2e-5)


def test_channels_are_in_groups_by_region(addon, head, speak):
    action = speak(curves())
    groups = {curve.data_path: curve.group.name for curve in addon("compat").fcurves(action)}
    path = addon("characters.targets").key_path
    expected = ("Jaw", "Lips", "Lips", "Brows", "Eyes", "Nose")
    assert groups == {path(name): group for name, group in zip(NAMES, expected, strict=True)}


def test_a_group_without_channels_goes(addon, head, speak):
    speak(curves())
    action = speak(curves() * (np.arange(len(NAMES)) == 0))
    owners = [action]
    if hasattr(action, "layers"):
        owners = action.layers[0].strips[0].channelbags
    assert [group.name for owner in owners for group in owner.groups] == ["Jaw"]


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ('key_blocks["tongueOut"].value', "Tongue"),
        ('key_blocks["Fcl_MTH_A"].value', "Lips"),
        ('key_blocks["line 3 corrective 02"].value', "Correctives"),
        ('key_blocks["cheekSquintLeft"].value', "Cheeks"),
        ('pose.bones["jaw_master"].rotation_euler', "Jaw"),
        ('pose.bones["eyeball.L"].location', "Eyes"),
        ('key_blocks["BrowDownLeft"].value', "Brows"),
        ("rotation_euler", "Head"),
    ],
)
def test_the_region_of_a_channel(installed, addon, path, group):
    assert addon("speech.reach").group_of(path) == group


def move_a_handle(curve):
    point = curve.keyframe_points[2]
    point.handle_left_type = point.handle_right_type = "FREE"
    point.handle_right = (point.handle_right[0], point.handle_right[1] + 0.05)


def test_looking_saving_and_updating_are_no_edits_of_fitted_curves(
    blender, addon, head, speak, tmp_path
):
    actions, compat = addon("speech.edits"), addon("compat")
    action = speak(curves())
    assert not actions.is_edited(action)
    for curve in compat.fcurves(action):
        for point in curve.keyframe_points:
            point.select_control_point = point.select_left_handle = True
        curve.update()
    assert not actions.is_edited(action)
    path = str(tmp_path / "talk.blend")
    blender.ops.wm.save_as_mainfile(filepath=path)
    blender.ops.wm.open_mainfile(filepath=path)
    action = action_of(blender.data.objects["Small"])
    assert not actions.is_edited(action)
    for curve in compat.fcurves(action):
        curve.update()
    assert not actions.is_edited(action)
    move_a_handle(compat.fcurves(action)[0])
    assert actions.is_edited(action)


@pytest.mark.parametrize(
    "edit",
    [
        move_a_handle,
        lambda curve: curve.keyframe_points.remove(curve.keyframe_points[1]),
        lambda curve: setattr(curve.keyframe_points[1].co, "y", 0.123),
        lambda curve: setattr(curve.keyframe_points[1].co, "x", 2.25),
        lambda curve: setattr(curve.keyframe_points[1], "interpolation", "LINEAR"),
        lambda curve: setattr(curve.keyframe_points[1], "interpolation", "ELASTIC"),
    ],
    ids=["handle", "removed", "value", "frame", "linear", "elastic"],
)
def test_edits_of_fitted_curves_are_noticed(addon, head, speak, edit):
    action, actions = speak(curves()), addon("speech.edits")
    edit(addon("compat").fcurves(action)[0])
    assert actions.is_edited(action)


@pytest.mark.parametrize(
    ("interpolation", "name", "values"),
    [
        ("ELASTIC", "amplitude", (0.5, 0.6)),
        ("BACK", "back", (3.0, 2.0)),
        ("SINE", "easing", ("EASE_IN", "EASE_OUT")),
    ],
)
def test_edits_of_keys_that_ease_are_noticed(addon, head, speak, interpolation, name, values):
    action, actions = speak(curves()), addon("speech.edits")
    point = addon("compat").fcurves(action)[0].keyframe_points[1]
    setattr(point, name, values[0])
    assert not actions.is_edited(action), "a Bézier key does not ease"
    point.interpolation = interpolation
    actions.remember(action)
    assert not actions.is_edited(action)
    setattr(point, name, values[1])
    assert actions.is_edited(action)


def offsets_of(blender, obj):
    """(E, V, 3) metres of the keys of a head, and their names."""
    blocks = obj.data.shape_keys.key_blocks[1:]
    points = np.empty((len(blocks) + 1, 3 * len(obj.data.vertices)), np.float32)
    for row, block in enumerate((obj.data.shape_keys.reference_key, *blocks)):
        block.points.foreach_get("co", points[row])
    points = points.reshape(len(points), -1, 3)
    return points[1:] - points[0], [block.name for block in blocks]


@pytest.mark.one_blender
@pytest.mark.parametrize(("model", "share"), [("starter", 0.22), ("rules", 0.38)])
def test_the_sample_voice_on_the_default_head(engine_ready, addon, predict, model, share):
    """At most 200 keys a second, 0.1 mm anywhere, and contacts as frame by frame.

    The rules move 22 keys and leave them at rest in between, which takes few keys frame by frame.
    """
    bpy = engine_ready
    bpy.ops.gaussianspeech.add_head()
    bpy.context.scene.render.fps = 24
    bpy.ops.gaussianspeech.import_sound(filepath=str(VOICE))
    obj = bpy.context.object
    addon("speech.lines").active_line(obj).model = model
    predict()
    prediction = addon("speech.action").read_prediction(action_of(obj))
    offsets, names = offsets_of(bpy, obj)
    frames = np.arange(len(prediction.values))

    def played(times):
        action = action_of(obj)
        return np.stack([evaluated(addon, action, name, times) for name in names], axis=1)

    halves = np.arange(2 * len(frames) - 1) / 2
    few, fitted = count_keys(addon, action_of(obj)), played(halves)
    obj.gaussianspeech_speech.keying = "EVERY_FRAME"
    many, exact = count_keys(addon, action_of(obj)), played(halves)
    assert few <= 200 * len(frames) / 24
    assert few <= share * many
    error = np.tensordot(fitted[::2] - exact[::2], offsets, axes=1)
    assert np.linalg.norm(error, axis=2).max() < 1.02e-4
    gap = addon("speech.lip_gap").lip_gap_of_keys(obj.data.shape_keys, names, prediction.lip_pairs)
    closed = gap.apart(exact).max(axis=1) <= 0.0003
    assert closed[::2].sum() > 5
    change = np.abs(gap.apart(fitted).max(axis=1) - gap.apart(exact).max(axis=1))
    assert change[::2][closed[::2]].max() < 1.5e-5
    assert change[1::2][closed[:-2:2] & closed[2::2]].max() < 1e-4
