# SPDX-License-Identifier: GPL-3.0-or-later
"""Importing a sound, predicting a head's speech, and baking it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import bpy
import numpy as np
from bpy_extras.io_utils import ImportHelper
from numpy.typing import NDArray

from ...engine.core.errors import BadInputError
from ...engine.core.protocol import Message
from .. import compat
from ..characters.polls import OfSpeaker
from ..characters.properties import active_speaker, character_objects, require_speaker
from ..engine_link.client import PreparedFuture
from ..engine_link.future import Future
from ..engine_link.session import get_engine
from ..engine_link.tasks import EngineTask
from ..heads.ops import DEFAULT_HEAD
from ..heads.properties import engine_name, is_head, rig_of
from ..settings import get_preferences
from ..status import ReportMixin, report
from .bake import Baked, check_bakeable, put
from .bake_queue import BakeFuture, drafting_of
from .batch import speakers_of
from .correctives import corrective_names
from .line_draft import LineDraft, Source
from .line_list import add_line, ensure_line
from .lines import (
    active_line,
    counted_later,
    keep_warnings,
    line_by_id,
    lines_of,
    out_of_date,
    predicted,
    state_of,
)
from .prediction import prediction_from_reply
from .properties import model_name
from .rebake import supersede
from .scene_time import sequencer_frame
from .sound import Clip, clip_of_line
from .strip import add_sound_strip
from .timeline.kept import given_params, move_timeline, take_reply
from .timeline.shown import show_again, take_in
from .transcript import keep_transcript, transcript_params

AUDIO_FILES = "*.wav;*.flac;*.ogg;*.oga;*.mp3;*.aif;*.aiff;*.m4a;*.aac;*.opus;*.mp4;*.mov;*.mkv"


class GAUSSIANSPEECH_OT_import_sound(ReportMixin, bpy.types.Operator, ImportHelper):
    """Add a sound file as a strip at the current frame, and let the head speak it."""

    bl_idname = "gaussianspeech.import_sound"
    bl_label = "Import Sound"
    bl_description = "Add a sound file as a strip at the current frame, and let the head speak it"
    bl_options = {"REGISTER", "UNDO"}

    filename_ext = ".wav"
    filter_glob: bpy.props.StringProperty(default=AUDIO_FILES, options={"HIDDEN"})
    extend_range: bpy.props.BoolProperty(
        name="Extend Scene",
        description="Let the scene end no earlier than the sound",
        default=True,
    )

    def run(self, context: bpy.types.Context) -> str:
        """Add the strip."""
        path = Path(bpy.path.abspath(self.filepath))
        if not path.is_file():
            raise BadInputError(f"There is no sound file {path}.", "Choose another file.")
        head = active_speaker(context)
        if not compat.has_audio():
            if head is None:
                raise BadInputError(
                    "This Blender has no sound system, so there can be no sound strip.",
                    "Add a head first: it can speak a file without a strip.",
                )
            line = _line_for_sound(head, path.stem)
            line.source, line.filepath = "FILE", str(path)
            line.start_frame = context.scene.frame_current
            return "This Blender has no sound system: the file is used without a strip"
        scene = compat.sequencer_scene(context)
        strip = add_sound_strip(scene, path, sequencer_frame(context))
        compat.show_in_sequencer(context, scene)
        if self.extend_range:
            scene.frame_end = max(scene.frame_end, compat.strip_range(strip)[1] - 1)
        if scene.sync_mode == "NONE":
            scene.sync_mode = "AUDIO_SYNC"
        if head is not None:
            line = _line_for_sound(head, strip.name)
            line.source, line.strip = "STRIP", strip.name
        return f"Added the sound strip '{strip.name}'"


def _line_for_sound(obj: bpy.types.Object, name: str) -> Any:
    """The active line where it has no sound yet, or else a new one."""
    line = ensure_line(obj)
    if line.strip or line.filepath or line.predicted:
        return add_line(obj, name)
    line.name = name
    return line


class LinesTask(EngineTask):
    """Mixin for operators that bring lines up to date one after another."""

    task_label: ClassVar[str] = "Predicting speech"

    _queue: tuple[str, ...] = ()
    """Ids of the lines that wait, the one in work first."""
    _count = 1
    _clip: Clip | None = None
    _given = False
    """Whether the phones of the line in work are given."""
    _reply: Message | None = None
    """What the engine predicted of it."""
    _save = ""
    _summary = ""

    def start(self, context: bpy.types.Context, chosen: Sequence[Any]) -> Future:
        """Begin with the first of some lines."""
        for line in chosen:
            self._changed |= any(take_in(context, line))
        self._queue, self._count = tuple(line.id for line in chosen), len(chosen)
        return self._begin_line(context)

    def ensured_line(self, obj: bpy.types.Object) -> Any:
        """The active line; a new one where there is none, which stays whatever comes next."""
        known = len(lines_of(obj))
        line = ensure_line(obj)
        self._changed |= len(lines_of(obj)) != known
        return line

    def wants_engine(self, context: bpy.types.Context, line: Any) -> bool:
        """Whether a line is to be predicted, not only baked again."""
        return state_of(context, line).engine

    def spoken(self, line: Any, clip: Clip) -> dict[str, Any]:
        """The parameters about what a line says: phones that were moved, or a transcript."""
        before = predicted(line)
        if before is not None and before.sound_start is not None and clip.is_mixed:
            return transcript_params(line, clip)  # Retimed since: its phones lie elsewhere now.
        return given_params(line, counted_later(line, clip)) or transcript_params(line, clip)

    def progress(self) -> tuple[float, str]:
        """How far all lines are."""
        fraction, step = self._future.poll()
        done = self._count - len(self._queue)
        if self._count > 1:
            step = f"line {done + 1} of {self._count}: {step}"
        return (done + fraction) / self._count, step

    def finish(
        self, context: bpy.types.Context, reply: Message | LineDraft | None
    ) -> Future | None:
        """Bake a line in slices, put it into the file, and begin with the next."""
        if not self._queue:
            report(self, context, self._summary)
            return None
        line = line_by_id(self._queue[0])
        if line is None:
            raise BadInputError(
                "The line that was predicted is gone.", "Undo its removal and predict again."
            )
        if not isinstance(reply, LineDraft):
            self._reply = reply
            return self.bake_reply(context, line, reply)
        supersede(line.id)
        if self._reply is None:
            self._summary = _summary(put(context, reply))
        else:
            self.put_reply(context, line, reply)
        self._changed = True
        self.clean_up()
        self._queue = self._queue[1:]
        if self._queue:
            return self._begin_line(context)
        if self._count > 1:
            self._summary = f"{self._count} lines are up to date"
        report(self, context, self._summary)
        return None

    def clean_up(self) -> None:
        """Remove the temporary sound file."""
        if self._clip is not None:
            self._clip.clean_up()
        self._clip = self._reply = None

    def _begin_line(self, context: bpy.types.Context) -> Future:
        line = line_by_id(self._queue[0])
        if line is None:
            raise BadInputError("A line is gone.", "Undo its removal and try again.")
        obj = line.id_data
        for part in character_objects(obj):
            check_bakeable(part)
        if not self.wants_engine(context, line):
            return BakeFuture(line.id, drafting_of(line.id))
        engine = get_engine(context)
        self._clip = clip_of_line(context, line)
        params: dict[str, Any] = {
            "head": engine_name(obj) if is_head(obj) else DEFAULT_HEAD,
            "fps": self._clip.fps,
            "model": model_name(line),
            "tolerance_mm": line.tolerance,
            "start": self._clip.start,
            "rig": rig_of(obj) is not None,
        }
        if self._clip.duration is not None:
            params["duration"] = self._clip.duration
        spoken = self.spoken(line, self._clip)
        # What a file says does not belong to the timeline, with times or without.
        self._given = "recognizer" not in spoken
        params |= spoken
        if self._save:
            params["save"] = bpy.path.abspath(self._save)
        # With a command of the user's own it may run on another machine, without our files.
        remote = bool(get_preferences(context).engine_command.strip())
        prepare = partial(_with_sound, self._clip, params, remote=remote)
        return PreparedFuture(engine, "speech.predict", prepare, "Reading the sound")

    def bake_reply(self, _context: bpy.types.Context, line: Any, reply: Message) -> Future:
        """Bake what the engine predicted of a line."""
        clip = self._clip
        deltas = np.asarray(reply.arrays["corrective_deltas"], np.float32)
        prediction = prediction_from_reply(
            reply.body,
            reply.arrays,
            clip=clip.name,
            start=clip.frame,
            strip_start=clip.strip_start,
            correctives=corrective_names(clip.name, len(deltas)),
        )
        source = Source(prediction, deltas, clip, counted_later(line, clip))
        return BakeFuture(line.id, drafting_of(line.id, source))

    def put_reply(self, context: bpy.types.Context, line: Any, draft: LineDraft) -> None:
        """Put what was baked into the file, with what was said."""
        clip, reply, prediction = self._clip, self._reply, draft.source.prediction
        if draft.source.later:
            move_timeline(line, draft.source.later)
        start = 0.0 if clip.is_mixed else clip.start
        notes = take_reply(line, start, reply.body, given=self._given)
        done = put(context, draft)
        keep_transcript(line, clip, reply.body)
        keep_warnings(line, reply.body.get("warnings", ()))
        show_again(context, line)
        done = replace(done, notes=(*reply.body.get("warnings", ()), *notes, *done.notes))
        # The error is that of a head's mesh.
        self._summary = _summary(done, prediction.max_error_mm if is_head(line.id_data) else None)


class GAUSSIANSPEECH_OT_predict(OfSpeaker, LinesTask, bpy.types.Operator):
    """Predict how the head speaks the line, and bake it."""

    bl_idname = "gaussianspeech.predict"
    bl_label = "Predict and Bake Line"
    bl_description = "Predict how the head or character speaks the line, and bake it to its keys"
    bl_options = {"UNDO"}

    save: bpy.props.StringProperty(
        name="Save Performance",
        description="Also write the exact prediction to this .performance.npz file",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a head or character, whose line is not of motion alone."""
        obj = active_speaker(context)
        line = None if obj is None else active_line(obj)
        if line is not None and line.source == "MOTION":
            cls.poll_message_set("The line is motion without a sound: add one for a sound")
            return False
        return super().poll(context)

    def begin(self, context: bpy.types.Context) -> Future:
        """Find the sound and send it."""
        self._save = self.save
        obj = require_speaker(context)
        return self.start(context, [self.ensured_line(obj)])

    def wants_engine(self, _context: bpy.types.Context, _line: Any) -> bool:
        """In any case."""
        return True


