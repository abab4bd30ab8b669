# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artist has changed in a line's keys: each bake remembers its curves, to find it later."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...engine.core.inflate import inflate
from .. import compat
from . import nla
from .slices import Steps, run_through

_LEFT = "gaussianspeech_left"
"""Custom property of an Action: its curves as the last bake left them."""
_CHECKSUM = "gaussianspeech_fingerprint"
"""What 0.1.0 kept instead: a checksum."""
_MOST_BYTES = 1 << 30
"""Bytes of the curves of an Action: ten million keys."""
_FORM = "2:"
"""Begins the checksums of everything that shapes curves."""
BEZIER = 2
"""Number of the interpolation in ``foreach_set``; beyond it are the ones that ease."""
SHAPES = ("interpolation", "easing", "handle_left_type", "handle_right_type")
NUMBERS = (("co", 2), ("handle_left", 2), ("handle_right", 2), ("amplitude", 1), ("back", 1),
            ("period", 1))  # fmt: skip
"""What shapes a key: whole numbers, and others with their components."""
SIZE = sum(size for _, size in NUMBERS)
OF_EASING = ("easing", "amplitude", "back", "period")
"""What shapes only keys beyond ``BEZIER``: elsewhere it is not read, and 0."""
_SIZE_OF_BEZIER = sum(size for name, size in NUMBERS if name not in OF_EASING)
SAME = 1e-5
"""Difference of values that is rounding."""
_NOT_SHAPING = {"rna_type", "show_expanded", "active", "is_valid", "name"}
"""Properties of modifiers that are about the interface."""

Changes = list[tuple["Curve | None", "Curve | None"]]
"""Curves as a bake left them and as they are; ``None`` without one."""


@dataclass(frozen=True, eq=False)
class Curve:
    """One curve as it is, or as a bake left it.

    Attributes:
        path, index: of the channel.
        about: extrapolation and modifiers, as text.
        shapes: (K, 4) int32 of each key, in the order of ``SHAPES``.
        numbers: (K, 9) float32 likewise, of ``NUMBERS``.
        position: among all curves of the Action, where it is as it is now; else −1.
    """

    path: str
    index: int
    about: str
    shapes: NDArray[np.int32]
    numbers: NDArray[np.float32]
    position: int = -1

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
        if most > BEZIER and (self.shapes[:, 1] != other.shapes[:, 1]).any():
            return False
        # Without a Bézier key the handles shape nothing, and versions of Blender differ in them.
        count = SIZE if most > BEZIER else _SIZE_OF_BEZIER if most == BEZIER else 2
        mine, theirs = self.numbers[:, :count], other.numbers[:, :count]
        return np.array_equal(mine, theirs) or np.allclose(mine, theirs, rtol=SAME, atol=SAME)


def remember(action: bpy.types.Action) -> None:
    """Keep what the curves are now, to see later what was edited."""
    run_through(remembering(action))


def remembering(action: bpy.types.Action) -> Steps[None]:
    """As :func:`remember`, in slices."""
    curves = yield from _reading(action)
    packed = yield lambda _check: _packed(curves)
    action.pop(_LEFT, None)  # Blender cuts bytes that replace shorter ones to the old length.
    action[_LEFT] = packed


def _packed(curves: Sequence[Curve]) -> bytes:
    about = [(c.path, c.index, c.about, len(c.shapes)) for c in curves]
    parts = [json.dumps(about).encode(), b"\0"]
    parts += [array.tobytes() for c in curves for array in (c.shapes, c.numbers)]
    return zlib.compress(b"".join(parts), 1)


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
    return bool(run_through(changing(action)))


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


def changing(action: bpy.types.Action) -> Steps[Changes]:
    """The curves of a bake that an artist has changed, in slices."""
    left = bytes(action[_LEFT])
    now = yield from _reading(action)
    changes: Changes = yield lambda _check: _changed(_left(left), now)
    return changes


def _changed(left: Sequence[Curve], now: Sequence[Curve]) -> Changes:
    before = {curve.key: curve for curve in left}
    after = {curve.key: curve for curve in now}
    pairs = [(before.get(key), after.get(key)) for key in before | after]
    return [(was, now) for was, now in pairs if was is None or now is None or not was.same_as(now)]


def _reading(action: bpy.types.Action) -> Steps[list[Curve]]:
    """The curves as they are; what is added or removed in a pause changes what is found."""
    found = []
    for position in range(len(compat.fcurves(action))):
        every = compat.fcurves(action)
        if position < len(every):
            found.append(read_curve(every[position], position))
        yield None
    return found


def read_curve(curve: bpy.types.FCurve, position: int) -> Curve:
    """A curve as it is, at some position among those of its Action."""
    points = curve.keyframe_points
    shapes = np.zeros((len(SHAPES), len(points)), np.int32)
    points.foreach_get(SHAPES[0], shapes[0])
    unread = () if (shapes[0] > BEZIER).any() else OF_EASING
    for row, name in enumerate(SHAPES[1:], start=1):
        if name not in unread:
            points.foreach_get(name, shapes[row])
    columns = []
    for name, size in NUMBERS:
        values = np.zeros(size * len(points), np.float32)
        if name not in unread:
            points.foreach_get(name, values)
        columns.append(values.reshape(-1, size))
    about = repr([curve.extrapolation, _properties(curve.modifiers)])
    numbers = np.concatenate(columns, axis=1)
    return Curve(curve.data_path, curve.array_index, about, shapes.T.copy(), numbers, position)


def _left(packed: bytes) -> list[Curve]:
    header, _, data = inflate(packed, _MOST_BYTES).partition(b"\0")
    found, at = [], 0
    for path, index, about, count in json.loads(header):
        whole, size = 4 * count * len(SHAPES), 4 * count * SIZE
        shapes = np.frombuffer(data, np.int32, count * len(SHAPES), at)
        numbers = np.frombuffer(data, np.float32, count * SIZE, at + whole)
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


def _checksum(action: bpy.types.Action, form: str) -> str:
    """That of 0.1.0, whose bakes are joined by straight lines: of positions, later of all else."""
    checksum = 0
    every = compat.fcurves(action)
    for curve in sorted(run_through(_reading(action)), key=lambda curve: curve.key):
        about = curve.path
        if form:
            played = every[curve.position]
            muted = played.mute or (played.group and played.group.mute)
            modifiers = _properties(played.modifiers)
            about = repr([curve.path, played.extrapolation, bool(muted), modifiers])
        checksum = zlib.crc32(about.encode(), checksum)
        if form:
            shapes = np.ascontiguousarray(curve.shapes[:, 0])
            checksum = zlib.crc32(shapes.tobytes(), checksum)
        positions = np.ascontiguousarray(curve.numbers[:, :2])
        checksum = zlib.crc32(positions.tobytes(), checksum)
    return f"{form}{checksum:08x}"
