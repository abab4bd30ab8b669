# SPDX-License-Identifier: GPL-3.0-or-later
"""The sound of an export: what the sequencer plays over its frames, as a WAV beside the file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bpy

from ...engine.core.errors import BadInputError
from ...engine.core.files import atomic_write
from .. import compat
from .background_blender import ExportFolder


@dataclass(frozen=True)
class SoundChoice:
    """What sounds.

    Attributes:
        scene: whose sequencer plays, ``None`` where nothing in a sequencer does.
        files: sound files that play without a strip, with the scene frame where each begins.
    """

    scene: bpy.types.Scene | None
    files: tuple[tuple[str, int], ...] = ()


def check_sound(choice: SoundChoice) -> None:
    """Check that there is something to mix down, and something to do it with.

    Raises:
        BadInputError: no sound, or a Blender without a sound system.
    """
    if not compat.has_audio():
        raise BadInputError(
            "This Blender has no sound system, so it cannot mix the sound down.",
            "Switch Sound off, or use a Blender from blender.org.",
        )
    if choice.scene is None and not choice.files:
        raise BadInputError("There is no sound in the sequencer.", "Switch Sound off.")


def sound_path(path: Path) -> Path:
    """Where the sound of a file goes: ``NAME_sound.wav``, which is nobody's recording."""
    name = path.name
    for suffix in (".performance.npz", path.suffix):
        if suffix and name.endswith(suffix):
            name = name[: -len(suffix)]
            break
    return path.with_name(f"{name}_sound.wav")


@contextlib.contextmanager
def sound_scene(choice: SoundChoice | None) -> Iterator[bpy.types.Scene | None]:
    """A scene that is nothing but the sequencer of another, for the copy; gone afterwards."""
    if choice is None or choice.scene is None:
        yield None
        return
    copy = choice.scene.copy()
    try:
        for child in list(copy.collection.children):
            copy.collection.children.unlink(child)
        for obj in list(copy.collection.objects):
            copy.collection.objects.unlink(obj)
        copy.camera = copy.world = None
        for strip in compat.all_strips(copy.sequence_editor):
            if strip.type == "SCENE":
                strip.scene = None  # It would bring everything that is in that scene.
        yield copy
    finally:
        bpy.data.scenes.remove(copy)


def write_sound(folder: ExportFolder, path: Path) -> None:
    """Put the sound that was mixed down, if any, beside the file of an export."""
    if folder.sound.is_file():
        with atomic_write(sound_path(path)) as temporary:
            temporary.write_bytes(folder.sound.read_bytes())
