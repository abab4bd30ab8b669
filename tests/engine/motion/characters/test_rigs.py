# SPDX-License-Identifier: GPL-3.0-or-later
"""Rigs made here: bones of given names at places of a face, rolled as rigs roll them."""

from __future__ import annotations

import numpy as np
import pytest

from engine.heads import load_head
from engine.motion.characters.bones import HEAD, mapping_of_bones
from engine.motion.characters.control_points import POINTS, face_controls, visible
from engine.motion.characters.rigs import RestBone, propose_rig
from training.assets.expression_geometry import expression_geometry

UP = np.array([0.0, 0.0, 1.0])
AS_WORLD = np.eye(3)


def bone(name, head, parent="", tail=(0, 0, 0.02), axes=AS_WORLD, *, connected=False):
    head = np.array(head, float)
    return RestBone(name, parent, head, head + np.array(tail), axes, axes, connected)


def turned(axis, degrees):
    """A rotation about one of the axes."""
    a, b = [i for i in range(3) if i != axis]
    angle = np.radians(degrees)
    matrix = np.eye(3)
    matrix[a, a] = matrix[b, b] = np.cos(angle)
    matrix[a, b], matrix[b, a] = -np.sin(angle), np.sin(angle)
    return matrix


def motions(proposal, name):
    """Per pose and kind of channel, the vector of a bone in its own axes."""
    found = {}
    for row in proposal.rows:
        if row.bone == name and row.pose != HEAD:
            kind, axis = row.channel.split()
            vector = found.setdefault((row.pose, kind), np.zeros(3))
            vector["xyz".index(axis)] = row.value
    return found


@pytest.mark.parametrize(
    "name",
    ["jaw", "Jaw", "jaw_master", "CC_Base_JawRoot", "jaw_root", "mixamorig:Jaw", "FACIAL_C_Jaw",
     "c_jawbone.x", "lowerJaw", "Jaw_M", "DEF-jaw", "mandible"],
)  # fmt: skip
def test_a_jaw_is_known_by_its_usual_names_and_opens_downwards(name):
    proposal = propose_rig([bone("head", (0, 0, 1.5)), bone(name, (0, 0, 1.55), "head")], UP)
    assert proposal.speaks
    np.testing.assert_allclose(
        motions(proposal, name)["jawOpen", "rotation"], [np.radians(22.9), 0, 0], atol=1e-3
    )


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_jaw_alone_opens_downwards_wherever_it_points(degrees):
    about = turned(2, degrees)
    jaw = bone("jaw", (0, 0, 1.55), tail=about @ (0, -0.08, -0.05))
    turn = motions(propose_rig([jaw], UP), "jaw")["jawOpen", "rotation"]
    np.testing.assert_allclose(about.T @ turn, [np.radians(22.9), 0, 0], atol=1e-3)


def test_lips_say_where_a_jaw_that_hangs_down_faces():
    bones = [bone("jaw", (0, 0, 1.55), tail=(0, 0, -0.05)), bone("lip.T", (0, 0.1, 1.55))]
    turn = motions(propose_rig(bones, UP), "jaw")["jawOpen", "rotation"]
    np.testing.assert_allclose(turn, [-np.radians(22.9), 0, 0], atol=1e-3)


@pytest.mark.parametrize("axes", [turned(0, 120), turned(1, 90), turned(2, -90) @ turned(0, 30)])
def test_the_axes_of_a_bone_are_read_off_its_rest_pose(axes):
    proposal = propose_rig([bone("jaw", (0, 0, 1.5), axes=axes)], UP)
    turn = motions(proposal, "jaw")["jawOpen", "rotation"]
    np.testing.assert_allclose(axes @ turn, [np.radians(22.9), 0, 0], atol=0.09)


def test_a_rig_that_faces_another_way_and_is_modelled_in_centimetres():
    about = turned(2, 90)  # It faces +X.
    bones = [
        bone("jaw", (0, 0, 150)),
        bone("eye.L", about @ (3.08, -8, 160), axes=about),
        bone("eye.R", about @ (-3.08, -8, 160), axes=about),
        bone("lip.T", about @ (0, -10, 152)),
    ]
    proposal = propose_rig(bones, 100 * UP)
    turn = motions(proposal, "jaw")["jawOpen", "rotation"]
    np.testing.assert_allclose(about.T @ turn, [np.radians(22.9), 0, 0], atol=1e-3)
    forward = motions(proposal, "lip.T")["mouthFunnel", "location"]
    assert 0.8 < (about.T @ forward)[1] / -1.0 < 1.2  # A centimetre.


