# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said in a recording, from ``NAME.txt`` beside ``NAME.wav``, where there is one."""

from __future__ import annotations

from pathlib import Path

from engine.recognition.text_file import read_text_file


def transcript_beside(sound: Path) -> str | None:
    """The text beside a sound or a video; ``None`` where there is none.

    Raises:
        BadInputError: it cannot be read, or is no text.
    """
    path = sound.with_suffix(".txt")
    return read_text_file(path)[0].text if path.is_file() else None
