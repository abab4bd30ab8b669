# SPDX-License-Identifier: GPL-3.0-or-later
"""Scripts without spaces between words: Chinese, Japanese, Thai, Lao."""

from __future__ import annotations

import re
from functools import cache
from itertools import accumulate
from typing import Any

from engine.recognition import espeak, thai
from engine.recognition.language import reading_language, voice_of

UNSPACED = {"CJK": "E", "KANA": "E", "THAI": "S", "LAO": "S"}
"""Scripts whose runs are cut; those of a kind are cut together."""

_TONE = re.compile(r"[0-9ɜ](?=[_\s]|$)")


def segments(run: str, language: str) -> list[str]:
    """Cut letters of one kind of :data:`UNSPACED` into words, or into syllables.

    Args:
        run: such letters alone.
        language: of the text around them.

    Returns:
        Parts in order; joined they are the run, but for what cannot be said at its end.
    """
    language = reading_language(run, language)
    if language in {"th", "lo"}:
        return [written for written, _ in thai.syllables(run)]
    if language == "ja":
        return [item["orig"] for item in _kakasi().convert(run) if item["orig"]]
    # One syllable a character: the borders of espeak-ng's words are those of the characters.
    counts = [len(_TONE.findall(word)) for word in espeak.pronounce(run, voice_of(language))]
    if sum(counts) != len(run):
        return list(run)
    ends = list(accumulate(counts))
    return [run[end - count : end] for end, count in zip(ends, counts, strict=True) if count]


def kana(word: str) -> list[str]:
    """How a Japanese word may be read, in kana: the particles *ha* and *he* are said *wa*, *e*."""
    reading = "".join(item["hira"] for item in _kakasi().convert(word))
    if reading.endswith("は"):
        return [f"{reading[:-1]}わ", reading]
    return ["え", reading] if reading == "へ" else [reading]


@cache
def _kakasi() -> Any:
    import pykakasi

    return pykakasi.kakasi()  # type: ignore[no-untyped-call]
