# SPDX-License-Identifier: GPL-3.0-or-later
"""From ARKit weights to the shape keys of a character: the mixture whose face comes closest.

Shapes that share no expression are read off directly. Others overlap (a viseme has jaw and lips):
their weights w in [0, 1] minimise ‖(w P − a) B‖² frame by frame, where the rows of P are the ARKit
weights of the shapes, a is those of the performance and the rows of B are the offsets of the
default head, the lips counted more; by coordinate descent on the normal equations. Then, where the
lips of the performance touch, those of the character do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...core.arrays import Double, Float
from ...core.errors import BadInputError
from ...core.npz import open_npz
from ..arkit import ARKIT_NAMES
from ..lip_contact import CLOSED, PARTED, LipGap, gap_of_pairs, smoothstep
from .conventions import Row
from .poses import pose

GEOMETRY = Path(__file__).resolve().parents[2] / "assets" / "expression_geometry.npz"

_SWEEPS = 300
_CONVERGED = 5e-5
"""Largest change of a weight in a sweep after which the solution stands."""


@dataclass(frozen=True, eq=False)
class CharacterMapping:
    """What the shape keys of a mesh stand for.

    Attributes:
        keys: K names of shape keys.
        poses: (K, 52) float64 ARKit weights that each shows at value 1, in the order of
            :data:`engine.motion.arkit.ARKIT_NAMES`.
    """

    keys: tuple[str, ...]
    poses: Double

    @cached_property
    def groups(self) -> tuple[CharacterMapping, NDArray[np.intp], Double]:
        """Shapes that show the same move alike, such as the quarters of a mouth.

        Returns:
            The first of each group; for each shape its group; and its value for 1 of the first.
        """
        reach = self.poses.max(axis=1, initial=0.0)
        alike = np.round(self.poses / np.maximum(reach, 1e-12)[:, None], 9)
        _, first, group = np.unique(alike, axis=0, return_index=True, return_inverse=True)
        order = np.argsort(first)  # As in the table.
        first, group = first[order], np.argsort(order)[group.ravel()]
        chosen = CharacterMapping(tuple(self.keys[i] for i in first), self.poses[first])
        return chosen, group, reach[first][group] / np.maximum(reach, 1e-12)

    def shown(self, values: Float) -> Float:
        """(T, 52) float32 ARKit weights that (T, K) key values show; of keys alike their mean."""
        chosen, group, factor = self.groups
        share = np.zeros((len(self.keys), len(chosen.keys)))
        share[np.arange(len(self.keys)), group] = 1.0 / factor
        share /= np.bincount(group, minlength=len(chosen.keys))
        weights: Float = (values @ share @ chosen.poses).astype(np.float32)
        return weights

    @property
    def disjoint(self) -> bool:
        """Whether no two shapes move the same expression."""
        return bool(((self.poses > 0).sum(axis=0) <= 1).all())

    def values(
        self, weights: Float, names: Sequence[str], main: CharacterMapping | None = None
    ) -> Float:
        """The key values that show ARKit weights best.

        Args:
            weights: (T, E).
            names: E names; expressions that are not ARKit's are left out.
            main: of the character's main object, whose keys these follow where they show the same:
                teeth go with the jaw, also where closed lips hold it up.

        Returns:
            (T, K) float32 in [0, 1].
        """
        arkit = np.zeros((len(weights), len(ARKIT_NAMES)))
        for column, name in enumerate(names):
            if name in ARKIT_NAMES:
                arkit[:, ARKIT_NAMES.index(name)] = weights[:, column]
        chosen, group, factor = self.groups
        mixed = chosen._mixed(arkit)  # noqa: SLF001 - of the same kind
        if main is not None:
            chosen._follow(mixed, main, main.values(weights, names))  # noqa: SLF001
        elif not np.allclose(mixed @ chosen.poses, arkit, atol=1e-6):
            mixed = _closed(mixed, arkit, chosen.poses)
        values: Float = np.clip(mixed[:, group] * factor, 0.0, 1.0).astype(np.float32)
        return values

    def _mixed(self, arkit: Double) -> Double:
        """(T, K) weights of shapes of which no two show the same."""
        if self.disjoint:
            read: Double = np.clip(arkit @ self.poses.T / (self.poses**2).sum(axis=1), 0.0, 1.0)
            return read
        return _mixture(arkit, self.poses, expression_geometry().metric)

    def _follow(self, mixed: Double, main: CharacterMapping, values: Float) -> None:
        """Take over the values of the main object's keys of the same pose, in place."""
        known = {pose.tobytes(): column for column, pose in enumerate(main.poses)}
        for column, shown in enumerate(self.poses):
            if (same := known.get(shown.tobytes())) is not None:
                mixed[:, column] = values[:, same]


