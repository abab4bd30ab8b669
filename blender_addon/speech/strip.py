# SPDX-License-Identifier: GPL-3.0-or-later
"""Adding a sound strip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ...engine.core.errors import BadInputError
from .. import compat


def add_sound_strip(scene: bpy.types.Scene, path: Path, frame: int) -> Any:
    """Add a sound file to a scene's sequencer, which is made where there is none.

    Args:
        scene: whose sequencer.
        path: of the sound.
        frame: scene frame at which it begins.

    Raises:
        BadInputError: Blender cannot read the file; nothing is left of it.
    """
    had_editor = scene.sequence_editor is not None
    editor = scene.sequence_editor or scene.sequence_editor_create()
    sounds = set(bpy.data.sounds)
    try:
        strip = compat.strips(editor).new_sound(path.stem, str(path), 1, frame)
        readable = compat.strip_content_length(strip) > 0 and strip.sound.samplerate > 0
        if not readable:
            compat.strips(editor).remove(strip)
    except RuntimeError:
        readable = False
    if not readable:
        for sound in set(bpy.data.sounds) - sounds:
            bpy.data.sounds.remove(sound)
        if not had_editor:
            scene.sequence_editor_clear()
        raise BadInputError(
            f"Blender cannot read {path} as sound.", "Convert it, for example to WAV."
        )
    strip.channel = _free_channel(editor, strip)
    return strip


def _free_channel(editor: bpy.types.SequenceEditor, strip: Any) -> int:
    left, right = compat.strip_range(strip)
    taken = set()
    for other in compat.strips(editor):
        start, end = compat.strip_range(other)
        if other != strip and start < right and end > left:
            taken.add(other.channel)
    return next(channel for channel in range(1, 129) if channel not in taken)
