# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

from engine.core.errors import BadInputError
from engine.gltf import read_document, read_expressions
from engine.gltf.expressions import head_bone, looks_backwards
from tests.engine.gltf_files import GltfFile, arkit_character, ball, vrm_character


@pytest.mark.parametrize(
    ("version", "names"),
    [(0, ["a", "i", "u", "e", "o", "blink"]), (1, ["aa", "ih", "ou", "ee", "oh", "blink"])],
)
def test_expressions_have_the_names_of_presets_and_weights_up_to_one(tmp_path, version, names):
    document = read_document(vrm_character(version).written(tmp_path / "a.vrm"))
    expressions = read_expressions(document)
    assert [one.name for one in expressions] == names
    assert [bind.weight for bind in expressions[0].binds] == [0.8, 0.5]
    assert [bind.target for one in expressions for bind in one.binds[:1]] == list(range(6))
    assert [one.binary for one in expressions] == [False] * 5 + [True]
    assert document.item("nodes", head_bone(document)).text("name") == "J_Bip_C_Head"
    assert looks_backwards(document) == (version == 0)


def test_expressions_of_no_preset_keep_their_own_names(tmp_path):
    file = vrm_character(0)
    groups = file.json["extensions"]["VRM"]["blendShapeMaster"]["blendShapeGroups"]
    groups[0] |= {"presetName": "unknown", "name": "JawOpen"}
    document = read_document(file.written(tmp_path / "a.vrm"))
    assert read_expressions(document)[0].name == "JawOpen"
    file = vrm_character(1)
    expressions = file.json["extensions"]["VRMC_vrm"]["expressions"]
    expressions["custom"] = {"jawOpen": expressions["preset"].pop("aa")}
    document = read_document(file.written(tmp_path / "b.vrm"))
    assert read_expressions(document)[-1].name == "jawOpen"


def test_expressions_that_move_no_morph_target_are_left_out(tmp_path):
    file = vrm_character(1)
    preset = file.json["extensions"]["VRMC_vrm"]["expressions"]["preset"]
    preset["neutral"] = {}
    preset["happy"] = {"materialColorBinds": [{"material": 0}]}
    document = read_document(file.written(tmp_path / "a.vrm"))
    assert len(read_expressions(document)) == 6


def test_other_files_have_neither_expressions_nor_a_head_bone(tmp_path):
    document = read_document(arkit_character().written(tmp_path / "a.glb"))
    assert read_expressions(document) == ()
    assert head_bone(document) is None
    assert not looks_backwards(document)


@pytest.mark.parametrize(
    ("names", "found"),
    [(["Hips", "mixamorig:Head"], 1), (["Head", "head_2"], 0), (["Head", "my.head"], None),
     (["HeadTop_End", "neck"], None)],
)  # fmt: skip
def test_the_head_bone_of_a_skin_is_known_by_its_name(tmp_path, names, found):
    file = GltfFile()
    file.json["skins"] = [{"joints": [file.node({"name": name}) for name in names]}]
    vertices, faces = ball()
    file.mesh(vertices, faces, name="face", node={"skin": 0})
    assert head_bone(read_document(file.written(tmp_path / "a.glb"))) == found
    file.json["nodes"][0]["matrix"] = file.json["nodes"][1]["matrix"] = [0.0] * 16
    assert head_bone(read_document(file.written(tmp_path / "b.glb"))) is None


def test_damaged_expressions_are_named(tmp_path):
    file = vrm_character(0)
    groups = file.json["extensions"]["VRM"]["blendShapeMaster"]["blendShapeGroups"]
    groups[2]["binds"][0]["weight"] = "much"
    with pytest.raises(BadInputError, match=r"a\.vrm.*'weight' must be"):
        read_expressions(read_document(file.written(tmp_path / "a.vrm")))
