# SPDX-License-Identifier: GPL-3.0-or-later
"""Prosody measured in the sound: pitch, loudness, length and tempo become stress and tone.

A stressed vowel is louder, longer and higher than those around it; loudness and length say most
(Kochanski, Grabe, Coleman and Rosner 2005, "Loudness predicts prominence: fundamental frequency
lends little"). Arousal is what a voice shows best: louder, higher, more varied, faster; valence is
hardly in it (Juslin and Laukka 2003, table 11), so that estimate is kept small.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...audio.level import LOUDNESS_RATE, loudness
from ...core.arrays import Double, Float
from ...phonemes import VOWELS, Phone
from .prosody import PAUSE, Accent, Prosody, Tone, phrases, prosody_of_phones

_WINDOW = 0.04
_LOWEST, _HIGHEST = 60.0, 500.0
"""Hz of the pitch that is looked for."""
_PERIODIC = 0.55
_HIGH_FAVOURED = 0.06
"""Autocorrelation from which a frame counts as voiced, and what an octave up is favoured by: half
of any pitch fits the sound as well (Boersma 1993)."""
_VOICED = 0.35
"""Part of a vowel's frames that must be voiced for it to have a pitch: a whisper has none."""
_UNDER_LOUD = 30.0
"""Decibels under the clip's loud frames beyond which nothing counts as voiced."""
_BLOCK = 2000

_FEWEST = 4
"""Vowels below which nothing can be said of which of them stand out."""
_AROUND = 2.0
"""Seconds: what stands out does so against about this much on both sides, as pitch and loudness
fall over a phrase."""
_LEAST_SPREAD = (1.5, 0.7, 0.15)
"""dB, semitones and log seconds that vowels are taken to vary by at the least."""
_WEIGHTS = (0.45, 0.30, 0.35)
"""Of loudness, pitch and length in a vowel's prominence."""
_BEFORE_PAUSE = 0.4
"""Part of its length that counts in a vowel before a pause: ends of phrases are drawn out."""
_PROMINENT, _MOST_PROMINENT = 0.35, 1.8
_APART = 0.28
"""Seconds within which only the most prominent vowel is stressed."""


class _Vowels(NamedTuple):
    """N vowels: their middles (s), loudness (dB), pitch (semitones, NaN unvoiced), log length."""

    time: Double
    level: Double
    pitch: Double
    length: Double


def measure_prosody(
    samples: Float, rate: int, phones: Sequence[Phone], words: Sequence[tuple[str, float, float]]
) -> Prosody:
    """Stress and tone of a recording.

    Args:
        samples: (N,) mono samples.
        rate: samples per second, a multiple of 100.
        phones: with times.
        words: text, start and end in seconds where words are known: one stress a word at the most.
    """
    spoken = [phone for phone in phones if phone.label in VOWELS]
    if len(spoken) < _FEWEST:
        return prosody_of_phones(phones)
    level, semitones = loudness(samples, rate), 12 * np.log2(pitch(samples, rate) / _LOWEST)
    vowels = _measured(spoken, level, semitones)
    accents = _accents(vowels, _before_pause(spoken, phones), words)
    return Prosody(accents, _tones(vowels, phrases(phones)))


def pitch(samples: Float, rate: int) -> Double:
    """Fundamental frequency in steps of 10 ms.

    The highest peak of the autocorrelation between 60 and 500 Hz, divided by that of the window
    (Boersma 1993), refined by a parabola.

    Args:
        samples: (N,) mono samples.
        rate: samples per second, a multiple of 100.

    Returns:
        (ceil(N · 100 / rate),) Hz, NaN where nothing is voiced; frame i is centred at i / 100 s.
    """
    hop, size = round(rate / LOUDNESS_RATE), 2 * round(rate * _WINDOW / 2)
    frames = -(-len(samples) // hop)
    window = np.hanning(size)
    shortest, longest = int(rate / _HIGHEST), int(np.ceil(rate / _LOWEST))
    lags = np.arange(shortest, longest + 1)
    fft = 1 << int(np.ceil(np.log2(size + longest + 1)))
    own = _autocorrelation(window[None], fft)[0]
    favour = _HIGH_FAVOURED * np.log2(longest / lags)
    found = np.full(frames, np.nan)
    for start in range(0, frames, _BLOCK):
        block = _windows(samples, np.arange(start, min(start + _BLOCK, frames)) * hop, size)
        block = (block - block.mean(axis=1, keepdims=True)) * window
        correlation = _autocorrelation(block, fft)
        power = correlation[:, :1] + 1e-9
        periodic = correlation[:, shortest - 1 : longest + 2] / power
        periodic *= own[0] / own[shortest - 1 : longest + 2]
        best = (periodic[:, 1:-1] + favour).argmax(axis=1) + 1
        rows = np.arange(len(block))
        left, peak, right = (periodic[rows, best + k] for k in (-1, 0, 1))
        bend = left - 2 * peak + right
        shift = np.where(bend < 0, 0.5 * (left - right) / np.minimum(bend, -1e-9), 0.0)
        hz = rate / (shortest - 1 + best + np.clip(shift, -0.5, 0.5))
        found[start : start + _BLOCK] = np.where(peak > _PERIODIC, hz, np.nan)
    level = loudness(samples, rate)
    found[level < np.percentile(level, 95) - _UNDER_LOUD] = np.nan
    return found


def _autocorrelation(blocks: Double, fft: int) -> Double:
    spectrum = np.fft.rfft(blocks, fft)
    correlation: Double = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, fft)
    return correlation