def mapping_of_rows(rows: Sequence[Row]) -> CharacterMapping:
    """The mapping that a table of rows says.

    Raises:
        BadInputError: no rows, an unknown pose, an amount outside 0.05 to 10, or a key twice.
    """
    if not rows:
        raise BadInputError("No shape key is mapped.", "Map at least those of the mouth.")
    poses = np.zeros((len(rows), len(ARKIT_NAMES)))
    seen: set[str] = set()
    for number, (key, name, amount) in enumerate(rows):
        if key in seen:
            raise BadInputError(f"The shape key {key!r} is mapped twice.", "Remove one row.")
        seen.add(key)
        if not 0.05 <= amount <= 10.0:
            raise BadInputError(
                f"The shape key {key!r} has the amount {amount:g}.", "Choose 0.05 to 10."
            )
        try:
            shown = pose(name)
        except KeyError:
            raise BadInputError(
                f"The shape key {key!r} stands for {name!r}, which is no pose.",
                "Choose an ARKit expression or a viseme from the list.",
            ) from None
        for expression, weight in shown.items():
            poses[number, ARKIT_NAMES.index(expression)] = weight / amount
    return CharacterMapping(tuple(row.key for row in rows), poses)


class ExpressionGeometry(NamedTuple):
    """How the ARKit expressions move the default head, in the order of their names.

    Attributes:
        metric: (52, 52) float64 inner products of their offsets, mm² per vertex.
        parting: (52, P) float64 metres by which each parts the P pairs of the inner lips.
    """

    metric: Double
    parting: Double


@cache
def expression_geometry() -> ExpressionGeometry:
    """The geometry, read once."""
    found = open_npz(GEOMETRY, "Install the project again.")
    expressions = len(ARKIT_NAMES)
    return ExpressionGeometry(
        found.numbers("metric", (expressions, expressions), np.float64),
        found.numbers("parting", (expressions, None), np.float64),
    )


def default_lip_gap(names: Sequence[str]) -> LipGap | None:
    """How ARKit's expressions part the inner lips of the default head, for meshes without.

    Args:
        names: the order of the expressions; ``None`` where they are not all ARKit's.
    """
    if not set(names) <= set(ARKIT_NAMES):
        return None
    parting = expression_geometry().parting
    return gap_of_pairs(names, parting[[ARKIT_NAMES.index(name) for name in names]])


def _mixture(arkit: Double, poses: Double, metric: Double) -> Double:
    """(T, K) weights in [0, 1] of the least squares problem, for all frames at once."""
    normal = poses @ metric @ poses.T
    wanted = arkit @ metric @ poses.T
    scale = np.diag(normal).copy()
    still = scale <= 1e-12 * max(scale.max(), 1e-12)
    # From zero with equal steps for all frames: what changes little from frame to frame stays so.
    weights = np.zeros((len(arkit), len(poses)))
    for _ in range(_SWEEPS):
        largest = 0.0
        for k in np.flatnonzero(~still):
            old = weights[:, k]
            new = np.clip(old + (wanted[:, k] - weights @ normal[:, k]) / scale[k], 0.0, 1.0)
            largest = max(largest, float(np.abs(new - old).max(initial=0.0)))
            weights[:, k] = new
        if largest < _CONVERGED:
            break
    return weights


def _closed(weights: Double, arkit: Double, poses: Double) -> Double:
    """Weights whose lips are no further apart than the performance's, where those touch.

    What opens the widest pair of the inner lips is scaled down by as much as that takes.
    """
    parting = expression_geometry().parting
    meant = (arkit @ parting).max(axis=1)
    opening = poses @ parting
    widest = (weights @ opening).argmax(axis=1)
    share = weights * opening[:, widest].T
    opens = np.maximum(share, 0.0).sum(axis=1)
    closes = np.minimum(share, 0.0).sum(axis=1)
    room = np.maximum(meant, 0.0) - closes
    scale = np.clip(np.divide(room, opens, out=np.ones_like(opens), where=opens > 0), 0.0, 1.0)
    touching = 1.0 - smoothstep((meant - CLOSED) / (PARTED - CLOSED))
    factor = 1.0 - touching * (1.0 - scale)
    closed: Double = weights * np.where(share > 0, factor[:, None], 1.0)
    return closed
