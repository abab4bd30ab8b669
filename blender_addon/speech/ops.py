# SPDX-License-Identifier: GPL-3.0-or-later
"""Importing a sound, predicting a head's speech, and baking it again."""

from __future__ import annotations

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
from ..characters.properties import (
    active_speaker,
    character_objects,
    is_character,
    require_speaker,
)
from ..engine_link.client import PreparedFuture
from ..engine_link.future import Future
from ..engine_link.session import get_engine
from ..engine_link.tasks import EngineTask
from ..heads.ops import DEFAULT_HEAD
from ..heads.properties import engine_name, is_head
from ..settings import get_preferences
from ..status import ReportMixin, report
from .adjust import adjustments
from .bake import Baked, bake, check_bakeable, corrective_names
from .prediction import prediction_from_reply
from .properties import model_name
from .rebake import rebake_settings
from .sound import Clip, clip_of_settings
from .strip import add_sound_strip
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
            settings = head.gaussianspeech_speech
            settings.source, settings.filepath = "FILE", str(path)
            settings.start_frame = context.scene.frame_current
            return "This Blender has no sound system: the file is used without a strip"
        scene = compat.sequencer_scene(context)
        strip = add_sound_strip(scene, path, context.scene.frame_current)
        compat.show_in_sequencer(context, scene)
        if self.extend_range:
            scene.frame_end = max(scene.frame_end, compat.strip_range(strip)[1] - 1)
        if scene.sync_mode == "NONE":
            scene.sync_mode = "AUDIO_SYNC"
        if head is not None:
            head.gaussianspeech_speech.source = "STRIP"
            head.gaussianspeech_speech.strip = strip.name
        return f"Added the sound strip '{strip.name}'"


class GAUSSIANSPEECH_OT_predict(EngineTask, bpy.types.Operator):
    """Predict how the head speaks the sound, and bake it to its shape keys."""

    bl_idname = "gaussianspeech.predict"
    bl_label = "Predict and Bake"
    bl_description = "Predict how the head speaks the sound, and bake it to its shape keys"
    bl_options = {"UNDO"}
    task_label: ClassVar[str] = "Predicting speech"

    save: bpy.props.StringProperty(
        name="Save Performance",
        description="Also write the exact prediction to this .performance.npz file",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )

    _clip: Clip | None = None
    _head_name = ""

    def begin(self, context: bpy.types.Context) -> Future:
        """Find the sound and send it."""
        obj = require_speaker(context)
        for part in character_objects(obj):
            check_bakeable(part)
        settings = obj.gaussianspeech_speech
        engine = get_engine(context)
        self._clip = clip_of_settings(context, settings)
        self._head_name = obj.name
        params: dict[str, Any] = {
            "head": engine_name(obj) if is_head(obj) else DEFAULT_HEAD,
            "fps": self._clip.fps,
            "model": model_name(settings),
            "tolerance_mm": settings.tolerance,
            "start": self._clip.start,
        }
        if self._clip.duration is not None:
            params["duration"] = self._clip.duration
        params |= transcript_params(settings, self._clip)
        if self.save:
            params["save"] = bpy.path.abspath(self.save)
        # With a command of the user's own it may run on another machine, without our files.
        remote = bool(get_preferences(context).engine_command.strip())
        prepare = partial(_with_sound, self._clip, params, remote=remote)
        return PreparedFuture(engine, "speech.predict", prepare, "Reading the sound")

    def finish(self, context: bpy.types.Context, reply: Message) -> None:
        """Bake what the engine predicted."""
        obj, clip = bpy.data.objects.get(self._head_name), self._clip
        if not (is_head(obj) or is_character(obj)) or clip is None:
            raise BadInputError(
                f"'{self._head_name}' is gone.", "Undo its removal and predict again."
            )
        deltas = np.asarray(reply.arrays["corrective_deltas"], np.float32)
        prediction = prediction_from_reply(
            reply.body,
            reply.arrays["key_values"],
            clip=clip.name,
            start=clip.frame,
            strip_start=clip.strip_start,
            correctives=corrective_names(clip.name, len(deltas)),
            head_rotation=reply.arrays.get("head_rotation"),
        )
        settings = obj.gaussianspeech_speech
        if is_character(obj) and len(deltas):
            raise BadInputError(
                f"The speech model {reply.body['model']!r} moves more than ARKit's expressions, "
                "which a character cannot follow.",
                "Choose Learned or Rules as the model.",
            )
        for part in character_objects(obj):
            check_bakeable(part)  # All of them, before the first is baked.
        done, *_ = [
            bake(context, part, prediction, deltas, adjustments(settings), settings.offset)
            for part in character_objects(obj)
        ]
        keep_transcript(settings, clip, reply.body)
        done = replace(done, notes=(*reply.body.get("warnings", ()), *done.notes))
        report(self, context, _summary(done, prediction.max_error_mm))

    def clean_up(self) -> None:
        """Remove the temporary sound file."""
        if self._clip is not None:
            self._clip.clean_up()


class GAUSSIANSPEECH_OT_rebake(ReportMixin, bpy.types.Operator):
    """Bake the predicted speech again with the settings."""

    bl_idname = "gaussianspeech.rebake"
    bl_label = "Bake Again"
    bl_description = (
        "Bake the predicted speech again with these settings and the strip's position. "
        "Needs no engine; a bake you have edited is kept beside the new one"
    )
    bl_options = {"REGISTER", "UNDO"}

    def run(self, context: bpy.types.Context) -> str:
        """Bake."""
        return _summary(rebake_settings(context, require_speaker(context)))


def _with_sound(
    clip: Clip, params: dict[str, Any], *, remote: bool
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The parameters and arrays of ``speech.predict`` with the clip; not on the main thread."""
    if remote:
        return params | {"audio_name": clip.path.name}, {"audio_file": clip.content()}
    clip.prepare()
    return params | {"audio": str(clip.path)}, {}


def _summary(done: Baked, max_error_mm: float | None = None) -> str:
    text = f"Baked {done.frames} frames of {done.animated} shape keys to '{done.action.name}'"
    if max_error_mm is not None:
        text += f", exact to {max(max_error_mm, 0.001):.2g} mm"
    return ". ".join([text, *(note.rstrip(".") for note in done.notes)])


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_OT_import_sound,
    GAUSSIANSPEECH_OT_predict,
    GAUSSIANSPEECH_OT_rebake,
)
