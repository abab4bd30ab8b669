# SPDX-License-Identifier: GPL-3.0-or-later
import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from engine.characters import load_mapping, open_character, proposed_mapping, speak
from engine.core.errors import BadInputError
from engine.motion.arkit import ARKIT_NAMES
from engine.motion.characters.bones import HEAD, HEAD_CHANNEL, BoneRow
from engine.motion.characters.mapping_file import save_mapping
from engine.motion.face.gaze import FULL_ROTATION
from engine.motion.interchange.face_curves import FaceCurves
from tests.engine.characters.bone_files import FACING, PLACES, rigged_character, world_turn
from tests.engine.gltf_files import (
    GltfFile,
    animation_values,
    arkit_character,
    ball,
    glb_parts,
    vrm_character,
)

OPEN = np.float32([0.0, 0.25, 0.5, 1.0])
JAW = 22.9
"""Degrees by which the jaw of the default head opens."""


def face(head=(0.0, 0.0, 0.0), **curves):
    weights = np.zeros((len(OPEN), len(ARKIT_NAMES)), np.float32)
    for name, values in curves.items():
        weights[:, ARKIT_NAMES.index(name)] = values
    return FaceCurves(25.0, weights, np.tile(np.float32(head), (len(OPEN), 1)))


def spoken(path, curves, mapping=None):
    """The file's JSON and the tracks of its animation after it has spoken."""
    character = open_character(path)
    table = proposed_mapping(character) if mapping is None else load_mapping(character, mapping)
    out = path.with_name(f"out{path.suffix}")
    notes = character.save(out, [speak(curves, table, "talk", character.rigs)])
    return glb_parts(out)[0], animation_values(out)[1], table.left_out + notes


def turned(json, tracks, name, frame=3):
    """(3,) degrees by which a node turns from rest, about the character's left, up and forward."""
    now, _, _ = world_turn(json, tracks, name, frame)
    rest, _, _ = world_turn(json, {}, name, frame)
    return np.degrees(FACING.inv().apply((now * rest.inv()).as_rotvec()))


@pytest.mark.parametrize("scale", [1.0, 0.01])
@pytest.mark.parametrize("by_matrix", [(), ("jaw", "eye.L")])
def test_a_face_of_bones_opens_its_jaw_and_looks_by_their_names(tmp_path, scale, by_matrix):
    file, _ = rigged_character(scale, by_matrix=by_matrix)
    path = file.written(tmp_path / "rig.glb")
    curves = face(jawOpen=OPEN, eyeLookUpLeft=1.0, eyeLookUpRight=1.0)
    json, tracks, notes = spoken(path, curves)
    assert notes == ()
    for frame, amount in enumerate(OPEN):
        # Down is a turn about the left.
        np.testing.assert_allclose(
            turned(json, tracks, "jaw", frame), [JAW * amount, 0, 0], atol=0.05
        )
    for eye in ("eye.L", "eye.R"):
        np.testing.assert_allclose(
            turned(json, tracks, eye), [-FULL_ROTATION["Up"], 0, 0], atol=0.01
        )
    assert not any("matrix" in node for node in json["nodes"] if node.get("name") == "jaw")


def test_a_mapping_of_bones_says_axis_angle_place_and_size(tmp_path):
    file, nodes = rigged_character(0.5)
    path = file.written(tmp_path / "rig.glb")
    rows = [
        BoneRow("jaw", "rotation z", "jawOpen", np.radians(-20)),
        BoneRow("head", "location y", "jawOpen", 0.1),
        BoneRow("eye.L", "scale x", "jawOpen", 1.5),
    ]
    save_mapping(tmp_path / "m.json", "rig", {}, {"rig": rows})
    json, tracks, notes = spoken(path, face(jawOpen=OPEN), tmp_path / "m.json")
    assert notes == ()
    # As Blender poses: first the pose in the bone's own axes, then its rest.
    rest, _, _ = world_turn(json, {}, "jaw", 0)
    jaw_alone = {key: track for key, track in tracks.items() if key[0] == nodes["jaw"]}
    for frame, amount in enumerate(OPEN):
        now, _, _ = world_turn(json, jaw_alone, "jaw", frame)
        own = (rest.inv() * now).as_rotvec(degrees=True)
        np.testing.assert_allclose(own, [0, 0, -20 * amount], atol=1e-4)
    rest, place, _ = world_turn(json, {}, "head", 0)
    _, moved, _ = world_turn(json, tracks, "head", 3)
    np.testing.assert_allclose(rest.inv().apply(moved - place), [0, 0.05, 0], atol=1e-6)
    np.testing.assert_allclose(tracks[nodes["eye.L"], "scale"][3], [1.5, 1, 1], atol=1e-5)


