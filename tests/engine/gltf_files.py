# SPDX-License-Identifier: GPL-3.0-or-later
"""glTF files of every kind, made from scratch."""

from __future__ import annotations

import base64
import copy
import json
import struct

import numpy as np

from engine.heads import load_head

COMPONENTS = {"i1": 5120, "u1": 5121, "i2": 5122, "u2": 5123, "u4": 5125, "f4": 5126}
KINDS = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}


class GltfFile:
    """A file as it grows; ``json`` may be edited before it is written."""

    def __init__(self):
        self.data = bytearray()
        self.json = {
            "asset": {"version": "2.0", "generator": "a test"},
            "scene": 0,
            "scenes": [{"nodes": []}],
            "nodes": [],
            "meshes": [],
            "accessors": [],
            "bufferViews": [],
        }

    def view(self, data, **more):
        self.data += bytes(-len(self.data) % 4)
        entry = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)}
        self.data += data
        self.json["bufferViews"].append(entry | more)
        return len(self.json["bufferViews"]) - 1

    def accessor(self, array, **more):
        array = np.asarray(array)
        rows = array.reshape(len(array), -1)
        view = self.view(np.ascontiguousarray(rows).tobytes())
        return self.bare_accessor(rows.dtype, *rows.shape, bufferView=view, **more)

    def bare_accessor(self, dtype, count, columns, **more):
        entry = {
            "componentType": COMPONENTS[np.dtype(dtype).str[1:]],
            "count": count,
            "type": KINDS[columns],
        }
        self.json["accessors"].append(entry | more)
        return len(self.json["accessors"]) - 1

    def sparse_accessor(self, array):
        """The rows that are not zero, beside nothing."""
        array = np.asarray(array, np.float32)
        rows = np.flatnonzero(array.any(axis=1)).astype(np.uint16)
        sparse = {
            "count": len(rows),
            "indices": {"bufferView": self.view(rows.tobytes()), "componentType": 5123},
            "values": {"bufferView": self.view(array[rows].tobytes())},
        }
        return self.bare_accessor("f4", *array.shape, sparse=sparse)

    def mesh(self, vertices, faces, targets=(), names=None, *, name="", node=None, sparse=False):
        """A mesh, and a node that shows it; the node's index."""
        vertices = np.asarray(vertices, np.float32)
        limits = {"min": vertices.min(0).tolist(), "max": vertices.max(0).tolist()}
        primitive = {
            "attributes": {"POSITION": self.accessor(vertices, **limits)},
            "indices": self.accessor(np.asarray(faces, np.uint16).ravel()),
        }
        if len(targets):
            write = self.sparse_accessor if sparse else self.accessor
            primitive["targets"] = [
                {"POSITION": write(np.asarray(target, np.float32))} for target in targets
            ]
        mesh = {"primitives": [primitive], "name": f"{name} mesh"}
        if names is not None:
            mesh["extras"] = {"targetNames": list(names)}
        self.json["meshes"].append(mesh)
        return self.node({"mesh": len(self.json["meshes"]) - 1, "name": name} | (node or {}))

    def node(self, entry, *, root=True):
        self.json["nodes"].append(entry)
        if root:
            self.json["scenes"][0]["nodes"].append(len(self.json["nodes"]) - 1)
        return len(self.json["nodes"]) - 1

    def written(self, path):
        """Write it, as the kind that the name says."""
        values = copy.deepcopy(self.json)
        data = bytes(self.data) + bytes(-len(self.data) % 4)
        buffer = {"byteLength": len(self.data)}
        if path.suffix == ".gltf":
            buffer["uri"] = (
                "data:application/octet-stream;base64," + base64.b64encode(data).decode()
            )
        values["buffers"] = [buffer, *values.get("buffers", [])]
        path.write_bytes(
            json.dumps(values).encode() if path.suffix == ".gltf" else glb(values, data)
        )
        return path


def glb(values, data):
    text = json.dumps(values).encode()
    text += b" " * (-len(text) % 4)
    length = 12 + 8 + len(text) + 8 + len(data)
    head = struct.pack("<4sII", b"glTF", 2, length)
    head += struct.pack("<I4s", len(text), b"JSON") + text
    return head + struct.pack("<I4s", len(data), b"BIN\0") + data


def glb_parts(path):
    """JSON and BIN chunk of a GLB."""
    data = path.read_bytes()
    (size,) = struct.unpack_from("<I", data, 12)
    return json.loads(data[20 : 20 + size]), data[20 + size + 8 :]


