# SPDX-License-Identifier: GPL-3.0-or-later
"""Characters of bones alone, made by hand: nodes turned as rigs turn them."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from tests.engine.gltf_files import GltfFile, ball

TURNS = {
    "Armature": Rotation.from_euler("y", 30, degrees=True),
    "neck": Rotation.from_euler("xz", [20, 5], degrees=True),
    "head": Rotation.from_euler("x", -15, degrees=True),
    "jaw": Rotation.from_euler("zyx", [40, 40, 110], degrees=True),
    "eye.L": Rotation.from_euler("x", 90, degrees=True),
    "eye.R": Rotation.from_euler("zx", [180, 90], degrees=True),
}
"""How the bones of :func:`rigged_character` are turned in the scene."""

PLACES = {
    "Armature": (0.0, 0.0, 0.0),
    "neck": (0.0, 1.4, -0.02),
    "head": (0.0, 1.48, -0.02),
    "jaw": (0.0, 1.55, 0.0),
    "eye.L": (0.031, 1.62, 0.06),
    "eye.R": (-0.031, 1.62, 0.06),
}
"""Where they are before the armature is turned, metres."""

ABOVE = {"neck": "Armature", "head": "neck", "jaw": "head", "eye.L": "head", "eye.R": "head"}
FACING = TURNS["Armature"]


def rigged_character(scale=0.01, *, by_matrix=()):
    """A skinned ball with neck, head, jaw and eyes under an armature of some scale."""
    file = GltfFile()
    worlds = {}
    for name, place in PLACES.items():
        world = np.eye(4)
        turn = FACING if name == "Armature" else FACING * TURNS[name]
        world[:3, :3] = scale * turn.as_matrix()
        world[:3, 3] = FACING.apply(place)
        worlds[name] = world
    nodes = {}
    for name, world in worlds.items():
        above = ABOVE.get(name)
        local = world if above is None else np.linalg.inv(worlds[above]) @ world
        nodes[name] = file.node(_entry(name, local, name in by_matrix), root=above is None)
        if above is not None:
            file.json["nodes"][nodes[above]].setdefault("children", []).append(nodes[name])
    vertices, faces = ball()
    mesh = file.mesh(vertices + np.float32([0, 1.6, 0]), faces, name="Body")
    joints = [nodes[name] for name in ABOVE]
    inverse = np.array([np.linalg.inv(worlds[name]).T.ravel() for name in ABOVE], np.float32)
    weights = np.tile(np.float32([1, 0, 0, 0]), (len(vertices), 1))
    attributes = file.json["meshes"][0]["primitives"][0]["attributes"]
    attributes["JOINTS_0"] = file.accessor(np.tile(np.uint8([1, 0, 0, 0]), (len(vertices), 1)))
    attributes["WEIGHTS_0"] = file.accessor(weights)
    skin = {"joints": joints, "inverseBindMatrices": file.accessor(inverse)}
    file.json["skins"] = [skin]
    file.json["nodes"][mesh]["skin"] = 0
    return file, nodes


def _entry(name, local, by_matrix):
    if by_matrix:
        return {"name": name, "matrix": local.T.ravel().tolist()}
    scale = np.linalg.norm(local[:3, :3], axis=0)
    quaternion = Rotation.from_matrix(local[:3, :3] / scale).as_quat()
    return {
        "name": name,
        "translation": local[:3, 3].tolist(),
        "rotation": quaternion.tolist(),
        "scale": scale.tolist(),
    }


def world_turn(json, tracks, name, frame):
    """How a node is turned and where it stands in the scene at a frame of an animation."""
    nodes = json["nodes"]
    matrix = np.eye(4)
    index = next(i for i, node in enumerate(nodes) if node.get("name") == name)
    while index is not None:
        node = nodes[index]
        local = np.eye(4)
        values = {"rotation": [0, 0, 0, 1], "scale": [1, 1, 1], "translation": [0, 0, 0]}
        values |= {key: node[key] for key in values if key in node}
        values |= {key: tracks[index, key][frame] for key in values if (index, key) in tracks}
        turn = Rotation.from_quat(values["rotation"]).as_matrix()
        local[:3, :3] = turn * np.asarray(values["scale"])
        local[:3, 3] = values["translation"]
        if "matrix" in node:
            local = np.reshape(node["matrix"], (4, 4)).T
        matrix = local @ matrix
        above = (i for i, other in enumerate(nodes) if index in other.get("children", []))
        index = next(above, None)
    size = np.linalg.norm(matrix[:3, :3], axis=0)
    return Rotation.from_matrix(matrix[:3, :3] / size), matrix[:3, 3], size
