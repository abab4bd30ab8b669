# SPDX-License-Identifier: GPL-3.0-or-later
"""What a character may be unfit for: one clear message each, and nothing half-made."""

from __future__ import annotations

import pytest

from tests.blender_addon.rig_faces import ARKIT, face_bones, make_armature, make_mesh, select
from tests.blender_addon.sample_voice import VOICE

JAW = 'pose.bones["jaw"].location.x'


@pytest.fixture
def face(blender):
    """A face that is a character and has a sound."""
    obj = make_mesh(blender, "Face", ARKIT)
    select(blender, obj)
    blender.ops.gaussianspeech.use_character()
    blender.ops.gaussianspeech.import_sound(filepath=str(VOICE))
    return obj


def drive(obj, *keys, source=None):
    """Drive shape keys, by the jaw of a rig if one is given."""
    for key in keys:
        driver = obj.data.shape_keys.key_blocks[key].driver_add("value").driver
        driver.expression = "0.25"
        if source is not None:
            variable = driver.variables.new()
            variable.targets[0].id, variable.targets[0].data_path = source, JAW


def assert_refused(blender, operator, message):
    before = set(blender.data.actions)
    with pytest.raises(RuntimeError, match=message) as caught:
        operator()
    assert str(caught.value).count("Error:") == 1
    status = blender.context.window_manager.gaussianspeech_status
    assert status.is_error
    assert status.hint
    assert set(blender.data.actions) == before


def test_a_mesh_without_mouth_shapes_becomes_no_character(blender):
    obj = make_mesh(blender, "Body", ["Muscle", "Fat"])
    select(blender, obj)
    use = blender.ops.gaussianspeech.use_character
    assert_refused(blender, use, "shape keys of 'Body' follow no names")
    assert not obj.gaussianspeech_character.id


def test_an_armature_without_a_face_becomes_no_character(blender):
    rig = make_armature(blender, "Rig", {"spine": ((0, 0, 1), (0, 0, 1.2))})
    select(blender, rig)
    use = blender.ops.gaussianspeech.use_character
    assert_refused(blender, use, "bones of 'Rig' follow no names of a face")
    assert not rig.gaussianspeech_character.id
    # A head alone does not speak.
    rig = make_armature(blender, "Bust", {"head": ((0, 0, 1), (0, 0, 1.2))})
    select(blender, rig)
    assert_refused(blender, use, "bones of 'Bust' follow no names of a face")


@pytest.mark.parametrize(
    ("name", "pose", "message"),
    [
        ("jawOpen", "jawOpen", "'jawOpen' is mapped twice"),
        ("extra", "grin", "'extra' stands for 'grin', which is no pose"),
    ],
)
def test_a_table_with_a_mistake_is_refused_before_anything_is_predicted(
    blender, face, name, pose, message
):
    row = face.gaussianspeech_character.rows.add()
    row.name, row.pose = name, pose
    assert_refused(blender, blender.ops.gaussianspeech.predict, message)


def test_an_empty_table_is_refused(blender, face):
    face.gaussianspeech_character.rows.clear()
    assert_refused(blender, blender.ops.gaussianspeech.predict, "No shape key is mapped")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rig: rename(rig, "jaw", "chin"), "'Rig' lacks 1 of its bones: jaw"),
        (lambda rig: mode(rig, "jaw"), "bone 'jaw' of 'Rig' turns by axis and angle"),
        (lambda rig: row(rig, "PROPERTY", "open"), "'head' of 'Rig' has no custom property 'open'"),
        (lambda rig: row(rig, "ROTATION_X", ""), "'head' turns with the head, too"),
    ],
)
def test_a_rig_that_is_not_as_its_table_says(blender, spoil, message):
    rig = make_armature(blender, "Rig", face_bones())
    select(blender, rig)
    blender.ops.gaussianspeech.use_character()
    blender.ops.gaussianspeech.import_sound(filepath=str(VOICE))
    spoil(rig)
    assert_refused(blender, blender.ops.gaussianspeech.predict, message)


def rename(rig, bone, name):
    rig.data.bones[bone].name = name


def mode(rig, bone):
    rig.pose.bones[bone].rotation_mode = "AXIS_ANGLE"


def row(rig, channel, name):
    added = rig.gaussianspeech_character.rows.add()
    added.name, added.pose, added.value = "head", "jawOpen", 1.0
    added.channel, added.property_name = channel, name


def test_a_rig_in_edit_mode_is_refused(blender):
    rig = make_armature(blender, "Rig", face_bones())
    select(blender, rig)
    blender.ops.gaussianspeech.use_character()
    blender.ops.gaussianspeech.import_sound(filepath=str(VOICE))
    blender.ops.object.mode_set(mode="EDIT")
    assert_refused(blender, blender.ops.gaussianspeech.predict, "'Rig' is in Edit Mode")
    blender.ops.object.mode_set(mode="OBJECT")


def test_keys_that_are_all_driven_name_the_rig_that_drives_them(blender, face):
    rig = make_armature(blender, "Controls", {"jaw": ((0, 0, 0), (0, 0, 1))})
    drive(face, *ARKIT, source=rig)
    select(blender, face)
    with pytest.raises(RuntimeError, match="Drivers control all mapped shape keys of 'Face'"):
        blender.ops.gaussianspeech.predict()
    status = blender.context.window_manager.gaussianspeech_status
    assert "'Controls'" in status.hint
    assert not blender.data.actions


