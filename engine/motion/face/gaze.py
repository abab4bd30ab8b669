# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaze: fixations on whom is spoken to, glances away, and the saccades between them.

After Lee, Badler and Badler (2002), "Eyes Alive": how long a speaker looks at the other person and
away, how far and in which directions the eyes go, and how long a saccade takes. When they look away
follows Kendon (1967): as a phrase begins and while thinking in a pause, with the eyes back on the
listener as the phrase ends. While the head turns, the eyes stay on what they look at
(vestibulo-ocular reflex).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ...core.arrays import Double, Float
from ...phonemes import Phone
from ..style import Style
from .movement import Movement, path
from .prosody import phrases

FULL_ROTATION = {"Out": 13.3, "In": 13.8, "Up": 9.0, "Down": 10.2}
"""Degrees by which the eyes turn at weight 1 of eyeLook…, measured on the default head."""

_TOWARD, _AWAY = 93.9 / 30, 27.8 / 30
"""Mean seconds of looking at the other person, and away, while talking (section 4.3.2)."""
_LEAST_TOWARD, _LEAST_AWAY, _MOST_AWAY = 0.6, 0.3, 2.5
_DECAY = 6.9
_NEAREST, _FURTHEST = 3.0, 27.5
"""Degrees: a saccade's size is −6.9 · ln(P / 15.7) for P even in 0 to 15.7 (section 4.3.1), as far
as 27.5 while talking; smaller ones do not look away."""
_DIRECTIONS = (15.54, 6.46, 17.69, 7.44, 16.80, 7.89, 20.38, 7.79)
"""Percent of saccades at 0, 45, … 315 degrees, from the right over up (table 1)."""
_INTERCEPT, _SLOPE = 0.025, 0.0024
"""Seconds of a saccade, and per degree of it (section 3.1)."""
_ON_FACE = (0.55, 0.4)
_ON_FACE_EVERY = (2.0, 0.4)
"""Degrees (standard deviation) across and up by which fixations move over a face two arms' lengths
away, and shape and scale in seconds of the gamma distribution of how often."""
_THINKING_PAUSE, _THINKS = 0.4, 0.55
"""Seconds of a pause in which a speaker may think, and how often the eyes then leave."""
_GLANCE = 0.22
"""Seconds for which the eyes stay on the listener when a phrase has ended."""
_BACK_BEFORE_END = 0.35
_LEAVES_AT_START = 1.0
"""Seconds before the end of a phrase when the eyes return, and by which a look away may move to
the beginning of one."""
_WITH_BLINK = 0.3
"""Seconds by which a look away may move to a blink."""
_BLINKS_FROM, _BLINKS_ALWAYS = 3.0, 33.0
"""Degrees of gaze shifts from which a blink goes along, and always does (Evinger et al. 1994)."""
_FULL_ATTENTION = 0.25
"""Amount from which the eyes are on the target fully."""
_MOST = 30.0
"""Degrees beyond which eyes do not turn (Stahl 1999)."""


class Gaze(NamedTuple):
    """Where the eyes look.

    Attributes:
        degrees: (T, 2) float64 to the head's left and up, against the face.
        blinks: seconds of the blinks that go along with large shifts.
    """

    degrees: Double
    blinks: list[float]


class _Fixation(NamedTuple):
    start: float
    left: float
    up: float


def look(
    phones: Sequence[Phone],
    blinks: Sequence[float],
    head_rotation: Float,
    fps: float,
    style: Style,
    amount: Double | float | None = None,
) -> Gaze:
    """Where the eyes of a speaker look.

    Args:
        phones: spoken sounds with times.
        blinks: seconds of the blinks that there are anyway.
        head_rotation: (T, 3) of the head, rotation vectors, radians.
        fps: frames per second.
        style: amount, target and seed.
        amount: instead of the style's; also (T,).
    """
    frames = len(head_rotation)
    amounts = np.broadcast_to(style.gaze if amount is None else amount, (frames,))
    rng = np.random.default_rng([style.seed, 2])
    spans = phrases(phones)
    glances = _glances(spans, blinks, frames / fps, rng)
    fixations = _fixations(glances, frames / fps, rng)
    movements: list[Movement] = []
    added: list[float] = []
    before = _Fixation(0.0, 0.0, 0.0)
    for fixation in fixations:
        size = float(np.hypot(fixation.left - before.left, fixation.up - before.up))
        seconds = _INTERCEPT + _SLOPE * size
        if fixation.start == 0.0:
            # It is where the eyes are when the clip begins.
            seconds = 1e-6
        movements.append(Movement(fixation.start, seconds, (fixation.left, fixation.up)))
        turned = size * amounts[min(int(fixation.start * fps), frames - 1)]
        chance = (turned - _BLINKS_FROM) / (_BLINKS_ALWAYS - _BLINKS_FROM)
        if rng.uniform() < chance and fixation.start > 0:
            middle = fixation.start + seconds / 2
            if np.min(np.abs(np.array([*blinks, *added, -9.0]) - middle)) > 2 * _WITH_BLINK:
                added.append(middle)
        before = fixation
    offsets = path(movements, frames, fps, 2) * amounts[:, None]
    attention = np.minimum(amounts / _FULL_ATTENTION, 1.0)[:, None]
    head = np.degrees(head_rotation[:, [1, 0]].astype(np.float64)) * (-1.0, 1.0)
    target = np.array(style.gaze_target) + head
    return Gaze(np.clip(attention * target + offsets, -_MOST, _MOST), added)


