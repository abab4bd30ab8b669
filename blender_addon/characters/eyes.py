# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the eyes of a character are and which way its face looks, as it stands now.

By the bones that turn the eyes, else by the vertices that its eyeLook… shape keys move. What this
add-on's own head motion turns is left out: a gaze that is baked again must not follow itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import bpy
import numpy as np
from mathutils import Matrix, Vector
from numpy.typing import NDArray

from ...engine.core.arrays import Double
from ...engine.motion.characters.blender_bones import rest_bones, up_of
from ...engine.motion.characters.bones import HEAD
from ...engine.motion.characters.rigs import character_frame, eye_centres
from .. import compat
from ..heads.properties import is_head, rig_of
from .properties import character_objects, pose_bone

_LOOKS = "eyeLook"
_MOVED = 0.25
"""Share of the largest motion of an eye's vertices from which one is the eye's, not the lids'."""

NO_EYES = "No eyes are mapped: add rows that show eyeLook…"
NO_KEYS = "This head has no eyeLook… shape keys"
"""Why a character's and a head's eyes are still."""


def has_eyes(obj: bpy.types.Object) -> bool:
    """Whether a head or a character has anything that turns its eyes."""
    if is_head(obj):
        keys = obj.data.shape_keys
        if rig_of(obj) is not None:
            return True
        return keys is not None and any(key.name.startswith(_LOOKS) for key in keys.key_blocks)
    return any(
        row.pose.startswith(_LOOKS)
        for part in character_objects(obj)
        for row in part.gaussianspeech_character.rows
    )


def gaze_frame(obj: bpy.types.Object) -> Matrix | None:
    """From between the eyes of a character to the world: its left, up and forward, metres.

    ``None`` where it has no eyes that are there.
    """
    parts = character_objects(obj)
    found = (_of_rig(part) for part in parts if part.type == "ARMATURE")
    matrix = next((each for each in found if each is not None), None)
    if matrix is not None:
        return matrix
    found = (_of_mesh(part, parts) for part in parts if part.type == "MESH")
    return next((each for each in found if each is not None), None)


def _rows(part: bpy.types.Object) -> Iterator[bpy.types.PropertyGroup]:
    for row in part.gaussianspeech_character.rows:
        if row.pose.startswith(_LOOKS):
            yield row


def _of_rig(rig: bpy.types.Object) -> Matrix | None:
    rows = [row for row in _rows(rig) if pose_bone(rig, row.name) is not None]
    if not rows:
        return None
    bones = rest_bones(rig)
    turned = {row.name for row in rows if row.channel.startswith("ROTATION_")}
    centres = [bone.head for bone in bones if bone.name in turned]
    # Bones that eyes are aimed at stand before the face.
    centres = centres or eye_centres(bones, up_of(rig)) or [
        bone.head for bone in bones if bone.name in {row.name for row in rows}
    ]  # fmt: skip
    rest = _frame(np.mean(centres, axis=0), character_frame(bones, up_of(rig)))
    above = rig.pose.bones[rows[0].name].parent
    return _unscaled(rig.matrix_world @ _moved_by(rig, above) @ rest)


def _of_mesh(part: bpy.types.Object, parts: Sequence[bpy.types.Object]) -> Matrix | None:
    keys = part.data.shape_keys
    eyes = {side: _eye_vertices(keys, _rows(part), side) for side in ("Left", "Right")}
    seen = [vertices for vertices in eyes.values() if len(vertices)]
    if not seen:
        return None
    rest = np.empty(3 * len(part.data.vertices), np.float32)
    keys.reference_key.points.foreach_get("co", rest)
    rest = rest.reshape(-1, 3).astype(np.float64)
    centres = {side: _middle(rest[vertices]) for side, vertices in eyes.items() if len(vertices)}
    up = np.array(part.matrix_world.to_3x3().inverted_safe().col[2].normalized())
    left = np.array([1.0, 0.0, 0.0])
    if len(centres) == 2 and np.linalg.norm(centres["Left"] - centres["Right"]) > 1e-6:
        left = centres["Left"] - centres["Right"]
    left = left - up * (left @ up)
    left /= np.linalg.norm(left) or 1.0
    frame = np.stack([left, up, np.cross(left, up)], axis=1)
    matrix = part.matrix_world @ _frame(np.mean([*centres.values()], axis=0), frame)
    return _unscaled(_follow(part, int(seen[0][0]), parts) @ matrix)


