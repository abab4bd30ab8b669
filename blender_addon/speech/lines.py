# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of a head or character: which they are, where they play, and whether they are in date.

A line is known by its id: its Actions, one for each datablock it animates, carry it as a custom
property (:data:`nla.LINE`), so that renaming, pushing down and copying do no harm.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from zlib import crc32

import bpy

from .. import compat
from ..characters.properties import character_objects
from ..characters.targets import animated_datablock
from . import nla
from .action import is_bake
from .head_motion import empty_of
from .keyed import digest, fixed_offset
from .prediction import Prediction
from .scene_time import scene_time
from .sound import Clip, frame_of_second, is_retimed, scene_fps, strip_of_line
from .timeline.kept import is_timed

SOUND = ("source", "strip", "strip_id", "filepath", "start_frame")
WORDS = ("text", "recognized_text", "recognized_from", "text_file", "language")
RECOGNIZER = ("recognizer", "recognizer_folder")
MODEL = ("model", "model_file", "tolerance")
"""Fields of a line, by what they are about."""


@dataclass(frozen=True)
class Predicted:
    """What a line's motion was predicted from, kept with the line as JSON.

    Attributes:
        fps: frames per second of the values.
        frames: their number.
        start: scene frame of the first value, when it was predicted.
        strip_start: scene frame at which the strip's content began then, ``None`` without a strip.
        sound_start: seconds into the sound file of the first value, ``None`` where unknown.
        duration: seconds of the sound that were asked for; ``None`` to the end of its file.
        asked: what was asked of the engine, to see whether it still holds.
        warnings: what the engine said of the sound and of the words, a sentence each.
    """

    fps: float
    frames: int
    start: float
    strip_start: float | None = None
    sound_start: float | None = None
    duration: float | None = None
    asked: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    def to_json(self) -> str:
        """As it is kept."""
        return json.dumps(asdict(self))


def predicted(line: Any) -> Predicted | None:
    """What a line was predicted from; ``None`` before it was."""
    return Predicted(**json.loads(line.predicted)) if line.predicted else None


def keep_warnings(line: Any, warnings: Iterable[str]) -> None:
    """Keep what the engine said of a line that was predicted, until it is predicted again."""
    about = predicted(line)
    if about is not None:
        line.predicted = replace(about, warnings=tuple(warnings)).to_json()


def warnings_of(line: Any) -> Sequence[str]:
    """What the engine said of a line when it was predicted."""
    about = predicted(line)
    return about.warnings if about else ()


def lines_of(obj: bpy.types.Object) -> Any:
    """The lines of a head or character, of whichever of its objects."""
    return character_objects(obj)[0].gaussianspeech_lines


def active_line(obj: bpy.types.Object) -> Any | None:
    """The line that the panel shows, ``None`` without lines."""
    main = character_objects(obj)[0]
    lines = main.gaussianspeech_lines
    return lines[min(max(main.gaussianspeech_active_line, 0), len(lines) - 1)] if lines else None


def line_by_id(line_id: str) -> Any | None:
    """The line of an id, of whichever object."""
    for obj in bpy.data.objects:
        for line in obj.gaussianspeech_lines:
            if line.id == line_id:
                return line
    return None


def controls_of(obj: bpy.types.Object, line: Any) -> Any:
    """The controls that count for a line: its own, or those of the character."""
    if line.use_own_controls:
        return line.controls
    return character_objects(obj)[0].gaussianspeech_speech


def control_values(controls: Any, kind: Any) -> dict[str, Any]:
    """The values of controls, those that a group of another kind has, too."""
    known = [prop.identifier for prop in kind.bl_rna.properties if not prop.is_readonly]
    return {name: getattr(controls, name) for name in known if name != "name"}


def model_settings(obj: bpy.types.Object) -> Any:
    """What says by which model a head or character speaks: its active line, or its first to be."""
    return active_line(obj) or character_objects(obj)[0].gaussianspeech_speech


def datablocks_of(obj: bpy.types.Object) -> list[bpy.types.ID]:
    """What a head or character animates: its objects' datablocks, and what turns its head."""
    objects = character_objects(obj)
    found = [animated_datablock(part) for part in objects]
    return [block for block in (*found, empty_of(objects[0])) if block is not None]


def line_action(obj: bpy.types.Object, line: Any) -> bpy.types.Action | None:
    """The Action of a line that one object of a character plays."""
    return nla.line_action(animated_datablock(obj), line.id)


def lost_bake(line: Any) -> bpy.types.Action | None:
    """What a line was baked into, where an artist has removed its strip."""
    lost = (action for action in bpy.data.actions if action.get(nla.LINE) == line.id)
    return next((action for action in lost if is_bake(action) and not action.users), None)


