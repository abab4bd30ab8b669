# SPDX-License-Identifier: GPL-3.0-or-later
"""Baking: a prediction becomes editable shape-key animation in an Action of its own.

What an artist made is left alone: another Action on the keys moves to an NLA track below, a bake
somebody has edited is kept beside the new one, and only corrective keys of our own are replaced.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...engine.core.errors import BadInputError
from ...engine.heads.axes import head_to_blender
from ...engine.motion.characters.mapping import default_lip_gap
from ...engine.motion.lip_contact import LipGap, gap_of_pairs
from ...engine.motion.style import NEUTRAL
from .. import compat
from ..characters.properties import character_objects, mapping_of
from ..heads.mesh import set_key_points
from ..heads.properties import check_vertex_count, is_head
from .action import (
    animated_keys,
    bake_id,
    data_path,
    fill,
    is_bake,
    is_edited,
    read_prediction,
    store_prediction,
)
from .adjust import Adjustments, adjusted
from .emotion import asked_emotions
from .head_motion import bake_head_motion, gaze_target
from .prediction import Prediction
from .sound import find_strip, scene_fps

Float = NDArray[np.float32]

_CORRECTIVES = "gaussianspeech_correctives"
_NAME_LENGTH = 40
"""Characters of the clip's name in a corrective key's: Blender allows 63 in all."""


@dataclass(frozen=True)
class Baked:
    """What a bake did.

    Attributes:
        action: the Action it went into.
        frames: number of frames.
        animated: number of shape keys with animation.
        notes: what the user should know, a sentence each.
    """

    action: bpy.types.Action
    frames: int
    animated: int
    notes: tuple[str, ...] = ()


def check_bakeable(obj: bpy.types.Object) -> None:
    """Check that animation can be put on an object's shape keys.

    Raises:
        BadInputError: the vertices do not fit, there are no relative keys, or it is not editable.
    """
    if is_head(obj):
        check_vertex_count(obj)
    keys = obj.data.shape_keys
    if keys is None:
        raise BadInputError(f"'{obj.name}' has no shape keys.", "Undo their removal.")
    mapping = mapping_of(obj)
    if mapping is not None:
        _check_keys(obj, mapping.keys)
    if not keys.use_relative:
        raise BadInputError(
            f"The shape keys of '{obj.name}' are absolute.", "Switch Relative on in Shape Keys."
        )
    if not obj.data.is_editable:
        raise BadInputError(
            f"The mesh of '{obj.name}' is linked from another file.",
            "Make it local, or bake in that file.",
        )
    if obj.mode == "EDIT":
        raise BadInputError(f"'{obj.name}' is in Edit Mode.", "Leave Edit Mode first.")


def corrective_names(clip: str, count: int) -> tuple[str, ...]:
    """Names of a clip's corrective keys."""
    return tuple(f"{clip[:_NAME_LENGTH]} corrective {i:02d}" for i in range(1, count + 1))


def bake(
    context: bpy.types.Context,
    obj: bpy.types.Object,
    prediction: Prediction,
    deltas: Float,
    adjustments: Adjustments,
    offset: int,
) -> Baked:
    """Put a new prediction on a head, or on an object of a character.

    Args:
        context: for the scene's frame rate.
        obj: the object.
        prediction: as the engine gave it.
        deltas: (C, V, 3) offsets of the corrective keys in head space, metres.
        adjustments: the artist's settings.
        offset: frames by which the animation comes later.

    Raises:
        BadInputError: the prediction does not fit the mesh; nothing was changed.
    """
    check_bakeable(obj)
    _check_fits(obj, prediction, deltas)
    keys = obj.data.shape_keys
    notes: list[str] = []
    action, retired = _target_action(keys, prediction.clip, notes)
    taken = set(keys.key_blocks.keys()) - _names_of(keys, action)
    prediction = replace(prediction, correctives=_free_names(prediction.correctives, taken))
    _replace_correctives(obj, action, prediction.correctives, deltas)
    compat.assign_action(keys, action)
    store_prediction(action, prediction)
    return _fill(context, obj, action, prediction, adjustments, offset, retired, notes)


