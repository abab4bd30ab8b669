# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said: typed, from a subtitle file, or recognised; a correction is aligned, no more."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy

from ...engine.core.errors import BadInputError
from ...engine.recognition.aligned_tiers import has_phones, is_word, phones_of, words_of
from ...engine.recognition.text_file import Cue, read_text_file
from ...engine.recognition.text_grid import read_text_grid
from .sound import Clip

FOLDER = "FOLDER"
"""The recogniser that lies in a folder of the user's."""


def transcript_params(settings: Any, clip: Clip) -> dict[str, Any]:
    """The parameters of ``speech.predict`` about words.

    A text that was recognised in another clip, or otherwise, is not that of this one: it is left
    out, and recognised anew.

    Raises:
        BadInputError: the text file cannot be used, or no folder is chosen.
    """
    params: dict[str, Any] = {"recognizer": _recognizer(settings)}
    if language := settings.language.strip():
        params["language"] = language
    if settings.text_file:
        return params | _of_file(Path(bpy.path.abspath(settings.text_file)), clip)
    text = settings.text.strip()
    recognised = text == settings.recognized_text.strip()
    if text and not (recognised and settings.recognized_from != _origin(settings, clip)):
        params["text"] = text
    return params


def _of_file(path: Path, clip: Clip) -> dict[str, Any]:
    """What a file says: a text, texts with times, or the times of phones and words as they are."""
    if path.suffix.lower() != ".textgrid":
        return {"cues": [_cue(cue) for cue in read_text_file(path)]}
    if clip.is_mixed:
        raise BadInputError(
            f"The times of {path.name} are not those of '{clip.name}', whose speed was changed.",
            "Reset the strip's speed, or clear the text file.",
        )
    tiers = read_text_grid(path)
    if has_phones(tiers):
        timed = {"phones": phones_of(tiers, path), "words": words_of(tiers)}
    else:
        timed = {"words": words_of(tiers)}
    found = {kind: [list(each) for each in several] for kind, several in timed.items() if several}
    if found:
        return found
    # Utterances, which are still to be aligned.
    cues = sorted(
        (Cue(interval.text, interval.start, interval.end)
         for tier in tiers for interval in tier.intervals if is_word(interval.text)),
        key=lambda cue: cue.start,
    )  # fmt: skip
    if not cues:
        raise BadInputError(f"{path} has no text.", "Choose a TextGrid with phones, words or text.")
    return {"cues": [_cue(cue) for cue in cues]}


def keep_transcript(settings: Any, clip: Clip, reply: Mapping[str, Any]) -> None:
    """Show the words that were recognised, where the user gave none; they can be corrected."""
    text = settings.text.strip()
    if settings.text_file or (text and text != settings.recognized_text.strip()):
        return
    settings.text = " ".join(word for word, _, _ in reply.get("words", ()))
    settings.recognized_text = settings.text
    settings.recognized_from = _origin(settings, clip)


def _origin(settings: Any, clip: Clip) -> str:
    """What a recognised text depends on."""
    return repr((
        *(clip.name, round(clip.start, 3), clip.duration),
        *(_recognizer(settings), settings.language.strip()),
    ))  # fmt: skip


def _recognizer(settings: Any) -> str:
    """The recogniser as the engine calls it.

    Raises:
        BadInputError: one of the user's own without a folder.
    """
    if settings.recognizer != FOLDER:
        return str(settings.recognizer)
    if not settings.recognizer_folder:
        raise BadInputError("No folder of a recogniser is chosen.", "Choose it in Speech, Words.")
    return str(bpy.path.abspath(settings.recognizer_folder))


def _cue(cue: Cue) -> dict[str, Any]:
    """A cue as JSON, which has no infinity."""
    times = {"start": cue.start, "end": cue.end}
    return {"text": cue.text} | {name: time for name, time in times.items() if math.isfinite(time)}
