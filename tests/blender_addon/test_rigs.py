# SPDX-License-Identifier: GPL-3.0-or-later
"""Armatures speak: what is proposed for rigs, and how far their bones move."""

from __future__ import annotations

import numpy as np
import pytest

from engine.motion.arkit import ARKIT_NAMES
from engine.motion.characters.mapping import expression_geometry
from tests.blender_addon.rig_faces import (
    face_bones,
    location_of,
    make_armature,
    rigify_face,
    turn_of,
)
from tests.blender_addon.test_characters import select


def weights(**known):
    row = np.zeros((1, len(ARKIT_NAMES)), np.float32)
    for name, weight in known.items():
        row[0, ARKIT_NAMES.index(name)] = weight
    return row


@pytest.fixture
def show(blender, addon):
    """Pose a rig as a face of ARKit weights."""

    def shown(rig, turn=(0, 0, 0), **known):
        channels = addon("characters.bone_channels").bone_channels(
            rig, ARKIT_NAMES, weights(**known), np.array([turn], np.float32)
        )
        for path, index, values in channels:
            owner, _, name = path.rpartition(".")
            getattr(rig.path_resolve(owner), name)[index] = values[0]
        blender.context.view_layer.update()

    return shown


def as_character(blender, rig, *others):
    select(blender, rig, *others)
    assert blender.ops.gaussianspeech.use_character() == {"FINISHED"}


@pytest.fixture(params=["older", "newer"])
def rigify(blender, request):
    rig = rigify_face(blender, new=request.param == "newer")
    if rig is None:
        pytest.skip("this Blender has no Rigify")
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