def rebake(
    context: bpy.types.Context,
    obj: bpy.types.Object,
    adjustments: Adjustments,
    offset: int,
) -> Baked:
    """Apply other settings to the prediction a head was baked from, without the engine.

    Raises:
        BadInputError: the head has no bake of ours, or its mesh has changed; nothing was changed.
    """
    check_bakeable(obj)
    keys = obj.data.shape_keys
    current = active_bake(obj)
    if current is None:
        raise BadInputError(f"'{obj.name}' has no predicted speech.", "Predict first.")
    prediction = read_prediction(current)
    if mapping_of(obj) is None:
        _check_keys(obj, prediction.names)
    notes: list[str] = []
    action, retired = _target_action(keys, prediction.clip, notes)
    if action != current:
        store_prediction(action, prediction)
        _share_correctives(keys, current, action)
        compat.assign_action(keys, action)
    return _fill(context, obj, action, prediction, adjustments, offset, retired, notes)


def active_bake(obj: bpy.types.Object) -> bpy.types.Action | None:
    """The Action of ours that a head plays, if any."""
    keys = obj.data.shape_keys
    animation = keys.animation_data if keys else None
    action = animation.action if animation else None
    return action if is_bake(action) else None


def _fill(
    context: bpy.types.Context,
    obj: bpy.types.Object,
    action: bpy.types.Action,
    prediction: Prediction,
    adjustments: Adjustments,
    offset: int,
    retired: list[str],
    notes: list[str],
) -> Baked:
    keys, mapping = obj.data.shape_keys, mapping_of(obj)
    start, rate = _placement(context, prediction)
    frames = start + offset + np.arange(len(prediction.values)) * rate
    main = character_objects(obj)[0]
    emotions = asked_emotions(main, frames)
    style = adjustments.style
    if mapping is None:
        style = replace(style, gaze_target=gaze_target(obj, prediction))
    gap = None
    if style != NEUTRAL or emotions is not None:
        gap = default_lip_gap(prediction.names)
        if mapping is None:
            gap = lip_gap_of_keys(keys, prediction.names, prediction.lip_pairs)
    made = adjusted(prediction, replace(adjustments, style=style), gap, emotions)
    names, values = prediction.names, made.values
    if main == obj:
        # Where a character's neck is, only its rig knows.
        neck = prediction.neck if mapping is None else None
        notes += bake_head_motion(obj, prediction.clip, made.head_rotation, neck, frames)
    if mapping is not None:
        leader = None if main == obj else mapping_of(main)
        names, values = mapping.keys, mapping.values(values, names, leader)
    before = {*retired, *animated_keys(action, keys)}
    animated = fill(action, keys, names, values, frames)
    for name in before - set(animated):
        # A key we no longer drive would stay where the last evaluation left it.
        if name in keys.key_blocks:
            keys.key_blocks[name].value = 0.0
    notes += _driven(keys, animated)
    keys.id_data.update_tag()
    return Baked(action, len(values), len(animated), tuple(notes))


def lip_gap_of_keys(
    keys: bpy.types.Key, names: Sequence[str], lip_pairs: Sequence[Sequence[int]]
) -> LipGap | None:
    """How the named keys part the inner lips, on the mesh as it is.

    Args:
        keys: the mesh's shape keys.
        names: of those that count.
        lip_pairs: vertices of the upper and of the lower inner lip, opposite each other.
    """
    upper, lower = (list(side) for side in lip_pairs)
    parting = np.zeros((len(names), len(upper)), np.float32)
    if not upper:
        return None
    points = np.empty(3 * len(keys.reference_key.points), np.float32)

    def opened(name: str) -> Float:
        keys.key_blocks[name].points.foreach_get("co", points)
        height = points[2::3]
        return height[upper] - height[lower]

    rest = opened(keys.reference_key.name)
    for row, name in enumerate(names):
        parting[row] = opened(name) - rest
    return gap_of_pairs(names, parting)


def _placement(context: bpy.types.Context, prediction: Prediction) -> tuple[float, float]:
    """Scene frame of the first value, and scene frames per value."""
    found = find_strip(context, prediction.clip)
    if prediction.strip_start is None or found is None:
        return prediction.start, scene_fps(context.scene) / prediction.fps
    scene, strip = found
    moved = compat.strip_content_start(strip) - prediction.strip_start
    return prediction.start + moved, scene_fps(scene) / prediction.fps