@pytest.mark.parametrize(
    "name", ["eye.{}", "eye_{}", "CC_Base_{}_Eye", "J_Adj_{}_FaceEye", "c_eye.{}", "FACIAL_{}_Eye"]
)
def test_eyes_look_up_and_to_their_sides(name):
    left, right = name.format("L"), name.format("R")
    bones = [bone(left, (0.03, -0.08, 1.6)), bone(right, (-0.03, -0.08, 1.6))]
    proposal = propose_rig(bones, UP)
    assert not proposal.speaks
    looks = motions(proposal, left)
    up, out = looks["eyeLookUpLeft", "rotation"], looks["eyeLookOutLeft", "rotation"]
    np.testing.assert_allclose(np.degrees(up), [-9.0, 0, 0], atol=0.1)
    np.testing.assert_allclose(np.degrees(out), [0, 0, 13.3], atol=0.1)
    out = motions(proposal, right)["eyeLookOutRight", "rotation"]
    np.testing.assert_allclose(np.degrees(out), [0, 0, -13.3], atol=0.1)


def test_an_eye_that_is_aimed_is_moved_by_its_target():
    bones = [
        bone("master_eye.L", (0.03, -0.08, 1.6)),
        bone("eye.L", (0.03, -0.58, 1.6)),
        bone("master_eye.R", (-0.03, -0.08, 1.6)),
        bone("eye.R", (-0.03, -0.58, 1.6)),
    ]
    looks = motions(propose_rig(bones, UP), "eye.L")
    up, out = looks["eyeLookUpLeft", "location"], looks["eyeLookOutLeft", "location"]
    np.testing.assert_allclose(up, [0, 0, 0.5 * np.tan(np.radians(9.0))], atol=1e-6)
    np.testing.assert_allclose(out, [0.5 * np.tan(np.radians(13.3)), 0, 0], atol=1e-6)


def test_lips_move_as_those_of_the_default_head_times_the_size_of_the_face():
    width = face_controls().distance("mouth corner left", "mouth corner right")
    bones = [
        bone("jaw", (0, 0, 1.5)),
        bone("lip_corner.L", (width, -0.1, 1.5), "jaw"),
        bone("lip_corner.R", (-width, -0.1, 1.5), "jaw"),
        bone("lip_lower", (0, -0.1, 1.5), "jaw"),
    ]
    proposal = propose_rig(bones, UP)
    close = motions(proposal, "lip_lower")["mouthClose", "location"]
    known = visible(face_controls().moves_of("lower lip"))["mouthClose"]
    np.testing.assert_allclose(close, 2 * known[[0, 2, 1]] * (1, -1, 1), atol=1e-6)
    # What hangs on the jaw adds what the jaw does not do.
    known = visible(face_controls().moves_of("lower lip"))["jawOpen"]
    turn = np.cross([np.radians(22.946), 0, 0], [0, -0.1, 0])
    more = motions(proposal, "lip_lower")["jawOpen", "location"]
    np.testing.assert_allclose(turn + more, 2 * known[[0, 2, 1]] * (1, -1, 1), atol=1e-5)
    alone = motions(propose_rig(bones[1:], UP), "lip_lower")["jawOpen", "location"]
    np.testing.assert_allclose(alone, 2 * known[[0, 2, 1]] * (1, -1, 1), atol=1e-5)


def test_a_bone_that_hangs_on_its_parent_is_turned_instead():
    bones = [
        bone("lip_lower", (0, -0.04, 1.5), tail=(0, -0.05, 0), connected=True),
        bone("jaw", (0, 0, 1.5), connected=True),
    ]
    proposal = propose_rig(bones, UP)
    open_lip = motions(proposal, "lip_lower")
    assert {kind for _, kind in open_lip} == {"rotation"}
    assert open_lip["mouthLowerDownLeft", "rotation"][0] > 0  # Its tail goes down.
    assert {kind for _, kind in motions(proposal, "jaw")} == {"rotation"}


