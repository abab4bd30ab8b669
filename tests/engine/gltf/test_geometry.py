# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from engine.core.errors import BadInputError, MissingDependencyError
from engine.gltf import mesh_nodes, read_document, read_geometry
from tests.engine.gltf_files import GltfFile, ball, moved

TURN = Rotation.from_euler("xyz", [20, 30, 40], degrees=True)


def read_only(path):
    found = read_document(path)
    (node,) = mesh_nodes(found)
    return node, read_geometry(found, node)


@pytest.fixture
def sphere():
    vertices, faces = ball()
    return vertices, faces, moved(vertices, 3)


def test_a_mesh_stands_where_its_nodes_put_it(sphere, tmp_path):
    vertices, faces, targets = sphere
    file = GltfFile()
    node = file.mesh(vertices, faces, targets, name="face")
    file.json["nodes"][node]["scale"] = [2, 2, 2]
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = TURN.as_matrix(), [1, 2, 3]
    file.node({"children": [node], "matrix": matrix.T.ravel().tolist()})
    file.json["scenes"][0]["nodes"] = [1]
    _, found = read_only(file.written(tmp_path / "a.glb"))
    np.testing.assert_allclose(
        found.vertices, TURN.apply(2 * vertices) + np.array([1, 2, 3]), atol=1e-6
    )
    for row, target in zip(found.offsets, targets, strict=True):
        np.testing.assert_allclose(row, TURN.apply(2 * target), atol=1e-6)


def test_sparse_morph_targets_are_whole(sphere, tmp_path):
    file = GltfFile()
    file.mesh(*sphere, name="face", sparse=True)
    _, found = read_only(file.written(tmp_path / "a.glb"))
    np.testing.assert_array_equal(found.offsets, sphere[2])


def test_a_sparse_accessor_replaces_rows_of_the_one_it_has(sphere, tmp_path):
    vertices, faces, _ = sphere
    file = GltfFile()
    file.mesh(vertices, faces, name="face")
    file.json["accessors"][0]["sparse"] = {
        "count": 2,
        "indices": {
            "bufferView": file.view(np.array([3, 7], "u1").tobytes()),
            "componentType": 5121,
        },
        "values": {"bufferView": file.view(np.ones((2, 3), "f4").tobytes())},
    }
    expected = vertices.copy()
    expected[[3, 7]] = 1
    _, found = read_only(file.written(tmp_path / "a.glb"))
    np.testing.assert_array_equal(found.vertices, expected)
    file.json["accessors"][0]["sparse"]["indices"]["bufferView"] = file.view(b"\x03\xff")
    with pytest.raises(BadInputError, match="points outside"):
        read_only(file.written(tmp_path / "b.glb"))


