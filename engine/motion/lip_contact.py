# SPDX-License-Identifier: GPL-3.0-or-later
"""Lip contact: the one place where ``mouthClose`` is solved, and where the lip meets the teeth.

Offsets are linear in the weights, so the gap of each pair of opposite vertices of the inner lips is
``weights @ parting``, and the change of ``mouthClose`` at which the widest pair just touches has a
closed form (:func:`_change_to_touch`). The rules, the models, styles and retargeting differ in
*when* lips are meant to touch; each has its function here.

numpy alone, for Blender imports this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Double, Float  # noqa: TID252
from .arkit import ARKIT_NAMES

_LEAST_CLOSING = 0.002
"""Metres by which mouthClose must close a pair of the inner lips for the pair to count."""

_MOST_CHANGE = 0.15
"""Largest change of mouthClose in a closure of the rules; a head that needs more closes its lips
some other way."""

CLOSED, PARTED = 0.0003, 0.0015
"""Metres of gap in a finished performance up to which lips touch, and from which they do not."""

_NEARLY_CLOSED, _MEANT_OPEN = 0.0003, 0.0007
"""Metres of predicted gap under which lips are meant to touch, and above which they are left alone:
models are trained to overlap the lips in p, b and m, so what little is missing is a contact that
was not quite reached; narrow rounded sounds part the lips by 2 mm and more."""
_BILABIAL_CLOSED, _BILABIAL_OPEN = 0.003, 0.006
"""The same in a p, b or m that was recognised. Where the model opens further than that, its own
encoding of the sound outweighs the recogniser's."""
_MOST_OVERLAP = 0.0002
"""Metres by which any pair of the lips may overlap."""
_HELD_JAW = np.float32(0.05)
"""Most jawOpen behind lips that are held closed."""
OPEN = 0.004
"""Metres of gap from which a mouth counts as open."""
_PARTING = ("mouthFunnel", "mouthLowerDown", "mouthRollLower", "mouthUpperUp", "tongueOut")
"""Expressions that end where the lips touch: they part them, or roll one under the teeth."""

_ROLLED = (0.20, 0.60)
"""Weights of mouthRollLower from which the lower lip begins to be, and is, under the teeth."""
_PREDICTED_ROLL = (0.15, 0.40)
"""Predicted weights of mouthRollLower from which an f or v is half meant, and meant."""
LABIODENTAL_ROLL, LABIODENTAL_JAW = 0.86, 0.13
"""mouthRollLower and jawOpen of a complete labiodental contact: the jaw takes the lower lip under
the upper teeth, whose edges stand two millimetres below closed lips."""
_LOWERING, _LOWERING_KEPT = ("mouthFunnel", "mouthLowerDown"), 0.3
"""Expressions that keep the lower lip from the teeth, and the part of them that a labiodental
contact leaves."""


@dataclass(frozen=True, eq=False)
class LipGap:
    """How the expressions of a head part its inner lips.

    Attributes:
        names: E names.
        parting: (E, P) metres by which each expression parts each pair of opposite vertices, for
            the P pairs that ``mouthClose`` can close.
        close: index of ``mouthClose``.
        beyond: (T, P) metres by which something else than the expressions parts each pair in each
            frame, or 0.
    """

    names: tuple[str, ...]
    parting: Double
    close: int
    beyond: Double | float = 0.0

    def apart(self, weights: NDArray[Any]) -> Double:
        """(T, P) metres between the vertices of each pair, at (T, E) weights."""
        return np.asarray(weights @ self.parting + self.beyond, np.float64)


def lip_gap(
    offsets: NDArray[Any], names: Sequence[str], landmarks: Mapping[str, Any]
) -> LipGap | None:
    """The lip gap of a head; ``None`` without ``mouthClose`` or landmarks of the inner lips.

    Args:
        offsets: (E, V, 3) of each expression, head space, metres.
        names: E names.
        landmarks: vertices by name; ``inner_lip_upper`` and ``inner_lip_lower``, P of each,
            opposite each other, are looked for.
    """
    upper, lower = landmarks.get("inner_lip_upper"), landmarks.get("inner_lip_lower")
    if upper is None or lower is None:
        return None
    return gap_of_pairs(
        names, offsets[:, list(upper), 1].astype(np.float64) - offsets[:, list(lower), 1]
    )


def gap_of_pairs(names: Sequence[str], parting: NDArray[Any]) -> LipGap | None:
    """The lip gap from (E, P) metres by which each expression parts each pair of vertices.

    ``None`` without ``mouthClose``, or where it closes no pair.
    """
    if "mouthClose" not in names:
        return None
    close = list(names).index("mouthClose")
    pairs = -parting[close] > _LEAST_CLOSING
    if not pairs.any():
        return None
    return LipGap(tuple(names), parting[:, pairs].astype(np.float64), close)


