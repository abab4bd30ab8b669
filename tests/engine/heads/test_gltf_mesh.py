# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest

from engine.core.errors import BadInputError
from engine.heads import load_head
from engine.heads.carried_head import head_of_identity
from engine.heads.gltf_mesh import arkit_names
from engine.heads.identity import Identity
from engine.heads.retarget import with_arkit_expressions
from tests.engine.gltf_files import ARKIT, GltfFile, ball, own_face, vrm_character


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return own_face().written(tmp_path_factory.mktemp("own") / "own.glb")


def test_the_mesh_with_arkit_shape_keys_is_the_head_and_keeps_them(path):
    default, face = load_head("default"), load_head(path)
    assert face.provenance["mesh"] == "Face"
    assert face.expression_names == (*default.expression_names, "mouth_smirk")
    np.testing.assert_array_equal(face.template, default.template)
    np.testing.assert_array_equal(face.expression_basis[:-1], default.expression_basis)
    assert with_arkit_expressions(face) is face


def test_the_lips_of_such_a_head_are_found(path):
    face = load_head(path)
    upper, lower = (face.landmarks[f"inner_lip_{side}"] for side in ("upper", "lower"))
    apart = np.linalg.norm(face.template[upper] - face.template[lower], axis=1)
    assert len(upper) > 10
    assert np.median(apart) < 0.004
    jaw = face.expression_basis[face.expression_index("jawOpen")][:, 1]
    assert np.median(jaw[lower] - jaw[upper]) < -0.005


def test_meshes_are_chosen_and_joined_by_name(path):
    body = load_head(f"{path}#Body")
    assert (body.vertex_count, body.expression_names) == (642, ())
    both = load_head(f"{path}#Face#Teeth")
    assert both.provenance["mesh"] == "Face, Teeth"
    face = load_head(path)
    assert both.vertex_count == face.vertex_count + 642
    assert both.expression_names == face.expression_names
    assert len({body.id, both.id, face.id}) == 3


def test_names_of_meshes_that_are_not_there_are_answered_with_those_that_are(path):
    with pytest.raises(BadInputError, match=r"no mesh 'Head'.*Body, Face, Teeth"):
        load_head(f"{path}#Head")


def test_an_avatar_of_one_mesh_finds_its_head_again(path):
    made = load_head(f"{path}#Body")
    assert made.source.file == "own.glb#Body"
    again = head_of_identity(Identity.of(made), path.parent)
    np.testing.assert_array_equal(again.template, made.template)


def test_without_shape_keys_the_one_called_face_is_the_head(tmp_path):
    vertices, faces = ball(3)
    file = GltfFile()
    for name in ("Body", "Anna face", "Hair"):
        file.mesh(vertices + len(name), faces, name=name)
    assert load_head(file.written(tmp_path / "a.glb")).provenance["mesh"] == "Anna face"
    file.mesh(vertices, faces, name="Head")
    with pytest.raises(BadInputError, match=r"4 meshes: Body, Anna face, Hair.*b\.glb#MESH"):
        load_head(file.written(tmp_path / "b.glb"))


def test_a_character_that_looks_backwards_is_turned_round(tmp_path):
    heads = []
    for version in (0, 1):
        file = vrm_character(version)
        vertices, faces = ball(3)
        file.mesh(vertices + np.float32([0, 0, 5]), faces, [vertices], ["jawOpen"], name="Nose")
        heads.append(load_head(f"{file.written(tmp_path / f'{version}.vrm')}#Nose"))
    turn = np.float32([-1, 1, -1])
    np.testing.assert_allclose(heads[0].template, heads[1].template * turn)
    np.testing.assert_allclose(heads[0].expression_basis, heads[1].expression_basis * turn)


def test_arkit_names_are_known_in_other_spellings_and_each_once():
    keys = [
        "jaw_open",
        "Head_mouthSmile_L",
        "EyeBlinkRight",
        "Basis.mouthClose",
        "smirk",
        "JawOpen",
    ]
    expected = ["jawOpen", "mouthSmileLeft", "eyeBlinkRight", "mouthClose", "smirk", "JawOpen 5"]
    assert list(arkit_names(keys)) == expected
    assert arkit_names([*ARKIT, *ARKIT[:1]])[: len(ARKIT)] == ARKIT
    assert len(set(arkit_names(["jawOpen", "jaw_open", "jawOpen"]))) == 3