def test_head_and_neck_share_the_heads_turn(tmp_path):
    file, _ = rigged_character()
    path = file.written(tmp_path / "rig.glb")
    vector = np.array([0.2, -0.3, 0.1])
    json, tracks, _ = spoken(path, face(vector, jawOpen=OPEN))
    half = Rotation.from_rotvec(FACING.apply(vector / 2))
    neck, _, _ = world_turn(json, tracks, "neck", 0)
    rest, _, _ = world_turn(json, {}, "neck", 0)
    assert (half.inv() * neck * rest.inv()).magnitude() < 1e-5
    head, _, _ = world_turn(json, tracks, "head", 0)
    rest, _, _ = world_turn(json, {}, "head", 0)
    assert (half.inv() * half.inv() * head * rest.inv()).magnitude() < 1e-5


def test_the_head_turns_by_the_rows_of_a_mapping_alone(tmp_path):
    file, nodes = rigged_character()
    path = file.written(tmp_path / "rig.glb")
    rows = [
        BoneRow("jaw", "rotation x", "jawOpen", 0.3),
        BoneRow("neck", HEAD_CHANNEL, HEAD, 1.0),
    ]
    save_mapping(tmp_path / "m.json", "Armature", {}, {"Armature": rows})
    _, tracks, _ = spoken(path, face((0, 0.2, 0), jawOpen=OPEN), tmp_path / "m.json")
    assert {key for key in tracks if key[1] == "rotation"} == {
        (nodes["jaw"], "rotation"),
        (nodes["neck"], "rotation"),
    }


def test_shape_keys_that_speak_leave_the_jaw_alone_and_eyes_to_bones(tmp_path):
    file, nodes = rigged_character()
    vertices, faces = ball()
    file.mesh(vertices, faces, [vertices], ["viseme_aa"], name="Face")
    for name in ("PP", "O", "E", "U", "I"):
        file.json["meshes"][1]["extras"]["targetNames"].append(f"viseme_{name}")
        targets = file.json["meshes"][1]["primitives"][0]["targets"]
        targets.append(targets[0])
    path = file.written(tmp_path / "rig.glb")
    _, tracks, _ = spoken(path, face(jawOpen=OPEN, eyeLookOutLeft=1.0))
    assert (nodes["jaw"], "rotation") not in tracks
    assert (nodes["eye.L"], "rotation") in tracks
    assert np.ptp(tracks[nodes["Armature"] + len(PLACES) + 1, "weights"][:, 0]) > 0.1


def test_the_bones_that_a_vrm_names_speak_whatever_they_are_called(tmp_path):
    for version, forward in ((0, -1.0), (1, 1.0)):
        file = vrm_character(version)
        kind = file.json["extensions"]["VRM" if version == 0 else "VRMC_vrm"]
        if version == 0:
            kind["blendShapeMaster"]["blendShapeGroups"] = []
        else:
            kind["expressions"]["preset"] = {}
        for mesh in file.json["meshes"]:
            del mesh["primitives"][0]["targets"]
        head = next(i for i, n in enumerate(file.json["nodes"]) if n["name"] == "J_Bip_C_Head")
        jaw = file.node({"name": "agito", "translation": [0, 0.05, 0]}, root=False)
        file.json["nodes"][head]["children"] = [jaw]
        bones = kind["humanoid"]["humanBones"]
        if version == 0:
            bones.append({"bone": "jaw", "node": jaw})
        else:
            bones["jaw"] = {"node": jaw}
        path = file.written(tmp_path / f"v{version}.vrm")
        json, tracks, _ = spoken(path, face(jawOpen=OPEN))
        now, _, _ = world_turn(json, tracks, "agito", 3)
        rest, _, _ = world_turn(json, {}, "agito", 3)
        found = (now * rest.inv()).as_rotvec(degrees=True)
        np.testing.assert_allclose(found, [forward * JAW, 0, 0], atol=0.05)


