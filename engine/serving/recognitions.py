# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings as they were recognised: who predicts again changes the model, the head or the rate.

Recognition takes nine tenths of a prediction's time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING

from engine.core.errors import GaussianSpeechError
from engine.core.progress import Progress
from engine.serving.cache import Cache

if TYPE_CHECKING:
    from engine.audio.loading import Speech
    from engine.recognition.recognizer import RecognizedSpeech
    from engine.recognition.text_file import Cue

_KEPT = 4
"""Recordings; ten minutes of one are 10 MB."""


class Recognitions:
    """The last few recordings that were recognised."""

    def __init__(self) -> None:
        self._cache: Cache[RecognizedSpeech] = Cache(_KEPT)

    def of(
        self,
        speech: Speech,
        text: str | Sequence[Cue],
        language: str | None,
        recognizer: str,
    ) -> Callable[[Progress], RecognizedSpeech]:
        """What recognises a recording where this has not been done with the same text and models.

        Args:
            speech: the recording.
            text: what is said, where it is known.
            language: what is spoken; found out where it is ``None``.
            recognizer: what writes down a recording without a text.
        """

        def recognized(progress: Progress) -> RecognizedSpeech:
            from engine.recognition.recognizer import recognize

            samples = hashlib.sha256(speech.samples.tobytes()).digest()
            said = text if isinstance(text, str) else tuple(text)
            name = samples, speech.duration, speech.warnings, said, language, recognizer
            return self._cache.get(
                name,
                _models(recognizer, language),
                lambda: recognize(speech, text, progress, language=language, recognizer=recognizer),
            )

        return recognized


def _models(recognizer: str, language: str | None) -> Hashable:
    """The models on this machine that would write down a recording."""
    from engine.recognition.whisper_models import choose_model, find_multilingual

    try:
        return choose_model(recognizer, language), find_multilingual()
    except GaussianSpeechError:  # Recognising says it, where a model is needed.
        return None
