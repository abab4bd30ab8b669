# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines in the NLA: a strip for each, rest between them, and what an artist has changed of a strip.

From the bottom: a track whose strip holds every channel of the lines at rest, for Blender leaves a
channel that no strip plays where it was; tracks with a strip for each line, which eases from what
is below it and back; and whatever the artist puts above. ``animation_data.action`` is the artist's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import bpy

from .. import compat
from ..characters.targets import rest_value, set_value

TRACK, REST = "GaussianSpeech", "GaussianSpeech Rest"
"""Names of new tracks; they are known by what their strips play."""

LINE = "gaussianspeech_line"
"""Custom property of the Actions of lines: the line's id."""
EDITS = "gaussianspeech_edits"
"""The same of what an artist has edited in a line."""
_IS_REST = "gaussianspeech_rest"
_PLACED = "gaussianspeech_placed"
_MARGIN = 1e-3
"""Frames by which strips may overlap."""

_NAMES = {LINE: TRACK, EDITS: "GaussianSpeech Edits"}
"""Of new tracks, by what their strips play."""

Strips = list[tuple[bpy.types.NlaTrack, bpy.types.NlaStrip]]
Channels = set[tuple[str, int]]
Placed = tuple[float, ...]
"""Start of a strip, start and end of its Action's part, scale, and ease."""
_SETTINGS = (
    *("blend_type", "extrapolation", "mute", "repeat", "influence", "use_animated_influence"),
    *("use_reverse", "use_auto_blend", "use_sync_length", "select"),
)
"""What a strip keeps on another track."""


@dataclass(frozen=True)
class Span:
    """Where a line plays.

    Attributes:
        first: scene frame of frame 0 of its Actions.
        rate: scene frames for each frame of its Actions.
        begin, end: the first and the last frame of its Actions that play.
        ease: scene frames before the first and after the last in which the face comes and goes.
    """

    first: float
    rate: float
    begin: float
    end: float
    ease: float

    @property
    def frames(self) -> tuple[float, float]:
        """Scene frames of the first and the last frame that play."""
        return self.first + self.begin * self.rate, self.first + self.end * self.rate

    def placed(self) -> Placed:
        """How a strip plays it."""
        pad = self.ease / self.rate
        start = self.frames[0] - self.ease
        return start, self.begin - pad, self.end + pad, self.rate, self.ease


def strips_of(datablock: bpy.types.ID | None, action: bpy.types.Action) -> Strips:
    """The strips that play an Action on a datablock, with their tracks."""
    return [(track, strip) for track, strip in all_strips(datablock) if strip.action == action]


def all_strips(
    datablock: bpy.types.ID | None,
) -> Iterator[tuple[bpy.types.NlaTrack, bpy.types.NlaStrip]]:
    """The NLA strips of a datablock, from the bottom, with their tracks; in meta strips, too."""
    animation = datablock.animation_data if datablock is not None else None
    for track in animation.nla_tracks if animation is not None else ():
        for strip in track.strips:
            yield from ((track, each) for each in compat.grouped_strips(strip))


def edits_action(datablock: bpy.types.ID | None, line_id: str) -> bpy.types.Action | None:
    """What an artist has edited in a line, as an Action that is added to it."""
    return line_action(datablock, line_id, EDITS)


def line_action(
    datablock: bpy.types.ID | None, line_id: str, mark: str = LINE
) -> bpy.types.Action | None:
    """The Action of a line that a datablock plays: of its copies the one that was placed here."""
    found = None
    for _, strip in all_strips(datablock):
        action = strip.action
        if action is not None and action.get(mark) == line_id:
            found = found or action
            if abs(strip.frame_start - _placed(action, strip)[0]) < _MARGIN:
                return action
    return found


def place_edits(datablock: bpy.types.ID, line_id: str, span: Span) -> None:
    """Let what an artist has edited in a line play where the line does."""
    layer = edits_action(datablock, line_id)
    if layer is not None:
        place(datablock, layer, span, layer.name)


def spoken_frames(strip: bpy.types.NlaStrip, action: bpy.types.Action) -> tuple[float, float]:
    """First and last scene frame of a line's strip, without its ease."""
    ease = _placed(action, strip)[4]
    return strip.frame_start + ease, strip.frame_end - ease


def place(datablock: bpy.types.ID, action: bpy.types.Action, span: Span, name: str) -> None:
    """Let a datablock play a line's Action where it belongs.

    What an artist has changed of a strip stays: how far it was moved, scaled or trimmed, and how it
    blends. So do copies of it.
    """
    new = span.placed()
    found = strips_of(datablock, action)
    if found and is_placed(action, span):
        return
    leave_tweak_mode(datablock)
    mark = EDITS if EDITS in action else LINE
    if not found:
        length = (new[2] - new[1]) * new[3]
        track = _track_with_room(datablock, mark, new[0], new[0] + length)
        strip = compat.new_nla_strip(track, name, action)
        strip.extrapolation = "NOTHING"
        strip.blend_type = "ADD" if mark == EDITS else "REPLACE"
        strip.use_sync_length = False
        _set_range(strip, *new[:4])
        strip.blend_in = strip.blend_out = span.ease
    for track, strip in found:
        _move(datablock, track, strip, _placed(action, strip), new)
    action[_PLACED] = new


