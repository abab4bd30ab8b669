# SPDX-License-Identifier: GPL-3.0-or-later
"""What every audio encoder of the speech model has: speech in, a sequence of feature vectors out.

An encoder is anything with an ``id``, the ``size``, ``rate`` and ``start`` of its features and an
``encode``; to add one, write its file beside this one and list it in
:mod:`engine.motion.encoders.registry`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from engine.audio.loading import Speech
from engine.core.arrays import Float
from engine.core.progress import Progress, no_progress
from engine.recognition.recognizer import RecognizedSpeech


@dataclass(frozen=True, eq=False)
class AudioFeatures:
    """What an encoder makes of a clip.

    Attributes:
        values: (N, C) float32.
        rate: features per second.
        start: seconds of the first feature's centre.
        duration: seconds of the clip, as of its :class:`~engine.audio.loading.Speech`.
    """

    values: Float
    rate: float
    start: float
    duration: float


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
        self,
        speech: Speech,
        recognized: RecognizedSpeech | None = None,
        *,
        text: str | None = None,
        language: str | None = None,
        progress: Progress = no_progress,
    ) -> AudioFeatures:
        """Features of a whole clip.

        Args:
            speech: the clip.
            recognized: the clip as it was recognised; an encoder of phones recognises it itself
                where this is ``None``, others ignore it.
            text: what is said, where known, for an encoder that recognises the clip itself.
            language: of what is said, an ISO 639 code, for the same; found out by default.
            progress: called with the fraction done; may raise to cancel.
        """
