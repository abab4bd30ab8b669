# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings are never clean: voices, rooms, noise, music, codecs and odd levels for training."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from engine.audio.loading import SAMPLE_RATE
from engine.core.arrays import Float
from training.assets.codecs import CODECS, available, through_codec
from training.assets.nonspeech import without_speech
from training.assets.phonation import disturbed_voice

_DISTURBED = 0.25
"""Share of hoarse, breathy, creaky and whispered voices."""
_SNR = (8.0, 40.0)
"""Decibels of speech over noise, or over music."""
_MUSIC = 0.2
"""Share of music in what is added."""
_REVERBERATION = (0.08, 0.5)
"""Seconds in which a room's sound falls by 60 dB."""
_DIRECT = (0.3, 3.0)
"""Energy of the direct sound over that of the room's."""
_CUTOFF = (3200.0, 7000.0)
_LOW_CUT = (60.0, 350.0)
_TILT = 6.0
"""Decibels by which a microphone bends the spectrum at most, an octave at a time."""
_LEVEL = (-30.0, 0.0)
_USABLE = tuple(codec for codec in CODECS if available(codec))


def recorded(samples: Float, rng: np.random.Generator) -> Float:
    """The clip as somebody might have recorded it; timing is kept.

    Args:
        samples: (N,) clean speech at 16 kHz.
        rng: decides what happens to it; a fifth of the clips stay as they are.
    """
    if rng.random() < 0.2:
        return samples
    result = samples.astype(np.float64)
    if rng.random() < _DISTURBED:
        result = disturbed_voice(result, rng)
    if rng.random() < 0.5:
        result = _in_room(result, rng)
    if rng.random() < 0.6:
        result = _through_microphone(result, rng)
    if rng.random() < 0.3:
        result = _band_limited(result, rng)
    if rng.random() < 0.7:
        result = result + _noise(result, rng)
    result *= 0.9 / (float(np.abs(result).max()) + 1e-9)
    if rng.random() < 0.3:
        codec = _USABLE[rng.integers(len(_USABLE))]
        result = through_codec(result, codec, int(rng.choice(codec.bits)))
    peak = float(np.abs(result).max()) + 1e-9
    return (result / peak * 0.9 * 10 ** (rng.uniform(*_LEVEL) / 20)).astype(np.float32)


def _in_room(samples: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Direct sound plus decaying noise, Schroeder's model of late reverberation."""
    seconds = rng.uniform(*_REVERBERATION)
    tail = rng.normal(size=int(seconds * SAMPLE_RATE))
    tail *= 10 ** (-3.0 * np.arange(len(tail)) / len(tail))
    tail[: int(0.003 * SAMPLE_RATE)] = 0.0
    direct = float(np.exp(rng.uniform(*np.log(_DIRECT))))
    tail /= np.sqrt(np.square(tail).sum() * direct)
    tail[0] = 1.0
    return np.asarray(signal.fftconvolve(samples, tail)[: len(samples)])


def _through_microphone(
    samples: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """A smooth frequency response with random gains at octaves."""
    octaves = np.array([0.0, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0])
    gains = 10 ** (np.clip(rng.normal(0, _TILT / 2, len(octaves)), -_TILT, _TILT) / 20)
    taps = signal.firwin2(255, octaves, gains, fs=SAMPLE_RATE)
    return np.asarray(signal.fftconvolve(samples, taps, mode="same"))


def _band_limited(samples: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    band = (rng.uniform(*_LOW_CUT), rng.uniform(*_CUTOFF))
    sections: Any = signal.butter(4, band, "bandpass", fs=SAMPLE_RATE, output="sos")
    return np.asarray(signal.sosfilt(sections, samples))


def _noise(samples: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise between white and brown, with mains hum now and then, or music."""
    power = float(np.square(samples).mean())
    wanted = np.sqrt(power / 10 ** (rng.uniform(*_SNR) / 10))
    if rng.random() < _MUSIC:
        music = without_speech(len(samples) / SAMPLE_RATE, rng).astype(np.float64)
        return np.asarray(music * wanted / (np.sqrt(np.square(music).mean()) + 1e-12))
    spectrum = np.fft.rfft(rng.normal(size=len(samples)))
    slope = rng.uniform(0.0, 1.0)
    spectrum *= np.maximum(np.arange(len(spectrum)), 8.0) ** -slope
    noise = np.fft.irfft(spectrum, len(samples))
    noise /= np.sqrt(np.square(noise).mean()) + 1e-12
    if rng.random() < 0.2:
        time = np.arange(len(samples)) / SAMPLE_RATE
        noise += np.sin(2 * np.pi * float(rng.choice([50.0, 60.0])) * time)
    return np.asarray(noise * wanted)