def add_gaze(weights: Float, names: Sequence[str], gaze: Gaze, lids: Double) -> Float:
    """Weights with the eyes turned and the lids of the blinks that go along.

    Args:
        weights: (T, E).
        names: E names; without eyeLook… and eyeBlink… nothing changes.
        gaze: where the eyes look.
        lids: (T,) of its blinks, 0 to 1.

    Returns:
        (T, E) float32.
    """
    result = weights.astype(np.float32, copy=True)
    left, up = gaze.degrees.T
    for column, name in enumerate(names):
        if name.startswith("eyeBlink"):
            result[:, column] = np.maximum(result[:, column], lids)
        elif name.startswith("eyeLook"):
            direction = name.removeprefix("eyeLook").removesuffix("Left").removesuffix("Right")
            outward = left if name.endswith("Left") else -left
            degrees = {"Out": outward, "In": -outward, "Up": up, "Down": -up}[direction]
            turned = np.maximum(degrees, 0.0) / FULL_ROTATION[direction]
            result[:, column] = np.clip(result[:, column] + turned, 0.0, 1.0)
    return result


def _glances(
    spans: Sequence[tuple[float, float]],
    blinks: Sequence[float],
    duration: float,
    rng: np.random.Generator,
) -> list[tuple[float, float]]:
    """Start and end of each look away, in order and apart."""
    glances = _thinking(spans, rng)
    shut = np.array([*blinks, -9.0])
    time = 0.0
    while True:
        start = time + max(float(rng.exponential(_TOWARD)), _LEAST_TOWARD)
        length = float(np.clip(rng.exponential(_AWAY), _LEAST_AWAY, _MOST_AWAY))
        if start > duration:
            break
        near = [begin for begin, _ in spans if abs(begin - start) < _LEAVES_AT_START]
        if near:
            start = max(min(near, key=lambda begin: abs(begin - start)), time + _LEAST_AWAY)
        blink = float(shut[np.argmin(np.abs(shut - start))])
        if abs(blink - start) < _WITH_BLINK and blink - _INTERCEPT > time:
            start = blink - _INTERCEPT
        time = start + length
        if following := [end for _, end in spans if end > start]:
            back = following[0] - _BACK_BEFORE_END
            if back - start < _LEAST_AWAY:
                time = following[0]
                continue
            time = min(time, back)
        if not any(start < end and begin < time for begin, end in glances):
            glances.append((start, time))
    return sorted(glances)


def _thinking(
    spans: Sequence[tuple[float, float]], rng: np.random.Generator
) -> list[tuple[float, float]]:
    """Looks away in pauses: after a glance at the listener, until speech continues."""
    glances = []
    for (_, end), (begin, _) in pairwise(spans):
        if begin - end > _THINKING_PAUSE and rng.uniform() < _THINKS:
            glances.append((end + min(_GLANCE, 0.4 * (begin - end)), begin + 0.15))
    return glances


def _fixations(
    glances: Sequence[tuple[float, float]], duration: float, rng: np.random.Generator
) -> list[_Fixation]:
    """What the eyes rest on, by the time at which they leave for it."""
    fixations, time = [], 0.0
    for start, end in [*glances, (duration, duration)]:
        while time < start:
            fixations.append(_Fixation(time, *rng.normal(0.0, _ON_FACE)))
            time += max(float(rng.gamma(*_ON_FACE_EVERY)), 0.2)
        if start >= duration:
            break
        size = min(-_DECAY * np.log(rng.uniform(1e-3, 1.0)), _FURTHEST)
        sector = rng.choice(len(_DIRECTIONS), p=np.array(_DIRECTIONS) / sum(_DIRECTIONS))
        angle = np.radians(45.0 * sector + rng.uniform(-22.5, 22.5))
        size = max(float(size), _NEAREST)
        # The right of who looks is the negative side.
        fixations.append(_Fixation(start, -size * np.cos(angle), size * np.sin(angle)))
        time = end
    return fixations
