# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artist has changed in a line's keys: found, and kept in a layer above that adds it.

Each bake remembers its curves. The next one first takes the difference of what it finds to what it
left, frame by frame, into an Action of the artist's: its NLA strip lies above the line's and is
added to it. So an edit stays through every slider, re-bake and prediction.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...engine.core.inflate import inflate
from .. import compat
from ..characters.targets import rest_value
from . import nla

Double = NDArray[np.float64]

_LEFT = "gaussianspeech_left"
"""Custom property of an Action: its curves as the last bake left them."""
_CHECKSUM = "gaussianspeech_fingerprint"
"""What 0.1.0 kept instead: a checksum."""
_MOST_BYTES = 1 << 30
"""Bytes of the curves of an Action: ten million keys."""
_FORM = "2:"
"""Begins the checksums of everything that shapes curves."""
_BEZIER = 2
"""Number of the interpolation in ``foreach_set``; beyond it are the ones that ease."""
_SHAPES = ("interpolation", "easing", "handle_left_type", "handle_right_type")
_NUMBERS = (("co", 2), ("handle_left", 2), ("handle_right", 2), ("amplitude", 1), ("back", 1),
            ("period", 1))  # fmt: skip
"""What shapes a key: whole numbers, and others with their components."""
_SIZE = sum(size for _, size in _NUMBERS)
_OF_EASING = ("easing", "amplitude", "back", "period")
"""What shapes only keys beyond ``_BEZIER``: elsewhere it is not read, and 0."""
_SIZE_OF_BEZIER = sum(size for name, size in _NUMBERS if name not in _OF_EASING)
_SAME = 1e-5
"""Difference of values that is rounding."""
_NOT_SHAPING = {"rna_type", "show_expanded", "active", "is_valid", "name"}
"""Properties of modifiers that are about the interface."""


@dataclass(frozen=True, eq=False)
class Curve:
    """One curve as it is, or as a bake left it.

    Attributes:
        path, index: of the channel.
        about: extrapolation and modifiers, as text.
        shapes: (K, 4) int32 of each key, in the order of ``_SHAPES``.
        numbers: (K, 9) float32 likewise, of ``_NUMBERS``.
        played: the curve itself, where it is as it is now.
    """

    path: str
    index: int
    about: str
    shapes: NDArray[np.int32]
    numbers: NDArray[np.float32]
    played: bpy.types.FCurve | None = None

    @property
    def key(self) -> tuple[str, int]:
        """Which channel it is."""
        return self.path, self.index

    def same_as(self, other: Curve) -> bool:
        """Whether two curves play alike; Blender rounds handles when it computes them anew."""
        if self.about != other.about or self.shapes.shape != other.shapes.shape:
            return False
        if (self.shapes[:, 0] != other.shapes[:, 0]).any():
            return False
        most = int(self.shapes[:, 0].max(initial=0))
        if most > _BEZIER and (self.shapes[:, 1] != other.shapes[:, 1]).any():
            return False
        # Without a Bézier key the handles shape nothing, and versions of Blender differ in them.
        count = _SIZE if most > _BEZIER else _SIZE_OF_BEZIER if most == _BEZIER else 2
        mine, theirs = self.numbers[:, :count], other.numbers[:, :count]
        return np.array_equal(mine, theirs) or np.allclose(mine, theirs, rtol=_SAME, atol=_SAME)


def remember(action: bpy.types.Action) -> None:
    """Keep what the curves are now, to see later what was edited."""
    curves = _curves(action)
    about = [(c.path, c.index, c.about, len(c.shapes)) for c in curves]
    parts = [json.dumps(about).encode(), b"\0"]
    parts += [array.tobytes() for c in curves for array in (c.shapes, c.numbers)]
    action.pop(_LEFT, None)  # Blender cuts bytes that replace shorter ones to the old length.
    action[_LEFT] = zlib.compress(b"".join(parts), 1)


def is_of_0_1_0(action: bpy.types.Action) -> bool:
    """Whether an Action was filled by 0.1.0, which kept a checksum of its keys."""
    return _CHECKSUM in action


def remembers(action: bpy.types.Action) -> bool:
    """Whether a bake has left its curves with an Action."""
    return _LEFT in action