class GAUSSIANSPEECH_OT_update_line(OfSpeaker, LinesTask, bpy.types.Operator):
    """Bring the line up to date with its sound, text and model."""

    bl_idname = "gaussianspeech.update_line"
    bl_label = "Update Line"
    bl_description = (
        "Bring the line up to date with its sound, text and model; the engine is asked only where "
        "something has to be predicted"
    )
    bl_options = {"UNDO"}

    def begin(self, context: bpy.types.Context) -> Future:
        """Predict the line, or bake it again."""
        return self.start(context, [self.ensured_line(require_speaker(context))])


class GAUSSIANSPEECH_OT_update_lines(OfSpeaker, LinesTask, bpy.types.Operator):
    """Bring all lines up to date that are not."""

    bl_idname = "gaussianspeech.update_lines"
    bl_label = "Update All Lines"
    bl_description = "Bring all lines of the head or character up to date that are not"
    bl_options = {"UNDO"}

    everybody: bpy.props.BoolProperty(
        name="All Characters",
        description="The lines of every head and character of the scene",
        options={"SKIP_SAVE"},
    )

    def begin(self, context: bpy.types.Context) -> Future | None:
        """Begin with the first that is out of date."""
        if not self.everybody:
            require_speaker(context)
        chosen = self._out_of_date(context)
        if chosen:
            return self.start(context, chosen)
        report(self, context, "All lines are up to date")
        return None

    def _out_of_date(self, context: bpy.types.Context) -> list[Any]:
        speaker = active_speaker(context)
        objects = speakers_of(context) if self.everybody else [speaker] if speaker else []
        return [line for obj in objects for line in lines_of(obj) if out_of_date(context, line)]