def line_strips(obj: bpy.types.Object, line: Any) -> list[bpy.types.NlaStrip]:
    """All NLA strips of a line, copies and what was edited included."""
    return [
        strip
        for datablock in datablocks_of(obj)
        for _, strip in nla.all_strips(datablock)
        if strip.action is not None
        and line.id in {strip.action.get(nla.LINE), strip.action.get(nla.EDITS)}
    ]


def is_muted(obj: bpy.types.Object, line: Any) -> bool:
    """Whether all strips of a line are muted."""
    found = line_strips(obj, line)
    return bool(found) and all(strip.mute for strip in found)


def set_muted(obj: bpy.types.Object, line: Any, *, muted: bool) -> None:
    """Mute the strips of a line, or let them play."""
    for strip in line_strips(obj, line):
        strip.mute = muted


def legacy_bake(obj: bpy.types.Object) -> bpy.types.Action | None:
    """The bake of 0.1.0 that an object plays: its active Action."""
    datablock = animated_datablock(obj)
    animation = datablock.animation_data if datablock is not None else None
    action = animation.action if animation is not None else None
    return action if is_bake(action) and nla.LINE not in action else None


def active_bake(obj: bpy.types.Object) -> bpy.types.Action | None:
    """The Action of the active line on an object, or its bake of 0.1.0; ``None`` without."""
    line = active_line(obj)
    return (line_action(obj, line) if line is not None else None) or legacy_bake(obj)


def baked_lines(obj: bpy.types.Object) -> list[tuple[Any, bpy.types.Action]]:
    """The lines that a head or character speaks, with the Actions of its main object."""
    main = character_objects(obj)[0]
    found = [(line, line_action(main, line)) for line in main.gaussianspeech_lines]
    return [(line, action) for line, action in found if action is not None]


def frames_of_action(obj: bpy.types.Object, action: bpy.types.Action) -> tuple[float, float]:
    """First and last frame, in the time of Actions, at which one of ours speaks on an object."""
    for _, strip in nla.strips_of(animated_datablock(obj), action):
        return nla.spoken_frames(strip, action)
    first, last = action.frame_range
    return first, last


def start_of_action(obj: bpy.types.Object, action: bpy.types.Action) -> tuple[float, float]:
    """Frame of the first value of an Action of ours, and frames for each value."""
    for _, strip in nla.strips_of(animated_datablock(obj), action):
        return strip.frame_start - strip.action_frame_start * strip.scale, strip.scale
    return action.frame_range[0], 1.0


def span_of(context: bpy.types.Context, line: Any, about: Predicted | None = None) -> nla.Span:
    """Where a line belongs now, in the time of Actions: where its sound plays.

    Args:
        context: for the scene.
        line: ``GAUSSIANSPEECH_PG_line``.
        about: what it is predicted from, by default what it was.
    """
    about = about or predicted(line)
    assert about is not None
    found = strip_of_line(context, line) if line.source == "STRIP" else None
    scene = found[0] if found else context.scene
    rate = scene_fps(scene) / about.fps
    begin, end = 0.0, float(about.frames - 1)
    if line.source != "STRIP":
        first = float(line.start_frame)
    elif found is None or about.strip_start is None:
        first = about.start
    elif about.sound_start is None or is_retimed(found[1]):
        first = about.start + compat.strip_content_start(found[1]) - about.strip_start
    else:
        first = frame_of_second(*found, about.sound_start)
        left, right = compat.strip_range(found[1])
        begin, end = _within(begin, end, (left - first) / rate, (right - 1 - first) / rate)
    offset = fixed_offset(controls_of(line.id_data, line)) + fixed_offset(line)
    time = scene_time(context, line.id_data, found)
    first, rate = time.frame(first + offset), rate * time.stretch
    return nla.Span(first, rate, begin, end, line.ease / 1000 * about.fps * rate)


def _within(begin: float, end: float, left: float, right: float) -> tuple[float, float]:
    """The frames that a trimmed strip plays; one frame of rounding is no trim."""
    begin = left if left > begin + 1 else begin
    end = right if right < end - 1 else end
    return begin, max(begin, end)


def show_name_of_strip(context: bpy.types.Context, line: Any) -> None:
    """Show a line's strip under its present name."""
    found = strip_of_line(context, line) if line.source == "STRIP" else None
    if found is not None and line.strip != found[1].name:
        line.strip = found[1].name


def sound_start(line: Any) -> float:
    """Seconds into a line's sound of its first value; 0 where that is not known."""
    about = predicted(line)
    return (about.sound_start if about else None) or 0.0