def _eye_vertices(
    keys: bpy.types.Key | None, rows: Iterator[bpy.types.PropertyGroup], side: str
) -> NDArray[np.int64]:
    """The vertices that turn with an eye; both eyes' where keys move them together."""
    moved: NDArray[np.float64] | None = None
    for row in rows:
        block = keys.key_blocks.get(row.name) if keys is not None else None
        other = "Right" if side == "Left" else "Left"
        if block is None or row.pose.endswith(other):
            continue
        ends = [np.empty(3 * len(block.points), np.float32) for _ in range(2)]
        block.points.foreach_get("co", ends[0])
        block.relative_key.points.foreach_get("co", ends[1])
        by = np.linalg.norm((ends[0] - ends[1]).reshape(-1, 3), axis=1).astype(np.float64)
        moved = by if moved is None else np.maximum(moved, by)
    if moved is None or not moved.any():
        return np.zeros(0, np.int64)
    return np.flatnonzero(moved > _MOVED * moved.max())


def _middle(points: Double) -> Double:
    middle: Double = (points.min(axis=0) + points.max(axis=0)) / 2
    return middle


def _follow(part: bpy.types.Object, vertex: int, parts: Sequence[bpy.types.Object]) -> Matrix:
    """What the rig of a mesh does to a vertex, in the world."""
    rig = next(
        (known.object for known in part.modifiers if known.type == "ARMATURE" and known.object),
        None,
    )
    if rig is not None:
        groups = sorted(part.data.vertices[vertex].groups, key=lambda group: -group.weight)
        names = [part.vertex_groups[group.group].name for group in groups]
        bone = next((rig.pose.bones[name] for name in names if name in rig.pose.bones), None)
        if bone is not None:
            world = rig.matrix_world
            return world @ _moved_by(rig, bone) @ world.inverted_safe()
    if part.parent in parts and part.parent_type == "BONE":
        rig, bone = part.parent, pose_bone(part.parent, part.parent_bone)
        if bone is not None:
            world = rig.matrix_world
            return world @ _still(rig, bone) @ world.inverted_safe()
    return Matrix.Identity(4)


def _moved_by(rig: bpy.types.Object, bone: bpy.types.PoseBone | None) -> Matrix:
    """What a bone's pose does to its rest, armature space, less our head motion."""
    if bone is None:
        return Matrix.Identity(4)
    return _still(rig, bone) @ bone.matrix @ bone.bone.matrix_local.inverted_safe()


def _still(rig: bpy.types.Object, bone: bpy.types.PoseBone) -> Matrix:
    """What takes our head motion away from a bone and those above it, armature space."""
    turning = {row.name for row in rig.gaussianspeech_character.rows if row.pose == HEAD}
    kept = _keyed_by_artist(rig)
    undo = Matrix.Identity(4)
    for each in (bone, *bone.parent_recursive):
        if each.name in turning and each.name not in kept:
            place, _, size = each.matrix_basis.decompose()
            straight = Matrix.LocRotScale(place, None, size)
            turn = each.matrix @ each.matrix_basis.inverted_safe() @ straight
            undo = turn @ each.matrix.inverted_safe() @ undo
    return undo


def _keyed_by_artist(rig: bpy.types.Object) -> set[str]:
    """Bones whose rotation the artist's own Action decides, above our strips."""
    paths = [curve.data_path for curve in compat.fcurves_of(rig)]
    return {
        bone.name
        for bone in rig.pose.bones
        if any(path.startswith(f"{bone.path_from_id()}.rotation") for path in paths)
    }


def _frame(place: Double, axes: Double) -> Matrix:
    matrix = Matrix(axes.tolist()).to_4x4()
    matrix.translation = Vector(place.tolist())
    return matrix


def _unscaled(matrix: Matrix) -> Matrix:
    place, turn, _ = matrix.decompose()
    return Matrix.LocRotScale(place, turn, None)