def test_a_makehuman_face_closes_lids_about_the_eye_and_moves_lips():
    eye = (0.031, -0.105, 0.78)
    bones = [
        bone("head", (0, -0.03, 0.65)),
        bone("jaw", (0, -0.02, 0.7), "head", tail=(0, -0.08, -0.07)),
        bone("special04", (0, -0.107, 0.626), "jaw"),
        # They reach down to the edge of the lip.
        bone("oris05", (0, -0.15, 0.682), "head", tail=(0, -0.0033, -0.0064)),
        bone("oris01", (0, -0.147, 0.655), "special04", tail=(0, -0.004, 0.008)),
    ]
    for side, sign in (("L", 1), ("R", -1)):
        centre = (sign * eye[0], *eye[1:])
        bones += [
            bone(f"eye.{side}", centre),
            bone(f"orbicularis03.{side}", centre, tail=(0, -0.012, 0.006)),
            bone(f"orbicularis04.{side}", centre, tail=(0, -0.012, -0.005)),
        ]
    proposal = propose_rig(bones, UP)
    assert proposal.name == "MakeHuman"
    lip, lid = motions(proposal, "oris01"), motions(proposal, "orbicularis03.L")
    assert lip["mouthClose", "location"][2] == pytest.approx(0.0261, abs=0.001)
    assert motions(proposal, "oris05")["mouthFunnel", "location"][1] < -0.008
    blink = lid["eyeBlinkLeft", "rotation"]
    assert np.degrees(blink[0]) == pytest.approx(0.95 * 53, abs=15)
    assert lid["eyeWideLeft", "rotation"][0] < 0
    assert motions(proposal, "eye.L")["eyeLookUpLeft", "rotation"][0] < 0


def test_lower_teeth_on_the_head_go_with_the_jaw_and_on_the_jaw_are_left_to_it():
    jaw = bone("jaw", (0, 0, 1.5))
    apart = propose_rig([jaw, bone("teeth_lower", (0, -0.08, 1.5))], UP)
    assert motions(apart, "teeth_lower")["jawOpen", "location"][2] == pytest.approx(-0.0229, 0.01)
    hanging = propose_rig([jaw, bone("teeth_lower", (0, -0.08, 1.5), "jaw")], UP)
    assert not motions(hanging, "teeth_lower")


def test_the_head_turns_by_its_bone_and_its_neck():
    bones = [bone("neck01", (0, 0, 1.4)), bone("head", (0, 0, 1.5), "neck01")]
    proposal = propose_rig([*bones, bone("jaw", (0, 0, 1.5), "head")], UP)
    assert mapping_of_bones(proposal.rows).head_shares == {"neck01": 0.5, "head": 0.5}


def test_a_rig_without_a_face_is_not_guessed_and_a_metarig_not_used():
    assert propose_rig([bone("spine", (0, 0, 1)), bone("hand.L", (0.5, 0, 1))], UP) is None
    assert propose_rig([], UP) is None
    metarig = [bone("jaw", (0, -0.1, 1.5)), bone("lip.T.L", (0, -0.1, 1.5)),
               bone("lip.T.L.001", (0.02, -0.1, 1.5))]  # fmt: skip
    assert propose_rig(metarig, UP) is None


def test_controls_come_before_what_they_deform_and_mechanism_is_left_alone():
    bones = [bone("ORG-jaw", (0, 0, 1)), bone("DEF-jaw", (0, 0, 2)), bone("jaw", (0, 0, 3))]
    assert {row.bone for row in propose_rig(bones, UP).rows} == {"jaw"}


def test_the_points_are_those_of_the_default_head():
    arrays, known = expression_geometry(load_head("default")), face_controls()
    np.testing.assert_allclose(known.rest, arrays["point_rest"], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(known.moves, arrays["point_moves"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(known.jaw_turn, arrays["jaw_turn"], rtol=1e-6, atol=1e-8)
    # The jaw opens the mouth, and mouthClose closes it again.
    upper, lower = known.moves_of("upper lip"), known.moves_of("lower lip")
    opening = {name: (upper - lower)[i, 1] for i, name in enumerate(visible(np.ones((52, 3))))}
    assert opening["jawOpen"] > 0.03
    assert opening["jawOpen"] + opening["mouthClose"] == pytest.approx(0, abs=1e-4)
    assert len(set(POINTS)) == len(POINTS)
