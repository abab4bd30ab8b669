# SPDX-License-Identifier: GPL-3.0-or-later
"""Blinks, and brows that rise with emphasis: what a speaking face does besides speaking."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.motion.arkit import ARKIT_NAMES, COLUMN, sides, to_head_weights
from engine.motion.rules.coarticulation import Array, ContactIntervals, envelope
from engine.motion.style import Style
from engine.phonemes import SILENCE, VOWELS, Phone

_BLINK_EVERY = 3.6
_BLINK_SPREAD = 0.45
_FIRST_BLINK = 0.7
_LIDS_FALL, _LIDS_SHUT, _LIDS_RISE = 0.09, 0.03, 0.17
"""Seconds; lids fall about twice as fast as they rise (Evinger et al. 1991)."""
_PAUSE_DRAWS = 0.6
"""A blink moves to a pause no further away than this: speakers blink at phrase ends."""
_EMPHASIS_LENGTH = 0.11
_BROWS_APART = 1.6
_BROW_RISE, _BROW_FALL = 0.18, 0.32


def add_blinks_and_brows(
    weights: NDArray[np.float32],
    expression_names: Sequence[str],
    phones: Sequence[Phone],
    fps: float,
    style: Style,
) -> NDArray[np.float32]:
    """Weights with blinks and brow raises laid over them, by the maximum.

    Args:
        weights: (T, E) of a head's expressions.
        expression_names: E names; those without lids or brows are left as they are.
        phones: from :func:`engine.motion.rules.contacts.phones_in_silence`.
        fps: frames per second.
        style: amount and seed; at ``upper_face`` 0 nothing is added.

    Returns:
        (T, E) float32.
    """
    if style.upper_face == 0:
        return weights
    frames = len(weights)
    rng = np.random.default_rng(style.seed)
    blinks = envelope(_blinks(phones, frames / fps, fps, rng), frames, fps)
    raises = envelope(_brow_raises(phones, rng), frames, fps)
    lids = min(style.upper_face, 1.0) * blinks
    brows = np.clip(0.22 * style.upper_face * raises, 0, 1)
    curves = np.zeros((frames, len(ARKIT_NAMES)), np.float32)
    for name, curve in (
        ("eyeBlink", lids),
        ("browInnerUp", brows),
        ("browOuterUp", 0.6 * brows),
    ):
        for side in sides(name):
            curves[:, COLUMN[side]] = curve
    return np.maximum(weights, to_head_weights(curves, expression_names))


def _blinks(
    phones: Sequence[Phone], duration: float, fps: float, rng: np.random.Generator
) -> ContactIntervals:
    """Blinks at irregular intervals, drawn to pauses, each shut for at least one frame."""
    pauses = np.array([p.start + 0.05 for p in phones if p.label == SILENCE and p.start > 0])
    times: list[float] = []
    time = _FIRST_BLINK + rng.uniform(0.0, 1.0)
    while time < duration - (_LIDS_RISE + _LIDS_SHUT):
        middle = time
        if len(pauses):
            nearest = pauses[np.argmin(np.abs(pauses - time))]
            if abs(nearest - time) < _PAUSE_DRAWS and (
                not times or nearest - times[-1] > _PAUSE_DRAWS
            ):
                middle = float(nearest)
        times.append(middle)
        time = middle + max(1.0, float(rng.lognormal(np.log(_BLINK_EVERY), _BLINK_SPREAD)))
    middles: Array = np.array(times)
    half = max(_LIDS_SHUT / 2, 0.5 / fps + 1e-6)
    return _intervals(middles - half, middles + half, _LIDS_FALL, _LIDS_RISE, np.ones(len(middles)))


def _brow_raises(phones: Sequence[Phone], rng: np.random.Generator) -> ContactIntervals:
    """Brow raises on drawn-out vowels, not too close to each other."""
    chosen: list[float] = []
    for phone in phones:
        length = phone.end - phone.start
        if phone.label in VOWELS and length > _EMPHASIS_LENGTH:
            middle = (phone.start + phone.end) / 2
            if not chosen or middle - chosen[-1] > _BROWS_APART:
                chosen.append(middle)
    middles: Array = np.array(chosen)
    amount = rng.uniform(0.3, 1.0, len(middles))
    return _intervals(middles - 0.05, middles + 0.05, _BROW_RISE, _BROW_FALL, amount)


def _intervals(
    start: Array, end: Array, rise: float, fall: float, amount: Array
) -> ContactIntervals:
    return ContactIntervals(
        start, end, np.full(len(start), rise), np.full(len(start), fall), amount
    )