def counted_later(line: Any, clip: Clip) -> float:
    """Seconds by which times in a line's sound are later, once a clip of it is predicted.

    They are counted from the start of the sound file; of a retimed strip, which is mixed down, and
    of motion whose sound is not known, from the first value.
    """
    about = predicted(line)
    if about is None or (about.sound_start is None) == clip.is_mixed:
        return 0.0
    return -(about.sound_start or 0.0) if clip.is_mixed else clip.start


def predicted_from(line: Any, prediction: Prediction, clip: Clip | None) -> Predicted:
    """What a line is predicted from, once it is baked."""
    return Predicted(
        fps=prediction.fps,
        frames=len(prediction.values),
        start=prediction.start,
        strip_start=prediction.strip_start,
        sound_start=None if clip is None or clip.is_mixed else clip.start,
        duration=None if clip is None else clip.duration,
        asked={} if clip is None else asked_of(line),
    )


def asked_of(line: Any) -> dict[str, Any]:
    """What a line asks of the engine, beside the sound."""
    names = ("source", "text_file", "language", *RECOGNIZER, *MODEL)
    asked = {name: getattr(line, name) for name in names}
    text = "" if line.text_file else line.text.strip()
    # A text that was recognised is a result.
    asked["text"] = "" if text == line.recognized_text.strip() else text
    if is_timed(line):
        asked["timing"] = f"{crc32(line.timeline.timing.encode()):08x}"
    return asked


def out_of_date(context: bpy.types.Context, line: Any) -> str:
    """Why a line's animation is not what it would be now; empty where it is in date."""
    return state_of(context, line).reason


@dataclass(frozen=True)
class State:
    """Whether a line is in date.

    Attributes:
        reason: why not; empty where it is.
        engine: whether *Update* has to ask the engine.
    """

    reason: str = ""
    engine: bool = False


def state_of(context: bpy.types.Context, line: Any) -> State:
    """Whether a line is in date, and what brings it up to date."""
    about, action = predicted(line), line_action(line.id_data, line)
    if about is None or action is None:
        return _without_strip(line)
    if reason := _strip_plays_more(context, line, about) or _changed(line, about):
        return State(reason, engine=True)
    if not nla.is_placed(action, span_of(context, line)):
        return State("Its sound was moved or trimmed")
    changed = line.baked and line.baked != digest(controls_of(line.id_data, line), line)
    return State("Its controls were changed" if changed else "")


def _without_strip(line: Any) -> State:
    """Why a line does not play."""
    if legacy_bake(line.id_data) is not None:
        return State("Baked by an earlier version")
    if line.predicted:
        return State("Its NLA strip was removed", engine=lost_bake(line) is None)
    return State("Not predicted yet", engine=True)


def _strip_plays_more(context: bpy.types.Context, line: Any, about: Predicted) -> str:
    """Why a line's strip plays what was not predicted, or is gone; empty where neither is so."""
    if line.source != "STRIP" or about.strip_start is None:
        return ""
    found = strip_of_line(context, line)
    if found is None:
        return f"The strip '{line.strip}' is gone"
    scene, strip = found
    mixed = about.sound_start is None and about.duration is not None
    if is_retimed(strip) != mixed or (mixed and not _plays_the_same(about, scene, strip)):
        return "The strip was retimed or trimmed"
    if about.sound_start is None:
        return ""
    left, right = compat.strip_range(strip)
    first = frame_of_second(scene, strip, about.sound_start)
    last = first + about.frames * scene_fps(scene) / about.fps
    more = left < first - 1 and frame_of_second(scene, strip, 0.0) < first - 1
    more |= about.duration is not None and right > last + 1
    return "The strip plays more than was predicted" if more else ""


def _plays_the_same(about: Predicted, scene: bpy.types.Scene, strip: Any) -> bool:
    """Whether a retimed strip is trimmed as it was."""
    left, right = compat.strip_range(strip)
    begins = left - compat.strip_content_start(strip)
    began = about.start - (about.strip_start or 0.0)
    seconds = (right - left) / scene_fps(scene)
    return abs(begins - began) < 1 and abs(seconds - (about.duration or 0.0)) < 1 / about.fps


def _changed(line: Any, about: Predicted) -> str:
    """In words what a line asks for otherwise than it did; empty where that is not known."""
    words = {"text": "Its text", "text_file": "Its text", "source": "Its sound"}
    words |= {"timing": "Where its phones are"}
    words |= dict.fromkeys(("language", *RECOGNIZER), "Its recognition")
    words |= dict.fromkeys(MODEL, "Its model")
    now = asked_of(line)
    asked = about.asked or now | {"timing": None}  # Phones that were moved are known in any case.
    changed = [words[name] for name, value in now.items() if asked.get(name) != value]
    return f"{changed[0]} was changed" if changed else ""