def fit_mouth_close(weights: Float, gap: LipGap | None, closure: Double) -> Float:
    """Weights of the rules whose closures neither gape nor let the lips sink into each other.

    The rules close the lips with ``mouthClose`` as large as ``jawOpen``; a pucker, a smile or the
    press itself still moves them apart or into each other, differently on each head. In a complete
    closure no pair of the inner lips stays apart and at least one just touches; elsewhere the
    change fades with the closure.

    Args:
        weights: (T, E) of the head's expressions.
        gap: of the head; without one nothing changes.
        closure: (T,) how far p, b and m close the lips, 0 to 1.
    """
    frames = np.flatnonzero(closure > 0.0)
    if gap is None or "jawOpen" not in gap.names or len(frames) == 0:
        return weights
    closed = weights[frames].astype(np.float64)
    closed[:, gap.close] = closed[:, gap.names.index("jawOpen")]
    change = np.clip(_change_to_touch(closed, gap), -_MOST_CHANGE, _MOST_CHANGE)
    fitted = weights.copy()
    fitted[frames, gap.close] = np.clip(
        fitted[frames, gap.close] + change * closure[frames] ** 2, 0.0, 1.0
    )
    return fitted


def close_lips(weights: Float, gap: LipGap | None, closure_target: Double) -> Float:
    """Predicted weights in [0, 1] whose lips touch wherever they nearly do.

    A regression ends a little short of every contact. Where the gap between the inner lips is
    smaller than any sound but a contact leaves, what parts the lips fades out, and ``mouthClose``
    takes the rest to nothing; lips that sink into each other are brought back to a touch. Each
    frame is solved by itself, so a stream gives the same.

    Args:
        weights: (T, E) of the head's expressions.
        gap: of the head; without one nothing but the range changes.
        closure_target: (T,) how far the recognised p, b and m close the lips, 0 to 1.
    """
    weights = np.clip(weights, 0.0, 1.0)
    if gap is None:
        return weights
    widest = gap.apart(weights).max(axis=1)
    closed = _falling(widest, _NEARLY_CLOSED, _MEANT_OPEN)
    closed = np.maximum(closed, closure_target * _falling(widest, _BILABIAL_CLOSED, _BILABIAL_OPEN))
    parting = [i for i, name in enumerate(gap.names) if name.startswith(_PARTING)]
    weights[:, parting] *= (1.0 - closed)[:, None].astype(np.float32)
    weights = _changed(weights, gap, _change_to_touch(weights, gap) * closed)
    return _without_overlap(weights, gap)


def keep_lip_contact(
    styled: Float, before: Float, gap: LipGap, other: LipGap | None = None
) -> Float:
    """Styled weights whose lips touch where they touched before.

    Args:
        styled: (T, E) after the style; they are changed in place.
        before: (T, E) before it.
        gap: of the head.
        other: of the head before, where that was another.
    """
    widest = (other or gap).apart(before).max(axis=1)
    closed = _falling(widest, CLOSED, PARTED)
    change = _change_to_touch(styled, gap, np.maximum(widest, 0.0))
    return _changed(styled, gap, change * closed)


def hold_lips_closed(
    weights: Float, names: Sequence[str], gap: LipGap | None, hold: Double
) -> Float:
    """Weights whose lips are held closed, whatever the mouth says meanwhile.

    What parts the lips fades out, the jaw nearly closes, and ``mouthClose`` takes the rest to a
    touch; the corners of the mouth and the face above it move on. Frames that hold nothing keep
    every bit.

    Args:
        weights: (T, E) of ARKit expressions, and of any others, which fade out: at rest the lips
            touch.
        names: E names.
        gap: of the head; without one the lips close by as much as the jaw opens them.
        hold: (T,) how closed, 0 to 1.
    """
    frames = np.flatnonzero(hold > 0.0)
    if not len(frames):
        return weights
    columns = {name: column for column, name in enumerate(names)}
    target = weights[frames].copy()
    fading = [name for name in names if name.startswith(_PARTING) or name not in ARKIT_NAMES]
    target[:, [columns[name] for name in fading]] = 0.0
    jaw, close = columns.get("jawOpen"), columns.get("mouthClose")
    if jaw is not None:
        target[:, jaw] = np.minimum(target[:, jaw], 0.0 if close is None else _HELD_JAW)
        if close is not None:
            target[:, close] = target[:, jaw]
    amount = hold[frames]
    share = amount[:, None].astype(np.float32)
    held = np.asarray((1 - share) * weights[frames] + share * target, np.float32)
    if gap is not None:
        held = _changed(held, gap, _change_to_touch(held, gap) * amount)
    result = weights.copy()
    result[frames] = held
    return result


