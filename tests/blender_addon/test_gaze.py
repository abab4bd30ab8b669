# SPDX-License-Identifier: GPL-3.0-or-later
"""*Look At* of characters: where their eyes are, by bones or by shape keys."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.blender_addon.rig_faces import face_bones, make_armature, make_mesh, select, turn_of
from tests.blender_addon.sample_voice import over, speak

__all__ = ["speak"]


@pytest.fixture
def target(blender):
    made = blender.data.objects.new("Camera", None)
    blender.context.collection.objects.link(made)
    return made


@pytest.fixture
def seen(blender, addon, target):
    """Degrees to the left and up at which a character's eyes find a place in the world."""

    def found(character, place):
        target.location = place
        blender.context.view_layer.update()
        frame = addon("characters.eyes").gaze_frame(character)
        left, up, ahead = frame.inverted() @ target.matrix_world.translation
        return math.degrees(math.atan2(left, ahead)), math.degrees(math.atan2(up, ahead))

    return found


def rigged(blender):
    rig = make_armature(blender, "Rig", face_bones())
    select(blender, rig)
    blender.ops.gaussianspeech.use_character()
    return rig


TEN = math.tan(math.radians(10))


def test_eyes_of_bones_are_where_the_bones_are(blender, seen):
    rig = rigged(blender)
    # It looks along −Y; its left is +X.
    assert seen(rig, (TEN, -1.06, 1.62)) == pytest.approx((10, 0), abs=1e-3)
    assert seen(rig, (0, -1.06, 1.62 + TEN)) == pytest.approx((0, 10), abs=1e-3)
    rig.rotation_euler.z = math.radians(90)
    rig.scale = (2, 2, 2)
    assert seen(rig, (2.12, 2 * TEN, 3.24)) == pytest.approx((10, 0), abs=1e-3)


def test_eyes_go_with_the_artists_pose_and_not_with_our_own_head_motion(blender, seen):
    rig = rigged(blender)
    head = rig.pose.bones["head"]
    head.rotation_mode = "XYZ"
    head.rotation_euler.y = math.radians(10)
    # As baked: nothing of the artist's keys turns it.
    assert seen(rig, (TEN, -1.06, 1.62)) == pytest.approx((10, 0), abs=1e-3)
    head.keyframe_insert("rotation_euler", frame=1)
    left, _ = seen(rig, (TEN, -1.06, 1.62))
    assert left == pytest.approx(0, abs=1.0)


@pytest.mark.parametrize("moves", ["by a rig", "by itself"])
def test_eyes_of_shape_keys_are_where_those_turn_them(blender, seen, moves):
    keys = ["jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthSmileLeft"]
    face = make_mesh(blender, "Face", keys)
    blocks = face.data.shape_keys.key_blocks
    points = np.empty(3 * len(face.data.vertices), np.float32)
    blocks[0].points.foreach_get("co", points)
    points = points.reshape(-1, 3)
    for side, sign in (("Left", 1), ("Right", -1)):
        near = np.argsort(np.linalg.norm(points - [0.5 * sign, -0.7, 0.5], axis=1))[:3]
        for direction in ("Up", "Out"):
            block = face.shape_key_add(name=f"eyeLook{direction}{side}", from_mix=False)
            for vertex in near:
                block.points[int(vertex)].co.z += 0.05
            block.value = 0.0
    select(blender, face)
    assert blender.ops.gaussianspeech.use_character() == {"FINISHED"}
    left = points[np.argsort(np.linalg.norm(points - [0.5, -0.7, 0.5], axis=1))[:3]]
    middle = (left.min(0) + left.max(0)) / 2
    place = np.array([0, middle[1], middle[2]])
    if moves == "by a rig":
        rig = make_armature(blender, "Rig", {"skull": ((0, 0, 0), (0, 0, 1))})
        face.modifiers.new("Armature", "ARMATURE").object = rig
        face.vertex_groups.new(name="skull").add(range(len(points)), 1.0, "REPLACE")
        rig.pose.bones["skull"].location.y = 1.0
        place[2] += 1.0
    else:
        face.location.z = 1.0
        place[2] += 1.0
    assert seen(face, np.add(place, [TEN, -1, 0])) == pytest.approx((10, 0), abs=0.05)


def test_who_has_no_eyes_says_so(blender, addon):
    bones = {name: place for name, place in face_bones().items() if not name.startswith("eye")}
    rig = make_armature(blender, "Rig", bones)
    select(blender, rig)
    blender.ops.gaussianspeech.use_character()
    eyes = addon("characters.eyes")
    assert not eyes.has_eyes(rig)
    assert eyes.gaze_frame(rig) is None
    assert eyes.has_eyes(rigged(blender))


def test_a_character_of_bones_looks_at_what_is_chosen(engine_ready, speak, target):
    blender = engine_ready
    rig = rigged(blender)
    target.location = (TEN, -1.06, 1.62)
    blender.context.view_layer.update()
    frames = speak(rig)

    def yaw():
        # About the bone's own axes, which lie as the armature's here.
        head = turn_of(blender, rig, "head")
        return math.degrees(turn_of(blender, rig, "eye.L")[2] - head[2])

    rig.gaussianspeech_speech.gaze = 0.3
    ahead = over(blender, frames, yaw)
    rig.gaussianspeech_speech.look_at = target
    at_target = over(blender, frames, yaw)
    assert np.median(ahead) == pytest.approx(0, abs=1)
    assert np.median(at_target) == pytest.approx(10, abs=1)
    # Baked again with the head turned by the line it finds the same place.
    rig.gaussianspeech_speech.head_motion = 1.0
    once = over(blender, frames, yaw)
    blender.context.scene.frame_set(frames[len(frames) // 2])
    assert blender.ops.gaussianspeech.rebake() == {"FINISHED"}
    np.testing.assert_allclose(over(blender, frames, yaw), once, atol=0.05)
