# SPDX-License-Identifier: GPL-3.0-or-later
"""Lip sync of a performance against an alignment of the sounds that were spoken.

What animators and viewers notice first: lips that do not close on p, b, m or close on an open
vowel, f and v without lip on teeth, rounding that is missing, a mouth early or late, a mouth that
moves in silence, and jitter. All are measured on the mesh, not on the curves.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.core.arrays import Double
from engine.phonemes import (
    BILABIALS,
    LABIODENTALS,
    OPEN_VOWELS,
    ROUNDED,
    SILENCE,
    SPREAD,
    VOWELS,
)
from training.metrics.mouth import MM, MouthTrack, lip_vertices, mouth_track
from training.metrics.synchrony import RATE, REACH, Synchrony, expected_opening, synchrony

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from engine.heads.head import Head
    from engine.motion.performance import Performance
    from engine.phonemes import Phone, Word

CLOSED_BELOW = 0.05
"""Lips count as closed under this part of the mean open gap."""
WITHIN = 0.040
"""Seconds by which a contact may miss its sound."""
TOUCHING = 1.5
"""Millimetres from the lower inner lip to the edge of the upper teeth that count as contact: half
the thickness of the rim of a lip, whose inner edge the landmark is."""
SILENT_FOR, PAUSE = 0.20, 0.60
"""Silences of at least so many seconds count: the first length at the clip's ends, the second
between sounds, where the mouth is in motion in shorter ones, half open on its way."""
SETTLING, PREPARING = 0.25, 0.45
"""Seconds next to speech that do not count, after it and before it; each at most half a silence."""


@dataclass(frozen=True)
class LipSync:
    """Measures of one clip, or of several put together by :func:`combined`.

    Attributes:
        seconds: duration.
        bilabials, closed: p, b, m in the alignment, and those whose gap falls under
            :data:`CLOSED_BELOW` of the mean open gap within :data:`WITHIN` of the sound.
        open_vowels, falsely_closed: open vowels, and those whose gap at the middle is under the
            same threshold.
        labiodentals, touching: f and v, and those with the lower lip on the upper teeth
            (:data:`TOUCHING`) and the lips not closed, within :data:`WITHIN` of the sound.
        word_frames, shut_in_words: frames inside words and not within :data:`WITHIN` of a p, b or
            m, and those of them in which the gap is under the threshold of a closure.
        open_gap: mean gap over the frames of all vowels, mm.
        overlap: largest interpenetration of the lips, mm.
        rounded, rounded_width: sounds of UW, OW, W, UE, OE and their mean mouth width, mm.
        spread, spread_width: sounds of IY, EH and their mean mouth width, mm.
        silence, silence_motion: seconds of silence measured, and the mean distance of the lip
            vertices from their average place in each silence (root mean square over time), mm.
        silence_gap: mean gap in those silences, mm.
        jitter: mean size of the second difference of the lip vertices, mm/frame²; compare only at
            one frame rate.
        synchrony: correlation of mouth opening with what the sounds ask for, by lag.
    """

    seconds: float
    bilabials: int
    closed: int
    open_vowels: int
    falsely_closed: int
    labiodentals: int
    touching: int
    word_frames: int
    shut_in_words: int
    open_gap: float
    overlap: float
    rounded: int
    rounded_width: float
    spread: int
    spread_width: float
    silence: float
    silence_motion: float
    silence_gap: float
    jitter: float
    synchrony: Synchrony

    @property
    def closure_rate(self) -> float | None:
        """Part of the bilabials that close; ``None`` without any."""
        return _rate(self.closed, self.bilabials)

    @property
    def false_closure_rate(self) -> float | None:
        """Part of the open vowels that are shut; ``None`` without any."""
        return _rate(self.falsely_closed, self.open_vowels)

    @property
    def contact_rate(self) -> float | None:
        """Part of the labiodentals that touch; ``None`` without any."""
        return _rate(self.touching, self.labiodentals)

    @property
    def shut_rate(self) -> float | None:
        """Part of the frames inside words in which the lips are shut for no sound."""
        return _rate(self.shut_in_words, self.word_frames)

    @property
    def rounding_contrast(self) -> float | None:
        """Millimetres by which spread sounds are wider than rounded ones."""
        if not self.rounded or not self.spread:
            return None
        return self.spread_width - self.rounded_width

    @property
    def lag_ms(self) -> float | None:
        """Milliseconds by which the mouth is later than the sound."""
        return self.synchrony.lag_ms


def lip_sync(
    performance: Performance,
    head: Head,
    phones: Sequence[Phone],
    words: Sequence[Word] = (),
) -> LipSync:
    """Measure a performance against the sounds that were spoken.

    Args:
        performance: of the head.
        head: with landmarks of lips, mouth corners and upper teeth, and a region of lips.
        phones: the true sounds with times, ARPAbet without stress.
        words: the true words with times.

    Raises:
        BadInputError: the performance is of another head, or the head lacks a landmark.
    """
    track = mouth_track(performance, head)
    times, seconds = track.times, performance.frames / performance.fps
    in_vowels = _inside(times, _of(phones, VOWELS))
    open_gap = float(track.gap[in_vowels].mean()) if in_vowels.any() else 0.0
    limit = CLOSED_BELOW * open_gap
    closed = touching = 0
    bilabials = _of(phones, BILABIALS)
    closing = np.zeros(len(times), bool)
    for phone in bilabials:
        near = (times >= phone.start - WITHIN) & (times <= phone.end + WITHIN)
        closed += bool((track.gap[near] < limit).any())
        closing |= near
    in_words = _inside(times, words) & ~closing
    labiodentals = _of(phones, LABIODENTALS)
    for phone in labiodentals:
        near = (times >= phone.start - WITHIN) & (times <= phone.end + WITHIN)
        touching += bool(((track.lip_to_teeth < TOUCHING) & (track.gap >= limit))[near].any())
    open_vowels = _of(phones, OPEN_VOWELS)
    middles = np.array([(phone.start + phone.end) / 2 for phone in open_vowels])
    at_middle = np.interp(middles, times, track.gap)
    rounded, spread = _of(phones, ROUNDED), _of(phones, SPREAD)
    silence, motion, gap = _in_silence(performance, head, track, phones)
    return LipSync(
        seconds=seconds,
        bilabials=len(bilabials),
        closed=closed,
        open_vowels=len(open_vowels),
        falsely_closed=int((at_middle <= limit).sum()),
        labiodentals=len(labiodentals),
        touching=touching,
        word_frames=int(in_words.sum()),
        shut_in_words=int((track.gap[in_words] <= limit).sum()),
        open_gap=open_gap,
        overlap=float(track.overlap.max()),
        rounded=len(rounded),
        rounded_width=_mean_over(track, rounded),
        spread=len(spread),
        spread_width=_mean_over(track, spread),
        silence=silence,
        silence_motion=motion,
        silence_gap=gap,
        jitter=_jitter(performance, head),
        synchrony=synchrony(expected_opening(phones, seconds), track.gap, performance.fps),
    )


def combined(clips: Sequence[LipSync]) -> LipSync:
    """Several clips as one: counts add up, means are weighted by what they are means of."""

    def total(name: str) -> int:
        return sum(getattr(clip, name) for clip in clips)

    def mean(name: str, by: str) -> float:
        weight = [float(getattr(clip, by)) for clip in clips]
        values = [float(getattr(clip, name)) for clip in clips]
        return float(np.average(values, weights=weight)) if sum(weight) else 0.0

    seconds = [clip.seconds for clip in clips]
    lags = np.arange(-round(REACH * RATE), round(REACH * RATE) + 1) / RATE
    curves = np.array([clip.synchrony.correlation for clip in clips])
    return LipSync(
        seconds=sum(seconds),
        bilabials=total("bilabials"),
        closed=total("closed"),
        open_vowels=total("open_vowels"),
        falsely_closed=total("falsely_closed"),
        labiodentals=total("labiodentals"),
        touching=total("touching"),
        word_frames=total("word_frames"),
        shut_in_words=total("shut_in_words"),
        open_gap=mean("open_gap", "seconds"),
        overlap=max(clip.overlap for clip in clips),
        rounded=total("rounded"),
        rounded_width=mean("rounded_width", "rounded"),
        spread=total("spread"),
        spread_width=mean("spread_width", "spread"),
        silence=sum(clip.silence for clip in clips),
        silence_motion=mean("silence_motion", "silence"),
        silence_gap=mean("silence_gap", "silence"),
        jitter=mean("jitter", "seconds"),
        synchrony=Synchrony(lags, np.average(curves, axis=0, weights=seconds)),
    )


def _rate(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _of(phones: Sequence[Phone], labels: Collection[str]) -> list[Phone]:
    return [phone for phone in phones if phone.label in labels]


def _inside(times: Double, spans: Sequence[Phone | Word]) -> NDArray[np.bool_]:
    inside = np.zeros(len(times), bool)
    for span in spans:
        inside |= (times >= span.start) & (times < span.end)
    return inside


def _mean_over(track: MouthTrack, phones: Sequence[Phone]) -> float:
    """Mean width over the sounds, each sampled at nine times between frames too."""
    if not phones:
        return 0.0
    sampled = np.array([np.linspace(phone.start, phone.end, 9) for phone in phones])
    return float(np.interp(sampled, track.times, track.width).mean())


def _in_silence(
    performance: Performance, head: Head, track: MouthTrack, phones: Sequence[Phone]
) -> tuple[float, float, float]:
    """Seconds of silence measured, motion in them (mm) and mean gap in them (mm)."""
    basis = _lip_basis(performance, head)
    last = performance.frames / performance.fps - 1e-6
    seconds = motion = gap = 0.0
    for phone in _of(phones, {SILENCE}):
        length, first, final = phone.end - phone.start, phone.start <= 0, phone.end >= last
        if length < (SILENT_FOR if first or final else PAUSE):
            continue
        start = phone.start + (0.0 if first else min(SETTLING, length / 2))
        end = phone.end - (0.0 if final else min(PREPARING, length / 2))
        inside = (track.times >= start) & (track.times <= end)
        if inside.sum() < 2:
            continue
        weights = performance.weights[inside].astype(np.float64)
        moved = ((weights - weights.mean(axis=0)) @ basis).reshape(len(weights), -1, 3)
        rms = np.sqrt(np.square(moved).sum(axis=-1).mean(axis=0))
        duration = float(inside.sum()) / performance.fps
        seconds += duration
        motion += duration * float(rms.mean()) * MM
        gap += duration * float(track.gap[inside].mean())
    return (seconds, motion / seconds, gap / seconds) if seconds else (0.0, 0.0, 0.0)


def lip_speed(performance: Performance, head: Head) -> Double:
    """(T − 1,) mean speed of the lip vertices between neighbouring frames, mm/frame.

    Raises:
        BadInputError: the head names no region of lips.
    """
    basis = _lip_basis(performance, head)
    steps = np.diff(performance.weights.astype(np.float64), axis=0)
    chunks = [
        np.linalg.norm((steps[i : i + 512] @ basis).reshape(-1, basis.shape[1] // 3, 3), axis=-1)
        for i in range(0, len(steps), 512)
    ]
    speed: Double = np.concatenate([chunk.mean(axis=1) for chunk in chunks] or [np.zeros(0)]) * MM
    return speed


def _jitter(performance: Performance, head: Head) -> float:
    basis = _lip_basis(performance, head)
    bends = np.diff(performance.weights.astype(np.float64), n=2, axis=0)
    if not len(bends):
        return 0.0
    total = 0.0
    for start in range(0, len(bends), 512):
        block = (bends[start : start + 512] @ basis).reshape(-1, basis.shape[1] // 3, 3)
        total += float(np.linalg.norm(block, axis=-1).mean(axis=1).sum())
    return total / len(bends) * MM


def _lip_basis(performance: Performance, head: Head) -> Double:
    lips = lip_vertices(head)
    return performance.basis[:, lips].astype(np.float64).reshape(len(performance.basis), -1)