def is_edited(action: bpy.types.Action) -> bool:
    """Whether somebody has changed, added or removed curves since the bake, beyond muting them."""
    if not remembers(action):
        kept = str(action.get(_CHECKSUM, ""))
        return kept != _checksum(action, _FORM if kept.startswith(_FORM) else "")
    return bool(_changed(action))


def keep_edits(datablock: bpy.types.ID, action: bpy.types.Action, name: str) -> list[str]:
    """Take what an artist has changed in an Action into the layer above it.

    Args:
        datablock: what plays the Action.
        action: of a line, before it is filled anew.
        name: of the line.

    Returns:
        What the user should know, a sentence each.
    """
    changed = _changed(action)
    if not changed:
        return []
    span = nla.placed_span(action)
    layer = nla.edits_action(datablock, action[nla.LINE])
    if layer is None:
        layer = compat.new_action(f"{name} edits", datablock)
        layer[nla.EDITS] = action[nla.LINE]
    scratch = bpy.data.actions.new("GaussianSpeech scratch")
    try:
        for before, after in changed:
            _add_difference(datablock, layer, scratch, before, after, span.end)
    finally:
        bpy.data.actions.remove(scratch)
    nla.update_rest(datablock, action, layer)
    nla.place(datablock, layer, span, f"{name} edits")
    return [f"What you edited is kept in the layer '{layer.name}'."]


def remove_actions(datablock: bpy.types.ID, line_id: str) -> list[str]:
    """Take a line out of a datablock's animation; what an artist edited stays in the file.

    Returns:
        What the user should know, a sentence each.
    """
    notes = []
    for mark in (nla.LINE, nla.EDITS):
        while (action := nla.line_action(datablock, line_id, mark)) is not None:
            nla.remove_strips(datablock, action)
            if mark == nla.EDITS or is_edited(action):
                action.use_fake_user = True
                notes.append(f"What you edited is kept as '{action.name}'.")
            elif action.users == 0:
                bpy.data.actions.remove(action)
    if datablock.animation_data is not None:
        nla.update_rest(datablock)
        datablock.update_tag()
    return notes


def muted_channels(action: bpy.types.Action) -> nla.Channels:
    """Channels that an artist has muted."""
    return {
        (curve.data_path, curve.array_index)
        for curve in compat.fcurves(action)
        if curve.mute or (curve.group is not None and curve.group.mute)
    }


def mute_channels(action: bpy.types.Action, muted: nla.Channels) -> None:
    """Mute channels again that were before an Action was filled."""
    for curve in compat.fcurves(action):
        if (curve.data_path, curve.array_index) in muted:
            curve.mute = True


def _changed(action: bpy.types.Action) -> list[tuple[Curve | None, Curve | None]]:
    """The curves that differ, as the bake left them and as they are; ``None`` without one."""
    left = {curve.key: curve for curve in _left(action)}
    now = {curve.key: curve for curve in _curves(action)}
    pairs = [(left.get(key), now.get(key)) for key in left | now]
    return [
        (before, after)
        for before, after in pairs
        if before is None or after is None or not before.same_as(after)
    ]


def _curves(action: bpy.types.Action) -> list[Curve]:
    found = []
    for curve in compat.fcurves(action):
        points = curve.keyframe_points
        shapes = np.zeros((len(_SHAPES), len(points)), np.int32)
        points.foreach_get(_SHAPES[0], shapes[0])
        unread = () if (shapes[0] > _BEZIER).any() else _OF_EASING
        for row, name in enumerate(_SHAPES[1:], start=1):
            if name not in unread:
                points.foreach_get(name, shapes[row])
        columns = []
        for name, size in _NUMBERS:
            values = np.zeros(size * len(points), np.float32)
            if name not in unread:
                points.foreach_get(name, values)
            columns.append(values.reshape(-1, size))
        about = repr([curve.extrapolation, _properties(curve.modifiers)])
        numbers = np.concatenate(columns, axis=1)
        found.append(
            Curve(curve.data_path, curve.array_index, about, shapes.T.copy(), numbers, curve)
        )
    return found


def _left(action: bpy.types.Action) -> list[Curve]:
    header, _, data = inflate(bytes(action[_LEFT]), _MOST_BYTES).partition(b"\0")
    found, at = [], 0
    for path, index, about, count in json.loads(header):
        whole, size = 4 * count * len(_SHAPES), 4 * count * _SIZE
        shapes = np.frombuffer(data, np.int32, count * len(_SHAPES), at)
        numbers = np.frombuffer(data, np.float32, count * _SIZE, at + whole)
        at += whole + size
        shapes, numbers = shapes.reshape(count, -1), numbers.reshape(count, -1)
        found.append(Curve(path, index, about, shapes, numbers))
    return found


