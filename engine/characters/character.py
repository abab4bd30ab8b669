# SPDX-License-Identifier: GPL-3.0-or-later
"""What every kind of character's file has in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from engine.core.arrays import Double, Float
from engine.motion.characters.bones import Channel, property_of
from engine.motion.characters.rigs import RestBone


class Part(NamedTuple):
    """An object of a character that has shape keys, or its list of VRM expressions.

    Attributes:
        name: of the object, as Blender shows it.
        keys: names of its shape keys, without the basis.
        is_expressions: whether it is the expressions, which move the objects' shape keys.
    """

    name: str
    keys: tuple[str, ...]
    is_expressions: bool = False


class Values(NamedTuple):
    """What shape keys do over time.

    Attributes:
        keys: K of a part's shape keys.
        values: (T, K) float32.
    """

    keys: tuple[str, ...]
    values: Float


class Rig(NamedTuple):
    """The bones of a character.

    Attributes:
        name: of the armature, as Blender shows it.
        bones: at rest; rotations are about their ``axes``, locations along their ``location_axes``.
        up: (3,) upwards in the space of the bones; its length is that of a metre there.
        properties: values at rest of the custom properties of bones that can be animated.
        called: what a VRM calls some of the bones, by their names.
    """

    name: str
    bones: tuple[RestBone, ...]
    up: Double
    properties: Mapping[Channel, float]
    called: Mapping[str, str]

    def has(self, channel: Channel) -> bool:
        """Whether a bone, and the custom property that a channel names, are there."""
        if property_of(channel[1]):
            return channel in self.properties
        return any(bone.name == channel[0] for bone in self.bones)


class BoneValues(NamedTuple):
    """What the bones of a rig do over time.

    Attributes:
        channels: C of them.
        values: (T, C) float32: radians about the bone's axes, its own units along them, factors.
        head_shares: share of the head's turn of each bone that turns with it.
    """

    channels: tuple[Channel, ...]
    values: Float
    head_shares: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Clip:
    """A line as a character speaks it; frame k is at second k / fps.

    Attributes:
        name: of the animation.
        fps: frames per second.
        values: by number of the part.
        head_rotation: (T, 3) float32 rotation vectors of the head, head space, radians.
        bones: by number of the rig.
    """

    name: str
    fps: float
    values: Mapping[int, Values]
    head_rotation: Float
    bones: Mapping[int, BoneValues] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        """T."""
        return len(self.head_rotation)


class Character(Protocol):
    """A character's file."""

    @property
    def path(self) -> Path:
        """Where it lies."""
        ...

    @property
    def parts(self) -> tuple[Part, ...]:
        """What in it has shape keys."""
        ...

    @property
    def rigs(self) -> tuple[Rig, ...]:
        """Its bones."""
        ...

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The kinds of files that :meth:`save` writes."""
        ...

    def save(self, out: Path, clips: Sequence[Clip]) -> tuple[str, ...]:
        """Write the character with an animation for each clip; what is in the file stays.

        Returns:
            What was left out, one sentence each.

        Raises:
            BadInputError: the file cannot hold them, or it cannot be written.
        """
        ...