def _windows(samples: Float, middles: NDArray[np.intp], size: int) -> Double:
    """(n, size) float64 samples around each of n positions; zeros beyond the ends."""
    first, last = int(middles[0]) - size // 2, int(middles[-1]) + size // 2
    inside = samples[max(first, 0) : max(last, 0)].astype(np.float64)
    padded = np.pad(inside, (max(-first, 0), max(last - len(samples), 0)))
    rows = np.lib.stride_tricks.sliding_window_view(padded, size)
    windows: Double = rows[middles - middles[0]]
    return windows


def _measured(vowels: Sequence[Phone], level: Double, semitones: Double) -> _Vowels:
    rows = []
    for phone in vowels:
        frames = slice(
            int(phone.start * LOUDNESS_RATE), max(int(np.ceil(phone.end * LOUDNESS_RATE)), 1)
        )
        tones = semitones[frames]
        voiced = np.isfinite(tones)
        loud = level[frames].max(initial=-120.0)
        high = np.percentile(tones[voiced], 80) if voiced.sum() > _VOICED * len(tones) else np.nan
        middle = (phone.start + phone.end) / 2
        rows.append((middle, loud, high, np.log(max(phone.end - phone.start, 0.01))))
    return _Vowels(*np.array(rows).T)


def _before_pause(vowels: Sequence[Phone], phones: Sequence[Phone]) -> NDArray[np.bool_]:
    """(N,) whether a vowel is the last one of a phrase."""
    ends = np.array([end for _, end in phrases(phones)])
    starts = np.array([vowel.start for vowel in vowels])
    after = np.append(starts[1:], np.inf)
    last: NDArray[np.bool_] = np.searchsorted(ends, starts) != np.searchsorted(ends, after)
    return last


def _accents(
    vowels: _Vowels, last: NDArray[np.bool_], words: Sequence[tuple[str, float, float]]
) -> tuple[Accent, ...]:
    length = _standing_out(vowels.time, vowels.length, _LEAST_SPREAD[2])
    length[last] *= _BEFORE_PAUSE
    prominence = (
        _WEIGHTS[0] * _standing_out(vowels.time, vowels.level, _LEAST_SPREAD[0])
        + _WEIGHTS[1] * _standing_out(vowels.time, vowels.pitch, _LEAST_SPREAD[1])
        + _WEIGHTS[2] * length
    )
    word = _words_of(vowels.time, words)
    chosen: list[int] = []
    for i in np.argsort(-prominence, kind="stable"):
        if prominence[i] < _PROMINENT:
            break
        near = np.abs(vowels.time[chosen] - vowels.time[i]) < _APART
        if not near.any() and (word[i] < 0 or word[i] not in word[chosen]):
            chosen.append(int(i))
    return tuple(
        Accent(float(vowels.time[i]), float(np.clip(prominence[i] / _MOST_PROMINENT, 0.2, 1.0)))
        for i in sorted(chosen)
    )


def _standing_out(time: Double, values: Double, least: float) -> Double:
    """(N,) by how many standard deviations values lie over those around them; 0 where unknown."""
    known = np.isfinite(values)
    result = np.zeros(len(values))
    if not known.any():
        return result
    time, kept = time[known], values[known]
    # Vowels are a few a second: those within reach are few, however long the recording.
    first, stop = (np.searchsorted(time, time + shift) for shift in (-2 * _AROUND, 2 * _AROUND))
    over = np.empty(len(kept))
    for i, (a, b) in enumerate(zip(first, stop, strict=True)):
        near = np.exp(-(((time[a:b] - time[i]) / _AROUND) ** 2))
        over[i] = kept[i] - near @ kept[a:b] / near.sum()
    result[known] = over / max(float(over.std()), least)
    return result


def _words_of(time: Double, words: Sequence[tuple[str, float, float]]) -> NDArray[np.intp]:
    """(N,) index of the word at each time, −1 outside words."""
    if not words:
        return np.full(len(time), -1)
    index = np.searchsorted([start for _, start, _ in words], time, side="right") - 1
    ends = np.array([end for _, _, end in words])
    return np.where((index >= 0) & (time <= ends[index]), index, -1)


def _tones(vowels: _Vowels, spans: Sequence[tuple[float, float]]) -> tuple[Tone, ...]:
    """Arousal and valence of each phrase with vowels enough to tell.

    The level and the pitch count against the speaker's own, the spread of the pitch and the tempo
    against what is ordinary: 2 semitones between the vowels of a phrase, 4.5 vowels a second.
    """
    tones = []
    level, high = np.median(vowels.level), np.nanmedian(_or_zero(vowels.pitch))
    for start, end in spans:
        inside = (vowels.time >= start) & (vowels.time <= end)
        count = int(inside.sum())
        if count < 2:
            continue
        heights = vowels.pitch[inside]
        heights = heights[np.isfinite(heights)]
        louder = (float(np.median(vowels.level[inside])) - level) / 6.0
        higher = (float(np.median(heights)) - high) / 3.0 if len(heights) else 0.0
        varied = (float(heights.std()) - 2.0) / 2.0 if len(heights) > 2 else 0.0
        faster = (count / max(end - start, PAUSE) - 4.5) / 2.0
        arousal = np.tanh(0.5 * louder + 0.35 * higher + 0.25 * varied + 0.25 * faster)
        # Varied and high is friendly, loud and level is not; slow and low is dejected.
        valence = np.tanh(0.35 * varied + 0.25 * higher - 0.35 * louder + 0.15 * faster)
        tones.append(Tone(start, end, float(arousal), float(valence)))
    return tuple(tones)


def _or_zero(values: Double) -> Double:
    return values if np.isfinite(values).any() else np.zeros(1)
