# SPDX-License-Identifier: GPL-3.0-or-later
"""A mouth beside a filmed one: opening and width over time.

A film knows no size. Its landmarks are scaled so that the outer corners of the eyes are 90 mm
apart, which they are on the default head; a head is scaled by the distance of its eyeballs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from engine.core.arrays import Double
from engine.heads.head import Head
from engine.motion.performance import Performance
from training.data.filmed_mouth import MouthCurve
from training.metrics.mouth import landmark, positions, region

_EYEBALLS = 61.5
"""Millimetres between the centres of the default head's eyeballs; its outer eye corners are 90 mm
apart within half a millimetre."""
_REACH = 0.24
"""Seconds of lag within which the best correlation is looked for: sound and picture of films differ
by up to 0.16 s, and a mouth that is out by more is not the same mouth."""
_STEP = 0.010
_LEAST = 8
"""Frames in common from which a correlation says anything."""


@dataclass(frozen=True)
class Agreement:
    """How a curve follows a filmed one; NaN all three where they have too few frames in common.

    Attributes:
        correlation: Pearson's at the lag; 0 where either does not move.
        difference: mean absolute difference at the lag, mm.
        lag_ms: by which ours is later, of those within 240 ms the one of the best correlation.
    """

    correlation: float
    difference: float
    lag_ms: float


@dataclass(frozen=True)
class FilmAgreement:
    """Opening and width beside a film's.

    Attributes:
        seconds: of the film.
        opening, width: how ours follow.
    """

    seconds: float
    opening: Agreement
    width: Agreement


def mean_agreement(agreements: Iterable[Agreement]) -> Agreement:
    """Means over those clips that are long enough to say something; NaN where there are none."""
    known = [a for a in agreements if math.isfinite(a.correlation)]
    if not known:
        return Agreement(math.nan, math.nan, math.nan)
    values = zip(*((a.correlation, a.difference, a.lag_ms) for a in known), strict=True)
    return Agreement(*(float(np.mean(value)) for value in values))


def mouth_curve(performance: Performance, head: Head) -> MouthCurve:
    """Opening and width of a performance, measured as landmarks of a film are.

    Raises:
        BadInputError: the head lacks a landmark of the lips or a region of an eyeball.
    """
    upper, lower = landmark(head, "inner_lip_upper"), landmark(head, "inner_lip_lower")
    middle = len(upper) // 2
    chosen = np.array([upper[middle], lower[middle], *landmark(head, "mouth_corners")])
    scale = _EYEBALLS / _eyeballs(head)
    opening, width = [], []
    for _, moved in positions(performance, head, chosen):
        opening.append(np.maximum(moved[:, 0, 1] - moved[:, 1, 1], 0.0) * scale)
        width.append(np.linalg.norm(moved[:, 3, :2] - moved[:, 2, :2], axis=1) * scale)
    return MouthCurve(performance.fps, np.concatenate(opening), np.concatenate(width))


def _eyeballs(head: Head) -> float:
    """Metres between the centres of the eyeballs."""
    centres = []
    for name in ("left_eyeball", "right_eyeball"):
        ball = head.template[region(head, name)].astype(np.float64)
        centres.append((ball.min(axis=0) + ball.max(axis=0)) / 2)
    return float(np.linalg.norm(centres[0] - centres[1]))


def film_agreement(ours: MouthCurve, film: MouthCurve) -> FilmAgreement:
    """How a mouth follows a filmed one, each measure at its best lag.

    Our curve is interpolated at the film's frames; those without a face are left out.

    Args:
        ours: of the same clip.
        film: at least a second.
    """
    return FilmAgreement(
        seconds=len(film.opening) / film.fps,
        opening=_agreement(ours, ours.opening, film, film.opening),
        width=_agreement(ours, ours.width, film, film.width),
    )


def _agreement(ours: MouthCurve, curve: Double, film: MouthCurve, true: Double) -> Agreement:
    best, highest = Agreement(math.nan, math.nan, math.nan), -math.inf
    # The smallest lag first, so that a mouth that never moves has none.
    for step in sorted(range(-round(_REACH / _STEP), round(_REACH / _STEP) + 1), key=abs):
        lag = step * _STEP
        at = film.times + lag
        common = (at >= 0.0) & (at <= ours.times[-1]) & ~np.isnan(true)
        if common.sum() < _LEAST:
            continue
        made, real = np.interp(at[common], ours.times, curve), true[common]
        found = _correlation(made, real)
        if found > highest:
            highest = found
            best = Agreement(found, float(np.abs(made - real).mean()), lag * 1000.0)
    return best


def _correlation(a: Double, b: Double) -> float:
    spread = a.std() * b.std()
    return float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread > 1e-9 else 0.0
