# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured of a recording before anything is recognised: energies, speech, loudness."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engine.audio.features import FRAME_RATE, Features, features, frame_total
from engine.audio.level import relative_level
from engine.audio.loading import Speech
from engine.core.arrays import Float
from engine.core.progress import Progress, subprogress
from engine.phonemes import SILENCE, Phone
from engine.recognition.cepstra import cepstra, subtract_mean
from engine.recognition.voice_activity import AUDIBLE, SpeechRegions, detect_voice_activity

LOUD = -20.0
"""dB to which loud speech is brought before recognition and in ``mel``."""


@dataclass(frozen=True, eq=False)
class Measured:
    """A recording's features, when somebody speaks in it, and how loudly.

    Attributes:
        samples: (n,) of the recording.
        features: N frames at 100 Hz.
        activity: the regions of speech.
        gain: (N,) float32 factor that brings loud speech to :data:`LOUD`.
    """

    samples: Float
    features: Features
    activity: SpeechRegions
    gain: Float

    @cached_property
    def cepstra(self) -> Float:
        """(N, 13) float32, of :mod:`.cepstra`."""
        return subtract_mean(cepstra(self.samples, self.gain), self.activity.regions)

    @property
    def mel(self) -> Float:
        """(N, 40) float32 log-mel energies of the levelled recording."""
        levelled: Float = self.features.mel + 2 * np.log(self.gain)[:, None]
        return levelled

    def energy(self, phones: Iterable[Phone]) -> Float:
        """(N,) loudness in [0, 1] of the frames in which there is a phone."""
        spoken = np.zeros(len(self.gain), bool)
        for phone in phones:
            if phone.label != SILENCE:
                spoken[round(phone.start * FRAME_RATE) : round(phone.end * FRAME_RATE)] = True
        level = relative_level(self.features.level, self.activity.loud)
        return np.where(spoken, level, np.float32(0))


def measure(speech: Speech, progress: Progress) -> Measured:
    """Measure a recording."""
    found = features(speech.samples, frame_total(speech), subprogress(progress, 0.0, 0.4))
    activity = detect_voice_activity(speech.samples, found, subprogress(progress, 0.4, 0.7))
    gain = (10 ** ((LOUD - np.maximum(activity.loud, AUDIBLE)) / 20)).astype(np.float32)
    progress(0.7, "Measuring the sound")
    return Measured(speech.samples, found, activity, gain)
