# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of characters: found to have shape keys, made to speak by them, and written back.

What shape keys stand for is :mod:`engine.motion.characters`' matter; a kind of file is one module
here.
"""

from __future__ import annotations

from pathlib import Path

from engine.characters.character import Character, Clip, Part
from engine.characters.speaking import (
    SpeakingMapping,
    find_mapping,
    load_mapping,
    proposed_mapping,
    speak,
)
from engine.core.errors import BadInputError
from engine.gltf import GLTF_SUFFIXES

BLENDER_SUFFIXES = frozenset({".blend", ".fbx"})
CHARACTER_SUFFIXES = GLTF_SUFFIXES | BLENDER_SUFFIXES

__all__ = [
    "CHARACTER_SUFFIXES",
    "Character",
    "Clip",
    "Part",
    "SpeakingMapping",
    "find_mapping",
    "load_mapping",
    "open_character",
    "proposed_mapping",
    "speak",
]


def open_character(path: str | Path) -> Character:
    """Open a character's file.

    Args:
        path: ``.glb``, ``.gltf`` or ``.vrm``; ``.blend`` or ``.fbx`` where bpy is installed.

    Raises:
        BadInputError: another kind of file, missing or damaged.
        MissingDependencyError: it needs bpy, which is not installed.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in GLTF_SUFFIXES:
        from engine.characters.gltf_file import open_gltf

        return open_gltf(path)
    if suffix in BLENDER_SUFFIXES:
        from engine.characters.blender_file import open_blender

        return open_blender(path)
    raise BadInputError(
        f"{path} is of no kind that characters are read from.",
        f"Give one of {', '.join(sorted(CHARACTER_SUFFIXES))}.",
    )
