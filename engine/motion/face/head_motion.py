# SPDX-License-Identifier: GPL-3.0-or-later
"""Head motion: nods on stress, a slow sway while speaking, and stillness in silence.

What is known of speakers' heads: stressed syllables come with quick nods, hesitations and silence
with stillness, and posture shifts with phrases (Hadar, Steiner, Grant and Rose 1983, "Head movement
correlates of juncture and stress at sentence level"); pitch of the voice and head go together
(Munhall et al. 2004); angles stay within a few degrees, most about the vertical and the sideways
axis (Graf, Cosatto, Strom and Huang 2002).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...core.arrays import Double, Float
from ...phonemes import Phone
from ..style import Style
from .movement import Movement, path, pulses
from .prosody import Accent, phrases

_POSTURE = (1.4, 3.2, 1.7)
"""Degrees (standard deviation) about the axes to the left (nod), up (turn) and ahead (tilt) of the
postures that phrases are spoken in."""
_SHIFT = (0.7, 1.1)
_BEFORE_PHRASE = 0.25
_LONG_SILENCE, _RETURNS = 1.0, 1.3
"""Seconds of a posture shift, of how long before a phrase it begins, of a silence for which the
head returns to the middle, and of that return."""
_STRESS_SHIFTS, _SHIFTS_APART = 0.35, 1.4
"""Strength of a stress that may shift the posture, and least seconds between two shifts."""
_NOD, _NOD_STRESS = 1.0, 3.2
"""Degrees of a nod, and what a full stress adds."""
_NOD_DOWN, _NOD_UP, _NOD_HOLD = 0.20, 0.38, 0.02
_NODS_APART = 0.42
_NOD_LATE = 0.03
"""Seconds: a nod reaches its lowest point with the middle of the stressed vowel."""
_BESIDE_NOD = (0.5, 0.4)
"""Degrees (standard deviation) of turn and tilt that go along with a nod of full stress."""
_SWAY = ((0.11, 0.5), (0.23, 0.35), (0.41, 0.2))
"""Hz of the sway's parts, and their degrees."""
_SWAY_AXES = (0.7, 1.3, 0.9)
_WAKES = 0.35
"""Seconds in which the sway sets in and dies away with speech."""
_MOST = 12.0
"""Degrees that no axis goes beyond."""


def head_motion(
    phones: Sequence[Phone],
    accents: Sequence[Accent],
    frames: int,
    fps: float,
    style: Style,
    amount: Double | float | None = None,
) -> Float:
    """The rotation of a speaker's head.

    Args:
        phones: spoken sounds with times.
        accents: stressed sounds.
        frames: T.
        fps: frames per second.
        style: amount and seed.
        amount: instead of the style's; also (T,).

    Returns:
        (T, 3) float32 rotation vectors in head space, radians; zeros at amount 0.
    """
    amount = style.head_motion if amount is None else amount
    if not np.any(amount):
        return np.zeros((frames, 3), np.float32)
    rng = np.random.default_rng([style.seed, 3])
    spans = phrases(phones)
    degrees = path(_postures(spans, accents, frames / fps, rng), frames, fps, 3)
    degrees += _nods(accents, frames, fps, rng)
    degrees += _sway(spans, frames, fps, rng)
    amounts = np.broadcast_to(amount, (frames,))[:, None]
    limited = _MOST * np.tanh(amounts * degrees / _MOST)
    rotation: Float = np.radians(limited).astype(np.float32)
    return rotation


def _postures(
    spans: Sequence[tuple[float, float]],
    accents: Sequence[Accent],
    duration: float,
    rng: np.random.Generator,
) -> list[Movement]:
    starts = [begin - _BEFORE_PHRASE for begin, _ in spans]
    starts += [a.time - 0.3 for a in accents if a.strength > _STRESS_SHIFTS]
    movements: list[Movement] = []
    for start in sorted(starts):
        if movements and start - movements[-1].start < _SHIFTS_APART:
            continue
        pose = tuple(rng.normal(0.0, _POSTURE))
        movements.append(Movement(max(start, 0.0), float(rng.uniform(*_SHIFT)), pose))
    ends = [end for _, end in spans]
    nexts = [*[begin for begin, _ in spans], duration][1:]
    for end, after in zip(ends, nexts, strict=True):
        if after - end > _LONG_SILENCE:
            movements.append(Movement(end + 0.1, _RETURNS, (0.0, 0.0, 0.0)))
    return sorted(movements)


def _nods(accents: Sequence[Accent], frames: int, fps: float, rng: np.random.Generator) -> Double:
    chosen: list[Accent] = []
    for accent in accents:
        if not chosen or accent.time - chosen[-1].time > _NODS_APART:
            chosen.append(accent)
        elif accent.strength > chosen[-1].strength:
            chosen[-1] = accent
    peaks = [accent.time + _NOD_LATE for accent in chosen]
    sizes = [_NOD + _NOD_STRESS * a.strength * rng.uniform(0.6, 1.15) for a in chosen]
    beside = [rng.normal(0.0, _BESIDE_NOD) * accent.strength for accent in chosen]
    amounts = [sizes, [b[0] for b in beside], [b[1] for b in beside]]
    curves = [
        pulses(peaks, axis, _NOD_DOWN, _NOD_UP, frames, fps, hold=_NOD_HOLD) for axis in amounts
    ]
    return np.stack(curves, axis=1)


def _sway(
    spans: Sequence[tuple[float, float]], frames: int, fps: float, rng: np.random.Generator
) -> Double:
    """Waves on a clock that runs while somebody speaks, so that silence stops the head smoothly."""
    speaking = np.zeros(frames)
    for begin, end in spans:
        middle, half = (begin + end) / 2, (end - begin) / 2
        speaking += pulses([middle], [1.0], _WAKES, _WAKES, frames, fps, hold=half)
    clock = np.cumsum(np.minimum(speaking, 1.0)) / fps
    sway = np.zeros((frames, 3))
    for hz, amount in _SWAY:
        phase = rng.uniform(0.0, 2 * np.pi, 3)
        waves = np.sin(2 * np.pi * hz * clock[:, None] + phase) - np.sin(phase)
        sway += amount * waves * _SWAY_AXES
    return sway
