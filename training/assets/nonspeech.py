# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound that nobody speaks: tones, chords, melodies, beats and noise, for a mouth that rests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import signal

from engine.audio.loading import SAMPLE_RATE
from engine.core.arrays import Double, Float

_SEMITONE = 2 ** (1 / 12)
_CHORDS = ((0, 4, 7), (0, 3, 7), (0, 4, 7, 10), (0, 5, 7), (0, 3, 6))
_FADE = 0.01


def without_speech(seconds: float, rng: np.random.Generator) -> Float:
    """(N,) float32 at 16 kHz, peak 0.9.

    Args:
        seconds: length.
        rng: chooses what sounds.
    """
    count = round(seconds * SAMPLE_RATE)
    made = _KINDS[rng.integers(len(_KINDS))](count, rng)
    return (0.9 * made / max(float(np.abs(made).max()), 1e-9)).astype(np.float32)


def _time(count: int) -> Double:
    return np.arange(count) / SAMPLE_RATE


def _tone(count: int, rng: np.random.Generator) -> Double:
    """A steady, swept or trembling tone, pure or with partials."""
    hertz = float(np.exp(rng.uniform(np.log(60), np.log(3000))))
    course = np.full(count, hertz)
    kind = rng.integers(3)
    if kind == 1:
        course *= np.exp(np.linspace(0.0, rng.uniform(-1.5, 1.5), count))
    elif kind == 2:
        depth, rate = rng.uniform(0.005, 0.03), rng.uniform(3, 8)
        course *= 1 + depth * np.sin(2 * np.pi * rate * _time(count))
    return _note(np.clip(course, 40.0, 7000.0), rng)


def _note(hertz: Double, rng: np.random.Generator) -> Double:
    """A tone of (N,) frequencies, with partials that fall off."""
    phase = 2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE
    partials, fall = int(rng.integers(1, 9)), rng.uniform(0.5, 2.0)
    made = np.zeros(len(hertz))
    for n in range(1, partials + 1):
        made += np.where(n * hertz < SAMPLE_RATE / 2.2, n**-fall, 0.0) * np.sin(n * phase)
    return made


def _struck(count: int, hertz: float, rng: np.random.Generator) -> Double:
    """A note that is struck and dies away, or swells and stays."""
    time = _time(count)
    decay = rng.uniform(0.15, 1.5)
    swelling = rng.random() < 0.3
    shape = np.minimum(time / 0.15, 1.0) if swelling else np.exp(-time / decay)
    shape *= np.minimum(1.0, np.minimum(time, time[-1] - time) / _FADE)
    struck: Double = shape * _note(np.full(count, hertz), rng)
    return struck


def _chords(count: int, rng: np.random.Generator) -> Double:
    """A chord, or several one after another."""
    each = max(round(count / rng.integers(1, 7)), SAMPLE_RATE // 4)
    made = np.zeros(count + each)
    root = float(np.exp(rng.uniform(np.log(80), np.log(400))))
    for start in range(0, count, each):
        step = rng.integers(-5, 6)
        for tone in _CHORDS[rng.integers(len(_CHORDS))]:
            made[start : start + each] += _struck(each, root * _SEMITONE ** (tone + step), rng)
    return made[:count]


def _melody(count: int, rng: np.random.Generator) -> Double:
    """Single notes, as of a flute, a piano or a beeping machine."""
    made = np.zeros(count + SAMPLE_RATE)
    root = float(np.exp(rng.uniform(np.log(150), np.log(900))))
    start = 0
    while start < count:
        length = round(rng.uniform(0.08, 0.6) * SAMPLE_RATE)
        if rng.random() < 0.85:
            hertz = root * _SEMITONE ** int(rng.integers(-7, 13))
            made[start : start + length] += _struck(length, hertz, rng)
        start += length
    return made[:count]


def _beat(count: int, rng: np.random.Generator) -> Double:
    """Drums: noise and low thuds at a steady pace."""
    made = np.zeros(count + SAMPLE_RATE)
    step = round(rng.uniform(0.12, 0.5) * SAMPLE_RATE)
    for start in range(0, count, step):
        length = SAMPLE_RATE // 3
        time = _time(length)
        if rng.random() < 0.5:
            hit = np.sin(2 * np.pi * 60 * np.exp(-8 * time) * time) * np.exp(-12 * time)
        else:
            hit = rng.normal(size=length) * np.exp(-time / rng.uniform(0.01, 0.08))
        made[start : start + length] += hit * rng.uniform(0.3, 1.0)
    return made[:count]


def _noise(count: int, rng: np.random.Generator) -> Double:
    """Coloured noise, steady, swelling or in bursts."""
    edges = np.sort(np.exp(rng.uniform(np.log(80), np.log(7000), 2)))
    edges[1] = min(max(edges[1], edges[0] * 1.3), 7800.0)
    sections = signal.butter(2, edges, "bandpass", fs=SAMPLE_RATE, output="sos")
    made: Double = signal.sosfilt(sections, rng.normal(size=count))
    kind = rng.integers(3)
    if kind == 1:
        made = made * (1.1 + np.sin(2 * np.pi * rng.uniform(0.2, 3.0) * _time(count)))
    elif kind == 2:
        gates = rng.random(count // 1600 + 1) < 0.5
        made = made * np.repeat(gates, 1600)[:count]
    return made


def _band(count: int, rng: np.random.Generator) -> Double:
    """Chords, a melody and a beat together."""
    parts = (_chords(count, rng), _melody(count, rng), _beat(count, rng))
    mixed: Double = np.zeros(count)
    for part in parts:
        mixed += rng.uniform(0.2, 1.0) * part / (np.abs(part).max() + 1e-9)
    return mixed


_KINDS: tuple[Callable[[int, np.random.Generator], Double], ...] = (
    _tone,
    _chords,
    _chords,
    _melody,
    _beat,
    _noise,
    _band,
    _band,
)