@pytest.mark.parametrize("dtype", ["i2", "u2", "i1", "u1"])
@pytest.mark.parametrize("normalized", [True, False])
def test_quantised_attributes_are_unpacked(sphere, tmp_path, dtype, normalized):
    _, faces, _ = sphere
    info = np.iinfo(dtype)
    rng = np.random.default_rng(0)
    rows = rng.integers(info.min, info.max, (42, 3), dtype=dtype, endpoint=True)
    # As gltfpack writes them: each row padded to a multiple of four bytes.
    padded = np.zeros((42, -(-3 * rows.itemsize // 4) * 4 // rows.itemsize), dtype)
    padded[:, :3] = rows
    file = GltfFile()
    file.mesh(np.zeros((42, 3)), faces, name="face")
    view = file.view(padded.tobytes(), byteStride=padded.itemsize * padded.shape[1])
    position = file.bare_accessor(dtype, 42, 3, bufferView=view, normalized=normalized)
    file.json["meshes"][0]["primitives"][0]["attributes"]["POSITION"] = position
    expected = rows.astype(np.float64)
    if normalized:
        expected = np.maximum(expected / info.max, -1)
    _, found = read_only(file.written(tmp_path / "a.glb"))
    np.testing.assert_allclose(found.vertices, expected, rtol=1e-6, atol=1e-7)


def test_a_skinned_mesh_stands_as_its_bones_hold_it(sphere, tmp_path):
    vertices, faces, targets = sphere
    file = GltfFile()
    # What the node itself says does not count for a skinned mesh.
    node = file.mesh(
        vertices, faces, targets, name="face", node={"translation": [9, 9, 9], "skin": 0}
    )
    bones = [
        file.node(
            {"name": name, "translation": [0, height, 0], "rotation": TURN.as_quat().tolist()}
        )
        for name, height in (("neck", 1.0), ("head", 2.0))
    ]
    rest = np.tile(np.eye(4), (2, 1, 1))
    rest[1, :3, 3] = [0, 0, 0.5]
    inverse = file.accessor(rest.swapaxes(1, 2).reshape(2, 16).astype("f4"))
    file.json["skins"] = [{"joints": bones, "inverseBindMatrices": inverse}]
    share = np.linspace(0, 1, 42)
    joints = np.tile(np.array([0, 1, 0, 0], "u1"), (42, 1))
    weights = np.stack([share, 1 - share, 0 * share, 0 * share], axis=1)
    attributes = file.json["meshes"][0]["primitives"][0]["attributes"]
    attributes["JOINTS_0"] = file.accessor(joints)
    attributes["WEIGHTS_0"] = file.accessor(np.rint(weights * 65535).astype("u2"), normalized=True)
    _, found = read_only(file.written(tmp_path / "a.glb"))
    by_neck = TURN.apply(vertices) + np.array([0, 1, 0])
    by_head = TURN.apply(vertices + np.array([0, 0, 0.5])) + np.array([0, 2, 0])
    expected = share[:, None] * by_neck + (1 - share[:, None]) * by_head
    np.testing.assert_allclose(found.vertices, expected, atol=1e-4)
    np.testing.assert_allclose(found.offsets[1], TURN.apply(targets[1]), atol=1e-6)
    assert node == 0
    attributes["JOINTS_0"] = file.accessor(joints + 2)
    with pytest.raises(BadInputError, match="bones of 'face'"):
        read_only(file.written(tmp_path / "b.glb"))


def test_primitives_that_share_their_vertices_have_them_once(sphere, tmp_path):
    vertices, faces, targets = sphere
    file = GltfFile()
    file.mesh(vertices, faces[:30], targets, name="face")
    first = file.json["meshes"][0]["primitives"][0]
    rest = file.accessor(faces[30:].astype(np.uint16).ravel())
    own = file.accessor(vertices + np.float32(1))
    other = {"attributes": {"POSITION": own}, "targets": first["targets"]}
    file.json["meshes"][0]["primitives"] += [first | {"indices": rest}, other | {"indices": rest}]
    _, found = read_only(file.written(tmp_path / "a.glb"))
    np.testing.assert_array_equal(found.vertices, np.concatenate([vertices, vertices + 1]))
    np.testing.assert_array_equal(found.faces, np.concatenate([faces, faces[30:] + 42]))
    assert found.offsets.shape == (3, 84, 3)


@pytest.mark.parametrize("owner", ["mesh", "primitive", "accessors", "nobody"])
def test_names_of_morph_targets_are_found_where_exporters_write_them(sphere, tmp_path, owner):
    file = GltfFile()
    names = ["jawOpen", "mouthClose", "own"]
    file.mesh(*sphere, names if owner == "mesh" else None, name="face")
    primitive = file.json["meshes"][0]["primitives"][0]
    if owner == "primitive":
        primitive["extras"] = {"targetNames": names}
    if owner == "accessors":
        for name, target in zip(names, primitive["targets"], strict=True):
            file.json["accessors"][target["POSITION"]]["name"] = name
    node, _ = read_only(file.written(tmp_path / "a.glb"))
    assert node.targets == (
        ("target_0", "target_1", "target_2") if owner == "nobody" else tuple(names)
    )


def test_a_mesh_that_draco_packed_says_what_to_do(sphere, tmp_path):
    file = GltfFile()
    file.mesh(*sphere, name="face")
    packed = {"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": {"POSITION": 0}}}
    file.json["meshes"][0]["primitives"][0]["extensions"] = packed
    with pytest.raises(MissingDependencyError, match=r"Draco.*without compression"):
        read_only(file.written(tmp_path / "a.glb"))
