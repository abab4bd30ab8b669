# SPDX-License-Identifier: GPL-3.0-or-later
"""Characters that are linked from other files, and library overrides of them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.blender_addon.rig_faces import ARKIT, face_bones, make_armature, make_mesh, select
from tests.blender_addon.sample_voice import VOICE


@pytest.fixture
def library(blender, tmp_path):
    """A file with a character's face and rig in a collection, and nothing of this add-on."""
    face = make_mesh(blender, "Face", ARKIT)
    rig = make_armature(blender, "Rig", face_bones())
    collection = blender.data.collections.new("Hero")
    blender.context.scene.collection.children.link(collection)
    for obj in (face, rig):
        for other in obj.users_collection:
            other.objects.unlink(obj)
        collection.objects.link(obj)
    face.parent = rig
    path = tmp_path / "hero.blend"
    blender.ops.wm.save_as_mainfile(filepath=str(path))
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    return path


def link(blender, path):
    """Link the collection and put it into the scene."""
    with blender.data.libraries.load(str(path), link=True) as (_, wanted):
        wanted.collections = ["Hero"]
    blender.context.scene.collection.children.link(blender.data.collections["Hero"])


def override(blender, path, *, full):
    """Face and rig of an override of the linked collection."""
    link(blender, path)
    blender.data.collections["Hero"].override_hierarchy_create(
        blender.context.scene, blender.context.view_layer, do_fully_editable=full
    )
    return own(blender, "Face"), own(blender, "Rig")


def own(blender, name):
    (found,) = [obj for obj in blender.data.objects if obj.name == name and obj.library is None]
    return found


def jaw_values(blender, face):
    scene, values = blender.context.scene, []
    for frame in range(scene.frame_start, scene.frame_end + 1):
        scene.frame_set(frame)
        values.append(face.data.shape_keys.key_blocks["jawOpen"].value)
    return np.array(values)


@pytest.mark.parametrize(
    "kept",
    [
        "{",
        "[]",
        "[" * 100_000,
        json.dumps({"location": {"x": 1}, "data": {"name": "x"}, "gaussianspeech_speech": 5}),
        json.dumps({"gaussianspeech_speech": {"jaw": "wide", "name": 3}}),
        json.dumps({"gaussianspeech_character": {"rows": 5, "owner": [1]}}),
    ],
    ids=lambda kept: kept[:40],
)
def test_what_a_strange_file_keeps_is_left_out(engine_ready, library, tmp_path, addon, kept):
    face, _ = override(engine_ready, library, full=True)
    face.gaussianspeech_kept = kept
    addon("characters.overrides").restore()
    assert face.name == "Face"
    assert tuple(face.location) == (0, 0, 0)
    assert face.gaussianspeech_speech.jaw == 1.0


def test_what_is_only_linked_names_the_remedy(blender, library):
    link(blender, library)
    face = blender.data.objects["Face"]
    blender.context.view_layer.objects.active = face
    with pytest.raises(RuntimeError, match=r"linked from hero\.blend.*Make a library override"):
        blender.ops.gaussianspeech.use_character()


def test_an_instance_of_a_linked_collection_names_the_remedy(blender, library, addon):
    with blender.data.libraries.load(str(library), link=True) as (_, wanted):
        wanted.collections = ["Hero"]
    instance = blender.data.objects.new("Hero", None)
    instance.instance_type = "COLLECTION"
    instance.instance_collection = blender.data.collections["Hero"]
    blender.context.scene.collection.objects.link(instance)
    select(blender, instance)
    assert not blender.ops.gaussianspeech.use_character.poll()
    message = addon("characters.ops").why_not(instance)
    assert message.startswith("'Hero' is an instance: make a library override")


@pytest.mark.parametrize("full", [True, False])
def test_an_override_speaks_and_does_so_when_the_file_is_opened_again(
    engine_ready, predict, library, tmp_path, full
):
    face, rig = override(engine_ready, library, full=full)
    select(engine_ready, face, rig)
    assert engine_ready.ops.gaussianspeech.use_character() == {"FINISHED"}
    engine_ready.ops.gaussianspeech.import_sound(filepath=str(VOICE))
    face.gaussianspeech_speech.articulation = 0.8
    predict()
    before = jaw_values(engine_ready, face)
    assert before.max() > 0.1
    table = [tuple(row.read()) for row in rig.gaussianspeech_character.rows]
    shot = tmp_path / "shot.blend"
    engine_ready.ops.wm.save_as_mainfile(filepath=str(shot))
    engine_ready.ops.wm.open_mainfile(filepath=str(shot))

    face, rig = own(engine_ready, "Face"), own(engine_ready, "Rig")
    assert face.override_library is not None
    assert rig.gaussianspeech_character.owner == face
    assert len(face.gaussianspeech_character.rows) == len(ARKIT)
    assert [tuple(row.read()) for row in rig.gaussianspeech_character.rows] == table
    assert face.gaussianspeech_speech.articulation == pytest.approx(0.8)
    (line,) = face.gaussianspeech_lines
    assert line.text
    np.testing.assert_allclose(jaw_values(engine_ready, face), before, atol=1e-6)
    # It can be changed on, without the engine.
    select(engine_ready, face)
    face.gaussianspeech_speech.articulation = 0.4
    assert jaw_values(engine_ready, face).mean() < 0.7 * before.mean()


def test_a_character_that_was_made_in_the_library_speaks_in_an_override(
    engine_ready, predict, library, tmp_path
):
    engine_ready.ops.wm.open_mainfile(filepath=str(library))
    face = engine_ready.data.objects["Face"]
    select(engine_ready, face, engine_ready.data.objects["Rig"])
    engine_ready.ops.gaussianspeech.use_character()
    engine_ready.ops.wm.save_mainfile()
    engine_ready.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    face, rig = override(engine_ready, library, full=False)
    assert rig.gaussianspeech_character.owner == face
    select(engine_ready, face)
    engine_ready.ops.gaussianspeech.import_sound(filepath=str(VOICE))
    predict()
    before = jaw_values(engine_ready, face)
    assert before.max() > 0.1
    shot = tmp_path / "shot.blend"
    engine_ready.ops.wm.save_as_mainfile(filepath=str(shot))
    engine_ready.ops.wm.open_mainfile(filepath=str(shot))
    face = own(engine_ready, "Face")
    assert len(face.gaussianspeech_lines) == 1
    np.testing.assert_allclose(jaw_values(engine_ready, face), before, atol=1e-6)
