# SPDX-License-Identifier: GPL-3.0-or-later
"""Baking: a line's prediction becomes editable animation in Actions and NLA strips of its own.

What an artist made is left alone: ``animation_data.action`` plays above the lines, edited keys of a
line are kept, and only corrective keys of our own are replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...engine.core.errors import BadInputError
from ...engine.motion.characters.mapping import default_lip_gap
from ...engine.motion.lip_contact import LipGap, gap_of_pairs, lips_touch
from .. import compat
from ..characters.checks import check_keys, check_part, check_speaks, notes_of
from ..characters.head_joints import HeadPose
from ..characters.overrides import make_editable, takes_new_keys
from ..characters.properties import character_objects, turns_by_bones
from ..characters.targets import animated_channels, animated_datablock
from ..heads.properties import check_vertex_count, is_head
from . import edits, lines, nla
from .action import fill_channels, is_bake, read_prediction, store_prediction
from .adjust import Adjusted, adjusted
from .correctives import free_names, names_of, replace_correctives
from .head_motion import bake_head_motion, gaze_target
from .keyed import asked, digest
from .keying import Keying
from .prediction import Prediction
from .sound import Clip
from .timeline.kept import spans_from

Float = NDArray[np.float32]

_OF_KEYS, _OF_JOINTS = 0.4, 0.3
"""Parts of the tolerance of a head with a rig that its shape keys may take, and a joint."""


@dataclass(frozen=True)
class Baked:
    """What a bake did.

    Attributes:
        speaker: name of the head, or of the character's main object.
        action: the Action it went into.
        frames: number of frames.
        animated: number of channels with animation of the first object that has any.
        kind: what they are.
        notes: what the user should know, a sentence each.
    """

    speaker: str
    action: bpy.types.Action
    frames: int
    animated: int
    kind: str
    notes: tuple[str, ...] = ()


def check_bakeable(obj: bpy.types.Object) -> None:
    """Check that animation can be put on an object's shape keys or bones.

    Raises:
        BadInputError: the vertices do not fit, something mapped is missing, or it is not editable.
    """
    if is_head(obj):
        check_vertex_count(obj)
    check_part(obj)


def bake(
    context: bpy.types.Context,
    line: Any,
    prediction: Prediction,
    deltas: Float,
    clip: Clip | None = None,
) -> Baked:
    """Put a new prediction on a line of a head or character.

    Args:
        context: for the scene's frame rate.
        line: ``GAUSSIANSPEECH_PG_line``.
        prediction: as the engine gave it.
        deltas: (C, V, 3) offsets of the corrective keys in head space, metres.
        clip: what was predicted, where it is a strip or a file.

    Raises:
        BadInputError: the prediction does not fit the mesh; nothing was changed.
    """
    objects = character_objects(line.id_data)
    _check_all(objects, prediction, deltas)
    notes: list[str] = []
    for part in objects:
        make_editable(part)
    if prediction.correctives and not takes_new_keys(objects[0]):
        prediction, deltas = _without_correctives(prediction), deltas[:0]
        notes.append("Without corrective keys: a library override keeps no new shape keys.")
    actions = [_target_action(part, line, notes) for part in objects]
    if is_head(objects[0]):
        keys = objects[0].data.shape_keys
        taken = set(keys.key_blocks.keys()) - names_of(keys, actions[0])
        prediction = replace(prediction, correctives=free_names(prediction.correctives, taken))
        replace_correctives(objects[0], actions[0], prediction.correctives, deltas)
    store_prediction(actions[0], prediction)
    lines.note_predicted(line, prediction, clip)
    return _fill(context, line, objects, actions, prediction, notes)


def rebake(context: bpy.types.Context, line: Any) -> Baked:
    """Apply other controls to what a line was baked from, without the engine.

    Raises:
        BadInputError: the line has no prediction, or a mesh has changed; nothing was changed.
    """
    objects = character_objects(line.id_data)
    current = lines.line_action(objects[0], line) or lines.lost_bake(line)
    current = current or lines.legacy_bake(objects[0])
    if current is None or not is_bake(current):
        raise BadInputError(f"'{line.name}' has no predicted speech.", "Predict first.")
    prediction = read_prediction(current)
    _check_all(objects, prediction, np.zeros((0, 0, 3), np.float32))
    if is_head(objects[0]):
        check_keys(objects[0], prediction.names)
    notes: list[str] = []
    actions = [_target_action(part, line, notes) for part in objects]
    if actions[0] != current or not line.predicted:
        store_prediction(actions[0], prediction)
        lines.note_predicted(line, prediction, None)
    return _fill(context, line, objects, actions, prediction, notes)


def _without_correctives(prediction: Prediction) -> Prediction:
    """A prediction by the head's expressions alone."""
    kept = len(prediction.expressions)
    ranges, values = prediction.ranges[:kept], prediction.values[:, :kept]
    return replace(prediction, correctives=(), ranges=ranges, values=values)


