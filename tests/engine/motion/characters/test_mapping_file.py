# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest

from engine.core.errors import BadInputError
from engine.motion.characters.bones import BoneRow
from engine.motion.characters.conventions import Row
from engine.motion.characters.mapping_file import read_mapping, save_mapping


def test_shape_keys_and_bones_come_back_as_they_were(tmp_path):
    path = tmp_path / "mapping.json"
    keys = {"Face": (Row("offen", "jawOpen", 0.8),)}
    bones = {"Rig": (BoneRow("jaw", "rotation x", "jawOpen", 0.5),
                     BoneRow("jaw", "location z", "jawForward", 0.01),
                     BoneRow("head", "rotation", "head motion", 1.0))}  # fmt: skip
    save_mapping(path, "Rig", keys, bones)
    found = read_mapping(path)
    assert found.main == "Rig"
    assert found.objects == keys
    assert [row[:3] for row in found.bones["Rig"]] == [row[:3] for row in bones["Rig"]]
    assert [row.value for row in found.bones["Rig"]] == pytest.approx([0.5, 0.01, 1.0])


def test_rotations_are_written_in_degrees(tmp_path):
    path = tmp_path / "mapping.json"
    save_mapping(path, "Rig", {}, {"Rig": [BoneRow("jaw", "rotation x", "jawOpen", 0.5)]})
    ((_, _, _, degrees),) = json.loads(path.read_text())["objects"]["Rig"]
    assert degrees == pytest.approx(28.648, abs=1e-3)


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ({}, "it maps no object"),
        ({"Face": 3}, "the table of 'Face' is no list"),
        ({"Face": [["offen", 3]]}, r"is no \[shape key, pose, amount\]"),
        ({"Rig": [["jaw", "rotation x", "jawOpen", 1], ["jaw"]]}, r"is no \[bone, channel, pose"),
        ({"Face": [["offen", "jawOpen", 10**400]]}, "must be a finite number"),
        ({"Face": [["offen", "jawOpen", True]]}, "must be a finite number"),
        ({"Rig": [["jaw", "rotation x", "jawOpen", 10**400]]}, "must be a finite number"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, objects, message):
    path = tmp_path / "mapping.json"
    values = {"format": "gaussianspeech-character-mapping/1", "main": "a", "objects": objects}
    path.write_text(json.dumps(values))
    with pytest.raises(BadInputError, match=message):
        read_mapping(path)


def test_where_the_main_object_is_a_rig_the_face_is_the_mesh_that_speaks_most(tmp_path):
    path = tmp_path / "mapping.json"
    keys = {"Teeth": [Row("a", "jawOpen")], "Face": [Row("a", "jawOpen"), Row("b", "PP")]}
    save_mapping(path, "Rig", keys, {"Rig": [BoneRow("jaw", "rotation x", "jawOpen", 0.5)]})
    assert read_mapping(path).face == "Face"
    save_mapping(path, "Teeth", keys)
    assert read_mapping(path).face == "Teeth"
    save_mapping(path, "Rig", {}, {"Rig": [BoneRow("jaw", "rotation x", "jawOpen", 0.5)]})
    assert not read_mapping(path).face