def _properties(values: Any) -> Any:
    """The settings of modifiers as plain values, to compare them by."""
    if isinstance(values, bpy.types.bpy_prop_collection):
        return [_properties(value) for value in values]
    if isinstance(values, bpy.types.bpy_struct):
        return [
            (known.identifier, _properties(getattr(values, known.identifier)))
            for known in values.bl_rna.properties
            if known.identifier not in _NOT_SHAPING
        ]
    return values if isinstance(values, bool | int | float | str) else list(values)


def _add_difference(
    datablock: bpy.types.ID,
    layer: bpy.types.Action,
    scratch: bpy.types.Action,
    before: Curve | None,
    after: Curve | None,
    last: float,
) -> None:
    """Add to a curve of the layer what a channel is now, less what the bake left."""
    path, index = (before or after).key
    frames = _frames(before, after, last)
    values = [
        _values(datablock, scratch, curve, frames, rest_value(datablock, path, index))
        for curve in (before, after)
    ]
    difference = values[1] - values[0]
    wanted = np.abs(difference) > _SAME
    # The frames on both sides hold what was: the layer changes nothing else.
    wanted |= np.append(wanted[1:], False) | np.append(False, wanted[:-1])
    curve = compat.new_fcurve(layer, datablock, path, index)
    base = np.zeros(len(frames))
    if len(curve.keyframe_points):
        base = np.array([curve.evaluate(frame) for frame in frames])
    for frame, value in zip(frames[wanted], (base + difference)[wanted], strict=True):
        point = curve.keyframe_points.insert(frame, value, options={"FAST"})
        point.interpolation = "LINEAR"
    curve.update()


def _frames(before: Curve | None, after: Curve | None, last: float) -> Double:
    """Every frame of the line, and those of the keys."""
    keys = [curve.numbers[:, 0] for curve in (before, after) if curve is not None]
    every = np.concatenate([*keys, [0.0, last]]).astype(np.float64)
    whole = np.arange(np.floor(every.min()), np.ceil(every.max()) + 1)
    return np.unique(np.round(np.concatenate([every, whole]), 3))


def _values(
    datablock: bpy.types.ID,
    scratch: bpy.types.Action,
    curve: Curve | None,
    frames: Double,
    rest: float,
) -> Double:
    """(F,) values of a curve at frames; at rest without one."""
    if curve is None or not len(curve.shapes):
        return np.full(len(frames), rest)
    played = curve.played or _rebuilt(datablock, scratch, curve)
    return np.array([played.evaluate(frame) for frame in frames])


def _rebuilt(datablock: bpy.types.ID, scratch: bpy.types.Action, curve: Curve) -> bpy.types.FCurve:
    """A curve as a bake left it."""
    made = compat.new_fcurve(scratch, datablock, curve.path, curve.index)
    points = made.keyframe_points
    points.add(len(curve.shapes))
    for column, name in enumerate(_SHAPES):
        points.foreach_set(name, np.ascontiguousarray(curve.shapes[:, column]))
    at = 0
    for name, size in _NUMBERS:
        numbers = np.ascontiguousarray(curve.numbers[:, at : at + size])
        points.foreach_set(name, numbers.ravel())
        at += size
    made.update()
    return made


def _checksum(action: bpy.types.Action, form: str) -> str:
    """That of 0.1.0, whose bakes are joined by straight lines: of positions, later of all else."""
    checksum = 0
    for curve in sorted(_curves(action), key=lambda curve: curve.key):
        about = curve.path
        if form:
            muted = curve.played.mute or (curve.played.group and curve.played.group.mute)
            modifiers = _properties(curve.played.modifiers)
            about = repr([curve.path, curve.played.extrapolation, bool(muted), modifiers])
        checksum = zlib.crc32(about.encode(), checksum)
        if form:
            shapes = np.ascontiguousarray(curve.shapes[:, 0])
            checksum = zlib.crc32(shapes.tobytes(), checksum)
        positions = np.ascontiguousarray(curve.numbers[:, :2])
        checksum = zlib.crc32(positions.tobytes(), checksum)
    return f"{form}{checksum:08x}"
