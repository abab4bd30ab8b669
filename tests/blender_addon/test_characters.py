# SPDX-License-Identifier: GPL-3.0-or-later
"""Meshes of the artist's own speak: mapping, several objects together, and what is refused."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

from tests.blender_addon.rig_faces import (
    ARKIT,
    face_bones,
    make_armature,
    make_mesh,
    played_key,
    select,
)
from tests.blender_addon.sample_voice import VOICE
from tests.blender_addon.speaking import action_of

VROID = tuple(f"Fcl_MTH_{vowel}" for vowel in "AIUEO")


@pytest.fixture
def make(blender):
    """Make a mesh with shape keys of given names; each moves the vertices its own way."""
    return partial(make_mesh, blender)


def rows(obj):
    return {row.name: row.pose for row in obj.gaussianspeech_character.rows}


def mapping_file(objects):
    values = {"format": "gaussianspeech-character-mapping/1", "main": "a", "objects": objects}
    return json.dumps(values)


def test_face_and_teeth_become_one_character(blender, make, addon):
    teeth, face = make("Teeth", ["jaw_open"]), make("Face", ARKIT)
    lamp_like = make("Hair", ["wind"])
    select(blender, face, teeth, lamp_like)
    assert blender.ops.gaussianspeech.use_character() == {"FINISHED"}
    assert rows(face) == {name: name for name in ARKIT}
    assert rows(teeth) == {"jaw_open": "jawOpen"}
    properties = addon("characters.properties")
    assert not properties.is_character(lamp_like)
    assert properties.character_objects(teeth) == [face, teeth]
    select(blender, teeth)
    assert properties.active_speaker(blender.context) == face


def test_speech_never_lands_on_what_is_not_selected(blender, make, addon, add_plain_head):
    head, other = add_plain_head(), make("Somebody", ARKIT)
    properties = addon("characters.properties")
    select(blender, other)
    assert properties.active_speaker(blender.context) is None
    with pytest.raises(RuntimeError, match="'Somebody' is no character yet"):
        blender.ops.gaussianspeech.predict()
    select(blender, head)
    assert properties.active_speaker(blender.context) == head


def head_bone(blender):
    """The pose bone of an armature that points up and leans."""
    armature = blender.data.armatures.new("Rig")
    rig = blender.data.objects.new("Rig", armature)
    blender.context.collection.objects.link(rig)
    active = blender.context.view_layer.objects.active
    blender.context.view_layer.objects.active = rig
    blender.ops.object.mode_set(mode="EDIT")
    bone = armature.edit_bones.new("head")
    bone.head, bone.tail, bone.roll = (0, 0, 1.5), (0, 0.03, 1.7), 0.4
    blender.ops.object.mode_set(mode="OBJECT")
    blender.context.view_layer.objects.active = active
    return rig.pose.bones["head"]


def turned(blender, obj, bone=""):
    """(24, 3) how an object, or a bone of it, is turned against its rest, rotation vectors."""
    rows = []
    for frame in range(1, 25):
        blender.context.scene.frame_set(frame)
        evaluated = obj.evaluated_get(blender.context.evaluated_depsgraph_get())
        matrix = evaluated.matrix_world
        if bone:
            pose = evaluated.pose.bones[bone]
            matrix = matrix @ pose.matrix @ pose.bone.matrix_local.inverted()
        # Its vector says more than its angle: the cosine of a small one is 1 in 32 bits.
        w, *vector = matrix.to_quaternion()
        sine = np.linalg.norm(vector)
        rows.append(np.array(vector) * (2 * np.arctan2(sine, w) / max(sine, 1e-12)))
    return np.array(rows)


def test_the_character_speaks_with_all_its_objects(engine_ready, predict, make):
    teeth, face = make("Teeth", ["jaw_open"]), make("Face", ARKIT)
    select(engine_ready, face, teeth)
    engine_ready.ops.gaussianspeech.use_character()
    engine_ready.ops.gaussianspeech.import_sound(filepath=str(VOICE))
    predict()
    jaw = played_key(engine_ready, face, "jawOpen")
    assert jaw.max() > 0.1
    np.testing.assert_array_equal(played_key(engine_ready, teeth, "jaw_open"), jaw)

    # A slider bakes both again, without the engine.
    face.gaussianspeech_speech.articulation = 0.5
    softer = played_key(engine_ready, face, "jawOpen")
    assert softer.max() < 0.7 * jaw.max()
    np.testing.assert_array_equal(played_key(engine_ready, teeth, "jaw_open"), softer)

    # Its head turns by its rig: a bone that copies an Empty's rotation.
    face.gaussianspeech_speech.head_motion = 1.0
    assert not turned(engine_ready, face).any()
    (empty,) = [obj for obj in engine_ready.data.objects if obj.name == "Face Head Motion"]
    bone = head_bone(engine_ready)
    constraint = bone.constraints.new("COPY_ROTATION")
    constraint.target, constraint.mix_mode = empty, "BEFORE"
    rotation = turned(engine_ready, empty)
    assert np.abs(rotation).max() > 0.01
    np.testing.assert_allclose(turned(engine_ready, bone.id_data, bone.name), rotation, atol=1e-5)
    np.testing.assert_array_equal(played_key(engine_ready, face, "jawOpen"), softer)
    face.gaussianspeech_speech.head_motion = 0.0
    assert "Face Head Motion" not in engine_ready.data.objects

    # Without its part in the character a mesh keeps what it has.
    engine_ready.ops.gaussianspeech.forget_character()
    assert action_of(face) is not None
    assert not face.gaussianspeech_character.id


def test_a_character_of_five_vowels_speaks_and_its_table_can_be_edited(
    engine_ready, predict, make, addon
):
    face = make("VRoid", [*VROID, "Fcl_EYE_Close", "Fcl_ALL_Angry"])
    select(engine_ready, face)
    engine_ready.ops.gaussianspeech.use_character()
    assert len(rows(face)) == 6
    engine_ready.ops.gaussianspeech.import_sound(filepath=str(VOICE))
    predict()
    assert played_key(engine_ready, face, "Fcl_MTH_A").max() > 0.1
    assert played_key(engine_ready, face, "Fcl_MTH_U").max() > 0.1
    assert played_key(engine_ready, face, "Fcl_ALL_Angry").max() == 0.0
    character = face.gaussianspeech_character
    next(row for row in character.rows if row.name == "Fcl_MTH_A").amount = 0.5
    engine_ready.ops.gaussianspeech.rebake()
    assert played_key(engine_ready, face, "Fcl_MTH_A").max() <= 0.5 + 1e-6


def test_a_mapping_is_saved_and_used_by_another_mesh(blender, make, tmp_path):
    first = make("Odd", ["offen", "zu"])
    path = tmp_path / "mapping.json"
    table = [["offen", "jawOpen", 0.8], ["zu", "PP", 1], ["fehlt", "aa", 1]]
    path.write_text(mapping_file({"a": table}))
    select(blender, first)
    with pytest.raises(RuntimeError, match="follow no names that are known"):
        blender.ops.gaussianspeech.use_character()
    blender.ops.gaussianspeech.load_mapping(filepath=str(path))
    assert rows(first) == {"offen": "jawOpen", "zu": "PP"}
    saved = tmp_path / "saved.json"
    blender.ops.gaussianspeech.save_mapping(filepath=str(saved))
    second = make("Other", ["offen", "zu"])
    select(blender, second)
    blender.ops.gaussianspeech.load_mapping(filepath=str(saved))
    assert rows(second) == rows(first)
    amounts = [row.amount for row in second.gaussianspeech_character.rows]
    np.testing.assert_allclose(amounts, [0.8, 1.0], rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("{}", "no mapping of a character"),
        (mapping_file(None), "objects"),
        (mapping_file({"a": [["offen", "grin", 1]]}), "no pose"),
        (mapping_file({"a": [["offen", 3]]}), r"is no \[shape key, pose, amount\]"),
        (mapping_file({"a": [["other", "aa", 1]]}), "none of the shape keys"),
    ],
)
def test_a_file_that_is_no_mapping_changes_nothing(blender, make, tmp_path, text, message):
    obj = make("Odd", ["offen"])
    select(blender, obj)
    path = tmp_path / "mapping.json"
    path.write_text(text)
    with pytest.raises(RuntimeError, match=message):
        blender.ops.gaussianspeech.load_mapping(filepath=str(path))
    assert not obj.gaussianspeech_character.id


def test_a_key_that_is_gone_is_named_before_anything_is_predicted(blender, make):
    obj = make("Face", ARKIT)
    select(blender, obj)
    blender.ops.gaussianspeech.use_character()
    obj.shape_key_remove(obj.data.shape_keys.key_blocks["mouthPucker"])
    blender.ops.gaussianspeech.import_sound(filepath=str(VOICE))
    with pytest.raises(RuntimeError, match="lacks 1 of its shape keys: mouthPucker"):
        blender.ops.gaussianspeech.predict()


def test_the_table_grows_and_shrinks(blender, make):
    obj = make("Face", [*ARKIT, "extra"])
    select(blender, obj)
    blender.ops.gaussianspeech.use_character()
    blender.ops.gaussianspeech.add_mapping_row()
    assert rows(obj)["extra"] == "jawOpen"
    with pytest.raises(RuntimeError, match="All shape keys"):
        blender.ops.gaussianspeech.add_mapping_row()
    blender.ops.gaussianspeech.remove_mapping_row()
    assert "extra" not in rows(obj)


def test_heads_of_the_add_on_are_no_characters(blender, add_plain_head):
    add_plain_head()
    assert not blender.ops.gaussianspeech.use_character.poll()


def test_a_mapping_is_kept_as_a_preset_and_used_by_another_character(blender, make):
    face, rig = make("Odd", ["offen", "zu"]), make_armature(blender, "Rig", face_bones())
    select(blender, face, rig)
    ops = blender.ops.gaussianspeech
    ops.use_character(by_hand=True)
    for obj, count in ((face, 2), (rig, 1)):
        select(blender, obj)
        for _ in range(count):
            ops.add_mapping_row()
    face.gaussianspeech_character.rows[1].pose = "PP"
    rig.gaussianspeech_character.rows[0].name = "jaw"
    ops.add_mapping_preset(name="My: kind")
    other, second = make("Somebody", ["zu", "offen"]), make_armature(blender, "Bones", face_bones())
    select(blender, other, second)
    assert ops.use_mapping_preset(name="My_ kind") == {"FINISHED"}
    assert rows(other) == {"offen": "jawOpen", "zu": "PP"}
    (row,) = second.gaussianspeech_character.rows
    assert tuple(row.read()) == ("jaw", "rotation x", "jawOpen", pytest.approx(0.35, abs=1e-6))
    assert second.gaussianspeech_character.owner == other
    assert other.gaussianspeech_character.convention == "My_ kind"
    ops.remove_mapping_preset(name="My_ kind")
    with pytest.raises(RuntimeError, match="There is no preset 'My_ kind'"):
        ops.use_mapping_preset(name="My_ kind")
    with pytest.raises(RuntimeError, match="The preset has no name"):
        ops.add_mapping_preset(name=" .")


def test_what_is_selected_joins_a_character_that_is_there(blender, make, addon):
    face, rig = make("Face", ARKIT), make_armature(blender, "Rig", face_bones())
    select(blender, face)
    blender.ops.gaussianspeech.use_character()
    row = face.gaussianspeech_character.rows[0]
    row.amount = 0.5
    select(blender, face, rig)
    assert blender.ops.gaussianspeech.use_character() == {"FINISHED"}
    assert addon("characters.properties").character_objects(rig) == [face, rig]
    assert face.gaussianspeech_character.rows[0].amount == 0.5
    status = blender.context.window_manager.gaussianspeech_status
    assert status.message == "'Rig' joined the character 'Face'"
    blender.ops.gaussianspeech.propose_mapping()
    assert face.gaussianspeech_character.rows[0].amount == 1.0
    assert rig.gaussianspeech_character.owner == face


def test_characters_of_0_1_0_know_their_parts_by_an_id(blender, make, addon):
    face, teeth = make("Face", ARKIT), make("Teeth", ["jawOpen"])
    for obj in (face, teeth):
        obj.gaussianspeech_character.id, obj.gaussianspeech_character.main = "x", obj == face
    assert addon("characters.properties").character_objects(teeth) == [face, teeth]


@pytest.mark.parametrize("active", ["Lashes", "Face"])
def test_parts_with_few_names_follow_the_face_whichever_is_active(blender, make, active):
    lashes = ("eyeBlinkLeft", "eyeBlinkRight")
    parts = {"Lashes": make("Lashes", lashes), "Face": make("Face", ARKIT)}
    rig = make_armature(blender, "Rig", face_bones())
    select(blender, parts[active], *parts.values(), rig)
    blender.ops.gaussianspeech.use_character()
    assert rows(parts["Lashes"]) == {name: name for name in lashes}
    assert rows(parts["Face"]) == {name: name for name in ARKIT}
    assert parts[active].gaussianspeech_character.main


def test_a_part_may_have_names_of_another_convention(blender, make):
    visemes = [f"viseme_{name}" for name in ("PP", "FF", "TH", "DD", "kk", "aa", "E", "O")]
    brows = ["browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
             "noseSneerLeft"]  # fmt: skip
    face, other = make("Face", visemes), make("Brows", brows)
    select(blender, other, face)
    blender.ops.gaussianspeech.use_character()
    assert rows(other) == {name: name for name in brows}
    assert len(rows(face)) == len(visemes)