def test_rigid_parts_on_hinges_speak_without_a_skin(tmp_path):
    file = GltfFile()
    vertices, faces = ball()
    skull = file.mesh(vertices, faces, name="skull")
    jaw = file.mesh(vertices, faces, name="jaw", node={"translation": [0, 0.1, 0.02]})
    file.json["nodes"][skull]["children"] = [jaw]
    file.json["scenes"][0]["nodes"] = [skull]
    json, tracks, _ = spoken(file.written(tmp_path / "robot.glb"), face(jawOpen=OPEN))
    now, place, _ = world_turn(json, tracks, "jaw", 3)
    np.testing.assert_allclose(now.as_rotvec(degrees=True), [JAW, 0, 0], atol=0.05)
    np.testing.assert_allclose(place, [0, 0.1, 0.02], atol=1e-6)


def test_rows_that_the_file_lacks_are_named_and_the_others_speak(tmp_path):
    file, nodes = rigged_character()
    path = file.written(tmp_path / "rig.glb")
    rows = [
        BoneRow("jaw", "rotation x", "jawOpen", 0.3),
        BoneRow("chin", "rotation x", "jawOpen", 0.3),
        BoneRow("jaw", "property open", "jawOpen", 1.0),
    ]
    save_mapping(tmp_path / "m.json", "Armature", {}, {"Armature": rows})
    _, tracks, notes = spoken(path, face(jawOpen=OPEN), tmp_path / "m.json")
    assert list(tracks) == [(nodes["jaw"], "rotation")]
    assert notes == (
        "The rotation x of the bone 'chin' is mapped, but not there: left out.",
        "The property open of the bone 'jaw' is mapped, but not there: left out.",
    )


def test_a_mapping_of_other_bones_is_refused(tmp_path):
    path = rigged_character()[0].written(tmp_path / "rig.glb")
    rows = [BoneRow("chin", "rotation x", "jawOpen", 0.3)]
    save_mapping(tmp_path / "m.json", "Armature", {}, {"Armature": rows})
    with pytest.raises(BadInputError, match=r"rig\.glb has none of the bones.*'Armature'"):
        load_mapping(open_character(path), tmp_path / "m.json")
    save_mapping(tmp_path / "m.json", "Armature", {}, {"Armature": [rows[0]._replace(pose="song")]})
    values = json.loads((tmp_path / "m.json").read_text())
    values["objects"]["Armature"][0][0] = "jaw"
    (tmp_path / "m.json").write_text(json.dumps(values))
    with pytest.raises(BadInputError, match="'song'"):
        load_mapping(open_character(path), tmp_path / "m.json")


def test_a_body_without_a_jaw_is_offered_a_mapping(tmp_path):
    file, nodes = rigged_character()
    file.json["nodes"][nodes["jaw"]]["name"] = "agito"
    path = file.written(tmp_path / "rig.glb")
    with pytest.raises(BadInputError, match="no bone that is called as a jaw is") as caught:
        proposed_mapping(open_character(path))
    assert "--mapping" in caught.value.hint


def test_shape_keys_and_bones_of_one_mapping_move_together(tmp_path):
    file = arkit_character()
    jaw = file.node({"name": "jaw"})
    path = file.written(tmp_path / "a.glb")
    shapes = open_character(path)
    rows = [BoneRow("jaw", "rotation x", "jawOpen", 0.4)]
    tables = proposed_mapping(shapes).tables
    save_mapping(tmp_path / "m.json", "Face", {"Face": tables[0]}, {"rig": rows})
    json, tracks, _ = spoken(path, face(jawOpen=OPEN), tmp_path / "m.json")
    now, _, _ = world_turn(json, tracks, "jaw", 3)
    np.testing.assert_allclose(now.as_rotvec(), [0.4, 0, 0], atol=1e-5)
    np.testing.assert_array_equal(tracks[0, "weights"][:, 0], OPEN)
    assert (jaw, "rotation") in tracks