def _fill(
    context: bpy.types.Context,
    line: Any,
    objects: Sequence[bpy.types.Object],
    actions: Sequence[bpy.types.Action],
    prediction: Prediction,
    notes: list[str],
) -> Baked:
    """Fill a line's Actions in the order of its objects, and let their strips play them."""
    main = objects[0]
    span = lines.span_of(context, line)
    frames = np.arange(len(prediction.values), dtype=np.float64)
    gap = _lip_gap(main, prediction)
    made = _adjusted(main, line, prediction, gap, span)
    contact = None if gap is None else lips_touch(made.values, gap)
    pose = HeadPose(
        prediction.joints, made.pose, made.head_rotation, prediction.turned_by, prediction.neck
    )
    animated, kind = 0, "shape keys"
    for part, action in zip(objects, actions, strict=True):
        target = animated_channels(part, prediction.names, made.values, made.head_rotation, pose)
        keying = _keying(part, prediction, contact)
        fill_channels(action, target.datablock, target.channels, frames, keying, span.rate)
        nla.update_rest(target.datablock, action)
        nla.place(target.datablock, action, span, line.name)
        nla.place_edits(target.datablock, line.id, span)
        notes += notes_of(part, target)
        if not animated and target.channels:
            animated = len(target.channels)
            kind = "channels of bones" if part.type == "ARMATURE" else "shape keys"
        target.datablock.update_tag()
        part.update_tag()
    # Where a character's neck is, only its rig knows: a bone turns, or it follows an Empty.
    neck = prediction.neck if is_head(main) else None
    turned = np.zeros_like(made.head_rotation) if turns_by_bones(main) else made.head_rotation
    keying = _keying(main, prediction, None)
    notes += bake_head_motion(main, line, turned, neck, frames, span, keying)
    line.baked = digest(lines.controls_of(main, line), line)
    lines.show_name_of_strip(context, line)
    for action in [action for action in bpy.data.actions if action.get(nla.LINE) == line.id]:
        if not action.users:  # Its strip was removed, and another Action took its part.
            bpy.data.actions.remove(action)
    return Baked(main.name, actions[0], len(frames), animated, kind, tuple(notes))


def _adjusted(
    main: bpy.types.Object,
    line: Any,
    prediction: Prediction,
    gap: LipGap | None,
    span: nla.Span,
) -> Adjusted:
    """What a line's controls, with their keyframes, make of its prediction."""
    controls = lines.controls_of(main, line)
    frames = span.first + span.rate * np.arange(len(prediction.values))
    wanted = asked(controls, line, frames, span.rate)
    wanted = replace(wanted, gaze_target=gaze_target(main, controls, prediction))
    return adjusted(prediction, wanted, gap, spans_from(line, lines.sound_start(line)))


def _keying(
    obj: bpy.types.Object, prediction: Prediction, contact: NDArray[np.bool_] | None
) -> Keying:
    """How the keys of an object are made, in its own units.

    Args:
        obj: of a character.
        prediction: whose lips are known on heads.
        contact: (T,) frames in which the lips touch, where known.
    """
    objects = character_objects(obj)
    settings = objects[0].gaussianspeech_speech
    scale = max(abs(factor) for factor in obj.matrix_world.to_scale()) or 1.0
    tolerance = settings.key_tolerance / 1000 / scale
    if is_head(objects[0]) and len(objects) > 1:
        # What keys and joints are off by adds up; that of joints, too, from neck to jaw.
        tolerance *= _OF_KEYS if obj == objects[0] else _OF_JOINTS
    upper, lower = prediction.lip_pairs if is_head(obj) else ((), ())
    return Keying(settings.keying, tolerance, contact, (*upper, *lower))


def _lip_gap(main: bpy.types.Object, prediction: Prediction) -> LipGap | None:
    """How the expressions of a prediction part the lips: on the head, or on ARKit's own."""
    if not is_head(main):
        return default_lip_gap(prediction.names)
    return lip_gap_of_keys(main.data.shape_keys, prediction.names, prediction.lip_pairs)


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


def _target_action(obj: bpy.types.Object, line: Any, notes: list[str]) -> bpy.types.Action:
    """The Action of a line on an object, made where there is none; what was edited is kept."""
    datablock = animated_datablock(obj)
    main = character_objects(obj)[0] == obj
    action = lines.line_action(obj, line) or (lines.lost_bake(line) if main else None)
    action = action or _adopt_legacy(obj, line, notes)
    if action is None:
        name = line.name if main else f"{line.name} {obj.name}"
        action = compat.new_action(name, datablock)
        action[nla.LINE] = line.id
    elif edits.remembers(action):
        notes += edits.keep_edits(datablock, action, line.name)
    return action


def _adopt_legacy(obj: bpy.types.Object, line: Any, notes: list[str]) -> bpy.types.Action | None:
    """Let a bake of 0.1.0 go from the place of the artist's Action, and bake into it."""
    action = lines.legacy_bake(obj)
    if action is None:
        return None
    animated_datablock(obj).animation_data.action = None
    if edits.is_edited(action):
        action.use_fake_user = True
        notes.append(f"The earlier bake '{action.name}' was edited and is kept.")
        return None
    action[nla.LINE] = line.id
    action.use_fake_user = False
    return action


def _check_all(objects: Sequence[bpy.types.Object], prediction: Prediction, deltas: Float) -> None:
    """Check that a prediction can be put on all objects of a character, before the first is."""
    for part in objects:
        check_bakeable(part)
    main = objects[0]
    check_speaks(main)
    if is_head(main):
        _check_fits(main, prediction, deltas)
    elif prediction.correctives:
        raise BadInputError(
            f"The speech model {prediction.model!r} moves more than ARKit's expressions, which a "
            "character cannot follow.",
            "Choose Learned or Rules as the model.",
        )


def _check_fits(obj: bpy.types.Object, prediction: Prediction, deltas: Float) -> None:
    vertices = len(obj.data.vertices)
    if len(deltas) and deltas.shape[1] != vertices:
        raise BadInputError(
            f"The prediction has {deltas.shape[1]} vertices, '{obj.name}' has {vertices}.",
            "Add the head again, and predict for that.",
        )
    check_keys(obj, prediction.expressions)
