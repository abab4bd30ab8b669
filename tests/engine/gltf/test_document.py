# SPDX-License-Identifier: GPL-3.0-or-later
import json
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.core.errors import BadInputError, GaussianSpeechError
from engine.gltf import document, mesh_nodes, read_document, read_expressions, read_geometry
from tests.engine.gltf_files import GltfFile, arkit_character, ball, moved, vrm_character


def read_all(path):
    found = read_document(path)
    read_expressions(found)
    return [read_geometry(found, node) for node in mesh_nodes(found)]


def message_of(path):
    """The message about a file; its name where nothing is wrong."""
    try:
        read_all(path)
    except GaussianSpeechError as error:
        return error.message
    return str(path)


@pytest.mark.parametrize("name", ["a.glb", "a.gltf", "a.vrm"])
def test_all_kinds_of_files_hold_the_same_meshes(tmp_path, name):
    found = read_document(arkit_character().written(tmp_path / name))
    assert [node.name for node in mesh_nodes(found)] == ["Face", "Teeth"]
    vertices, faces = ball()
    teeth = read_geometry(found, mesh_nodes(found)[1])
    np.testing.assert_allclose(teeth.vertices, 0.5 * vertices, atol=1e-7)
    np.testing.assert_array_equal(teeth.faces, faces)
    np.testing.assert_allclose(teeth.offsets, moved(vertices, 1), atol=1e-7)


def test_buffers_are_read_from_files_beside(tmp_path):
    file = arkit_character()
    file.written(tmp_path / "inside.gltf")
    values = json.loads((tmp_path / "inside.gltf").read_text())
    values["buffers"] = [{"byteLength": len(file.data), "uri": "my%20data.bin"}]
    (tmp_path / "beside.gltf").write_text(json.dumps(values))
    with pytest.raises(BadInputError, match=r"my%20data\.bin.*No such file"):
        read_all(tmp_path / "beside.gltf")
    (tmp_path / "my data.bin").write_bytes(file.data)
    np.testing.assert_array_equal(
        read_all(tmp_path / "beside.gltf")[0].vertices,
        read_all(tmp_path / "inside.gltf")[0].vertices,
    )


@pytest.mark.parametrize(
    "uri",
    [
        "../secret.bin",
        "/etc/passwd",
        "file:///etc/passwd",
        "https://example.org/a.bin",
        "a/../../b",
        "..\\secret.bin",
        "C:secret.bin",
        "a.bin:stream",
    ],
)
def test_buffers_elsewhere_are_refused(tmp_path, uri):
    file = arkit_character()
    values = file.json | {"buffers": [{"byteLength": len(file.data), "uri": uri}]}
    path = tmp_path / "a.gltf"
    path.write_text(json.dumps(values))
    (tmp_path.parent / "secret.bin").write_bytes(bytes(len(file.data)))
    with pytest.raises(BadInputError, match="does not lie beside"):
        read_all(path)


def edited(change):
    """A file of which a change has broken something."""

    def write(path):
        file = arkit_character()
        change(file.json)
        return file.written(path)

    return write


BROKEN = {
    "is glTF '1.0'": lambda v: v["asset"].update(version="1.0"),
    "lacks 'asset'": lambda v: v.pop("asset"),
    "no tree": lambda v: (v["nodes"][0].update(children=[1]), v["nodes"][1].update(children=[0])),
    "met twice": lambda v: v["nodes"][0].update(children=[1]),
    "no list of indices": lambda v: v["nodes"][0].update(children="all"),
    "no 99 among its 2 nodes": lambda v: v["scenes"][0].update(nodes=[99]),
    "no 99 among its 2 meshes": lambda v: v["nodes"][0].update(mesh=99),
    "'mesh' must be": lambda v: v["nodes"][0].update(mesh=-1),
    "beyond buffer view": lambda v: v["accessors"][0].update(count=10**6),
    "more than 2 GB": lambda v: v["accessors"][0].update(count=10**9),
    "beyond its buffer": lambda v: v["bufferViews"][0].update(byteLength=10**7),
    "has the type 'VEC9'": lambda v: v["accessors"][0].update(type="VEC9"),
    "is damaged: 5124": lambda v: v["accessors"][0].update(componentType=5124),
    "has 1 numbers, not 3": lambda v: v["accessors"][0].update(type="SCALAR"),
    "outside of its vertices": lambda v: [
        one.update(count=10) for one in v["accessors"] if one["count"] == 42
    ],
    "strips or fans": lambda v: v["meshes"][0]["primitives"][0].update(mode=5),
    "no triangles": lambda v: v["meshes"][0]["primitives"][0].update(mode=1),
    "'weights' must be a list of 9": lambda v: v["nodes"][0].update(weights=[0.5]),
    "morph targets by part": lambda v: v["meshes"][0]["primitives"].append({"attributes": {}}),
    "buffer 1 has no bytes": lambda v: (
        v["bufferViews"][0].update(buffer=1),
        v.update(buffers=[{"byteLength": 12}]),
    ),
    "'rotation' must be": lambda v: v["nodes"][0].update(rotation=[0, 0, 0, "one"]),
}  # fmt: skip


