# SPDX-License-Identifier: GPL-3.0-or-later
"""The sound of a film, from its first picture to its last; of several takes each at one loudness.

What is speech is judged by the seconds around it (:mod:`engine.recognition.voice_activity`): beside
a loud take the words of a quiet one would be taken for background.
"""

from __future__ import annotations

import wave
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from engine.audio.decoding import open_source
from engine.audio.loading import MIN_DURATION, speech_from_samples
from engine.core.arrays import Float
from engine.core.files import atomic_write
from engine.core.progress import no_progress
from engine.recognition.measurement import LOUD, measure
from training.data.film_frames import opened_video
from training.tracking.film import Film


def write_sound(film: Film, path: Path, frames: int) -> None:
    """The film's sound as WAV, beginning with the first picture and as long as the pictures.

    Loud speech of each of several takes comes to :data:`engine.recognition.measurement.LOUD`.

    Args:
        film: the film, with sound.
        path: ``.wav``.
        frames: number of pictures.

    Raises:
        BadInputError: the sound cannot be decoded.
    """
    takes = [replace(take, most=take.frames) for take in film.takes] or [replace(film, most=frames)]
    heard = [_sound(take) if take.sound else None for take in takes]
    rate = max(rate for _, rate in filter(None, heard))
    parts = []
    for take, sound in zip(takes, heard, strict=True):
        if sound is None:
            parts.append(np.zeros(round((take.most or 0) / take.fps * rate), np.float32))
        else:
            own, own_rate = sound
            own = _levelled(own, own_rate, take) if film.takes else own
            same = own_rate == rate
            parts.append(own if same else soxr.resample(own, own_rate, rate))
    samples = np.concatenate(parts)
    with atomic_write(path) as temporary, wave.open(str(temporary), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())


def _levelled(samples: Float, rate: int, take: Film) -> Float:
    """The samples with loud speech as loud as in other takes; as they are where nobody speaks."""
    if len(samples) < MIN_DURATION * rate:
        return samples
    found = measure(speech_from_samples(samples, rate, str(take.path)), no_progress).activity
    spoken = [found.loud[first:end] for first, end in found.regions]
    if not spoken:
        return samples
    gain = 10 ** ((LOUD - float(np.median(np.concatenate(spoken)))) / 20)
    return samples * np.float32(gain)


def _sound(film: Film) -> tuple[Float, int]:
    """Samples of a single video, as long as its pictures, and their rate."""
    late = late_sound(film) - film.begin
    with closing(open_source(film.path)) as source:
        mono = [block.mean(axis=1) for block in source.blocks()]
        rate = round(source.rate)
    samples = np.concatenate(mono) if mono else np.zeros(0, np.float32)
    shift = round(late * rate)
    samples = np.r_[np.zeros(max(shift, 0), np.float32), samples[max(-shift, 0) :]]
    wanted = round((film.most or film.frames) / film.fps * rate)
    samples = np.r_[samples[:wanted], np.zeros(max(0, wanted - len(samples)), np.float32)]
    return samples.astype(np.float32), rate


def late_sound(film: Film) -> float:
    """Seconds by which the sound of a film's file begins after its pictures."""
    with opened_video(film.path) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        return float(_begin(sound) - _begin(video))


def _begin(stream: Any) -> Fraction:
    return Fraction((stream.start_time or 0) * stream.time_base)
