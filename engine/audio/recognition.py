# SPDX-License-Identifier: GPL-3.0-or-later
"""PocketSphinx behind two functions: what phones are in a stretch, and when known words fall.

The models are inside the pocketsphinx package, so nothing is downloaded. A decoder takes up to
half a second to load and is kept; it serves one caller at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pocketsphinx import Decoder, get_model_path

from engine.audio.loading import SAMPLE_RATE
from engine.audio.pronunciation import by_rule, spelled
from engine.speech.performance import Phone

Float = NDArray[np.float32]

SILENCE = "SIL"
_FRAME = 0.01
_LOCK = Lock()


def free_phones(samples: Float) -> list[Phone]:
    """The phones of a stretch with no idea what is said: a phone loop with a phone trigram.

    Args:
        samples: (n,) float32 at 16 kHz, at a normal speech level.

    Returns:
        Phones from 0 s on, silence and noises as ``SIL``; empty when nothing was recognised.
    """
    with _LOCK:
        decoder = _phone_decoder()
        _decode(decoder, samples)
        return [
            _phone(segment.word, segment.start_frame, segment.end_frame + 1)
            for segment in decoder.seg() or ()
        ]


def aligned_phones(samples: Float, words: Sequence[str]) -> list[Phone] | None:
    """When the phones of known words fall.

    Args:
        samples: (n,) float32 at 16 kHz.
        words: from :func:`engine.audio.transcript.spoken_words`; the dictionary's pronunciations
            compete, unknown words are pronounced by rule.

    Returns:
        Phones from 0 s on, or ``None`` when the words do not fit the sound.
    """
    with _LOCK:
        decoder = _word_decoder()
        names = [name for word in words if (name := _entered(decoder, word))]
        try:
            decoder.set_align_text(" ".join(names))
            _decode(decoder, samples)
            if decoder.hyp() is None:
                return None
            decoder.set_alignment()
            _decode(decoder, samples)
            alignment = decoder.get_alignment()
        except RuntimeError:
            return None
        if alignment is None:
            return None
        return [
            _phone(entry.name, entry.start, entry.start + entry.duration)
            for entry in alignment.phones()
        ]


def _entered(decoder: Any, word: str) -> str:
    """The decoder's name of a word, entered into its dictionary where it is new."""
    name = word.lower()
    if word.isupper() and len(word) > 1:
        # "US" may be the word or the abbreviation: both compete under a name of their own.
        name = word
        if decoder.lookup_word(name) is None:
            known = decoder.lookup_word(word.lower())
            decoder.add_word(name, known or " ".join(spelled(word)), update=False)
            if known:
                decoder.add_word(f"{name}(2)", " ".join(spelled(word)), update=False)
    elif decoder.lookup_word(name) is None:
        phones = by_rule(word)
        if not phones:
            return ""
        decoder.add_word(name, " ".join(phones), update=False)
    return name


def _decode(decoder: Any, samples: Float) -> None:
    pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()


def _phone(name: str, start: int, stop: int) -> Phone:
    label = name if name.isalpha() else SILENCE
    return Phone(label, start * _FRAME, stop * _FRAME)


@cache
def _phone_decoder() -> Any:
    return Decoder(
        allphone=get_model_path("en-us/en-us-phone.lm.bin"),
        dict=None,
        lw=2.0,
        cmn="batch",
        samprate=SAMPLE_RATE,
        loglevel="FATAL",
    )


@cache
def _word_decoder() -> Any:
    return Decoder(lm=None, cmn="batch", dictcase=True, samprate=SAMPLE_RATE, loglevel="FATAL")
