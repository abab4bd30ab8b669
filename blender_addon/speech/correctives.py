# SPDX-License-Identifier: GPL-3.0-or-later
"""Corrective shape keys of lines: for what a head's expressions cannot show; only ours change."""

from __future__ import annotations

import json

import bpy
import numpy as np

from ...engine.core.arrays import Float
from ...engine.heads.axes import head_to_blender
from ..heads.mesh import set_key_points
from .action import bake_id, is_filled

_CORRECTIVES = "gaussianspeech_correctives"
_NAME_LENGTH = 40
"""Characters of the clip's name in a corrective key's: Blender allows 63 in all."""


def corrective_names(clip: str, count: int) -> tuple[str, ...]:
    """Names of a clip's corrective keys."""
    return tuple(f"{clip[:_NAME_LENGTH]} corrective {i:02d}" for i in range(1, count + 1))


def replace_correctives(
    obj: bpy.types.Object, action: bpy.types.Action, names: tuple[str, ...], deltas: Float
) -> None:
    """Remove the corrective keys of the Action's last bake, and of deleted ones; add the new.

    Args:
        obj: the head.
        action: of a line on the head.
        names: C free names.
        deltas: (C, V, 3) offsets in head space, metres.
    """
    keys, own = obj.data.shape_keys, bake_id(action)
    owners = remove_stale_correctives(obj, own)
    basis = np.empty(3 * len(obj.data.vertices), np.float32)
    keys.reference_key.points.foreach_get("co", basis)
    for name, delta in zip(names, deltas, strict=True):
        key = obj.shape_key_add(name=name, from_mix=False)
        set_key_points(key, basis.reshape(-1, 3) + head_to_blender(delta))
        key.slider_min, key.value = -1.0, 0.0
        owners[name] = [own]
    keys[_CORRECTIVES] = json.dumps(owners)


def remove_stale_correctives(obj: bpy.types.Object, stale: str = "") -> dict[str, list[str]]:
    """Remove the corrective keys of a bake, and of those that are gone.

    Returns:
        Those that are left, with the ids of the bakes that use them.
    """
    keys = obj.data.shape_keys
    owners = _owners(keys)
    filled = {bake_id(other) for other in bpy.data.actions if is_filled(other)} - {stale}
    for name in [name for name, owned_by in owners.items() if not filled.intersection(owned_by)]:
        if name in keys.key_blocks:
            obj.shape_key_remove(keys.key_blocks[name])
        del owners[name]
    keys[_CORRECTIVES] = json.dumps(owners)
    return owners


def names_of(keys: bpy.types.Key, action: bpy.types.Action) -> set[str]:
    """Corrective keys that only this action uses."""
    own = [bake_id(action)]
    return {name for name, owned_by in _owners(keys).items() if owned_by == own}


def _owners(keys: bpy.types.Key) -> dict[str, list[str]]:
    """Our corrective keys, with the ids of the bakes that use them."""
    return json.loads(keys.get(_CORRECTIVES, "{}"))


def free_names(names: tuple[str, ...], taken: set[str]) -> tuple[str, ...]:
    """The names, with a number where one is taken."""
    free = []
    for name in names:
        candidate, number = name, 1
        while candidate in taken:
            candidate, number = f"{name}.{number:03d}", number + 1
        free.append(candidate)
    return tuple(free)


def share_correctives(
    keys: bpy.types.Key, action: bpy.types.Action, copy: bpy.types.Action
) -> None:
    """Let a copy of an Action, which has an id of its own, use the corrective keys of it, too."""
    owners = _owners(keys)
    for owned_by in owners.values():
        if bake_id(action) in owned_by:
            owned_by.append(bake_id(copy))
    keys[_CORRECTIVES] = json.dumps(owners)
