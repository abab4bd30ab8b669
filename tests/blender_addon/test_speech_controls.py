# SPDX-License-Identifier: GPL-3.0-or-later
"""Controls that are keyed, whose bakes follow their keys, and presets of them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.blender_addon.control_presets import preset_paths
from tests.blender_addon.slicing import slices
from tests.blender_addon.small_head import bake_line
from tests.blender_addon.speaking import action_of, line_of
from tests.blender_addon.spoken_head import small_head

__all__ = ["slices"]

NAMES = ("jawOpen", "mouthClose", "mouthPucker", "browInnerUp", "eyeBlinkLeft", "eyeLookUpLeft")
FRAMES = 80
KEYED = {
    "strength": (0.5, 1.5),
    "smoothing": (0.0, 150.0),
    "lip_closure": (0.3, 1.0),
    "upper_face": (0.0, 1.6),
    "blinks": (0.0, 0.5),
    "articulation": (0.2, 1.3),
    "jaw": (0.3, 1.4),
    "lips": (0.0, 1.6),
    "smile": (-1.0, 1.0),
    "gaze": (0.0, 1.0),
    "head_motion": (0.0, 1.0),
    "sadness": (0.0, 1.0),
    "surprise": (0.1, 1.0),
}


@pytest.fixture
def head(blender):
    obj = small_head(blender, NAMES)
    obj.gaussianspeech_speech.keying = "EVERY_FRAME"
    return obj


@pytest.fixture
def spoken(blender, addon, head):
    """A line from frame 11."""
    stored = addon("speech.prediction")
    times = np.arange(FRAMES)[:, None]
    values = 0.3 + 0.3 * np.sin(times / (2.0 + np.arange(len(NAMES))))
    bake_line(
        *(blender, addon, head, NAMES, values),
        fps=24.0,
        start=11.0,
        phones=(("AA", 0.0, 1.5), ("SIL", 1.5, 2.0), ("AA", 2.0, 3.3)),
        prosody=stored.Prosody.from_json({"accents": [[0.5, 1.0], [2.4, 1.0]], "tones": []}),
    )
    return values


def baked(addon, head):
    """(80, N) values of the Actions: shape keys, and what turns the head."""
    compat, path = addon("compat"), addon("characters.targets").key_path
    curves = {(c.data_path, c.array_index): c for c in compat.fcurves(action_of(head))}
    channels = [(path(name), 0) for name in NAMES]
    constraint = head.constraints.get("GaussianSpeech Head Motion")
    if constraint is not None:
        for track in constraint.target.animation_data.nla_tracks:
            for strip in track.strips:
                if "gaussianspeech_line" in strip.action:
                    found = compat.fcurves(strip.action)
                    curves |= {(c.data_path, c.array_index): c for c in found}
    channels += [("rotation_euler", axis) for axis in range(3)]
    rows = np.zeros((FRAMES, len(channels)))
    for column, channel in enumerate(channels):
        if channel in curves:
            rows[:, column] = [curves[channel].evaluate(frame) for frame in range(FRAMES)]
    return rows


def key_half_way(owner, name, first, second):
    """Key a property to hold a value until the middle of the line, and another from there."""
    for frame, value in ((11, first), (11 + FRAMES // 2, second)):
        setattr(owner, name, value)
        assert owner.keyframe_insert(name, frame=frame)


def hold(addon, head):
    """Let the keys hold."""
    for curve in addon("compat").fcurves_of(head):
        for point in curve.keyframe_points:
            point.interpolation = "CONSTANT"


@pytest.mark.parametrize("name", KEYED)
def test_a_keyed_control_is_baked_frame_by_frame(blender, addon, head, spoken, name):
    settings, (first, second) = head.gaussianspeech_speech, KEYED[name]
    sides = []
    for value in (first, second):
        setattr(settings, name, value)
        sides.append(baked(addon, head))
    key_half_way(settings, name, first, second)
    hold(addon, head)
    assert blender.ops.gaussianspeech.rebake() == {"FINISHED"}
    result, half = baked(addon, head), FRAMES // 2
    # A blink that goes along with a glance lasts a few frames.
    np.testing.assert_allclose(result[:half], sides[0][:half], atol=2e-4)
    np.testing.assert_allclose(result[half + 8 :], sides[1][half + 8 :], atol=2e-4)
    assert np.abs(sides[0] - sides[1]).max() > 0.02


def test_a_keyed_offset_delays_what_follows(blender, addon, head, spoken):
    settings = head.gaussianspeech_speech
    plain = baked(addon, head)
    key_half_way(settings, "offset", 0, 5)
    hold(addon, head)
    for frame in (11, 60):
        # The strip lies where it lay, whatever the offset is now.
        blender.context.scene.frame_set(frame)
        blender.ops.gaussianspeech.rebake()
        half = FRAMES // 2
        np.testing.assert_allclose(baked(addon, head)[:half], plain[:half], atol=2e-5)
        np.testing.assert_allclose(baked(addon, head)[half:], plain[half - 5 : -5], atol=2e-5)


def test_strength_and_own_controls_of_a_line_can_be_keyed(blender, addon, head, spoken):
    line = line_of(head)
    plain = baked(addon, head)
    key_half_way(line, "strength", 1.0, 0.5)
    line.use_own_controls = True
    key_half_way(line.controls, "blinks", 1.0, 0.0)
    hold(addon, head)
    blender.ops.gaussianspeech.rebake()
    result, half = baked(addon, head), FRAMES // 2
    np.testing.assert_allclose(result[:half], plain[:half], atol=2e-5)
    expected = 0.5 * plain[half:]
    expected[:, NAMES.index("eyeBlinkLeft")] = 0
    np.testing.assert_allclose(result[half:], expected, atol=2e-5)


def test_values_beyond_a_controls_range_count_as_its_ends(blender, addon, head, spoken):
    settings = head.gaussianspeech_speech
    key_half_way(settings, "strength", 0.5, 1.0)
    for curve in addon("compat").fcurves_of(head):
        for point in curve.keyframe_points:
            point.co.y = -3.0
    blender.ops.gaussianspeech.rebake()
    assert not baked(addon, head).any()


def test_a_muted_curve_leaves_the_control_to_its_slider(blender, addon, head, spoken):
    plain = baked(addon, head)
    key_half_way(head.gaussianspeech_speech, "strength", 0.2, 0.3)
    for curve in addon("compat").fcurves_of(head):
        curve.mute = True
    head.gaussianspeech_speech.strength = 1.0
    blender.ops.gaussianspeech.rebake()
    np.testing.assert_allclose(baked(addon, head), plain, atol=2e-5)


def test_update_sees_and_follows_changed_keys(blender, addon, head, spoken):
    out_of_date, line = addon("speech.lines").out_of_date, line_of(head)
    assert not out_of_date(blender.context, line)
    key_half_way(head.gaussianspeech_speech, "articulation", 0.5, 1.0)
    blender.ops.gaussianspeech.rebake()
    for frame in (11, 30, 70):
        blender.context.scene.frame_set(frame)
        assert not out_of_date(blender.context, line)
    (curve,) = addon("compat").fcurves_of(head)
    curve.keyframe_points[0].co.y = 0.8
    assert "controls" in out_of_date(blender.context, line)
    before = baked(addon, head)
    assert blender.ops.gaussianspeech.update_line() == {"FINISHED"}
    assert np.abs(baked(addon, head) - before).max() > 0.01
    assert not out_of_date(blender.context, line)


def test_a_slider_keeps_a_line_in_date(blender, addon, head, spoken):
    head.gaussianspeech_speech.jaw = 0.7
    line_of(head).strength = 0.9
    assert not addon("speech.lines").out_of_date(blender.context, line_of(head))


def test_the_seed_cannot_be_keyed(head):
    assert not head.gaussianspeech_speech.bl_rna.properties["seed"].is_animatable


def values_of(addon, head):
    names = addon("speech.presets")._IN_PRESETS
    return {name: getattr(head.gaussianspeech_speech, name) for name in names}


def test_the_shipped_presets_each_set_every_control_and_bake_once(
    blender, addon, head, spoken, monkeypatch
):
    found = preset_paths(blender)
    assert {"Natural", "Clear", "Mumbled", "Cartoon", "Whispered"} <= set(found)
    rebake, bakes = addon("speech.rebake"), []
    original = rebake.rebake
    monkeypatch.setattr(rebake, "rebake", lambda *given: bakes.append(original(*given)))
    before = values_of(addon, head)
    seen = []
    for path in found.values():
        for name in before:
            setattr(head.gaussianspeech_speech, name, 0.123)
        bakes.clear()
        assert blender.ops.gaussianspeech.apply_preset(filepath=str(path)) == {"FINISHED"}
        assert len(bakes) == 1
        assert not [name for name, value in values_of(addon, head).items() if value == 0.123]
        seen.append(values_of(addon, head))
    assert all(seen.count(values) == 1 for values in seen)
    assert before in seen  # As Predicted.


def test_a_preset_of_ones_own_is_saved_used_and_removed(blender, addon, head, spoken):
    panel = addon("speech.presets").GAUSSIANSPEECH_PT_controls_presets
    label = panel.bl_label
    settings = head.gaussianspeech_speech
    settings.jaw, settings.joy = 0.625, 0.25
    assert blender.ops.gaussianspeech.add_preset(name="My Hero") == {"FINISHED"}
    settings.jaw, settings.joy = 1.0, 0.0
    path = preset_paths(blender)["My_Hero"]
    blender.ops.gaussianspeech.apply_preset(filepath=str(path))
    assert (settings.jaw, settings.joy) == (0.625, 0.25)
    assert blender.ops.gaussianspeech.add_preset(name="My_Hero", remove_name=True) == {"FINISHED"}
    assert "My_Hero" not in preset_paths(blender)
    assert panel.bl_label == label


def test_a_preset_is_for_the_line_where_it_has_controls_of_its_own(blender, head, spoken):
    line = line_of(head)
    line.use_own_controls = True
    blender.ops.gaussianspeech.apply_preset(filepath=str(preset_paths(blender)["Mumbled"]))
    assert line.controls.jaw == pytest.approx(0.6)
    assert head.gaussianspeech_speech.jaw == 1.0


def test_nothing_in_a_preset_is_run(blender, head, spoken, tmp_path):
    path, ran = tmp_path / "evil.py", tmp_path / "ran"
    path.write_text(f"import bpy\nopen({str(ran)!r}, 'w')\ncontrols.jaw = 0.5\n")
    with pytest.raises(RuntimeError, match="line 2"):
        blender.ops.gaussianspeech.apply_preset(filepath=str(path))
    assert not ran.exists()
    assert head.gaussianspeech_speech.jaw == 1.0


@pytest.mark.parametrize("content", ["controls = ", "controls.jaw = 'wide'", None])
def test_a_preset_that_cannot_be_used_says_so(blender, head, spoken, tmp_path, content):
    path = tmp_path / "bad.py"
    if content is not None:
        path.write_text(f"import bpy\ncontrols = bpy.context.gaussianspeech_controls\n{content}\n")
    with pytest.raises(RuntimeError, match="preset"):
        blender.ops.gaussianspeech.apply_preset(filepath=str(path))
    head.gaussianspeech_speech.strength = 0.5  # Sliders bake again as before.
    jaw = head.data.shape_keys.key_blocks["jawOpen"]
    blender.context.scene.frame_set(15)
    assert jaw.value == pytest.approx(0.5 * spoken[4, 0], abs=1e-4)


def test_a_slider_bakes_as_much_at_once_as_keeps_blender_no_longer_than_it_may(
    addon, head, spoken, slices, monkeypatch
):
    moving = len(addon("compat").fcurves(action_of(head)))
    for limit, in_slices in ((moving * len(spoken), False), (moving * len(spoken) - 1, True)):
        monkeypatch.setattr(slices.rebake, "LIVE_LIMIT", limit)
        head.gaussianspeech_speech.strength *= 0.5
        assert slices.going is in_slices
    slices.finish()
