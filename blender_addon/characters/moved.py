# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen of a head or character."""

from __future__ import annotations

import bpy

from ...engine.core.errors import BadInputError
from .properties import character_objects, is_rig


def moved_objects(obj: bpy.types.Object) -> list[bpy.types.Object]:
    """What is seen of a head or character: its objects, and the meshes that its rigs move.

    Raises:
        BadInputError: there is no mesh among them.
    """
    parts = character_objects(obj)
    rigs = {part for part in parts if is_rig(part)}
    moved = [
        other
        for other in (bpy.data.objects if rigs else ())
        if other.type == "MESH"
        and other.users_scene
        and other not in parts
        and (
            any(known.type == "ARMATURE" and known.object in rigs for known in other.modifiers)
            or _is_driven_by(other, rigs)
        )
    ]
    if not moved and len(rigs) == len(parts):
        raise BadInputError(
            f"'{obj.name}' moves no mesh.", "Give a mesh an Armature modifier of this rig."
        )
    return [*parts, *moved]


def _is_driven_by(obj: bpy.types.Object, rigs: set[bpy.types.Object]) -> bool:
    """Whether drivers of a mesh's shape keys read an object or its data."""
    keys = obj.data.shape_keys
    animation = keys.animation_data if keys is not None else None
    return any(
        target.id in rigs or any(target.id == rig.data for rig in rigs)
        for curve in (animation.drivers if animation is not None else ())
        for variable in curve.driver.variables
        for target in variable.targets
        if target.id is not None
    )
