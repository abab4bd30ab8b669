# SPDX-License-Identifier: GPL-3.0-or-later
"""Audio encoders of the speech model: speech in, a sequence of feature vectors out.

An encoder is anything with an ``id``, the ``size``, ``rate`` and ``start`` of its features and an
``encode``; to add one, write its file beside this one and list it in :func:`load_encoder`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.audio.features import FRAME_RATE, MEL_BANDS, features
from engine.audio.loading import SAMPLE_RATE, Speech
from engine.core.errors import BadInputError
from engine.core.progress import Progress, no_progress
from engine.phonemes import SILENCE, VISEMES, Phone, normalize_label
from engine.recognition.recognizer import recognize

Float = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class AudioFeatures:
    """What a model hears of a clip.

    Attributes:
        values: (N, C) float32.
        rate: features per second.
        start: seconds of the first feature's centre.
        duration: seconds of the clip, as of its :class:`~engine.audio.loading.Speech`.
        phones: spoken sounds with times, where the encoder knows them.
        warnings: things the user should know, one sentence each.
    """

    values: Float
    rate: float
    start: float
    duration: float
    phones: tuple[Phone, ...] = ()
    warnings: tuple[str, ...] = ()


class AudioEncoder(Protocol):
    """What the speech model needs of an encoder."""

    @property
    def id(self) -> str:
        """Stable name, stored with models."""

    @property
    def size(self) -> int:
        """C, numbers in a feature."""

    @property
    def rate(self) -> float:
        """Features per second."""

    @property
    def start(self) -> float:
        """Seconds of the first feature's centre."""

    def encode(
        self, speech: Speech, text: str | None = None, progress: Progress = no_progress
    ) -> AudioFeatures:
        """Features of a whole clip.

        Args:
            speech: the clip.
            text: what is said, where known; encoders without use for it ignore it.
            progress: told how far it is; may raise to cancel.
        """


PHONES: tuple[str, ...] = (SILENCE, *sorted(VISEMES))
"""Sounds in the order of their columns."""

_COLUMN = {label: column for column, label in enumerate(PHONES)}

_BOUNDARY = (0.25, 0.5, 0.25)
"""Weights over 10 ms steps that soften the boundaries between sounds."""
_FLOOR, _MIDDLE, _SCALE = -13.0, -9.0, 3.0
"""Log-mel energies are cut at the floor, then brought to about −1 to 1."""
_LOUD, _DYNAMICS = -20.0, 45.0
"""Decibels of loud voiced frames, to which the phonetic encoder levels, and down to energy 0."""


class PhoneticEncoder:
    """Phones of PocketSphinx, log-mel energies and loudness; ships inside the package.

    A feature is (81,): 40 sounds as :data:`PHONES`, one-hot with soft boundaries; 40 log-mel
    energies; loudness. Without known sounds the first 40 are 0.
    """

    id = "phonetic"
    size = len(PHONES) + MEL_BANDS + 1
    rate = float(FRAME_RATE)
    start = 0.5 / FRAME_RATE

    def encode(
        self, speech: Speech, text: str | None = None, progress: Progress = no_progress
    ) -> AudioFeatures:
        """See :meth:`AudioEncoder.encode`."""
        recognized = recognize(speech, text=text, progress=progress)
        return AudioFeatures(
            phonetic_features(recognized.phones, recognized.mel, recognized.energy),
            self.rate,
            self.start,
            speech.duration,
            recognized.phones,
            recognized.warnings,
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


def acoustic_features(mel: Float) -> Float:
    """Features of sound alone, when nobody knows the phones: (N, 40) → (N, 81) float32.

    The loudness is that of the frame whatever it is, for what is speech is not known either.
    """
    level = 10.0 * np.log10(np.exp(mel.astype(np.float64)).sum(axis=1))
    energy = np.clip((level - _LOUD + _DYNAMICS) / _DYNAMICS, 0.0, 1.0)
    return _assembled(np.zeros((len(mel), len(PHONES))), mel, energy.astype(np.float32))


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
        covered[first:last, _COLUMN[normalize_label(label)]] += np.clip(part, 0.0, 1.0)
    wide = np.pad(covered, ((1, 1), (0, 0)), mode="edge")
    before, here, after = _BOUNDARY
    soft: NDArray[np.float64] = before * wide[:-2] + here * wide[1:-1] + after * wide[2:]
    return soft


class AcousticStream:
    """Live sound to phonetic features without phones, frame by frame, with constant memory.

    What comes out is :func:`acoustic_features` of the whole sound. A feature is final 12.5 ms after
    its centre.

    Args:
        gain: factor that brings loud speech to about −20 dB, the level models are trained at.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self._gain = np.float32(gain)
        self._held = np.zeros(0, np.float32)
        self._hop = SAMPLE_RATE // FRAME_RATE
        self._context = 0

    def push(self, samples: Float) -> Float:
        """Take (n,) samples at 16 kHz; give the (m, 81) features that became final."""
        self._held = np.concatenate([self._held, samples * self._gain])
        # The window of a frame reaches 120 samples beyond its 160.
        return self._made((len(self._held) - 120) // self._hop - self._context)

    def finish(self) -> Float:
        """The end of the sound: give the last features."""
        return self._made(round(len(self._held) / self._hop) - self._context)

    def _made(self, frames: int) -> Float:
        if frames <= 0:
            return np.zeros((0, PhoneticEncoder.size), np.float32)
        mel = features(self._held, self._context + frames).mel[self._context :]
        keep = self._context + frames - 1
        self._held, self._context = self._held[keep * self._hop :].copy(), 1
        return acoustic_features(mel)


def load_encoder(id: str, source: str = "") -> AudioEncoder:  # noqa: A002 - encoders have ids.
    """The encoder of an id.

    Args:
        id: ``"phonetic"`` or ``"wav2vec2"``.
        source: hub id or folder of its weights, where it has any.

    Raises:
        BadInputError: no such encoder.
        MissingDependencyError: its weights are not on this machine.
    """
    if id == PhoneticEncoder.id:
        return PhoneticEncoder()
    if id == "wav2vec2":
        from engine.motion.encoders.wav2vec2 import DEFAULT_SOURCE, load_wav2vec2

        return load_wav2vec2(source or DEFAULT_SOURCE)
    raise BadInputError(
        f"There is no audio encoder {id!r}.", f"Choose from: {', '.join(ENCODERS)}."
    )


ENCODERS: tuple[str, ...] = (PhoneticEncoder.id, "wav2vec2")
"""Ids of the encoders."""
