# SPDX-License-Identifier: GPL-3.0-or-later
"""Many lines at once: from strips of a channel, recordings of a folder, a script, subtitles."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import bpy

from ...engine.core.errors import BadInputError
from ...engine.core.files import by_number, is_hidden
from ...engine.recognition.aligned_tiers import texts_of
from ...engine.recognition.text_file import Cue, read_text_file
from ...engine.recognition.text_grid import SUFFIX, read_text_grid
from .. import compat
from ..characters.properties import character_objects, is_character
from ..heads.properties import is_head
from .line_list import add_line
from .lines import predicted
from .sound import new_strip_id, scene_fps, strip_of_line
from .strip import add_sound_strip

SOUND_SUFFIXES = frozenset((
    ".wav", ".flac", ".ogg", ".oga", ".mp3", ".aif", ".aiff", ".m4a", ".aac", ".opus",
    ".mp4", ".mov", ".mkv",
))  # fmt: skip

_NAMED = re.compile(r"\s*([^:\n]{1,60}?)\s*:\s+(\S.*)")
"""A line of a script that begins with who says it."""


def speakers_of(context: bpy.types.Context) -> list[bpy.types.Object]:
    """The heads and characters of the scene."""
    return [
        obj
        for obj in context.scene.objects
        if is_head(obj) or (is_character(obj) and character_objects(obj)[0] == obj)
    ]


def free_strips(context: bpy.types.Context) -> list[Any]:
    """The sound strips of the sequencer that are no line's yet, by their time."""
    editor = compat.sequencer_scene(context).sequence_editor
    if editor is None:
        return []
    taken = {
        found[1].as_pointer()
        for obj in speakers_of(context)
        for line in obj.gaussianspeech_lines
        if line.source == "STRIP" and (found := strip_of_line(context, line)) is not None
    }
    found = [strip for strip in compat.all_strips(editor) if strip.type == "SOUND"]
    found = [strip for strip in found if strip.as_pointer() not in taken]
    return sorted(found, key=lambda strip: compat.strip_range(strip)[0])


def lines_from_strips(obj: bpy.types.Object, strips: Sequence[Any]) -> list[str]:
    """Add a line for each strip; returns their ids."""
    known = []
    for strip in strips:
        line = add_line(obj, strip.name)
        line.source, line.strip, line.strip_id = "STRIP", strip.name, new_strip_id(strip)
        known.append(line.id)
    return known


def recordings_in(folder: Path) -> list[Path]:
    """The recordings of a folder, by name, numbers by their value.

    Raises:
        BadInputError: it is no folder, or has none.
    """
    if not folder.is_dir():
        raise BadInputError(f"There is no folder {folder}.", "Choose another.")
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SOUND_SUFFIXES and not is_hidden(path)
    ]
    if not found:
        raise BadInputError(f"{folder} has no recordings.", "Choose a folder of sound files.")
    return sorted(found, key=by_number)


def strips_from_files(
    context: bpy.types.Context, paths: Sequence[Path], frame: int, gap: int
) -> list[Any]:
    """Add recordings to the sequencer, one after the other on a channel of their own.

    Args:
        context: for the sequencer.
        paths: of the recordings.
        frame: scene frame at which the first begins.
        gap: frames between two.

    Raises:
        BadInputError: one cannot be read; none is left.
    """
    if not compat.has_audio():
        raise BadInputError(
            "This Blender has no sound system, so there can be no sound strips.",
            "Use a Blender with sound, or give each line its file.",
        )
    scene, added = compat.sequencer_scene(context), []
    try:
        for path in paths:
            added.append(add_sound_strip(scene, path, frame))
            frame = compat.strip_range(added[-1])[1] + gap
    except BadInputError:
        for strip in added:
            compat.strips(scene.sequence_editor).remove(strip)
        raise
    _to_one_channel(scene, added)
    compat.show_in_sequencer(context, scene)
    scene.frame_end = max(scene.frame_end, frame - gap - 1)
    return added


def read_script(path: Path, speakers: Iterable[bpy.types.Object]) -> list[tuple[str, str]]:
    """The lines of a script: the name of the object that says each, or nothing, and its text.

    A name before a colon is a speaker where an object is called so, in whatever case.

    Raises:
        BadInputError: the file cannot be read, or has no text.
    """
    (cue,) = read_text_file(path)
    known = {obj.name.casefold(): obj.name for obj in speakers}
    lines = []
    for text in cue.text.splitlines():
        named = _NAMED.fullmatch(text)
        name = known.get(named[1].casefold(), "") if named else ""
        if text.strip():
            lines.append((name, named[2].strip() if named and name else text.strip()))
    if not lines:
        raise BadInputError(f"{path} has no text.", "Write a line of text for each line.")
    return lines


