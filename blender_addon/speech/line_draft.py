# SPDX-License-Identifier: GPL-3.0-or-later
"""A line's animation in the making: all that a bake will put into the file, which shows none of it.

In slices, and with the numbers beside the main thread: what is read of the file may change until it
is put there, which :meth:`LineDraft.is_current` sees.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...engine.core.arrays import Float
from ...engine.core.errors import BadInputError
from ...engine.heads.axes import head_to_blender
from ...engine.motion.characters.mapping import default_lip_gap
from ...engine.motion.lip_contact import LipGap
from ..characters.overrides import takes_new_keys
from ..characters.properties import character_objects, turns_by_bones
from ..characters.targets import (
    AnimatedChannels,
    animated_channels,
    animated_datablock,
    key_path,
    target_of,
)
from ..heads.properties import is_head
from . import drafts, edits, layers, lines, nla
from .action import bake_id, fill_channels, store_prediction
from .correctives import free_names, names_of
from .head_motion import empty_of, gaze_target
from .keyed import asked, digest
from .keying import ChannelKeys, Keying, keys_of
from .line_motion import MotionRequest
from .lip_gap import lip_gap_of_keys
from .prediction import Prediction
from .reach import offsets_of, reach_of
from .slices import Check, Steps
from .sound import Clip
from .timeline.kept import spans_from, spans_of

_puts: Counter[str] = Counter()
"""How often something was put into each line, by its id."""

_OF_KEYS, _OF_JOINTS = 0.4, 0.3
"""Parts of the tolerance of a head with a rig that its shape keys may take, and a joint."""


@dataclass(frozen=True, eq=False)
class Source:
    """What a line is baked from.

    Attributes:
        prediction: of its motion.
        deltas: (C, V, 3) offsets of the corrective keys in head space, metres.
        clip: what was predicted, where it is a strip or a file.
        later: seconds by which times in the line's sound are later from this bake on.
        is_new: whether it is not what the line was baked from before.
    """

    prediction: Prediction
    deltas: Float
    clip: Clip | None = None
    later: float = 0.0
    is_new: bool = True


@dataclass(eq=False)
class Track:
    """What one datablock plays of a line.

    Attributes:
        name: of a new Action.
        obj: of the character, or its main object where an Empty turns it.
        datablock: what is animated; of the Empty that is still to be made, the main object.
        old: the Action so far.
        legacy: what an earlier version baked, which gives way.
        keying: how its keys are made.
        channels: what moves.
        draft: the Action to be.
        layer: the layer of the artist's edits to be, where there are new ones.
    """

    name: str
    obj: bpy.types.Object
    datablock: bpy.types.ID
    old: bpy.types.Action | None
    legacy: bpy.types.Action | None
    keying: Keying
    channels: AnimatedChannels | None = None
    draft: bpy.types.Action | None = None
    layer: bpy.types.Action | None = None


@dataclass(frozen=True, eq=False)
class LineDraft:
    """What is put into the file.

    Attributes:
        line: id.
        source: what it is made from, with names of corrective keys that are free.
        about: of the line's prediction.
        controls: digest of the controls that it was made with.
        parts: what the character's objects play, in their order.
        turn: what turns the head, or ``None``.
        stamp: what it was made for.
        notes: what the user should know, a sentence each.
    """

    line: str
    source: Source
    about: lines.Predicted
    controls: str
    parts: tuple[Track, ...]
    turn: Track | None
    stamp: str
    notes: tuple[str, ...] = ()

    @property
    def tracks(self) -> tuple[Track, ...]:
        """All that is played."""
        return self.parts if self.turn is None else (*self.parts, self.turn)

    def is_current(self, context: bpy.types.Context) -> bool:
        """Whether all that it was made for is still so."""
        line = lines.line_by_id(self.line)
        return line is not None and self.stamp == _stamp(context, line, self.about)

    def discard(self) -> None:
        """Remove what was made."""
        _discard(self.tracks)


def drafting(
    context: bpy.types.Context, line_id: str, source: Source, *, in_place: bool
) -> Steps[LineDraft]:
    """Draft the animation of a line.

    Args:
        context: for the scene.
        line_id: id of the line.
        source: what it is baked from, which fits the character.
        in_place: fill Actions that there are, instead of drafts: all happens at once.

    Raises:
        BadInputError: the line is gone.
    """
    line = line_with(line_id)
    main = line.id_data
    objects = character_objects(main)
    notes: list[str] = []
    tracks = [_track(part, line, source.prediction, notes) for part in objects]
    source = _fitting(objects[0], tracks[0].old, source, notes)
    prediction = source.prediction
    about = lines.predicted(line)
    if source.is_new or about is None:
        about = lines.predicted_from(line, prediction, source.clip)
    span, stamp = lines.span_of(context, line, about), _stamp(context, line, about)
    controls = digest(lines.controls_of(main, line), line)
    empty, keying = empty_of(main), _keying(main, prediction)
    moving = nla.line_action(empty, line_id)
    turn = Track(f"{line.name} head", main, empty or main, moving, None, keying)
    gap, targets = _lip_gap(main, source), [target_of(part) for part in objects]
    spans = spans_from(line, (about.sound_start or 0.0) - source.later)
    gaze = gaze_target(main, lines.controls_of(main, line), prediction)
    by_bones, neck = turns_by_bones(main), prediction.neck if is_head(main) else None
    frames = np.arange(len(prediction.values), dtype=np.float64)
    try:
        # From here on there are pauses.
        wanted = yield from asked(
            lambda: _controls(line_id), span.first + span.rate * frames, span.rate
        )
        wanted = replace(wanted, gaze_target=gaze)
        moved = yield MotionRequest(
            prediction, wanted, gap, spans, targets, by_bones, neck
        ).channels
        for track, found in zip(tracks, moved.parts, strict=True):
            track.channels = animated_channels(track.datablock, found)
            track.keying = replace(track.keying, contact=moved.contact)
        turn.channels = AnimatedChannels(turn.datablock, tuple(moved.turn))
        turning = [turn] if moved.turn else []
        more = {key_path(name): offsets for name, offsets in _to_be_added(source).items()}
        every, done = (*tracks, *turning), 0.0
        whole = sum(1 + len(track.channels.channels) for track in every)
        for track in every:
            part = (1 + len(track.channels.channels)) / whole
            keys = yield from _keys(track, more if track is tracks[0] else {}, span.rate)
            yield done + 0.6 * part
            yield from _fill(track, keys, frames, in_place=in_place)
            done += part
            yield done
        if source.is_new or tracks[0].old is None:
            packed = yield lambda _check: prediction.pack()
            store_prediction(tracks[0].draft, packed)
    except BaseException:
        _discard([*tracks, turn])
        raise
    return LineDraft(
        line_id,
        source,
        about,
        controls,
        tuple(tracks),
        turn if moved.turn else None,
        stamp,
        tuple(notes),
    )


def line_with(line_id: str) -> Any:
    """The line of an id.

    Raises:
        BadInputError: it is gone.
    """
    line = lines.line_by_id(line_id)
    if line is None:
        raise BadInputError("The line is gone.", "Undo its removal and try again.")
    return line


def _controls(line_id: str) -> tuple[Any, Any]:
    """The controls that count for a line, and the line, which may have moved in memory."""
    line = line_with(line_id)
    return lines.controls_of(line.id_data, line), line


def _fitting(
    main: bpy.types.Object, old: bpy.types.Action | None, source: Source, notes: list[str]
) -> Source:
    """The source with corrective keys that can be added, under names that are free."""
    prediction = source.prediction
    if not source.is_new or not prediction.correctives:
        return source
    if not takes_new_keys(main):
        notes.append("Without corrective keys: a library override keeps no new shape keys.")
        kept = len(prediction.expressions)
        ranges, values = prediction.ranges[:kept], prediction.values[:, :kept]
        prediction = replace(prediction, correctives=(), ranges=ranges, values=values)
        return replace(source, prediction=prediction, deltas=source.deltas[:0])
    keys = main.data.shape_keys
    taken = set(keys.key_blocks.keys()) - (names_of(keys, old) if old is not None else set())
    free = free_names(prediction.correctives, taken)
    return replace(source, prediction=replace(prediction, correctives=free))


def _to_be_added(source: Source) -> dict[str, Float]:
    """(V, 3) offsets of the corrective keys that are still to be added, by name."""
    names = source.prediction.correctives if source.is_new else ()
    return {name: head_to_blender(delta) for name, delta in zip(names, source.deltas, strict=False)}


def _current(obj: bpy.types.Object, line: Any) -> bpy.types.Action | None:
    """The Action of a line on an object, also where its strip was removed."""
    main = character_objects(obj)[0] == obj
    return lines.line_action(obj, line) or (lines.lost_bake(line) if main else None)


def _track(obj: bpy.types.Object, line: Any, prediction: Prediction, notes: list[str]) -> Track:
    """What an object plays of a line so far."""
    old, legacy = _current(obj, line), None
    if old is None:
        legacy = lines.legacy_bake(obj)
        if legacy is not None and edits.is_edited(legacy):
            notes.append(f"The earlier bake '{legacy.name}' was edited and is kept.")
        else:
            old = legacy
    if old is not None:
        bake_id(old)  # A draft is the same bake.
    name = line.name if obj == line.id_data else f"{line.name} {obj.name}"
    return Track(name, obj, animated_datablock(obj), old, legacy, _keying(obj, prediction))


def _keying(obj: bpy.types.Object, prediction: Prediction) -> Keying:
    """How the keys of an object are made, in its own units; where the lips touch is left out.

    Args:
        obj: of a character.
        prediction: whose lips are known on heads.
    """
    objects = character_objects(obj)
    settings = objects[0].gaussianspeech_speech
    scale = max(abs(factor) for factor in obj.matrix_world.to_scale()) or 1.0
    tolerance = settings.key_tolerance / 1000 / scale
    if is_head(objects[0]) and len(objects) > 1:
        # What keys and joints are off by adds up; that of joints, too, from neck to jaw.
        tolerance *= _OF_KEYS if obj == objects[0] else _OF_JOINTS
    upper, lower = prediction.lip_pairs if is_head(obj) else ((), ())
    return Keying(settings.keying, tolerance, lips=(*upper, *lower))


def _keys(track: Track, more: Mapping[str, Float], rate: float) -> Steps[list[ChannelKeys | None]]:
    """The keys of a track's channels."""
    channels, keying = track.channels.channels, track.keying
    paths = [path for path, _, _ in channels]
    offsets = yield from offsets_of(track.datablock, paths, more)

    def fitted(check: Check) -> list[ChannelKeys | None]:
        if not channels:
            return []
        values = np.stack([values for _, _, values in channels], axis=1)
        return keys_of(values, keying, reach_of(paths, offsets, keying.lips), rate, check)

    keys: list[ChannelKeys | None] = yield fitted
    return keys


