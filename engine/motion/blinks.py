# SPDX-License-Identifier: GPL-3.0-or-later
"""What a speaking face does besides speaking: blinks, and brows that rise with emphasis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.motion.arkit import ARKIT_NAMES, COLUMN, sides
from engine.motion.articulation import Articulation
from engine.motion.rules.coarticulation import Array, ContactIntervals, envelope
from engine.phonemes import SILENCE, VOWELS, Phone, normalize_segments

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


def enliven(
    phones: Sequence[Phone], frames: int, fps: float, settings: Articulation
) -> NDArray[np.float32]:
    """Curves of lids and brows, to be added to those of the mouth.

    Args:
        phones: ARPAbet phones.
        frames: T.
        fps: frames per second.
        settings: amount and seed; at liveliness 0 nothing moves.

    Returns:
        (T, 52) float32 in [0, 1]; columns of the mouth are zero.
    """
    result = np.zeros((frames, len(ARKIT_NAMES)), np.float32)
    if settings.liveliness == 0:
        return result
    duration = frames / fps
    known = normalize_segments(phones, duration)
    rng = np.random.default_rng(settings.seed)
    lids = min(settings.liveliness, 1.0) * envelope(_blinks(known, duration, fps, rng), frames, fps)
    brows = np.clip(0.22 * settings.liveliness * envelope(_raises(known, rng), frames, fps), 0, 1)
    for name, curve in (
        ("eyeBlink", lids),
        ("browInnerUp", brows),
        ("browOuterUp", 0.6 * brows),
    ):
        for side in sides(name):
            result[:, COLUMN[side]] = curve
    return result


def _blinks(
    phones: Sequence[Phone], duration: float, fps: float, rng: np.random.Generator
) -> ContactIntervals:
    """Blinks at irregular intervals, drawn to pauses, each shut for at least one frame."""
    pauses = np.array([p.start + 0.05 for p in phones if p.label == SILENCE and p.start > 0])
    moments: list[float] = []
    time = _FIRST_BLINK + rng.uniform(0.0, 1.0)
    while time < duration - (_LIDS_RISE + _LIDS_SHUT):
        moment = time
        if len(pauses):
            nearest = pauses[np.argmin(np.abs(pauses - time))]
            if abs(nearest - time) < _PAUSE_DRAWS and (
                not moments or nearest - moments[-1] > _PAUSE_DRAWS
            ):
                moment = float(nearest)
        moments.append(moment)
        time = moment + max(1.0, float(rng.lognormal(np.log(_BLINK_EVERY), _BLINK_SPREAD)))
    middle: Array = np.array(moments)
    half = max(_LIDS_SHUT / 2, 0.5 / fps + 1e-6)
    return _even(middle - half, middle + half, _LIDS_FALL, _LIDS_RISE, np.ones(len(middle)))


def _raises(phones: Sequence[Phone], rng: np.random.Generator) -> ContactIntervals:
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
    return _even(middles - 0.05, middles + 0.05, _BROW_RISE, _BROW_FALL, amount)


def _even(start: Array, end: Array, rise: float, fall: float, amount: Array) -> ContactIntervals:
    return ContactIntervals(
        start, end, np.full(len(start), rise), np.full(len(start), fall), amount
    )
