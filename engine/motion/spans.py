# SPDX-License-Identifier: GPL-3.0-or-later
"""Spans of a line that an artist speaks otherwise: lips held closed, or a phrase's own strength.

numpy alone, for Blender imports this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ..core.arrays import Double, Float  # noqa: TID252
from .lip_contact import LipGap, hold_lips_closed
from .rules.coarticulation import ContactIntervals, envelope
from .rules.contacts import CLOSING, OPENING, visible

HOLD_CLOSED, STRENGTH = "HOLD_CLOSED", "STRENGTH"

_EASE = 0.12
"""Seconds over which a phrase's strength begins before it and ends after it."""


class Span(NamedTuple):
    """A span of time with a setting of its own.

    Attributes:
        kind: :data:`HOLD_CLOSED` or :data:`STRENGTH`.
        start, end: seconds from the first frame.
        amount: how closed the lips are held, 0 to 1; or the factor of what the phrase moves.
    """

    kind: str
    start: float
    end: float
    amount: float = 1.0


def strength_curve(spans: Iterable[Span], frames: int, fps: float) -> Double:
    """(T,) factor of everything at the frame times ``i / fps``; spans that overlap multiply."""
    curve = np.ones(frames)
    for span in spans:
        if span.kind == STRENGTH:
            whole = _intervals([span._replace(amount=1.0)], fps, _EASE, _EASE)
            curve *= 1.0 + (span.amount - 1.0) * envelope(whole, frames, fps)
    return curve


def hold_curve(spans: Iterable[Span], frames: int, fps: float) -> Double:
    """(T,) how closed the lips are held at the frame times: fully from start to end of a span.

    They close before it and open after it in the time of a p's closure; the shortest span holds one
    frame.
    """
    held = [span for span in spans if span.kind == HOLD_CLOSED]
    return envelope(_intervals(held, fps, CLOSING, OPENING), frames, fps)


def hold_closed(
    weights: Float, names: Sequence[str], gap: LipGap | None, spans: Iterable[Span], fps: float
) -> Float:
    """Finished weights with the lips closed in the spans that hold them.

    Args:
        weights: (T, E), see :func:`engine.motion.lip_contact.hold_lips_closed`.
        names: E names.
        gap: of the head's inner lips, ``None`` where it is not known.
        spans: those of other kinds change nothing.
        fps: frames per second.
    """
    return hold_lips_closed(weights, names, gap, hold_curve(spans, len(weights), fps))


def _intervals(spans: Sequence[Span], fps: float, rise: float, fall: float) -> ContactIntervals:
    rows = [(*visible((s.start, s.end), fps), rise, fall, s.amount) for s in spans]
    return ContactIntervals(*np.array(rows, np.float64).reshape(-1, 5).T)