def placed_span(action: bpy.types.Action) -> Span:
    """Where an Action of ours was placed last."""
    start, begin, end, rate, ease = action[_PLACED]
    pad = ease / rate
    return Span(start - begin * rate, rate, begin + pad, end - pad, ease)


def is_placed(action: bpy.types.Action, span: Span) -> bool:
    """Whether a line's Action was placed like this last."""
    kept = action.get(_PLACED)
    return kept is not None and all(map(_same, kept, span.placed()))


def remove_strips(datablock: bpy.types.ID, action: bpy.types.Action) -> None:
    """Take an Action out of a datablock's NLA, and tracks of ours that are then empty."""
    leave_tweak_mode(datablock)
    for track, strip in strips_of(datablock, action):
        if strip not in [*track.strips]:  # Scripts cannot take it out of a meta strip.
            strip.mute, strip.action = True, None
            continue
        track.strips.remove(strip)
        if not track.strips:
            datablock.animation_data.nla_tracks.remove(track)


def is_rest(action: bpy.types.Action) -> bool:
    """Whether an Action holds the lines' channels at rest."""
    return _IS_REST in action


def leave_tweak_mode(datablock: bpy.types.ID) -> None:
    """End tweak mode: while it lasts the tweaked Action stands in for the artist's own."""
    animation = datablock.animation_data
    if animation is not None and animation.use_tweak_mode:
        animation.use_tweak_mode = False


def tweak(datablock: bpy.types.ID, action: bpy.types.Action) -> bool:
    """Open an Action's strip in tweak mode, so that its keys are shown and can be edited."""
    leave_tweak_mode(datablock)
    found = strips_of(datablock, action)
    if not found:
        return False
    animation = datablock.animation_data
    for track, strip in all_strips(datablock):
        track.select = strip.select = strip == found[0][1]
    animation.nla_tracks.active = found[0][0]
    found[0][0].select = True
    animation.use_tweak_mode = True
    return True


def update_rest(datablock: bpy.types.ID, *more: bpy.types.Action) -> None:
    """Hold at rest, between the lines, what they animate; nothing else.

    A channel that an artist's strip below animates is left to that.

    Args:
        datablock: what the lines animate.
        more: Actions of lines that will be placed next.
    """
    if datablock.animation_data is None:
        datablock.animation_data_create()
    rest, wanted, below = _played(datablock)
    for action in more:
        wanted |= channels_of(action)
    wanted -= below
    before = channels_of(rest) if rest is not None else set()
    for path, index in before - wanted:
        # What nothing plays any more would stay where the last evaluation left it.
        set_value(datablock, path, index, rest_value(datablock, path, index))
    if not wanted and rest is not None:
        remove_strips(datablock, rest)
        bpy.data.actions.remove(rest)
    elif wanted != before:
        _fill_rest(datablock, rest or _add_rest(datablock), wanted)


def _played(datablock: bpy.types.ID) -> tuple[bpy.types.Action | None, Channels, Channels]:
    """What holds a datablock at rest, the channels of its lines, and those of what is below."""
    rest, wanted, below = None, set[tuple[str, int]](), set[tuple[str, int]]()
    for _, strip in all_strips(datablock):
        if strip.action is None:
            continue
        if _IS_REST in strip.action:
            rest = strip.action
        elif LINE in strip.action or EDITS in strip.action:
            wanted |= channels_of(strip.action)
        elif rest is None and not wanted:
            # An artist's Action may be about other datablocks as well.
            below |= _channels(compat.strip_fcurves(strip))
    return rest, wanted, below


def channels_of(action: bpy.types.Action) -> Channels:
    """Paths and components that an Action animates."""
    return _channels(compat.fcurves(action))


def _channels(curves: Iterable[bpy.types.FCurve]) -> Channels:
    return {(curve.data_path, curve.array_index) for curve in curves}


def _add_rest(datablock: bpy.types.ID) -> bpy.types.Action:
    """An empty Action on a track below the lines."""
    for lost in [other for other in bpy.data.actions if _IS_REST in other and not other.users]:
        bpy.data.actions.remove(lost)
    action = bpy.data.actions.new(f"{datablock.name} Rest")
    action[_IS_REST] = True
    animation = datablock.animation_data
    keys = isinstance(datablock, bpy.types.Key) and compat.shape_keys_start_at_zero()
    if keys and animation.action is None:
        # What the artist keys is to change speech, not to stop it from its first frame on.
        animation.action_blend_type = "ADD"
    above = [(track, strip) for track in animation.nla_tracks for strip in track.strips]
    above = [(track, strip) for track, strip in above if _is_of_line(strip) or _is(strip, EDITS)]
    track = animation.nla_tracks.new()
    track.name = REST
    for other, strip in above:  # Their tracks were there before: they go above it.
        _to_track(animation, other, strip, animation.nla_tracks.new())
    return action