class GAUSSIANSPEECH_OT_rebake(OfSpeaker, LinesTask, bpy.types.Operator):
    """Bake the predicted line again with the controls."""

    bl_idname = "gaussianspeech.rebake"
    bl_label = "Bake Line Again"
    bl_description = (
        "Bake the predicted line again with its controls and the strip's position. "
        "Needs no engine; what you have edited is kept"
    )
    bl_options = {"UNDO"}
    task_label: ClassVar[str] = "Baking"

    def begin(self, context: bpy.types.Context) -> Future:
        """Begin to bake."""
        return self.start(context, [self.ensured_line(require_speaker(context))])

    def wants_engine(self, _context: bpy.types.Context, _line: Any) -> bool:
        """In no case."""
        return False


def _with_sound(
    clip: Clip, params: dict[str, Any], *, remote: bool
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The parameters and arrays of ``speech.predict`` with the clip; not on the main thread."""
    if remote:
        return params | {"audio_name": clip.path.name}, {"audio_file": clip.content()}
    clip.prepare()
    return params | {"audio": str(clip.path)}, {}


def _summary(done: Baked, max_error_mm: float | None = None) -> str:
    what = f"{done.frames} frames of {done.animated} {done.kind} of '{done.speaker}'"
    text = f"Baked {what} to '{done.action.name}'"
    if max_error_mm is not None:
        text += f", exact to {max(max_error_mm, 0.001):.2g} mm"
    return ". ".join([text, *(note.rstrip(".") for note in done.notes)])


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_OT_import_sound,
    GAUSSIANSPEECH_OT_predict,
    GAUSSIANSPEECH_OT_update_line,
    GAUSSIANSPEECH_OT_update_lines,
    GAUSSIANSPEECH_OT_rebake,
)