def _target_action(
    keys: bpy.types.Key, clip: str, notes: list[str]
) -> tuple[bpy.types.Action, list[str]]:
    """The Action to bake into, and the keys that a retired Action of ours drove."""
    animation = keys.animation_data or keys.animation_data_create()
    current = animation.action
    if current is None:
        return bpy.data.actions.new(clip), []
    if not is_bake(current):
        _push_down(animation, current)
        notes.append(f"Your action '{current.name}' plays on in an NLA track below.")
        return bpy.data.actions.new(clip), []
    same_clip = read_prediction(current).clip == clip
    if same_clip and not is_edited(current):
        return current, []
    current.use_fake_user = True
    why = "was edited and is kept" if same_clip else "is kept"
    notes.append(f"The earlier bake '{current.name}' {why}.")
    return bpy.data.actions.new(clip), animated_keys(current, keys)


def _push_down(animation: Any, action: bpy.types.Action) -> None:
    track = animation.nla_tracks.new()
    track.name = action.name
    start = action.frame_range[0]
    slot = getattr(animation, "action_slot", None)
    animation.action = None
    strip = track.strips.new(action.name, int(np.floor(start)), action)
    if slot is not None:
        strip.action_slot = slot
    strip.frame_start_ui = start


def _replace_correctives(
    obj: bpy.types.Object, action: bpy.types.Action, names: tuple[str, ...], deltas: Float
) -> None:
    """Remove the corrective keys of the action's last bake, and of deleted ones; add the new."""
    keys = obj.data.shape_keys
    owners, own = _owners(keys), bake_id(action)
    alive = {bake_id(other) for other in bpy.data.actions if is_bake(other)} - {own}
    stale = [name for name, owned_by in owners.items() if not alive.intersection(owned_by)]
    for name in stale:
        if name in keys.key_blocks:
            obj.shape_key_remove(keys.key_blocks[name])
        del owners[name]
    basis = np.empty(3 * len(obj.data.vertices), np.float32)
    keys.reference_key.points.foreach_get("co", basis)
    for name, delta in zip(names, deltas, strict=True):
        key = obj.shape_key_add(name=name, from_mix=False)
        set_key_points(key, basis.reshape(-1, 3) + head_to_blender(delta))
        key.slider_min, key.value = -1.0, 0.0
        owners[name] = [own]
    keys[_CORRECTIVES] = json.dumps(owners)


def _share_correctives(
    keys: bpy.types.Key, current: bpy.types.Action, action: bpy.types.Action
) -> None:
    owners = _owners(keys)
    for owned_by in owners.values():
        if bake_id(current) in owned_by:
            owned_by.append(bake_id(action))
    keys[_CORRECTIVES] = json.dumps(owners)


def _names_of(keys: bpy.types.Key, action: bpy.types.Action) -> set[str]:
    """Corrective keys that only this action uses."""
    own = [bake_id(action)]
    return {name for name, owned_by in _owners(keys).items() if owned_by == own}


def _owners(keys: bpy.types.Key) -> dict[str, list[str]]:
    """Our corrective keys, with the ids of the bakes that use them."""
    return json.loads(keys.get(_CORRECTIVES, "{}"))


def _free_names(names: tuple[str, ...], taken: set[str]) -> tuple[str, ...]:
    free = []
    for name in names:
        candidate, number = name, 1
        while candidate in taken:
            candidate, number = f"{name}.{number:03d}", number + 1
        free.append(candidate)
    return tuple(free)


def _check_fits(obj: bpy.types.Object, prediction: Prediction, deltas: Float) -> None:
    vertices = len(obj.data.vertices)
    if len(deltas) and deltas.shape[1] != vertices:
        raise BadInputError(
            f"The prediction has {deltas.shape[1]} vertices, '{obj.name}' has {vertices}.",
            "Add the head again, and predict for that.",
        )
    if mapping_of(obj) is None:
        _check_keys(obj, prediction.expressions)


def _check_keys(obj: bpy.types.Object, names: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in obj.data.shape_keys.key_blocks]
    if missing:
        raise _missing_keys(obj, missing)


def _missing_keys(obj: bpy.types.Object, missing: list[str]) -> BadInputError:
    shown = ", ".join(missing[:3]) + (" …" if len(missing) > 3 else "")
    return BadInputError(
        f"'{obj.name}' lacks {len(missing)} of its shape keys: {shown}.",
        "Undo their removal or renaming, add the head again, or change the character's table.",
    )


def _driven(keys: bpy.types.Key, animated: list[str]) -> list[str]:
    drivers = keys.animation_data.drivers if keys.animation_data else ()
    paths = {driver.data_path for driver in drivers}
    driven = [name for name in animated if data_path(name) in paths]
    if not driven:
        return []
    return [f"Drivers keep control of {len(driven)} keys, such as {driven[0]}."]
