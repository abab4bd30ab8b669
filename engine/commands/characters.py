# SPDX-License-Identifier: GPL-3.0-or-later
"""What the commands that make a character speak have in common."""

from __future__ import annotations

from pathlib import Path

from engine.characters import (
    CHARACTER_SUFFIXES,
    Clip,
    load_mapping,
    open_character,
    proposed_mapping,
    speak,
)
from engine.core.errors import BadInputError
from engine.motion.interchange.face_curves import FaceCurves


def is_character_file(path: Path) -> bool:
    """Whether a result of that name is a character's file, rather than a folder."""
    return path.suffix.lower() in CHARACTER_SUFFIXES


class SpeakingCharacter:
    """A character's file that gets an animation for each performance.

    Args:
        path: of the character.
        mapping: what its shape keys stand for, a file; their names say it without.
        out: the new file.

    Raises:
        BadInputError: the files cannot be read or do not fit each other, or ``out`` would replace
            the character or is of another kind.
        MissingDependencyError: the kind of file needs bpy.
    """

    def __init__(self, path: Path, mapping: Path | None, out: Path) -> None:
        if out.exists() and path.exists() and out.samefile(path):
            raise BadInputError(f"{out} is the character itself.", "Name another file with --out.")
        self._character = open_character(path)
        if out.suffix.lower() not in self._character.suffixes:
            kinds = ", ".join(self._character.suffixes)
            raise BadInputError(f"{path} cannot be written as {out}.", f"End it in {kinds}.")
        self._mapping = (
            proposed_mapping(self._character)
            if mapping is None
            else load_mapping(self._character, mapping)
        )
        self._out = out
        self._clips: list[Clip] = []

    def add(self, curves: FaceCurves, name: str) -> None:
        """Move as a face does, as the animation of that name."""
        self._clips.append(speak(curves, self._mapping, name, self._character.rigs))

    def write(self) -> tuple[dict[str, object], tuple[str, ...]]:
        """Write the file: what to print, and what was left out.

        Raises:
            BadInputError: it cannot be written.
        """
        left_out = self._mapping.left_out + self._character.save(self._out, self._clips)
        parts, rigs = self._character.parts, self._character.rigs
        counts = {parts[number].name: len(rows) for number, rows in self._mapping.tables.items()}
        counts |= {rigs[number].name: len(rows) for number, rows in self._mapping.bones.items()}
        facts: dict[str, object] = {
            "character": self._out,
            "mapping": self._mapping.source,
            "objects": counts,
            "animations": [clip.name for clip in self._clips],
        }
        return facts, left_out
