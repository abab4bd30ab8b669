# SPDX-License-Identifier: GPL-3.0-or-later
"""What every kind of character's file has in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from engine.core.arrays import Float


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


@dataclass(frozen=True, eq=False)
class Clip:
    """A line as a character speaks it; frame k is at second k / fps.

    Attributes:
        name: of the animation.
        fps: frames per second.
        values: by number of the part.
        head_rotation: (T, 3) float32 rotation vectors of the head, head space, radians.
    """

    name: str
    fps: float
    values: Mapping[int, Values]
    head_rotation: Float

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
