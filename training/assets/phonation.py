# SPDX-License-Identifier: GPL-3.0-or-later
"""Whispered, breathy, hoarse and creaky voices made of ordinary ones; timing is kept.

Speech is a source times a filter (Fant 1960). The filter, the smooth envelope of each short
spectrum, comes from the low quefrencies of its cepstrum; the source is exchanged for noise, mixed
with noise, or disturbed in its periods (jitter) and amplitudes (shimmer).
"""

from __future__ import annotations

import numpy as np
from scipy import signal

from engine.audio.loading import SAMPLE_RATE
from engine.core.arrays import Double

_WINDOW, _HOP = 512, 128
_LIFTER = 28
"""Quefrencies in samples that make the envelope: under the period of a voice of 570 Hz."""
_BLURRED = 1e-7


def disturbed_voice(samples: Double, rng: np.random.Generator) -> Double:
    """(N,) speech in one of those voices, at about the same level."""
    return _VOICES[rng.integers(len(_VOICES))](samples, rng)


def whispered(samples: Double, rng: np.random.Generator) -> Double:
    """No voice at all: noise through the filter.

    Whispers are weak below 1 kHz, for the open glottis damps the first formant (Jovičić 1998).
    """
    noise = _through_filter(samples, rng)
    sections = signal.butter(1, rng.uniform(300.0, 900.0), "highpass", fs=SAMPLE_RATE, output="sos")
    return _as_loud(signal.sosfilt(sections, noise), samples)


def _breathy(samples: Double, rng: np.random.Generator) -> Double:
    """Voice with aspiration noise, most of it above 1.5 kHz."""
    sections = signal.butter(1, 1500.0, "highpass", fs=SAMPLE_RATE, output="sos")
    noise = _as_loud(signal.sosfilt(sections, _through_filter(samples, rng)), samples)
    return _as_loud(samples + rng.uniform(0.4, 1.2) * noise, samples)


def _hoarse(samples: Double, rng: np.random.Generator) -> Double:
    """Irregular periods and amplitudes, and noise in between."""
    shaken = _shimmer(_jitter(samples, rng.uniform(2e-4, 8e-4), 90.0, rng), 0.7, 90.0, rng)
    noise = _as_loud(_through_filter(samples, rng), samples)
    return _as_loud(shaken + rng.uniform(0.2, 0.8) * noise, samples)


def _creaky(samples: Double, rng: np.random.Generator) -> Double:
    """Pulses of 25 to 60 Hz, far apart."""
    rate = rng.uniform(25.0, 60.0)
    return _as_loud(_shimmer(_jitter(samples, 1e-3, rate, rng), 1.6, rate, rng), samples)


_VOICES = (whispered, _breathy, _hoarse, _creaky)


def _through_filter(samples: Double, rng: np.random.Generator) -> Double:
    """White noise with the spectral envelope of the speech at each time."""
    _, _, spectrum = signal.stft(samples, nperseg=_WINDOW, noverlap=_WINDOW - _HOP)
    _, _, noise = signal.stft(
        rng.normal(size=len(samples)), nperseg=_WINDOW, noverlap=_WINDOW - _HOP
    )
    cepstrum = np.fft.irfft(np.log(np.abs(spectrum) + _BLURRED), axis=0)
    cepstrum[_LIFTER : _WINDOW - _LIFTER + 1] = 0.0
    envelope = np.exp(np.fft.rfft(cepstrum, axis=0).real)
    _, made = signal.istft(noise * envelope, nperseg=_WINDOW, noverlap=_WINDOW - _HOP)
    return np.asarray(np.resize(made, len(samples)), np.float64)


def _course(count: int, rate: float, rng: np.random.Generator) -> Double:
    """(N,) normal noise that changes ``rate`` times a second, smooth in between."""
    steps = rng.normal(size=int(count / SAMPLE_RATE * rate) + 3)
    at = np.arange(count) * (rate / SAMPLE_RATE)
    course: Double = np.interp(at, np.arange(len(steps)), steps)
    return course


def _jitter(samples: Double, seconds: float, rate: float, rng: np.random.Generator) -> Double:
    count = len(samples)
    moved = np.arange(count) + _course(count, rate, rng) * seconds * SAMPLE_RATE / 2
    shaken: Double = np.interp(moved, np.arange(count), samples)
    return shaken


def _shimmer(samples: Double, depth: float, rate: float, rng: np.random.Generator) -> Double:
    shaken: Double = samples * np.exp(depth * _course(len(samples), rate, rng))
    return shaken


def _as_loud(made: Double, samples: Double) -> Double:
    power = np.sqrt(np.square(samples).mean() / (np.square(made).mean() + 1e-20))
    return np.asarray(made * power)
