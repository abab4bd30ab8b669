# SPDX-License-Identifier: GPL-3.0-or-later
"""Armatures speak: what is proposed for rigs, and how far their bones move."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

from engine.motion.arkit import ARKIT_NAMES
from engine.motion.characters.mapping import expression_geometry
from tests.blender_addon.rig_faces import (
    face_bones,
    location_of,
    make_armature,
    make_mesh,
    rigify_face,
    select,
    turn_of,
)
from tests.blender_addon.sample_voice import over, speak

__all__ = ["speak"]


def weights(**known):
    row = np.zeros((1, len(ARKIT_NAMES)), np.float32)
    for name, weight in known.items():
        row[0, ARKIT_NAMES.index(name)] = weight
    return row


@pytest.fixture
def show(blender, addon):
    """Pose a rig as a face of ARKit weights."""

    def shown(rig, turn=(0, 0, 0), **known):
        targets = addon("characters.targets")
        channels = targets.target_of(rig).channels(
            ARKIT_NAMES, weights(**known), np.array([turn], np.float32)
        )
        for path, index, values in channels:
            targets.set_value(rig, path, index, float(values[0]))
        blender.context.view_layer.update()

    return shown


def as_character(blender, rig, *others):
    select(blender, rig, *others)
    assert blender.ops.gaussianspeech.use_character() == {"FINISHED"}


@pytest.fixture(scope="module", params=["older", "newer"])
def generated(installed, request, tmp_path_factory):
    """A file with the rig that Rigify generates, which takes it seconds."""
    installed.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    if rigify_face(installed, new=request.param == "newer") is None:
        pytest.skip("this Blender has no Rigify")
    path = tmp_path_factory.mktemp("rigify") / f"{request.param}.blend"
    installed.ops.wm.save_as_mainfile(filepath=str(path))
    return path


@pytest.fixture
def rigify(blender, generated):
    blender.ops.wm.open_mainfile(filepath=str(generated), load_ui=False)
    rig = blender.context.object
    as_character(blender, rig)
    return rig


def gap(blender, rig):
    """How far the lips of a Rigify face are apart, against its rest pose, in its size."""
    upper, lower = (location_of(blender, rig, name) for name in ("lip.T", "lip.B"))
    rest = [rig.data.bones[name].head_local for name in ("lip.T", "lip.B")]
    corner = next(name for name in ("lips.L", "lip_end.L.001") if name in rig.data.bones)
    width = 2 * rig.data.bones[corner].head_local.x
    return ((upper - lower)[2] - (rest[0] - rest[1])[2]) * 0.0452 / width


def test_a_rigify_face_opens_as_far_as_the_default_head(blender, rigify, show):
    parting = expression_geometry().parting
    for known in ({"jawOpen": 0.3}, {"mouthFunnel": 0.6}, {"jawOpen": 0.2, "mouthPucker": 0.5}):
        show(rigify, **known)
        opened = (weights(**known) @ parting).max()
        assert gap(blender, rigify) == pytest.approx(opened, abs=0.002), known


def test_the_lips_of_a_rigify_face_meet_where_they_close(blender, rigify, show):
    for jaw in (0.05, 0.1, 0.2):
        show(rigify, jawOpen=jaw, mouthClose=jaw)
        assert abs(gap(blender, rigify)) < 0.0008, jaw


def test_a_rigify_face_looks_to_the_left_and_blinks(blender, rigify, show):
    bone = "MCH-eye.L"
    show(rigify, eyeLookOutLeft=1, eyeLookInRight=1)
    turn = np.degrees(turn_of(blender, rigify, bone))
    np.testing.assert_allclose(turn, [0, 0, 13.3], atol=1.0)
    show(rigify, eyeLookUpLeft=1, eyeLookUpRight=1)
    np.testing.assert_allclose(np.degrees(turn_of(blender, rigify, bone)), [-9, 0, 0], atol=1.0)
    show(rigify, eyeBlinkLeft=1)
    lids = [f"lid.{row}.L.002" for row in "TB"]
    upper, lower = (location_of(blender, rigify, name)[2] for name in lids)
    rest = [rigify.data.bones[name].head_local.z for name in lids]
    assert abs(upper - lower) < 0.12 * (rest[0] - rest[1])


@pytest.mark.parametrize(
    ("jaw", "eye"),
    [("jaw", "eye.{}"), ("CC_Base_JawRoot", "CC_Base_{}_Eye"), ("Jaw", "eye_{}")],
)
@pytest.mark.parametrize("mode", ["QUATERNION", "XYZ", "YZX"])
def test_a_rig_of_usual_names_opens_its_jaw_and_looks(blender, show, jaw, eye, mode):
    rig = make_armature(blender, "Rig", face_bones(jaw, eye))
    for bone in rig.pose.bones:
        bone.rotation_mode = mode
    as_character(blender, rig)
    show(rig, jawOpen=1)
    np.testing.assert_allclose(turn_of(blender, rig, jaw), [np.radians(22.946), 0, 0], atol=1e-4)
    show(rig, eyeLookOutLeft=1)
    turn = np.degrees(turn_of(blender, rig, eye.format("L")))
    np.testing.assert_allclose(turn, [0, 0, 13.3], atol=0.1)
    # Closed lips hold the jaw up, for there is nothing else to close them.
    show(rig, jawOpen=0.2, mouthClose=0.2)
    assert np.linalg.norm(turn_of(blender, rig, jaw)) < 0.02


@pytest.mark.parametrize("mode", ["QUATERNION", "XYZ", "ZYX"])
def test_neck_and_head_turn_with_the_performance(blender, show, mode):
    rig = make_armature(blender, "Rig", face_bones())
    rig.rotation_euler.z = 0.7
    for bone in rig.pose.bones:
        bone.rotation_mode = mode
    as_character(blender, rig)
    # To the left and down: head space has its y where the armature has z.
    show(rig, turn=(0.1, 0.2, 0.0))
    np.testing.assert_allclose(turn_of(blender, rig, "neck"), [0.05, 0, 0.1], atol=1e-4)
    np.testing.assert_allclose(turn_of(blender, rig, "head"), [0.1, 0, 0.2], atol=1e-4)


def test_a_rigify_face_speaks_and_its_lips_meet(engine_ready, rigify, speak):
    frames = speak(rigify)
    opened = over(engine_ready, frames, lambda: gap(engine_ready, rigify))
    assert opened.max() > 0.006
    # "Lend me your voice, and I will move my mouth": the lips close for each of three m.
    closed = np.abs(opened) < 0.001
    assert (closed[1:] & ~closed[:-1]).sum() >= 3
    assert opened.min() > -0.002
    # Before and after the line the rig rests.
    engine_ready.context.scene.frame_set(frames.stop + 50)
    assert abs(gap(engine_ready, rigify)) < 1e-5
    assert engine_ready.context.window_manager.gaussianspeech_status.message.startswith("Baked")


def test_a_jaw_and_eyes_speak_with_a_mesh_of_shape_keys(engine_ready, speak):
    rig = make_armature(engine_ready, "Rig", face_bones())
    face = make_mesh(engine_ready, "Face", ["jawOpen", "mouthFunnel", "mouthPucker", "mouthSmile",
                                            "mouthLowerDown", "mouthUpperUp"])  # fmt: skip
    as_character(engine_ready, face, rig)
    assert rig.gaussianspeech_character.owner == face
    frames = speak(face)
    key = face.data.shape_keys.key_blocks["jawOpen"]
    both = over(engine_ready, frames, lambda: (key.value, turn_of(engine_ready, rig, "jaw")[0]))
    assert both[:, 0].max() > 0.1
    np.testing.assert_allclose(both[:, 1], both[:, 0] * np.radians(22.946), atol=2e-3)
    # A slider bakes both again, and the artist's own keys of the rig are left alone.
    rig.keyframe_insert("location", frame=3)
    own = rig.animation_data.action
    face.gaussianspeech_speech.articulation = 0.5
    softer = over(engine_ready, frames, lambda: (key.value, turn_of(engine_ready, rig, "jaw")[0]))
    assert softer[:, 1].max() < 0.7 * both[:, 1].max()
    assert rig.animation_data.action == own


def test_the_head_turns_by_its_bones_without_an_empty(engine_ready, speak):
    rig = make_armature(engine_ready, "Rig", face_bones())
    as_character(engine_ready, rig)
    frames = speak(rig)
    turn = over(engine_ready, frames, lambda: turn_of(engine_ready, rig, "head"))
    assert not turn.any()
    rig.gaussianspeech_speech.head_motion = 1.0
    turn = over(engine_ready, frames, lambda: turn_of(engine_ready, rig, "head"))
    assert np.linalg.norm(turn, axis=1).max() > 0.01
    assert "Rig Head Motion" not in engine_ready.data.objects
    rig.gaussianspeech_speech.head_motion = 0.0
    turn = over(engine_ready, frames, lambda: turn_of(engine_ready, rig, "head"))
    np.testing.assert_allclose(turn, 0, atol=1e-6)


def test_a_custom_property_of_a_bone_speaks(engine_ready, speak):
    rig = make_armature(engine_ready, "Rig", {"face": ((0, 0, 0), (0, 0, 1))})
    bone = rig.pose.bones["face"]
    bone["Mouth Open"] = 2.0
    bone.id_properties_ui("Mouth Open").update(default=2.0)
    select(engine_ready, rig)
    engine_ready.ops.gaussianspeech.use_character(by_hand=True)
    engine_ready.ops.gaussianspeech.add_mapping_row()
    (row,) = rig.gaussianspeech_character.rows
    row.channel, row.property_name, row.value = "PROPERTY", "Mouth Open", 10.0
    frames = speak(rig)
    values = over(engine_ready, frames, lambda: rig.pose.bones["face"]["Mouth Open"])
    assert values.min() > 2.0 - 1e-3
    assert 2.5 < values.max() <= 10.0
    engine_ready.context.scene.frame_set(frames.stop + 50)
    assert rig.pose.bones["face"]["Mouth Open"] == pytest.approx(2.0)


def test_a_rig_is_moved_live_and_rests_as_before(blender, addon):
    rig = make_armature(blender, "Rig", face_bones())
    as_character(blender, rig)
    live, targets = addon("speech.live"), addon("characters.targets")
    rig.pose.bones["jaw"].rotation_mode = "XYZ"
    rig.pose.bones["jaw"].rotation_euler.x = 0.1
    part = live.Part("Rig", rig.session_uid, targets.target_of(rig))
    session = live.Session((part,), None, {"names": ARKIT_NAMES})
    session.latest = weights(jawOpen=0.5)[0]
    live._show([rig], session)
    turned = rig.pose.bones["jaw"].rotation_euler.x
    assert turned == pytest.approx(0.5 * np.radians(22.946), rel=1e-4)
    addon("speech.live_values").give_back((part,))
    assert rig.pose.bones["jaw"].rotation_euler.x == pytest.approx(0.1)


def test_the_meshes_that_a_rig_moves_are_exported_with_it(blender, tmp_path):
    rig = make_armature(blender, "Rig", face_bones())
    as_character(blender, rig)
    export = partial(blender.ops.gaussianspeech.export, frames="SCENE")
    with pytest.raises(RuntimeError, match="'Rig' moves no mesh"):
        export(filepath=str(tmp_path / "a.glb"), format="GLB")
    blender.ops.mesh.primitive_cube_add()
    skin = blender.context.object
    skin.name = "Skin"
    skin.modifiers.new("Armature", "ARMATURE").object = rig
    select(blender, rig)
    blender.context.scene.frame_end = 4
    with pytest.raises(RuntimeError, match="'Rig' moves bones and no shape keys"):
        export(filepath=str(tmp_path / "a.json"), format="JSON")
    assert list(tmp_path.iterdir()) == []
    assert export(filepath=str(tmp_path / "a.glb"), format="GLB") == {"FINISHED"}
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    blender.ops.import_scene.gltf(filepath=str(tmp_path / "a.glb"))
    assert {"Skin", "Rig"} <= set(blender.data.objects.keys())


def test_arkit_weights_of_a_character_with_a_rig_are_those_of_its_face(blender, tmp_path):
    rig = make_armature(blender, "Rig", face_bones())
    face = make_mesh(blender, "Face", ["jawOpen", "mouthFunnel", "mouthPucker", "mouthClose",
                                       "jawLeft", "jawRight"])  # fmt: skip
    as_character(blender, face, rig)
    face.data.shape_keys.key_blocks["jawOpen"].value = 0.5
    blender.context.scene.frame_end = 2
    path = tmp_path / "a.json"
    blender.ops.gaussianspeech.export(filepath=str(path), format="JSON", frames="SCENE")
    content = json.loads(path.read_text())
    column = content["facsNames"].index("jawOpen")
    assert [row[column] for row in content["weightMat"]] == pytest.approx([0.5, 0.5])
