# SPDX-License-Identifier: GPL-3.0-or-later
"""A character as artists bring them: a face with ARKit's shape keys, its teeth an object apart.

Made of the default head's geometry, which is CC0, so that anybody can make it again; nothing of the
add-on is left on it.
"""

from __future__ import annotations

import bpy
import numpy as np

_COLORS = {
    "Skin": (0.10, 0.42, 0.38),
    "Lips": (0.06, 0.24, 0.26),
    "Iris": (0.9, 0.45, 0.05),
}
_TEETH = ("teeth", "gums", "tongue")
"""Vertex groups of the second object."""


def add_character(context: bpy.types.Context, name: str) -> tuple[bpy.types.Object, ...]:
    """Add the face and its teeth at the 3D cursor; the face is selected and active.

    Uses the add-on's default head, which is removed again.
    """
    bpy.ops.gaussianspeech.add_head(with_avatar=False, frame=False)
    face = context.view_layer.objects.active
    for kind in ("head", "speech", "avatar", "character"):
        face.property_unset(f"gaussianspeech_{kind}")
    face.name = face.data.name = name
    _reshape(face)
    for slot in face.material_slots:
        kind = slot.material.name.split(".")[0].rpartition(" ")[2]
        slot.material = slot.material.copy()
        slot.material.name = f"{name} {kind}"
        slot.material.pop("gaussianspeech_look")
        if kind in _COLORS:
            _paint(slot.material, (*_COLORS[kind], 1.0))
    teeth = _separate(context, face, _TEETH)
    teeth.name = teeth.data.name = f"{name} Teeth"
    for obj in (face, teeth):
        obj.vertex_groups.clear()
    bpy.ops.object.select_all(action="DESELECT")
    face.select_set(True)
    context.view_layer.objects.active = face
    return face, teeth


def _paint(material: bpy.types.Material, color: tuple[float, ...]) -> None:
    material.diffuse_color = color
    for node in material.node_tree.nodes:
        if node.type == "BSDF_PRINCIPLED":
            node.inputs["Base Color"].default_value = color


def _reshape(face: bpy.types.Object) -> None:
    """A broad jaw and long ears: every shape key moves as before from the new rest pose."""
    keys = face.data.shape_keys.key_blocks
    rest = np.empty(3 * len(face.data.vertices), np.float32)
    keys[0].data.foreach_get("co", rest)
    points = rest.reshape(-1, 3)
    low, high = points[:, 2].min(), points[:, 2].max()
    jaw = np.clip((low + 0.6 * (high - low) - points[:, 2]) / (0.5 * (high - low)), 0, 1)
    moved = np.zeros_like(points)
    moved[:, 0] = points[:, 0] * 0.18 * jaw
    moved[:, 2] = -0.06 * (points[:, 2] - low)
    ears = _weights(face, "ears")
    side = np.sign(points[:, 0])
    reach = np.clip(np.abs(points[:, 0]) - 0.065, 0, None)
    moved[:, 0] += ears * side * 2.2 * reach
    moved[:, 2] += ears * 1.6 * reach
    for key in keys:
        values = np.empty_like(rest)
        key.data.foreach_get("co", values)
        key.data.foreach_set("co", values + moved.reshape(-1))
    face.data.vertices.foreach_set("co", (points + moved).reshape(-1))
    face.data.update()


def _weights(face: bpy.types.Object, group: str) -> np.ndarray:
    """(V,) weights of a vertex group."""
    index = face.vertex_groups[group].index
    weights = np.zeros(len(face.data.vertices), np.float32)
    for vertex in face.data.vertices:
        for element in vertex.groups:
            if element.group == index:
                weights[vertex.index] = element.weight
    return weights


def _separate(
    context: bpy.types.Context, face: bpy.types.Object, groups: tuple[str, ...]
) -> bpy.types.Object:
    """Cut the vertices of some groups off into an object of their own, which is returned."""
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="DESELECT")
    for group in groups:
        face.vertex_groups.active = face.vertex_groups[group]
        bpy.ops.object.vertex_group_select()
    bpy.ops.mesh.separate(type="SELECTED")
    bpy.ops.object.mode_set(mode="OBJECT")
    return next(obj for obj in context.selected_objects if obj != face)