def give_script(
    context: bpy.types.Context, obj: bpy.types.Object, script: Sequence[tuple[str, str]]
) -> int:
    """Give the lines of a script to the lines with sound, in the order of their time.

    Args:
        context: for the strips.
        obj: who says what no name is given for.
        script: of :func:`read_script`.

    Returns:
        How many lines have a text now.

    Raises:
        BadInputError: a speaker has another number of lines than the script; nothing was changed.
    """
    texts: dict[str, list[str]] = {}
    for name, text in script:
        texts.setdefault(name or obj.name, []).append(text)
    given = []
    for name, said in texts.items():
        lines = sounding_lines(context, bpy.data.objects[name])
        if len(lines) != len(said):
            raise BadInputError(
                f"The script has {len(said)} lines for '{name}', who has {len(lines)} with sound.",
                "Add Lines from Strips first; write one line of text for each of them.",
            )
        given += zip(lines, said, strict=True)
    for line, text in given:
        line.text, line.text_file = text, ""
    return len(given)


def read_subtitles(
    path: Path, obj: bpy.types.Object, speakers: Iterable[bpy.types.Object]
) -> dict[str, tuple[Cue, ...]]:
    """Texts with their seconds by the name of the object that says them.

    Args:
        path: of subtitles, or of a TextGrid. A tier, or a tier of words, with the name of an object
            in whatever case is what that says; of the others the first is what ``obj`` says.
        obj: who says what no name is given for.
        speakers: all heads and characters.

    Raises:
        BadInputError: the file cannot be read, or has no text.
    """
    if path.suffix.casefold() != SUFFIX.casefold():
        return {obj.name: read_text_file(path)}
    known = {speaker.name.casefold(): speaker.name for speaker in speakers}
    texts = texts_of(read_text_grid(path))
    found: dict[str, tuple[Cue, ...]] = {}
    for name in sorted(texts, key=lambda name: name.casefold() not in known):
        cues = tuple(Cue(*interval) for interval in texts[name])
        found.setdefault(known.get(name.casefold(), obj.name), cues)
    if not found:
        raise BadInputError(f"{path} has no text.", "Choose a TextGrid with words or sentences.")
    return found


def give_subtitles(
    context: bpy.types.Context, subtitles: Mapping[str, Sequence[Cue]], frame: int
) -> int:
    """Give each subtitle to the line that it overlaps the longest.

    Args:
        context: for the strips.
        subtitles: with their seconds, by the name of the object that says them.
        frame: scene frame of second 0.

    Returns:
        How many lines have a text now.

    Raises:
        BadInputError: no line of a speaker has any; nothing was changed.
    """
    given = [
        pair
        for name, cues in subtitles.items()
        for pair in _texts_of_lines(context, bpy.data.objects[name], cues, frame)
    ]
    for line, text in given:
        line.text, line.text_file = text, ""
    return len(given)


def _texts_of_lines(
    context: bpy.types.Context, obj: bpy.types.Object, cues: Sequence[Cue], frame: int
) -> list[tuple[Any, str]]:
    """The lines of a speaker that subtitles are spoken in, with their texts.

    Raises:
        BadInputError: there are none.
    """
    texts: dict[int, list[str]] = {}
    lines = sounding_lines(context, obj)
    fps = scene_fps(compat.sequencer_scene(context))
    for cue in cues:
        start, end = frame + cue.start * fps, frame + cue.end * fps
        shared = [min(end, right) - max(start, left) for left, right in map(_frames, lines)]
        if shared and max(shared) > 0:
            texts.setdefault(shared.index(max(shared)), []).append(cue.text)
    if not texts:
        raise BadInputError(
            f"No subtitle is spoken while a line of '{obj.name}' plays.",
            "Add Lines from Strips first; second 0 of the subtitles is the scene's first frame.",
        )
    return [(lines[index], " ".join(said)) for index, said in texts.items()]


def sounding_lines(context: bpy.types.Context, obj: bpy.types.Object) -> list[Any]:
    """The lines of a speaker that have a sound, in the order of their time."""
    lines = [line for line in obj.gaussianspeech_lines if math.isfinite(_frames(line, context)[0])]
    return sorted(lines, key=lambda line: _frames(line, context)[0])


def _frames(line: Any, context: bpy.types.Context | None = None) -> tuple[float, float]:
    """Scene frames in which a line's sound plays; infinite where it has none."""
    context = context or bpy.context
    if line.source == "STRIP":
        found = strip_of_line(context, line)
        return compat.strip_range(found[1]) if found else (math.inf, math.inf)
    if line.source != "FILE" or not line.filepath:
        return math.inf, math.inf
    about = predicted(line)
    frames = about.frames / about.fps * scene_fps(context.scene) if about else math.inf
    return line.start_frame, line.start_frame + frames


def _to_one_channel(scene: bpy.types.Scene, strips: Sequence[Any]) -> None:
    highest = max(strip.channel for strip in strips)
    others = [s for s in compat.all_strips(scene.sequence_editor) if s not in strips]
    taken = {strip.channel for strip in others}
    channel = next((c for c in range(highest, 129) if c not in taken), highest)
    for strip in strips:
        strip.channel = channel
