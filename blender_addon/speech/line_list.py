# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing the list of a character's lines: adding, copying and removing."""

from __future__ import annotations

import uuid
from typing import Any

import bpy

from ..characters.properties import character_objects, is_character
from ..characters.targets import animated_datablock
from ..heads.properties import is_head
from . import edits, nla
from .action import copy_bake
from .correctives import remove_stale_correctives, share_correctives
from .head_motion import remove_head_motion
from .lines import (
    MODEL,
    RECOGNIZER,
    SOUND,
    WORDS,
    active_line,
    control_values,
    datablocks_of,
    legacy_bake,
    line_by_id,
    model_settings,
    set_muted,
    span_of,
)
from .timeline.kept import copy_timeline
from .timeline.shown import hide

FIELDS = (*SOUND, *WORDS, *RECOGNIZER, *MODEL)
"""What a line shares with the settings of 0.1.0."""
_COPIED = (*FIELDS, "strength", "offset", "ease", "predicted", "baked", "use_own_controls")
"""What a copy of a line has of it."""


def add_line(obj: bpy.types.Object, name: str) -> Any:
    """A new line of a head or character, made the active one; its model is that of the last."""
    main = character_objects(obj)[0]
    adopt_first(main)
    before = model_settings(main)
    chosen = {known: getattr(before, known) for known in (*MODEL, *RECOGNIZER, "language")}
    lines = main.gaussianspeech_lines
    line = lines.add()
    line.id, line.name = uuid.uuid4().hex, free_name(lines, name)
    for known, value in chosen.items():
        setattr(line, known, value)
    main.gaussianspeech_active_line = len(lines) - 1
    return line


def ensure_line(obj: bpy.types.Object) -> Any:
    """The active line; one that is made of the settings of 0.1.0 where there is none."""
    adopt_first(obj)
    return active_line(obj) or add_line(obj, "Line")


def adopt_first(obj: bpy.types.Object) -> None:
    """Make the first line of what files and scripts of 0.1.0 have set, where there are no lines."""
    main = character_objects(obj)[0]
    if main.gaussianspeech_lines or not (is_head(main) or is_character(main)):
        return
    old = main.gaussianspeech_speech
    if not (old.strip or old.filepath or old.text or old.text_file or legacy_bake(main)):
        return
    line = main.gaussianspeech_lines.add()
    line.id = uuid.uuid4().hex
    for known in FIELDS:
        setattr(line, known, getattr(old, known))
    name = old.strip or bpy.path.basename(old.filepath)
    line.name = name or getattr(legacy_bake(main), "name", "Line")


def free_name(lines: Any, name: str) -> str:
    """The name, with a number where a line has it already."""
    taken, candidate, number = {line.name for line in lines}, name, 1
    while candidate in taken:
        candidate, number = f"{name}.{number:03d}", number + 1
    return candidate


def use_model(obj: bpy.types.Object, path: str) -> None:
    """Let a head or character speak by a model's file from the next prediction on."""
    main = character_objects(obj)[0]
    for settings in (main.gaussianspeech_speech, *main.gaussianspeech_lines):
        settings.model, settings.model_file = "FILE", path


def remove_line(line: Any) -> list[str]:
    """Remove a line with its strips and Actions; an Action that an artist edited stays in the file.

    Returns:
        What the user should know, a sentence each.
    """
    main, known = line.id_data, line.id
    hide(line)
    notes = remove_head_motion(main, known)
    for part in character_objects(main):
        if (datablock := animated_datablock(part)) is not None:
            notes += edits.remove_actions(datablock, known)
    if is_head(main):
        remove_stale_correctives(main)
    lines = main.gaussianspeech_lines
    index = next(i for i, other in enumerate(lines) if other.id == known)
    lines.remove(index)
    active = main.gaussianspeech_active_line
    main.gaussianspeech_active_line = max(0, active - (active >= index))
    return notes


def duplicate_line(context: bpy.types.Context, line: Any) -> Any:
    """A copy of a line with Actions and strips of its own, above; the line itself is muted."""
    main, known, name = line.id_data, line.id, line.name
    fields = {name: getattr(line, name) for name in _COPIED}
    own = control_values(line.controls, line.controls)
    copy = add_line(main, name)  # From here on `line` may be somewhere else in memory.
    copy_timeline(line_by_id(known), copy)
    for target, values in ((copy.controls, own), (copy, fields)):
        for name, value in values.items():
            setattr(target, name, value)
    for datablock in datablocks_of(main):
        for mark in (nla.LINE, nla.EDITS):
            action = nla.line_action(datablock, known, mark)
            if action is None:
                continue
            taken = copy_bake(action)
            taken[mark] = copy.id
            if isinstance(datablock, bpy.types.Key):
                share_correctives(datablock, action, taken)
            nla.place(datablock, taken, span_of(context, copy), copy.name)
    set_muted(main, line_by_id(known), muted=True)
    return copy


def move_line(line: Any, step: int) -> None:
    """Move a line in the list by one, and keep it the active one."""
    main = line.id_data
    lines, index = main.gaussianspeech_lines, main.gaussianspeech_active_line
    wanted = index + step
    if 0 <= wanted < len(lines):
        lines.move(index, wanted)
        main.gaussianspeech_active_line = wanted
