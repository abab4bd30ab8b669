# SPDX-License-Identifier: GPL-3.0-or-later
"""Voice activity detection: stretches with voiced sound in them, so that noise moves no lips.

A region needs a voiced core, sound with pitch that is strong for this recording; around it the
weaker sounds of the same syllables (fricatives, closures) belong to it. Breaths, clicks and white
noise have no voiced core; hum has one that never changes, by which it is recognised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.audio.features import FRAME_RATE, Features
from engine.core.arrays import Float, Mask

_VOICED = 0.6
"""Autocorrelation peak from which a frame is voiced; white noise reaches 0.4."""

_CORE_RANGE = 27.0
"""dB under the recording's loud voiced frames down to which voiced sound makes a core."""

_CORE_FRAMES = 4
_SPEECH_RANGE = 45.0
"""dB under the loud voiced frames down to which sound next to a core belongs to it."""

OVER_NOISE = 5.0
"""dB over the noise floor that any sound of speech has."""

_REACH = 35
"""Frames from a voiced core that its consonants may reach."""

_BRIDGE = 25
"""Frames between two regions that are a closure, not a pause."""

_STEADY = 0.12
"""Nats of change within 50 ms; speech changes by several times as much, hum by less."""

AUDIBLE = -88.0
"""dB: nothing under it is speech, whatever the recording's level."""


@dataclass(frozen=True)
class SpeechRegions:
    """What was found.

    Attributes:
        regions: frames [start, stop) of speech, in order, apart from each other.
        loud: dB of the loud voiced frames (95th percentile), the recording's speech level.
        noise: dB of the background.
    """

    regions: tuple[tuple[int, int], ...]
    loud: float
    noise: float


def detect_voice_activity(features: Features) -> SpeechRegions:
    """Find the stretches of speech in a recording's features."""
    level, voicing = features.level, features.voicing
    noise = float(np.percentile(level, 10))
    voiced = (voicing > _VOICED) & (level > AUDIBLE)
    voiced = _without_short(voiced, _CORE_FRAMES)
    if not voiced.any():
        return SpeechRegions((), AUDIBLE, noise)
    loud = float(np.percentile(level[voiced], 95))
    # Speech without a pause has no background in it: its quietest tenth is no noise floor.
    noise = min(noise, loud - 25.0)
    voiced_core = _without_short(voiced & (level > loud - _CORE_RANGE), _CORE_FRAMES)
    sound = level > max(noise + OVER_NOISE, loud - _SPEECH_RANGE, AUDIBLE)
    regions = _bridged(_around(voiced_core, sound))
    change = _change(features.mel)
    spoken = [
        (start, stop)
        for start, stop in regions
        if np.median(change[start:stop][voiced_core[start:stop]]) > _STEADY
    ]
    return SpeechRegions(tuple(spoken), loud, noise)


def runs(mask: Mask) -> list[tuple[int, int]]:
    """The [start, stop) stretches where ``mask`` (n,) is true."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def _without_short(mask: Mask, shortest: int) -> Mask:
    kept = np.zeros_like(mask)
    for start, stop in runs(mask):
        kept[start:stop] = stop - start >= shortest
    return kept


def _around(voiced_core: Mask, sound: Mask) -> list[tuple[int, int]]:
    """Each voiced core with the sound within its reach."""
    reached = []
    for start, stop in runs(voiced_core):
        before = np.flatnonzero(sound[max(0, start - _REACH) : start])
        after = np.flatnonzero(sound[stop : stop + _REACH])
        first = max(0, start - _REACH) + int(before[0]) if len(before) else start
        last = stop + int(after[-1]) + 1 if len(after) else stop
        reached.append((first, last))
    return reached


def _bridged(regions: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, stop in regions:
        if joined and start - joined[-1][1] < _BRIDGE:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


def _change(mel: Float) -> Float:
    """How much the strong bands change within 50 ms, in nats: (N,)."""
    step = FRAME_RATE // 20
    if len(mel) <= step:
        return np.full(len(mel), np.inf, np.float32)
    power = np.exp(mel[step:])
    moved = (power * np.abs(mel[step:] - mel[:-step])).sum(axis=1) / power.sum(axis=1)
    return np.pad(moved, (0, step), mode="edge")