def animation_values(path, number=0):
    """Seconds (T,), and (T, K) or (T, 4) by node and path, of an animation of a GLB."""
    values, data = glb_parts(path)
    animation = values["animations"][number]

    def array(index):
        accessor = values["accessors"][index]
        view = values["bufferViews"][accessor["bufferView"]]
        count = accessor["count"] * {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[accessor["type"]]
        return np.frombuffer(data, "<f4", count, view["byteOffset"])

    seconds = array(animation["samplers"][0]["input"])
    tracks = {}
    for channel in animation["channels"]:
        output = array(animation["samplers"][channel["sampler"]]["output"])
        target = channel["target"]
        tracks[target["node"], target["path"]] = output.reshape(len(seconds), -1)
    return seconds, tracks


def ball(subdivisions=1):
    """Vertices and triangles of something round."""
    import trimesh

    made = trimesh.creation.icosphere(subdivisions=subdivisions, radius=0.1)
    return np.asarray(made.vertices, np.float32), np.asarray(made.faces)


def moved(vertices, count):
    """So many morph targets, each another part of the vertices by another amount."""
    targets = np.zeros((count, len(vertices), 3), np.float32)
    for number in range(count):
        targets[number, number % len(vertices) :: 3] = [0.001 * (number + 1), -0.002, 0.003]
    return targets


ARKIT = (
    "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthSmileLeft", "mouthSmileRight",
    "eyeBlinkLeft", "eyeBlinkRight",
)  # fmt: skip


def arkit_character():
    """A face, and teeth that have its jaw alone."""
    file = GltfFile()
    vertices, faces = ball()
    names = [*ARKIT, "artist's own"]
    file.mesh(vertices, faces, moved(vertices, len(names)), names, name="Face")
    file.mesh(0.5 * vertices, faces, moved(vertices, 1), ["jawOpen"], name="Teeth")
    return file


def vrm_character(version):
    """A face whose morph targets have names of no convention; the VRM's expressions move them."""
    file = GltfFile()
    vertices, faces = ball()
    names = [f"shape {number}" for number in range(7)]
    face = file.mesh(vertices, faces, moved(vertices, 7), names, name="Face")
    file.mesh(vertices, faces, moved(vertices, 1), ["shape"], name="Brows")
    hips = file.node({"name": "Hips", "children": [], "rotation": [0, 0.7071068, 0, 0.7071068]})
    head = file.node({"name": "J_Bip_C_Head", "translation": [0, 1.5, 0]}, root=False)
    file.json["nodes"][hips]["children"] = [head]
    if version == 0:
        presets = ["a", "i", "u", "e", "o", "blink"]
        groups = [
            {"name": preset.upper(), "presetName": preset,
             "binds": [{"mesh": 0, "index": number, "weight": 80}]}
            for number, preset in enumerate(presets)
        ]  # fmt: skip
        groups[5]["isBinary"] = True
        groups[0]["binds"].append({"mesh": 1, "index": 0, "weight": 50})
        vrm = {
            "humanoid": {"humanBones": [{"bone": "head", "node": head}]},
            "blendShapeMaster": {"blendShapeGroups": groups},
        }
        file.json["extensions"] = {"VRM": vrm}
    else:
        presets = ["aa", "ih", "ou", "ee", "oh", "blink"]
        group = {
            preset: {"morphTargetBinds": [{"node": face, "index": number, "weight": 0.8}]}
            for number, preset in enumerate(presets)
        }
        group["blink"]["isBinary"] = True
        group["aa"]["morphTargetBinds"].append({"node": 1, "index": 0, "weight": 0.5})
        vrm = {
            "specVersion": "1.0",
            "humanoid": {"humanBones": {"head": {"node": head}}},
            "expressions": {"preset": group},
        }
        file.json["extensions"] = {"VRMC_vrm": vrm}
    file.json["extensionsUsed"] = list(file.json["extensions"])
    return file


def own_face():
    """The default head's face as an artist's file: its keys spelled otherwise, teeth and a body."""
    head = load_head("default")
    file = GltfFile()
    spelled = {"jawOpen": "jaw_open", "mouthSmileLeft": "Face.MouthSmile_L"}
    names = [spelled.get(name, name) for name in head.expression_names]
    basis = np.concatenate([head.expression_basis, head.expression_basis[:1] * 0.5])
    vertices, faces = ball(3)
    file.mesh(vertices, faces, name="Body")
    file.mesh(head.template, head.faces, basis, [*names, "mouth_smirk"], name="Face", sparse=True)
    file.mesh(0.1 * vertices, faces, [0 * vertices], ["jawOpen"], name="Teeth")
    return file
