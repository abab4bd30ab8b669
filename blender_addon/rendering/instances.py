# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a scene the engine draws: the visible heads with an avatar, at one frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import bpy
import numpy as np

from ...engine.core.arrays import Double, Float
from ...engine.core.errors import BadInputError
from ...engine.heads.axes import HEAD_TO_BLENDER, blender_to_head
from ...engine.heads.flame_jaw import JAW_DIRECTIONS, jaw_amounts
from ...engine.motion.face.pose import rotation_vectors
from ..avatars.properties import bound_avatar
from ..heads.properties import check_vertex_count, rig_of
from ..heads.rig import JAW, NECK, joint_motions


@dataclass(frozen=True, eq=False)
class AvatarInstance:
    """One head with its avatar, as the engine is asked to render it.

    Attributes:
        obj: the head; for Blender's main thread alone.
        name: of the object, for messages.
        avatar: ``"default"`` or an absolute path.
        head: the head the mesh was made from, as the engine names it.
        matrix: (4, 4) head space to world.
        vertices: (V, 3) evaluated vertices in head space, metres.
        keys: values of the shape keys by name, with what the rig's jaw adds to those of the jaw;
            empty where the mesh has no relative keys. The engine takes those that are expressions
            of the head.
    """

    obj: bpy.types.Object
    name: str
    avatar: str
    head: str
    matrix: Float
    vertices: Float
    keys: dict[str, float]


def visible_avatars(depsgraph: bpy.types.Depsgraph) -> list[AvatarInstance]:
    """The visible heads with an enabled avatar, instances included, in the depsgraph's order.

    Raises:
        BadInputError: a head has other than its own number of vertices.
    """
    found = []
    for instance in depsgraph.object_instances:
        evaluated = instance.object
        if evaluated.type != "MESH" or not instance.show_self:
            continue
        binding = bound_avatar(evaluated.original)
        if binding is None:
            continue
        avatar, head = binding
        matrix = np.array(instance.matrix_world, np.float32) @ HEAD_TO_BLENDER
        vertices, keys = _vertices(evaluated), _key_values(evaluated, depsgraph)
        if (rig := rig_of(evaluated.original)) is not None:
            motions = joint_motions(rig.evaluated_get(depsgraph))
            keys |= _with_jaw(keys, motions)
            # Colours depend on where the head is seen from, which turns with the neck.
            turned = motions[NECK].astype(np.float32)
            matrix = matrix @ turned
            vertices = (vertices - turned[:3, 3]) @ turned[:3, :3]
        found.append(
            AvatarInstance(
                obj=evaluated.original,
                name=evaluated.name,
                avatar=avatar,
                head=head,
                matrix=matrix,
                vertices=np.ascontiguousarray(vertices),
                keys=keys,
            )
        )
    return found


def _vertices(evaluated: bpy.types.Object) -> Float:
    mesh, expected = evaluated.data, evaluated.original.gaussianspeech_head.vertex_count
    found = len(mesh.vertices)
    if found != expected and not (found > expected and _only_subdivided(evaluated)):
        check_vertex_count(evaluated.original)
        raise BadInputError(
            f"'{evaluated.name}' has {found} vertices after its modifiers, its head has "
            f"{expected}.",
            "Disable modifiers that add or remove vertices; subdivision alone may stay.",
        )
    flat = np.empty(3 * found, np.float32)
    mesh.vertices.foreach_get("co", flat)
    # Subdivision puts the vertices that were there first.
    return np.ascontiguousarray(blender_to_head(flat.reshape(-1, 3)[:expected]))


_DEFORMING = {
    "ARMATURE", "CAST", "CLOTH", "CORRECTIVE_SMOOTH", "CURVE", "DISPLACE", "HOOK",
    "LAPLACIANDEFORM", "LAPLACIANSMOOTH", "LATTICE", "MESH_CACHE", "MESH_DEFORM",
    "MESH_SEQUENCE_CACHE", "SHRINKWRAP", "SIMPLE_DEFORM", "SMOOTH", "SOFT_BODY", "SURFACE_DEFORM",
    "VOLUME_DISPLACE", "WARP", "WAVE",
}  # fmt: skip
"""Types of modifiers that leave the vertices what they are."""


def _only_subdivided(evaluated: bpy.types.Object) -> bool:
    """Whether nothing but subdivision has changed the number of vertices."""
    kinds = {modifier.type for modifier in evaluated.modifiers}
    return kinds <= _DEFORMING | {"SUBSURF", "MULTIRES"}


def _key_values(evaluated: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> dict[str, float]:
    keys = evaluated.original.data.shape_keys
    if keys is None or not keys.use_relative:
        return {}
    # A render's own depsgraph does not write animated values back to the original keys.
    blocks = keys.evaluated_get(depsgraph).key_blocks
    return {block.name: 0.0 if block.mute else block.value for block in blocks}


def _with_jaw(keys: Mapping[str, float], motions: Mapping[str, Double]) -> dict[str, float]:
    """The jaw's expressions, with the turn of its bone."""
    turn = np.linalg.inv(motions[NECK]) @ motions[JAW]
    amounts = jaw_amounts(rotation_vectors(turn[None, :3, :3])[0])
    return {
        name: keys[name] + float(amount)
        for name, amount in zip(JAW_DIRECTIONS, amounts, strict=True)
        if name in keys
    }
