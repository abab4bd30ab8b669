# SPDX-License-Identifier: GPL-3.0-or-later
"""From ARKit weights to the channels of a rig's bones, by a table of rows.

A channel shows the sum of its rows, each from rest at weight 0 to its value at weight 1, and never
leaves what its rows name. The weights of the poses are sought as those of shape keys are
(:mod:`.mapping`): a rig with a jaw alone holds it up where lips touch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ...core.arrays import Float
from ...core.errors import BadInputError
from ..arkit import ARKIT_NAMES
from .conventions import Row
from .mapping import CharacterMapping, mapping_of_rows
from .poses import pose

AXES = ("x", "y", "z")
CHANNELS = tuple(f"{kind} {axis}" for kind in ("location", "rotation", "scale") for axis in AXES)
"""The channels of a bone, in its own axes; beside them there is ``property NAME``."""

HEAD = "head motion"
"""What a row shows that turns a bone with the head: its value is the bone's share of the turn."""

HEAD_CHANNEL = "rotation"
"""Channel of such a row: all axes."""

REST = "rest"
"""What a row shows that says where a control is at rest, which is not where channels begin."""

OBJECT = ""
"""Bone of a row about the rig's object itself: a custom property, of its data where it lacks it, or
the transform of a control that is no armature."""

_PROPERTY = re.compile(r"property (.+)", re.DOTALL)


class BoneRow(NamedTuple):
    """One channel of a bone and what it stands for.

    Attributes:
        bone: its name, or :data:`OBJECT`.
        channel: one of :data:`CHANNELS`, ``property NAME``, or :data:`HEAD_CHANNEL`.
        pose: what it shows, see :func:`.poses.pose`, :data:`HEAD`, or :data:`REST`.
        value: of the channel when it shows that: the rig's units, radians, a factor.
    """

    bone: str
    channel: str
    pose: str
    value: float


Channel = tuple[str, str]
"""A bone and a channel of it."""


@dataclass(frozen=True, eq=False)
class BoneMapping:
    """What the bones of a rig stand for.

    Attributes:
        rows: of channels; the head's apart.
        poses: what the K poses that the rows name are made of, its keys their names.
        head_shares: share of the head's turn of each bone that turns with it.
        at_rest: of channels whose rest the rows say.
    """

    rows: tuple[BoneRow, ...]
    poses: CharacterMapping
    head_shares: Mapping[str, float]
    at_rest: Mapping[Channel, float] = field(default_factory=dict)

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        """The C channels, each once, in the order of the table."""
        return tuple(dict.fromkeys((row.bone, row.channel) for row in self.rows))

    def values(
        self,
        weights: Float,
        names: Sequence[str],
        leader: CharacterMapping | None = None,
        rest: Mapping[Channel, float] | None = None,
    ) -> Float:
        """The channels that show ARKit weights best.

        Args:
            weights: (T, E).
            names: E names; expressions that are not ARKit's are left out.
            leader: of the character's object that shows most, see :class:`CharacterMapping`.
            rest: value of a channel at weight 0, where the rows do not say it: 1 for scales and 0
                for others where not given.

        Returns:
            (T, C) float32.
        """
        if not self.rows:
            return np.zeros((len(weights), 0), np.float32)
        known = {**(rest or {}), **self.at_rest}
        start = np.array([rest_of(channel, known) for channel in self.channels])
        column, pose = self._places
        offsets = np.zeros((len(self.poses.keys), len(start)))
        offsets[pose, column] = [row.value for row in self.rows] - start[column]
        low, high = np.minimum(offsets.min(axis=0), 0.0), np.maximum(offsets.max(axis=0), 0.0)
        shown = self.poses.values(weights, names, leader) @ offsets
        values: Float = (start + np.clip(shown, low, high)).astype(np.float32)
        return values

    @cached_property
    def _places(self) -> tuple[list[int], list[int]]:
        """For each row its channel, and its pose."""
        channels = {channel: number for number, channel in enumerate(self.channels)}
        poses = {pose: number for number, pose in enumerate(self.poses.keys)}
        columns = [channels[row.bone, row.channel] for row in self.rows]
        return columns, [poses[row.pose] for row in self.rows]


def rest_of(channel: Channel, rest: Mapping[Channel, float]) -> float:
    """Value of a channel at rest."""
    return rest.get(channel, 1.0 if channel[1].startswith("scale") else 0.0)


def property_of(channel: str) -> str:
    """The custom property that a channel names, or nothing."""
    match = _PROPERTY.fullmatch(channel)
    return match.group(1) if match else ""


def mapping_of_bones(rows: Sequence[BoneRow]) -> BoneMapping:
    """The mapping that a table of rows says.

    Raises:
        BadInputError: no rows, an unknown pose or channel, a value that is no number, a row twice,
            or a bone that turns both with the head and by itself.
    """
    if not rows:
        raise BadInputError("No bone is mapped.", "Map at least the jaw.")
    seen: set[tuple[str, str, str]] = set()
    for row in rows:
        if row[:3] in seen:
            raise _wrong(row, f"shows {row.pose!r} twice", "Remove one row.")
        seen.add(row[:3])
        _check(row)
    shares = {row.bone: row.value for row in rows if row.pose == HEAD}
    moving = tuple(row for row in rows if row.pose not in (HEAD, REST))
    at_rest = {(row.bone, row.channel): row.value for row in rows if row.pose == REST}
    for row in moving:
        if row.bone in shares and row.channel.startswith("rotation"):
            raise _wrong(row, "turns with the head, too", "Remove one of the two rows.")
    shown = [Row(name, name) for name in dict.fromkeys(row.pose for row in moving)]
    poses = mapping_of_rows(shown) if shown else _NO_POSES
    return BoneMapping(moving, poses, shares, at_rest)


_NO_POSES = CharacterMapping((), np.zeros((0, len(ARKIT_NAMES))))


def _check(row: BoneRow) -> None:
    if not math.isfinite(row.value):
        raise _wrong(row, f"has the value {row.value}", "Choose a number.")
    if (row.pose == HEAD) != (row.channel == HEAD_CHANNEL):
        raise _wrong(row, f"cannot show {row.pose!r}", "Head motion is a rotation about all axes.")
    if row.pose == REST and (row.bone != OBJECT or property_of(row.channel)):
        raise _wrong(row, f"cannot show {REST!r}", "Bones and properties rest at their defaults.")
    if row.bone == OBJECT and row.pose == HEAD:
        raise _wrong(row, "names no bone", "Name the one that turns with the head.")
    if row.channel not in (*CHANNELS, HEAD_CHANNEL) and not property_of(row.channel):
        raise _wrong(row, "is no channel", "Choose one from the list, or a custom property.")
    if row.pose not in (HEAD, REST):
        try:
            pose(row.pose)
        except KeyError:
            raise _wrong(
                row,
                f"stands for {row.pose!r}, which is no pose",
                "Choose an ARKit expression or a viseme from the list.",
            ) from None


def _wrong(row: BoneRow, what: str, hint: str) -> BadInputError:
    return BadInputError(f"The {row.channel} of the bone {row.bone!r} {what}.", hint)