def _fill(
    track: Track,
    keys: Sequence[ChannelKeys | None],
    frames: NDArray[np.float64],
    *,
    in_place: bool,
) -> Steps[None]:
    """Draft a track's Action, and the layer of what an artist has edited in the one so far."""
    if track.old is not None and nla.LINE in track.old and edits.remembers(track.old):
        track.layer = yield from layers.layer_of_edits(
            track.datablock, track.old, in_place=in_place
        )
    track.draft = drafts.draft_of(track.old, track.datablock, in_place=in_place)
    yield from fill_channels(track.draft, track.datablock, track.channels.channels, keys, frames)


def _discard(tracks: Sequence[Track]) -> None:
    for track in tracks:
        for draft in (track.draft, track.layer):
            if draft is not None:
                drafts.discard(draft)


def note_put(line_id: str) -> None:
    """Something was put into a line: drafts of it are not current any more."""
    _puts[line_id] += 1


def _stamp(context: bpy.types.Context, line: Any, about: lines.Predicted) -> str:
    """What a draft of a line is made for, beside what is animated by itself."""
    main = line.id_data
    settings, parts = main.gaussianspeech_speech, []
    for part in character_objects(main):
        keys = part.data.shape_keys if part.type == "MESH" else None
        names = None if keys is None else keys.key_blocks.keys()
        datablock = animated_datablock(part)
        actions = (nla.line_action(datablock, line.id, mark) for mark in (nla.LINE, nla.EDITS))
        parts.append((part.session_uid, names, [a and a.session_uid for a in actions]))
    return repr(
        (
            _puts[line.id],
            digest(lines.controls_of(main, line), line),
            spans_of(line),
            lines.span_of(context, line, about).rate,
            (settings.keying, settings.key_tolerance),
            parts,
        )
    )


def _lip_gap(main: bpy.types.Object, source: Source) -> LipGap | None:
    """How the expressions of a prediction part the lips: on the head, or on ARKit's own."""
    prediction = source.prediction
    if not is_head(main):
        return default_lip_gap(prediction.names)
    keys, more = main.data.shape_keys, _to_be_added(source)
    return lip_gap_of_keys(keys, prediction.names, prediction.lip_pairs, more)
