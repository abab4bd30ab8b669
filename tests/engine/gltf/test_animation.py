# SPDX-License-Identifier: GPL-3.0-or-later
import copy
import json
import struct

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from engine.core.errors import BadInputError
from engine.gltf import MorphClip, mesh_nodes, read_document, read_geometry, write_animated
from engine.gltf.animation import turned
from tests.engine.gltf_files import (
    GltfFile,
    animation_values,
    arkit_character,
    glb_parts,
    vrm_character,
)


def clip(name="talk", frames=5, fps=29.97, nodes=(0, 1), targets=(9, 1)):
    rng = np.random.default_rng(1)
    weights = {n: rng.random((frames, k), np.float32) for n, k in zip(nodes, targets, strict=True)}
    return MorphClip(name, fps, weights)


def without_additions(values, before):
    """The JSON of a file less what an animation adds to it."""
    kept = copy.deepcopy(values)
    for kind in ("accessors", "bufferViews", "animations"):
        kept[kind] = kept.get(kind, [])[: len(before.get(kind, []))]
        if not kept[kind] and kind not in before:
            del kept[kind]
    kept["buffers"][0]["byteLength"] = before["buffers"][0]["byteLength"]
    return kept


@pytest.mark.parametrize("kind", ["arkit", "vrm"])
def test_everything_in_the_file_stays_as_it_was(tmp_path, kind):
    file = arkit_character() if kind == "arkit" else vrm_character(0)
    file.json |= {
        "materials": [{"name": "Haut ü", "extensions": {"VENDOR_skin": {"depth": 1e-7}}}],
        "images": [{"bufferView": file.view(b"not a picture"), "mimeType": "image/png"}],
        "animations": [{"name": "idle", "channels": [], "samplers": []}],
        "extras": {"broken text": "\ud800", "large": 2**60 + 1},
    }
    path = file.written(tmp_path / "before.glb")
    # A chunk of an extension, behind the others.
    data = path.read_bytes() + struct.pack("<I4s", 4, b"OWN\0") + b"rest"
    data = data[:8] + struct.pack("<I", len(data)) + data[12:]
    path.write_bytes(data)
    out = tmp_path / "after.glb"
    write_animated(read_document(path), [clip(nodes=(0, 1), targets=(7, 1))], out)
    before, binary = glb_parts(path)
    after, longer = glb_parts(out)
    assert without_additions(after, before) == before
    size = before["buffers"][0]["byteLength"]
    assert longer[:size] == binary[:size]
    assert longer.endswith(b"\x04\0\0\0OWN\0rest")
    assert path.read_bytes() == data


def test_frames_are_at_their_seconds_and_weights_exact(tmp_path):
    made = clip(frames=2000)
    out = tmp_path / "a.glb"
    write_animated(read_document(arkit_character().written(tmp_path / "b.glb")), [made], out)
    seconds, tracks = animation_values(out)
    np.testing.assert_array_equal(seconds, (np.arange(2000) / 29.97).astype(np.float32))
    np.testing.assert_array_equal(tracks[0, "weights"], made.weights[0])
    np.testing.assert_array_equal(tracks[1, "weights"], made.weights[1])
    values, _ = glb_parts(out)
    times = values["accessors"][values["animations"][0]["samplers"][0]["input"]]
    assert (times["min"], times["max"]) == ([0.0], [float(seconds[-1])])
    for view in values["bufferViews"]:
        assert view["byteOffset"] % 4 == 0


def test_every_clip_is_an_animation_and_one_may_be_a_single_frame(tmp_path):
    clips = [clip("first"), clip("second", frames=1), clip("third", fps=12.0)]
    out = tmp_path / "a.vrm"
    write_animated(read_document(arkit_character().written(tmp_path / "b.glb")), clips, out)
    values, _ = glb_parts(out)
    assert [one["name"] for one in values["animations"]] == ["first", "second", "third"]
    for number, made in enumerate(clips):
        seconds, tracks = animation_values(out, number)
        assert len(seconds) == len(made.weights[0])
        np.testing.assert_array_equal(tracks[0, "weights"], made.weights[0])


def test_a_file_of_json_stays_one_and_its_meshes_the_same(tmp_path):
    path = arkit_character().written(tmp_path / "a.gltf")
    out = tmp_path / "b.gltf"
    made = clip()
    write_animated(read_document(path), [made], out)
    found = read_document(out)
    assert found.json["buffers"][0] == json.loads(path.read_text())["buffers"][0]
    node = mesh_nodes(found)[0]
    before = read_document(path)
    np.testing.assert_array_equal(
        read_geometry(found, node).offsets, read_geometry(before, node).offsets
    )
    view = found.json["bufferViews"][found.json["accessors"][-2]["bufferView"]]
    data = found.buffer(view["buffer"])[view["byteOffset"] :][: view["byteLength"]]
    np.testing.assert_array_equal(np.frombuffer(data, "<f4"), made.weights[0].ravel())


def test_a_glb_without_bytes_gets_some(tmp_path):
    file = GltfFile()
    file.node({"name": "Head"})
    path = file.written(tmp_path / "a.glb")
    values, _ = glb_parts(path)
    text = json.dumps({key: value for key, value in values.items() if key != "buffers"}).encode()
    text += b" " * (-len(text) % 4)
    head = struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text), len(text), b"JSON")
    path.write_bytes(head + text)
    still = np.tile(np.float32([0, 0, 0, 1]), (3, 1))
    write_animated(
        read_document(path), [MorphClip("nod", 25.0, {}, {0: still})], tmp_path / "b.glb"
    )
    _, tracks = animation_values(tmp_path / "b.glb")
    np.testing.assert_array_equal(tracks[0, "rotation"], still)


def test_files_beside_must_stay_beside(tmp_path):
    file = arkit_character()
    file.json["images"] = [{"uri": "skin.png"}]
    document = read_document(file.written(tmp_path / "a.gltf"))
    write_animated(document, [clip()], tmp_path / "b.gltf")
    with pytest.raises(BadInputError, match="1 files beside it"):
        write_animated(document, [clip()], tmp_path / "elsewhere" / "b.gltf")


@pytest.mark.parametrize(
    ("source", "out"), [("a.glb", "b.gltf"), ("a.gltf", "b.glb"), ("a.glb", "b")]
)
def test_another_kind_of_file_is_refused(tmp_path, source, out):
    document = read_document(arkit_character().written(tmp_path / source))
    with pytest.raises(BadInputError, match="cannot be written as"):
        write_animated(document, [clip()], tmp_path / out)
    assert not (tmp_path / out).exists()


def test_a_bone_turns_by_what_the_head_turns_in_the_scene():
    above = Rotation.from_euler("xyz", [10, 20, 30], degrees=True)
    local = Rotation.from_euler("xyz", [-5, 15, 25], degrees=True)
    vectors = np.linspace([0, 0, 0], [0.3, -3.4, 0.1], 30)
    found = Rotation.from_quat(turned(local.as_quat(), above.as_matrix(), vectors))
    in_scene = above * found * (above * local).inv()
    expected = Rotation.from_rotvec(vectors)
    assert (in_scene.inv() * expected).magnitude().max() < 1e-6
    quaternions = turned(local.as_quat(), above.as_matrix(), vectors)
    assert (np.sum(quaternions[1:] * quaternions[:-1], axis=1) > 0).all()
