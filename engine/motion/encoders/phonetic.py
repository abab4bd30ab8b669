# SPDX-License-Identifier: GPL-3.0-or-later
"""The encoder of phones, log-mel energies and loudness; it ships inside the package."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.audio.features import FRAME_RATE, MEL_BANDS
from engine.audio.loading import Speech
from engine.core.arrays import Float
from engine.core.progress import Progress, no_progress
from engine.motion.encoders.base import AudioFeatures
from engine.phonemes import BETWEEN, SILENCE, Phone, normalize_label
from engine.recognition.recognizer import RecognizedSpeech, recognize

PHONES: tuple[str, ...] = (
    SILENCE,
    *("AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G"),
    *("HH", "IH", "IY", "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH"),
    *("T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH"),
)
"""Phones in the order of their columns."""
SPECTRUM = slice(len(PHONES), len(PHONES) + MEL_BANDS)
"""Columns of the log-mel energies."""


def _row(label: str) -> NDArray[np.float64]:
    """(40,) the columns of a sound; they add up to 1.

    Sounds that English lacks are divided among two, so that the layout of the features, and with it
    every model that was trained on it, stays as it is.
    """
    parts = BETWEEN.get(label, (label,))
    row = np.zeros(len(PHONES))
    row[[PHONES.index(part) for part in parts]] = 1.0 / len(parts)
    return row


_BOUNDARY = (0.25, 0.5, 0.25)
"""Weights over 10 ms steps that soften the boundaries between sounds."""
_FLOOR, _MIDDLE, _SCALE = -13.0, -9.0, 3.0
"""Log-mel energies are cut at the floor, then brought to about −1 to 1."""


class PhoneticEncoder:
    """Phones of PocketSphinx, log-mel energies and loudness; ships inside the package.

    A feature is (81,): 40 sounds as :data:`PHONES`, one-hot with soft boundaries; 40 log-mel
    energies; loudness.
    """

    id = "phonetic"
    size = len(PHONES) + MEL_BANDS + 1
    rate = float(FRAME_RATE)
    start = 0.5 / FRAME_RATE

    def encode(
        self,
        speech: Speech,
        recognized: RecognizedSpeech | None = None,
        *,
        text: str | None = None,
        language: str | None = None,
        progress: Progress = no_progress,
    ) -> AudioFeatures:
        """See :meth:`engine.motion.encoders.base.AudioEncoder.encode`."""
        if recognized is None:
            recognized = recognize(speech, text, progress, language=language)
        return AudioFeatures(
            phonetic_features(recognized.phones, recognized.mel, recognized.energy),
            self.rate,
            self.start,
            speech.duration,
        )


def phonetic_features(phones: tuple[Phone, ...], mel: Float, energy: Float) -> Float:
    """Features of a clip whose sounds are known.

    Args:
        phones: contiguous sounds.
        mel: (N, 40) natural-log energies of the levelled clip at 100 Hz.
        energy: (N,) loudness in [0, 1].

    Returns:
        (N, 81) float32.
    """
    return _assembled(_one_hot(phones, len(mel)), mel, energy)


def without_spectrum(features: Float) -> Float:
    """(N, 81) the features with the energies of all bands 0: phones and loudness alone."""
    blank = features.copy()
    blank[:, SPECTRUM] = 0.0
    return blank


def _assembled(sounds: NDArray[np.float64], mel: Float, energy: Float) -> Float:
    scaled = (np.maximum(mel, _FLOOR) - _MIDDLE) / _SCALE
    together = np.concatenate([sounds, scaled, energy[:, None]], axis=1)
    return np.asarray(together, np.float32)


def _one_hot(phones: tuple[Phone, ...], frames: int) -> NDArray[np.float64]:
    """(N, 40) how much of each 10 ms belongs to each sound, softened over its neighbours."""
    covered = np.zeros((frames, len(PHONES)))
    for label, begin, end in phones:
        start, stop = max(0.0, begin * FRAME_RATE), min(float(frames), end * FRAME_RATE)
        first, last = int(start), min(int(np.ceil(stop)), frames)
        edges = np.arange(first, last)
        part = np.minimum(edges + 1, stop) - np.maximum(edges, start)
        covered[first:last] += np.clip(part, 0.0, 1.0)[:, None] * _row(normalize_label(label))
    wide = np.pad(covered, ((1, 1), (0, 0)), mode="edge")
    before, here, after = _BOUNDARY
    soft: NDArray[np.float64] = before * wide[:-2] + here * wide[1:-1] + after * wide[2:]
    return soft
