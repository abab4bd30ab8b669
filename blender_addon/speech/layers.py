# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artist has changed in a line's keys is kept in a layer above that adds it.

Each bake first takes the difference of what it finds to what the last one left, frame by frame,
into an Action of the artist's: its NLA strip lies above the line's and is added to it. So an edit
stays through every slider, re-bake and prediction.
"""

from __future__ import annotations

import bpy
import numpy as np

from ...engine.core.arrays import Double
from .. import compat
from ..characters.targets import rest_value
from . import drafts, nla
from .edits import BEZIER, NUMBERS, OF_EASING, SAME, SHAPES, SIZE, Curve, changing, read_curve
from .slices import Steps

_LINEAR = {"interpolation": 1, "handle_left_type": 4, "handle_right_type": 4}
"""Shapes of the keys of a layer; should one be made a Bézier key, its handles are automatic."""
_SAME_FRAME = 1e-2
"""Frames between two keys that Blender takes for one."""
_AT_ONCE = 2000
"""Frames of a curve that are evaluated before there may be a pause."""


def layer_of_edits(
    datablock: bpy.types.ID, action: bpy.types.Action, *, in_place: bool
) -> Steps[bpy.types.Action | None]:
    """Draft the layer with what an artist has changed in an Action; ``None`` without changes.

    Args:
        datablock: what plays the Action.
        action: of a line, before it is filled anew.
        in_place: change the layer itself, see :func:`.drafts.draft_of`.
    """
    changed = yield from changing(action)
    if not changed:
        return None
    span = nla.placed_span(action)
    before = nla.edits_action(datablock, action[nla.LINE])
    layer = drafts.draft_of(before, datablock, in_place=in_place)
    try:
        for was, now in changed:
            yield from _add_difference(datablock, layer, action, was, now, span.end)
    except BaseException:
        drafts.discard(layer)
        raise
    return layer


def put_layer(
    datablock: bpy.types.ID, action: bpy.types.Action, draft: bpy.types.Action, name: str
) -> str:
    """Let the drafted layer of a line's Action play above it; returns what the user should know.

    Args:
        datablock: what plays the Action.
        action: of a line, where it was placed last.
        draft: of :func:`layer_of_edits`.
        name: of the line.
    """
    line_id = action[nla.LINE]
    layer = drafts.put(draft, nla.edits_action(datablock, line_id), f"{name} edits")
    layer[nla.EDITS] = line_id
    nla.update_rest(datablock, action, layer)
    nla.place(datablock, layer, nla.placed_span(action), f"{name} edits")
    return f"What you edited is kept in the layer '{layer.name}'."


def _add_difference(
    datablock: bpy.types.ID,
    layer: bpy.types.Action,
    action: bpy.types.Action,
    before: Curve | None,
    after: Curve | None,
    last: float,
) -> Steps[None]:
    """Add to a curve of the layer what a channel is now, less what the bake left."""
    path, index = (before or after).key
    frames = _frames(before, after, last)
    rest = rest_value(datablock, path, index)
    was = yield from _values(datablock, action, before, frames, rest)
    now = yield from _values(datablock, action, after, frames, rest)
    difference = now - was
    wanted = np.abs(difference) > SAME
    # The frames on both sides hold what was: the layer changes nothing else.
    wanted |= np.append(wanted[1:], False) | np.append(False, wanted[:-1])
    compat.new_fcurve(layer, datablock, path, index)
    every = [(curve.data_path, curve.array_index) for curve in compat.fcurves(layer)]
    position = every.index((path, index))
    kept = read_curve(compat.fcurves(layer)[position], position)
    base = yield from _values(datablock, layer, kept, frames, 0.0)
    made = _with_keys(kept, frames[wanted], (base + difference)[wanted])
    _write(compat.new_fcurve(layer, datablock, path, index), made)


def _with_keys(curve: Curve, frames: Double, values: Double) -> Curve:
    """A curve with more keys, in the place of those that it has at the same frames."""
    shapes = np.zeros((len(frames), len(SHAPES)), np.int32)
    for name, value in _LINEAR.items():
        shapes[:, SHAPES.index(name)] = value
    places = np.stack([frames, values], axis=1)
    aside = np.array([1.0 / 3.0, 0.0])
    numbers = np.zeros((len(frames), SIZE), np.float32)
    numbers[:, :6] = np.concatenate([places, places - aside, places + aside], axis=1)
    edges = np.concatenate([[-np.inf], frames, [np.inf]])
    there = curve.numbers[:, 0].astype(np.float64)
    following = np.searchsorted(edges, there)
    nearest = np.minimum(there - edges[following - 1], edges[following] - there)
    kept = nearest > _SAME_FRAME
    shapes = np.concatenate([curve.shapes[kept], shapes])
    numbers = np.concatenate([curve.numbers[kept], numbers])
    order = np.argsort(numbers[:, 0], kind="stable")
    return Curve(curve.path, curve.index, curve.about, shapes[order], numbers[order])


def _frames(before: Curve | None, after: Curve | None, last: float) -> Double:
    """Every frame of the line, and those of the keys."""
    keys = [curve.numbers[:, 0] for curve in (before, after) if curve is not None]
    every = np.concatenate([*keys, [0.0, last]]).astype(np.float64)
    whole = np.arange(np.floor(every.min()), np.ceil(every.max()) + 1)
    return np.unique(np.round(np.concatenate([every, whole]), 3))


def _values(
    datablock: bpy.types.ID,
    action: bpy.types.Action,
    curve: Curve | None,
    frames: Double,
    rest: float,
) -> Steps[Double]:
    """(F,) values at frames of a curve of an Action, or of one that a bake left; rest without."""
    values = np.full(len(frames), rest)
    if curve is None or not len(curve.shapes):
        return values
    left = curve.position < 0
    scratch = drafts.draft_of(None, datablock, in_place=False) if left else None
    try:
        if scratch is not None:
            _write(compat.new_fcurve(scratch, datablock, curve.path, curve.index), curve)
        for begin in range(0, len(frames), _AT_ONCE):
            part = slice(begin, begin + _AT_ONCE)
            every = compat.fcurves(scratch or action)
            if curve.position >= len(every):
                raise ReferenceError(f"a curve of {curve.path} was removed")
            played = every[max(curve.position, 0)]
            values[part] = [played.evaluate(frame) for frame in frames[part]]
            yield None
    finally:
        if scratch is not None:
            drafts.discard(scratch)
    return values


def _write(made: bpy.types.FCurve, curve: Curve) -> None:
    """Give a curve keys, instead of those that it has."""
    points = made.keyframe_points
    points.clear()
    points.add(len(curve.shapes))
    for column, name in enumerate(SHAPES):
        points.foreach_set(name, np.ascontiguousarray(curve.shapes[:, column]))
    eases, at = bool((curve.shapes[:, 0] > BEZIER).any()), 0
    for name, size in NUMBERS:
        if eases or name not in OF_EASING:
            numbers = np.ascontiguousarray(curve.numbers[:, at : at + size])
            points.foreach_set(name, numbers.ravel())
        at += size
    made.update()