@pytest.mark.parametrize(("message", "change"), BROKEN.items())
def test_what_is_broken_is_named(tmp_path, message, change):
    path = edited(change)(tmp_path / "broken.glb")
    with pytest.raises(BadInputError, match=message) as caught:
        read_all(path)
    assert str(path) in caught.value.message


def test_many_morph_targets_of_nothing_are_refused_before_they_are_allocated(tmp_path):
    file = GltfFile()
    vertices, faces = ball()
    file.mesh(vertices, faces, name="bomb")
    nothing = file.bare_accessor("f4", 5_000_000, 3)
    primitive = file.json["meshes"][0]["primitives"][0]
    primitive["attributes"]["POSITION"] = nothing
    primitive["targets"] = [{"POSITION": nothing}] * 1000
    with pytest.raises(BadInputError, match="more than 2 GB"):
        read_all(file.written(tmp_path / "bomb.glb"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cannot be read as glTF"),
        (b"glTF", "cut off"),
        (struct.pack("<4sII", b"glTF", 1, 30) + bytes(18), "version 1"),
        (struct.pack("<4sII", b"glTF", 2, 4000) + bytes(18), "12|30 of 4000 bytes"),
        (struct.pack("<4sIII4s", b"glTF", 2, 30, 10, b"BIN\0") + bytes(10), "begin with JSON"),
        (b"[]", "no JSON object"),
        (b"{" * 100_000, "cannot be read as glTF"),
        (b"\xff\xfe", "cannot be read as glTF"),
        (b'{"asset": {"version": "2.0"}, "nodes": [3]}', "list of objects"),
    ],
)
def test_what_is_no_gltf_is_named(tmp_path, data, message):
    path = tmp_path / "not.glb"
    path.write_bytes(data)
    with pytest.raises(BadInputError, match=message) as caught:
        read_all(path)
    assert str(path) in caught.value.message


def test_a_large_json_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(document, "MAX_JSON", 1000)
    with pytest.raises(BadInputError, match="JSON is larger"):
        read_document(arkit_character().written(tmp_path / "a.glb"))


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), kind=st.sampled_from(["arkit", "vrm0", "vrm1"]))
def test_damaged_files_raise_nothing_but_errors_for_users(tmp_path, data, kind):
    file = {"arkit": arkit_character, "vrm0": lambda: vrm_character(0)}.get(
        kind, lambda: vrm_character(1)
    )()
    path = file.written(tmp_path / "fuzzed.glb")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        # The JSON ends long before the middle of none of them: most changes fall into it.
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path.write_bytes(content)
    assert str(path) in message_of(path)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2**40),
    st.floats(allow_nan=False),
    st.text(max_size=3),
    st.lists(st.integers(-1, 3), max_size=3),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), version=st.sampled_from([0, 1]))
def test_values_of_other_types_raise_nothing_but_errors_for_users(tmp_path, data, version):
    file = vrm_character(version)
    parent, key = file.json, None
    while True:
        keys = list(parent) if isinstance(parent, dict) else range(len(parent))
        if not len(keys):
            break
        key = data.draw(st.sampled_from(list(keys)))
        if not isinstance(parent[key], dict | list) or data.draw(st.integers(0, 5)) == 0:
            break
        parent = parent[key]
    if key is not None and len(parent):
        parent[key] = data.draw(VALUES)
    path = file.written(tmp_path / "odd.glb")
    assert str(path) in message_of(path)