def lips_touch(weights: NDArray[Any], gap: LipGap) -> NDArray[np.bool_]:
    """(T,) whether the lips touch, at the (T, E) weights of a finished performance."""
    return np.asarray(gap.apart(weights).max(axis=1) <= CLOSED)


def apply_labiodental_contact(weights: Float, names: Sequence[str], contact: Double) -> Float:
    """Predicted weights whose lower lip reaches the teeth in the f and v that were recognised.

    Where the model rolls the lip in, but less far than such a sound needs, it is rolled in all the
    way, over a jaw that lets it, and what keeps it from the teeth fades out. A model that hardly
    rolls it took the sound for another one than the recogniser did, and its choice stands.

    Args:
        weights: (T, E) of the head's expressions.
        names: E names; without ``mouthRollLower`` nothing changes.
        contact: (T,) how far the recognised f and v bring the lower lip to the teeth, 0 to 1.
    """
    if "mouthRollLower" not in names:
        return weights
    result = weights.copy()
    rolled = result[:, list(names).index("mouthRollLower")]
    full = (contact * _rising(rolled, *_PREDICTED_ROLL)).astype(np.float32)
    for name, least in (("mouthRollLower", LABIODENTAL_ROLL), ("jawOpen", LABIODENTAL_JAW)):
        if name in names:
            column = list(names).index(name)
            more = np.maximum(np.float32(least) - result[:, column], 0.0)
            result[:, column] += full * more
    for i, name in enumerate(names):
        if name.startswith(_LOWERING):
            result[:, i] *= 1.0 - full * np.float32(1.0 - _LOWERING_KEPT)
    return result


def labiodental_contact(weights: Float, names: Sequence[str]) -> Double:
    """(T,) how far the lower lip is under the teeth, 0 to 1, by the (T, E) weights."""
    if "mouthRollLower" not in names:
        return np.zeros(len(weights))
    return _rising(weights[:, list(names).index("mouthRollLower")], *_ROLLED)


def openness(weights: Float, names: Sequence[str], gap: LipGap | None) -> Double:
    """(T,) how far the mouth is open by the (T, E) weights: 0 closed lips, 1 from 4 mm of gap.

    Without a gap the jaw's weight stands in, which is open from 0.15.
    """
    if gap is not None:
        return _rising(gap.apart(weights).max(axis=1), PARTED / 3, OPEN)
    if "jawOpen" not in names:
        return np.zeros(len(weights))
    parted = weights[:, list(names).index("jawOpen")].astype(np.float64)
    if "mouthClose" in names:
        parted = parted - weights[:, list(names).index("mouthClose")]
    return _rising(parted, 0.0, 0.15)


def smoothstep(x: Double) -> Double:
    """Perlin's quintic ``6x⁵ − 15x⁴ + 10x³``, constant outside [0, 1]."""
    x = np.clip(x, 0.0, 1.0)
    return np.minimum(x * x * x * (x * (6.0 * x - 15.0) + 10.0), 1.0)


def _change_to_touch(weights: NDArray[Any], gap: LipGap, target: Double | float = 0.0) -> Double:
    """(T,) change of mouthClose after which the widest pair of the inner lips is at ``target``.

    With gaps ``g = weights @ parting + beyond`` and ``c > 0`` the metres that mouthClose closes
    each pair, ``g − Δ·c ≤ target`` for all pairs, with equality for one, at
    ``Δ = max((g − target) / c)``.
    """
    apart = gap.apart(weights) - np.reshape(target, (-1, 1))
    change: Double = (apart / -gap.parting[gap.close]).max(axis=1)
    return change


def _without_overlap(weights: Float, gap: LipGap) -> Float:
    """The weights, in place, whose lips give way where pairs overlap beside others that part."""
    room = (gap.apart(weights) + _MOST_OVERLAP) / -gap.parting[gap.close]
    return _changed(weights, gap, np.minimum(room.min(axis=1), 0.0))


def _changed(weights: Float, gap: LipGap, change: Double) -> Float:
    """The weights, in place, with mouthClose changed within [0, 1]."""
    weights[:, gap.close] = np.clip(weights[:, gap.close] + change, 0.0, 1.0)
    return weights


def _rising(x: NDArray[Any], low: float, high: float) -> Double:
    return smoothstep((x.astype(np.float64) - low) / (high - low))


def _falling(x: NDArray[Any], low: float, high: float) -> Double:
    return smoothstep((high - x.astype(np.float64)) / (high - low))