def test_a_deleted_main_object_is_named(blender, face):
    teeth = make_mesh(blender, "Teeth", ["jawOpen"])
    select(blender, face, teeth)
    blender.ops.gaussianspeech.use_character()
    select(blender, face)
    blender.ops.object.delete()
    select(blender, teeth)
    predict = blender.ops.gaussianspeech.predict
    assert_refused(blender, predict, "main object of the character of 'Teeth' was deleted")


def test_what_cannot_join_a_character_is_refused(blender, face):
    use = blender.ops.gaussianspeech.use_character
    select(blender, face)
    assert_refused(blender, use, "'Face' is a character already")
    hair = make_mesh(blender, "Hair", ["wind"])
    select(blender, face, hair)
    assert_refused(blender, use, "nothing that could join it")


def test_driven_muted_locked_and_pinned_keys_are_said_and_the_rest_speaks(
    engine_ready, predict, face
):
    blocks = face.data.shape_keys.key_blocks
    drive(face, "mouthFunnel")
    blocks["jawOpen"].mute = True
    blocks["mouthPucker"].lock_shape = True
    face.show_only_shape_key = True
    predict()
    message = engine_ready.context.window_manager.gaussianspeech_status.message
    assert "Drivers keep control of 1 key, such as mouthFunnel" in message
    assert "Muted, so not seen: 1 key, such as jawOpen" in message
    assert "Locked, which keeps the shape but not the value: 1 key, such as mouthPucker" in message
    assert "'Face' shows its pinned shape key alone" in message
    strips = [
        strip for track in face.data.shape_keys.animation_data.nla_tracks for strip in track.strips
    ]
    assert not any(
        "mouthFunnel" in curve.data_path for strip in strips for curve in curves_of(strip.action)
    )


def curves_of(action):
    if not hasattr(action, "layers"):
        return list(action.fcurves)
    return [
        curve
        for layer in action.layers
        for strip in layer.strips
        for bag in strip.channelbags
        for curve in bag.fcurves
    ]


def test_an_empty_action_of_the_artist_stays_where_it_is(engine_ready, predict, face):
    empty = engine_ready.data.actions.new("Empty")
    face.data.shape_keys.animation_data_create().action = empty
    predict()
    assert face.data.shape_keys.animation_data.action == empty
    values = set()
    for frame in range(1, 60):
        engine_ready.context.scene.frame_set(frame)
        values.add(round(face.data.shape_keys.key_blocks["jawOpen"].value, 3))
    assert len(values) > 10


def test_a_sound_file_or_a_strip_that_was_deleted_is_named(blender, face, tmp_path):
    line = face.gaussianspeech_lines[face.gaussianspeech_active_line]
    line.source, line.filepath = "FILE", str(tmp_path / "gone.wav")
    assert_refused(blender, blender.ops.gaussianspeech.predict, r"gone\.wav")
    line.source, line.strip, line.strip_id = "STRIP", "voice", "no strip's"
    assert_refused(blender, blender.ops.gaussianspeech.predict, "There is no sound strip 'voice'")
    assert len(face.gaussianspeech_lines) == 1


def test_a_part_that_was_deleted_is_left_out(engine_ready, predict, face):
    teeth = make_mesh(engine_ready, "Teeth", ["jawOpen"])
    select(engine_ready, face, teeth)
    engine_ready.ops.gaussianspeech.use_character()
    engine_ready.data.objects.remove(teeth)
    select(engine_ready, face)
    predict()


def test_what_the_range_of_a_key_cuts_off_is_said(engine_ready, predict, face):
    blocks = face.data.shape_keys.key_blocks
    blocks["jawOpen"].slider_max = 0.1
    blocks["mouthFunnel"].slider_min, blocks["mouthFunnel"].slider_max = -1.0, 2.0
    predict()
    message = engine_ready.context.window_manager.gaussianspeech_status.message
    assert "Cut off by their range, which Shape Keys shows: 1 key, such as jawOpen" in message


def test_what_an_action_plays_of_another_mesh_is_not_the_artists_own_below(
    engine_ready, predict, face, addon
):
    """From 4.4 one Action may be about several datablocks."""
    if "slots" not in engine_ready.types.Action.bl_rna.properties:
        pytest.skip("this Blender has an Action for each datablock")
    teeth = make_mesh(engine_ready, "Teeth", ["jawOpen"])
    action = engine_ready.data.actions.new("Shared")
    for obj, key in ((face, "mouthSmileLeft"), (teeth, "jawOpen")):
        keys = obj.data.shape_keys
        keys.animation_data_create().action = action
        if keys.animation_data.action_slot is None:
            keys.animation_data.action_slot = action.slots.new(keys.id_type, obj.name)
        keys.key_blocks[key].keyframe_insert("value", frame=1)
    animation = face.data.shape_keys.animation_data
    strip = animation.nla_tracks.new().strips.new("Own", 1, action)
    strip.action_slot, animation.action = animation.action_slot, None
    select(engine_ready, face)
    predict()
    (rest,) = [known for known in engine_ready.data.actions if addon("speech.nla").is_rest(known)]
    held = {curve.data_path for curve in curves_of(rest)}
    assert 'key_blocks["jawOpen"].value' in held
    assert 'key_blocks["mouthSmileLeft"].value' not in held
