# SPDX-License-Identifier: GPL-3.0-or-later
"""What was captured, and of whom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Float
from engine.heads import load_head
from engine.heads.carried_head import flame_model_of
from engine.heads.flame_model import FlameModel
from engine.heads.head import Head


@dataclass(frozen=True, eq=False)
class CapturedMotion:
    """Motion at its own rate, factored.

    Attributes:
        path: where it came from.
        fps: frames per second.
        weights: (T, K).
        basis: (K, V, 3) metres.
        expression: (T, E) of the head that is trained, where the motion is given in those.
        offset: seconds by which the sound began after the motion, of another program's motion,
            which has been brought into the time of the sound.
    """

    path: Path
    fps: float
    weights: Float
    basis: Float
    expression: Float | None
    offset: float | None = None

    def offsets(self, chosen: NDArray[np.intp] | slice) -> Float:
        """(n, 3V) dense offsets of some frames."""
        return self.weights[chosen] @ self.basis.reshape(len(self.basis), -1)


@dataclass(frozen=True, eq=False)
class CapturedHead:
    """Who was captured, and who is trained.

    Attributes:
        trained: the head of the model; its expressions are what the model speaks in.
        captured: the same mesh with the expressions that captures may be given in.
        flame: the model behind a FLAME head, where ``flame_param`` can be read.
    """

    trained: Head
    captured: Head
    flame: FlameModel | None = None

    @classmethod
    def of(cls, head: Head) -> CapturedHead:
        """A head that was captured as it is trained."""
        return cls(head, head)

    @classmethod
    def load(cls, id_or_path: str | Path) -> CapturedHead:
        """From a head's id or file.

        Raises:
            BadInputError: no such head.
        """
        head = load_head(id_or_path)
        if head.source.kind != "flame":
            return cls.of(head)
        return cls(head, head, flame_model_of(head, Path(id_or_path).parent))