def _fill_rest(datablock: bpy.types.ID, rest: bpy.types.Action, channels: Channels) -> None:
    compat.clear_fcurves(rest)
    for path, index in sorted(channels):
        curve = compat.new_fcurve(rest, datablock, path, index)
        curve.keyframe_points.insert(0.0, rest_value(datablock, path, index))
    if not strips_of(datablock, rest):
        tracks = datablock.animation_data.nla_tracks
        empty = [track for track in tracks if track.name.startswith(REST) and not track.strips]
        strip = compat.new_nla_strip(empty[-1], REST, rest)
        strip.blend_type, strip.extrapolation = "REPLACE", "HOLD"
        strip.use_sync_length = False


def _track_with_room(
    datablock: bpy.types.ID, mark: str, start: float, end: float
) -> bpy.types.NlaTrack:
    """A track of lines, or of edits, that is free there; made above the last of its kind."""
    tracks = datablock.animation_data.nla_tracks
    last = None
    for track in tracks:
        if any(_is(strip, mark) for strip in track.strips):
            if _has_room(track, start, end, None):
                return track
            last = track
        elif any(_is(strip, _IS_REST) or _is_of_line(strip) for strip in track.strips):
            last = track
    track = tracks.new(prev=last)
    track.name = _NAMES[mark]
    return track


def _has_room(
    track: bpy.types.NlaTrack, start: float, end: float, besides: bpy.types.NlaStrip | None
) -> bool:
    others = [strip for strip in track.strips if strip != besides]
    return all(
        strip.frame_end <= start + _MARGIN or end - _MARGIN <= strip.frame_start for strip in others
    )


def _move(
    datablock: bpy.types.ID,
    track: bpy.types.NlaTrack,
    strip: bpy.types.NlaStrip,
    placed: Placed,
    new: Placed,
) -> None:
    """Move a strip as far as its line has moved, and scale and trim it alike."""
    start, begin, end, scale, ease = placed
    ratio = new[3] / scale
    moved = (strip.frame_start - start) * ratio
    action_start = new[1] if _same(strip.action_frame_start, begin) else strip.action_frame_start
    action_end = new[2] if _same(strip.action_frame_end, end) else strip.action_frame_end
    scaled = strip.scale * ratio
    left = new[0] + moved
    right = left + (action_end - action_start) * scaled * strip.repeat
    eases = [new[4] if _same(kept, ease) else kept for kept in (strip.blend_in, strip.blend_out)]
    if strip in [*track.strips] and not _has_room(track, left, right, strip):
        mark = LINE if _is_of_line(strip) else EDITS
        free = _track_with_room(datablock, mark, left, right)
        strip = _to_track(datablock.animation_data, track, strip, free)
    _set_range(strip, left, action_start, action_end, scaled)
    strip.blend_in, strip.blend_out = eases


def _set_range(
    strip: bpy.types.NlaStrip, start: float, begin: float, end: float, scale: float
) -> None:
    strip.blend_in = strip.blend_out = 0.0
    strip.action_frame_start, strip.action_frame_end = begin, end
    strip.scale = scale
    # The plain properties are held between the neighbours of where the strip was.
    strip.frame_start_raw = start
    strip.frame_end_raw = start + (end - begin) * scale * strip.repeat


def _to_track(
    animation: bpy.types.AnimData,
    old: bpy.types.NlaTrack,
    strip: bpy.types.NlaStrip,
    new: bpy.types.NlaTrack,
) -> bpy.types.NlaStrip:
    """The strip on another track; NLA strips cannot change theirs."""
    if not new.strips:
        new.name = _NAMES[LINE if _is_of_line(strip) else EDITS]
    copy = compat.new_nla_strip(new, strip.name, strip.action)
    for name in _SETTINGS:
        setattr(copy, name, getattr(strip, name))
    _set_range(
        copy, strip.frame_start, strip.action_frame_start, strip.action_frame_end, strip.scale
    )
    copy.blend_in, copy.blend_out = strip.blend_in, strip.blend_out
    old.strips.remove(strip)
    if not old.strips:
        animation.nla_tracks.remove(old)
    return copy


def _placed(action: bpy.types.Action, strip: bpy.types.NlaStrip) -> Placed:
    """How the strip of an Action was placed last; as it is, where it never was."""
    kept = action.get(_PLACED)
    if kept is not None:
        return tuple(kept)
    return (
        strip.frame_start,
        strip.action_frame_start,
        strip.action_frame_end,
        strip.scale,
        strip.blend_in,
    )


def _same(value: float, other: float) -> bool:
    return abs(value - other) < _MARGIN


def _is(strip: bpy.types.NlaStrip, mark: str) -> bool:
    return strip.action is not None and mark in strip.action


def _is_of_line(strip: bpy.types.NlaStrip) -> bool:
    return _is(strip, LINE)
