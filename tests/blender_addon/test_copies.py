# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of characters and heads have lines and animation of their own."""

from __future__ import annotations

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
from tests.blender_addon.sample_voice import VOICE, speaker
from tests.blender_addon.speaking import action_of, frames_of, line_of, strip_of


@pytest.fixture
def trio(engine_ready, predict):
    """Face, teeth and rig of a character that speaks."""
    face, teeth = (
        make_mesh(engine_ready, "Face", ARKIT),
        make_mesh(engine_ready, "Teeth", ["jawOpen"]),
    )
    rig = make_armature(engine_ready, "Rig", face_bones())
    select(engine_ready, face, teeth, rig)
    engine_ready.ops.gaussianspeech.use_character()
    engine_ready.ops.gaussianspeech.import_sound(filepath=str(VOICE))
    predict()
    return face, teeth, rig


def duplicate(blender, *objects, linked=False):
    """What Shift+D makes of objects, or Alt+D."""
    select(blender, *objects)
    blender.ops.object.duplicate(linked=linked)
    objects = blender.context.selected_objects
    return [blender.data.objects[f"{obj.name}"] for obj in sorted(objects, key=lambda o: o.name)]


def jaw(blender, obj):
    return played_key(blender, obj, "jawOpen")


def actions_of(*objects):
    """The Actions that the objects' lines and rests play."""
    blocks = [obj if obj.type == "ARMATURE" else obj.data.shape_keys for obj in objects]
    tracks = [track for block in blocks for track in block.animation_data.nla_tracks]
    return {strip.action for track in tracks for strip in track.strips}


def test_a_copy_of_all_objects_is_a_character_of_its_own(engine_ready, trio, addon):
    face, teeth, rig = trio
    before = jaw(engine_ready, face)
    own_face, own_rig, own_teeth = duplicate(engine_ready, face, teeth, rig)
    properties = addon("characters.properties")
    assert properties.character_objects(own_teeth) == [own_face, own_rig, own_teeth]
    assert properties.character_objects(teeth) == [face, rig, teeth]

    # Nothing has looked at the copy yet, when its slider is moved.
    own_face.gaussianspeech_speech.articulation = 0.4
    assert line_of(own_face).id != line_of(face).id
    assert line_of(own_face).text == line_of(face).text
    assert not actions_of(face, teeth, rig) & actions_of(own_face, own_teeth, own_rig)
    softer = jaw(engine_ready, own_face)
    assert softer.max() < 0.6 * before.max()
    np.testing.assert_array_equal(jaw(engine_ready, own_teeth), softer)
    np.testing.assert_array_equal(jaw(engine_ready, face), before)
    np.testing.assert_array_equal(jaw(engine_ready, teeth), before)


def test_what_is_predicted_for_a_copy_changes_nothing_of_the_original(engine_ready, trio, predict):
    face, teeth, rig = trio
    known, action, before = line_of(face).id, action_of(face), jaw(engine_ready, face)
    own_face, *_ = duplicate(engine_ready, face, teeth, rig)
    line_of(own_face).strength = 0.5
    predict()
    assert line_of(face).id == known
    assert action_of(face) == action
    np.testing.assert_array_equal(jaw(engine_ready, face), before)
    assert jaw(engine_ready, own_face).max() < 0.7 * before.max()
    # Both can be removed one after the other.
    engine_ready.ops.gaussianspeech.remove_line()
    np.testing.assert_array_equal(jaw(engine_ready, face), before)


def test_a_copy_of_a_part_alone_stays_with_the_character(engine_ready, trio, addon):
    face, teeth, rig = trio
    (more,) = duplicate(engine_ready, teeth)
    assert addon("characters.properties").character_objects(face) == [face, rig, teeth, more]
    select(engine_ready, face)
    face.gaussianspeech_speech.articulation = 0.5
    np.testing.assert_array_equal(jaw(engine_ready, more), jaw(engine_ready, face))


def test_a_linked_copy_speaks_along_and_that_is_said(engine_ready, trio):
    face, teeth, rig = trio
    before = jaw(engine_ready, face)
    copy, *_ = duplicate(engine_ready, face, teeth, rig, linked=True)
    assert copy.data == face.data
    select(engine_ready, face)
    engine_ready.ops.gaussianspeech.rebake()
    np.testing.assert_allclose(jaw(engine_ready, face), before, atol=1e-3)
    message = engine_ready.context.window_manager.gaussianspeech_status.message
    assert f"'{copy.name}' has the same mesh and speaks along" in message


def test_a_character_that_is_appended_twice_is_two(engine_ready, trio, tmp_path):
    path = tmp_path / "character.blend"
    engine_ready.ops.wm.save_as_mainfile(filepath=str(path))
    engine_ready.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    for _ in range(2):
        with engine_ready.data.libraries.load(str(path)) as (_, wanted):
            wanted.objects = ["Face", "Teeth", "Rig"]
        for obj in wanted.objects:
            engine_ready.context.scene.collection.objects.link(obj)
    face, copy = (engine_ready.data.objects[name] for name in ("Face", "Face.001"))
    before = jaw(engine_ready, face)
    select(engine_ready, copy)
    copy.gaussianspeech_speech.articulation = 0.4
    assert copy.gaussianspeech_lines[0].id != face.gaussianspeech_lines[0].id
    assert jaw(engine_ready, copy).max() < 0.6 * before.max()
    np.testing.assert_array_equal(jaw(engine_ready, face), before)
    assert engine_ready.data.objects["Teeth.001"].gaussianspeech_character.owner == copy


def test_a_copied_head_turns_and_speaks_by_itself(engine_ready, predict):
    head = speaker(engine_ready)
    head.gaussianspeech_speech.head_motion = 1.0
    predict()
    before = jaw(engine_ready, head)
    (copy,) = duplicate(engine_ready, head)
    copy.gaussianspeech_speech.articulation = 0.4
    np.testing.assert_array_equal(jaw(engine_ready, head), before)
    assert jaw(engine_ready, copy).max() < 0.6 * before.max()
    empties = [obj.constraints["GaussianSpeech Head Motion"].target for obj in (head, copy)]
    assert empties[0] != empties[1]
    copy.gaussianspeech_speech.head_motion = 0.0
    assert strip_of(empties[0], line_of(head)) is not None


def test_a_copy_is_separated_as_soon_as_blender_has_updated(engine_ready, trio):
    face, *others = trio
    copy, *_ = duplicate(engine_ready, face, *others)
    engine_ready.context.view_layer.update()
    assert line_of(copy).id != line_of(face).id
    assert frames_of(copy) == frames_of(face)
