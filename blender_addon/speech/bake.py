# SPDX-License-Identifier: GPL-3.0-or-later
"""Baking: a line's prediction becomes editable animation in Actions and NLA strips of its own.

What an artist made is left alone: ``animation_data.action`` plays above the lines, edited keys of a
line are kept, and only corrective keys of our own are replaced.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import bpy
import numpy as np

from ...engine.core.arrays import Float
from ...engine.core.errors import BadInputError
from ..characters.checks import check_keys, check_part, check_speaks, notes_of
from ..characters.overrides import make_editable
from ..characters.properties import character_objects, is_rig
from ..heads.properties import check_vertex_count, is_head
from . import drafts, lines, nla
from .action import is_bake, read_prediction
from .correctives import replace_correctives
from .head_motion import empty_to_turn, remove_head_motion, retire_legacy_motion
from .layers import put_layer
from .line_draft import LineDraft, Source, Track, drafting, line_with, note_put
from .prediction import Prediction
from .slices import Steps, run_through
from .sound import Clip


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
    """Put a new prediction on a line of a head or character, at once.

    Args:
        context: for the scene's frame rate.
        line: ``GAUSSIANSPEECH_PG_line``.
        prediction: as the engine gave it.
        deltas: (C, V, 3) offsets of the corrective keys in head space, metres.
        clip: what was predicted, where it is a strip or a file.

    Raises:
        BadInputError: the prediction does not fit the mesh; nothing was changed.
    """
    source = Source(prediction, deltas, clip)
    return put(context, run_through(baking(context, line.id, source, in_place=True)))


def rebake(context: bpy.types.Context, line: Any) -> Baked:
    """Apply other controls to what a line was baked from, without the engine, at once.

    Raises:
        BadInputError: the line has no prediction, or a mesh has changed; nothing was changed.
    """
    return put(context, run_through(rebaking(context, line.id, in_place=True)))


def baking(
    context: bpy.types.Context, line_id: str, source: Source, *, in_place: bool = False
) -> Steps[LineDraft]:
    """Draft a new prediction for a line, see :func:`put`; in slices.

    Args:
        context: for the scene's frame rate.
        line_id: id of the line.
        source: what it is baked from.
        in_place: see :func:`.line_draft.drafting`.

    Raises:
        BadInputError: the prediction does not fit the mesh, or the line is gone.
    """
    objects = character_objects(line_with(line_id).id_data)
    _check_all(objects, source.prediction, source.deltas)
    for part in objects:
        make_editable(part)
    return (yield from drafting(context, line_id, source, in_place=in_place))


def rebaking(
    context: bpy.types.Context, line_id: str, *, in_place: bool = False
) -> Steps[LineDraft]:
    """Draft a line anew with its controls, from what it was baked from, see :func:`put`.

    Args:
        context: for the scene's frame rate.
        line_id: id of the line.
        in_place: see :func:`.line_draft.drafting`.

    Raises:
        BadInputError: the line has no prediction or is gone, or a mesh has changed.
    """
    source = check_rebake(line_with(line_id))
    return (yield from drafting(context, line_id, source, in_place=in_place))


def check_rebake(line: Any) -> Source:
    """What a line was baked from, once it is checked that it can be baked again.

    Raises:
        BadInputError: the line has no prediction, or a mesh has changed.
    """
    objects = character_objects(line.id_data)
    current = lines.line_action(objects[0], line) or lines.lost_bake(line)
    current = current or lines.legacy_bake(objects[0])
    if current is None or not is_bake(current):
        raise BadInputError(f"'{line.name}' has no predicted speech.", "Predict first.")
    prediction, none = read_prediction(current), np.zeros((0, 0, 3), np.float32)
    _check_all(objects, prediction, none)
    if is_head(objects[0]):
        check_keys(objects[0], prediction.names)
    return Source(prediction, none, is_new=False)


def put(context: bpy.types.Context, draft: LineDraft) -> Baked:
    """Put a draft into the file: all of it, at once.

    Args:
        context: for the scene's frame rate.
        draft: that is current.
    """
    note_put(draft.line)
    line, source = line_with(draft.line), draft.source
    objects, notes = character_objects(line.id_data), list(draft.notes)
    prediction, own = source.prediction, draft.parts[0].draft
    if source.is_new and is_head(objects[0]):
        replace_correctives(objects[0], own, prediction.correctives, source.deltas)
    actions = [_put_track(track, line, notes) for track in draft.parts]
    if source.is_new or not line.predicted:
        # What was asked for is seen only now: the engine's reply may have changed the text.
        line.predicted = lines.predicted_from(line, prediction, source.clip).to_json()
    span = lines.span_of(context, line)
    animated, kind = 0, "shape keys"
    for track, action in zip(draft.parts, actions, strict=True):
        _place(track.datablock, action, line, span)
        found = track.channels
        notes += notes_of(track.obj, found)
        notes += _unplayed(track, action)
        if not animated and found.channels:
            animated = len(found.channels)
            kind = "rig channels" if is_rig(track.obj) else "shape keys"
        track.datablock.update_tag()
        track.obj.update_tag()
    notes += _put_turn(draft.turn, line, span)
    line.baked = draft.controls
    lines.show_name_of_strip(context, line)
    for action in [action for action in bpy.data.actions if action.get(nla.LINE) == line.id]:
        if not action.users:  # Its strip was removed, and another Action took its part.
            bpy.data.actions.remove(action)
    frames = len(prediction.values)
    return Baked(objects[0].name, actions[0], frames, animated, kind, tuple(notes))


def _unplayed(track: Track, action: bpy.types.Action) -> Iterator[str]:
    """Why the NLA does not play what an object got of a line, a sentence each."""
    animation, name = track.datablock.animation_data, track.obj.name
    played = [found for found, _ in nla.strips_of(track.datablock, action)]
    solo = [found for found in animation.nla_tracks if found.is_solo]
    if not animation.use_nla:
        yield f"The NLA of '{name}' is off, so this is not seen: tick it in the NLA editor."
    elif solo and solo[0] not in played:
        yield (
            f"'{name}' plays its solo NLA track '{solo[0].name}' alone: "
            "click the track's star in the NLA editor."
        )
    elif played and all(found.mute for found in played):
        yield f"The NLA track '{played[0].name}' of '{name}' is muted, so this is not seen."


def _put_track(track: Track, line: Any, notes: list[str]) -> bpy.types.Action:
    """Let what is drafted be what an object, or an Empty, plays of a line."""
    if track.layer is not None:
        notes.append(put_layer(track.datablock, track.old, track.layer, track.name))
    if track.legacy is not None:
        # The bake of an earlier version lets go of the artist's place.
        track.datablock.animation_data.action = None
        track.legacy.use_fake_user = track.legacy != track.old
    action = drafts.put(track.draft, track.old, track.name)
    action[nla.LINE] = line.id
    return action


def _put_turn(track: Track | None, line: Any, span: nla.Span) -> list[str]:
    """Turn a head in one of its lines, or remove what turned it where it is to be still.

    Returns:
        What the user should know, a sentence each.
    """
    main = line.id_data
    notes = retire_legacy_motion(main)
    if track is None:
        return notes + remove_head_motion(main, line.id)
    empty, more = empty_to_turn(main, follows=is_head(main))
    notes += more
    action = _put_track(replace(track, datablock=empty), line, notes)
    _place(empty, action, line, span)
    return notes


def _place(datablock: bpy.types.ID, action: bpy.types.Action, line: Any, span: nla.Span) -> None:
    nla.update_rest(datablock, action)
    nla.place(datablock, action, span, line.name)
    nla.place_edits(datablock, line.id, span)


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
