# SPDX-License-Identifier: GPL-3.0-or-later
"""Importing motion of a face as a line of the selected head or character."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import bpy
import numpy as np
from bpy_extras.io_utils import ImportHelper
from numpy.typing import NDArray

from ...engine.core.errors import BadInputError
from ...engine.core.protocol import MAX_PAYLOAD, Message
from .. import compat
from ..characters.polls import NOT_EDITING, OfSpeaker
from ..characters.properties import character_objects, is_character, require_speaker
from ..engine_link.client import PreparedFuture
from ..engine_link.future import Future
from ..engine_link.session import get_engine
from ..heads.ops import DEFAULT_HEAD
from ..heads.properties import engine_name, is_head, rig_of
from ..settings import get_preferences
from ..speech.bake import check_bakeable, put
from ..speech.bake_queue import BakeFuture, drafting_of
from ..speech.correctives import corrective_names
from ..speech.line_draft import LineDraft, Source, line_with
from ..speech.line_list import add_line
from ..speech.new_line import NewLineTask
from ..speech.prediction import prediction_from_reply
from ..speech.sound import scene_fps
from ..speech.strip import add_sound_strip
from ..status import invoke_operator, report

MOTION_FILES = "*.csv;*.json;*.npz;*.npy"
_OF_POSES = ("point_cloud.ply", "flame_param.npz")
"""Files of GaussianAvatars that a head may come from."""


def has_poses(obj: bpy.types.Object) -> bool:
    """Whether a head is of files of GaussianAvatars, which have poses with them."""
    name = obj.gaussianspeech_head.source.replace("\\", "/").rpartition("/")[2]
    return is_head(obj) and name in _OF_POSES


class ImportMotionOptions:
    """Mixin: what is imported, and how."""

    filepath: bpy.props.StringProperty(name="File", subtype="FILE_PATH", options={"SKIP_SAVE"})
    rate: bpy.props.IntProperty(
        name="Timecode Rate",
        description=(
            "Frames per second of the timecodes of a Live Link Face file; 0 finds it by where "
            "their seconds change. Of a JSON file that has neither times nor a rate its frames"
        ),
        min=0,
        max=240,
    )
    sound: bpy.props.StringProperty(
        name="Sound",
        description=(
            "What was said while the motion was captured: the line gets its length, and lies where "
            "the mouth follows it. Its strip is added"
        ),
        subtype="FILE_PATH",
        options={"SKIP_SAVE", *compat.blend_relative()},
    )
    know_offset: bpy.props.BoolProperty(
        name="Offset",
        description=(
            "Say by how much the sound begins after the motion, instead of having it estimated"
        ),
        options={"SKIP_SAVE"},
    )
    offset: bpy.props.FloatProperty(
        name="Offset",
        description="Seconds by which the sound begins after the motion; before it where negative",
        soft_min=-10.0,
        soft_max=10.0,
        min=-3600.0,
        max=3600.0,
        precision=3,
        options={"SKIP_SAVE"},
    )


class ImportMotionTask(OfSpeaker, ImportMotionOptions, NewLineTask):
    """Mixin: the import itself; the engine reads the file and fits the keys."""

    task_label: ClassVar[str] = "Importing the motion"
    modes = NOT_EDITING

    folders: ClassVar[bool] = False
    """Whether a folder may be chosen."""

    _speaker_name = ""
    _reply: Message | None = None
    """What was read of it."""
    _frame = 1
    _path = Path()
    _sound: Path | None = None

    def chosen_path(self, _obj: bpy.types.Object) -> Path:
        """What is imported."""
        return Path(bpy.path.abspath(self.filepath))

    def begin(self, context: bpy.types.Context) -> Future:
        """Send the file."""
        obj = require_speaker(context)
        for part in character_objects(obj):
            check_bakeable(part)
        self._path = self.chosen_path(obj)
        if not self._path.is_file() and not (self.folders and self._path.is_dir()):
            raise BadInputError(f"There is no file {self._path}.", "Choose another file.")
        self._speaker_name, self._frame = obj.name, context.scene.frame_current
        params: dict[str, Any] = {
            "head": engine_name(obj) if is_head(obj) else DEFAULT_HEAD,
            "fps": scene_fps(context.scene),
            "rig": rig_of(obj) is not None,
        }
        if self.rate:
            params["rate"] = float(self.rate)
        if self.sound.strip():
            self._sound = Path(bpy.path.abspath(self.sound.strip()))
            if not self._sound.is_file():
                raise BadInputError(f"There is no sound {self._sound}.", "Choose another file.")
        if self.know_offset:
            params["offset"] = self.offset
        # With a command of the user's own it may run on another machine, without our files.
        remote = bool(get_preferences(context).engine_command.strip())
        prepare = partial(_with_files, self._path, self._sound, params, remote=remote)
        return PreparedFuture(get_engine(context), "performance.load", prepare, "Reading the file")

    def finish(self, context: bpy.types.Context, reply: Message | LineDraft) -> Future | None:
        """Add the line and bake it in slices, or put it into the file."""
        if isinstance(reply, LineDraft):
            self._finish(context, reply)
            return None
        obj = bpy.data.objects.get(self._speaker_name)
        if not (is_head(obj) or is_character(obj)):
            raise BadInputError(
                f"'{self._speaker_name}' is gone.", "Undo its removal and import again."
            )
        deltas = np.asarray(reply.arrays["corrective_deltas"], np.float32)
        if is_character(obj) and len(deltas):
            raise BadInputError(
                f"{self._path} moves more than ARKit's expressions, which a character cannot "
                "follow.",
                "Import it on the head that it was made for.",
            )
        name = self._path.name.split(".")[0]
        prediction = prediction_from_reply(
            reply.body,
            reply.arrays,
            clip=name,
            start=self._frame,
            strip_start=None,
            correctives=corrective_names(name, len(deltas)),
        )
        self._active = character_objects(obj)[0].gaussianspeech_active_line
        line = add_line(obj, name)
        line.source, line.start_frame = "MOTION", self._frame
        self._line, self._reply = line.id, reply
        return BakeFuture(line.id, drafting_of(line.id, Source(prediction, deltas)))

    def _finish(self, context: bpy.types.Context, draft: LineDraft) -> None:
        done, self._line = put(context, draft), ""
        name = line_with(draft.line).name
        text = f"Imported {done.frames} frames of {self._path.name} as the line '{name}'"
        warnings = self._reply.body["warnings"]
        notes = (*warnings, *self._about_sound(context, self._reply), *done.notes)
        report(self, context, ". ".join([text, *(note.rstrip(".") for note in notes)]))

    def _about_sound(self, context: bpy.types.Context, reply: Message) -> list[str]:
        """Add the strip of the sound, and say where it lies in the motion."""
        if self._sound is None:
            return []
        seconds = float(reply.body["offset"])
        when = f"{abs(seconds):.2f} s {'after' if seconds >= 0 else 'before'} the motion"
        found = reply.body.get("offset_correlation")
        how = "as given" if found is None else f"the mouth follows it with correlation {found:.2f}"
        notes = [f"The sound begins {when} ({how})"]
        if compat.has_audio():
            try:
                add_sound_strip(compat.sequencer_scene(context), self._sound, self._frame)
            except BadInputError as error:  # The engine reads more formats; the motion is there.
                notes.append(str(error))
        return notes


class GAUSSIANSPEECH_OT_load_motion(ImportMotionTask, bpy.types.Operator):
    """Import the motion that was chosen."""

    bl_idname = "gaussianspeech.load_motion"
    bl_label = "Load Motion"
    bl_description = "Import the motion that was chosen"
    bl_options = {"UNDO", "INTERNAL"}


class GAUSSIANSPEECH_OT_load_poses(ImportMotionTask, bpy.types.Operator):
    """Bake the poses of a GaussianAvatars folder as a line of the selected FLAME head."""

    bl_idname = "gaussianspeech.load_poses"
    bl_label = "Bake Their Poses"
    bl_description = (
        "Bake the poses of a GaussianAvatars folder as a line of the selected FLAME head, from the "
        "current frame on: flame_param.npz, or a file for each frame; without a folder those that "
        "the person came with"
    )
    bl_options = {"UNDO"}
    task_label: ClassVar[str] = "Loading the poses"
    folders: ClassVar[bool] = True

    def chosen_path(self, obj: bpy.types.Object) -> Path:
        """The folder, or that of the person's own files.

        Raises:
            BadInputError: none was chosen, and the person has no poses.
        """
        if self.filepath:
            return super().chosen_path(obj)
        if not has_poses(obj):
            raise BadInputError(
                f"'{obj.name}' did not come with poses.",
                "Choose a folder of GaussianAvatars with Import Poses.",
            )
        return Path(engine_name(obj)).parent


class GAUSSIANSPEECH_OT_import_poses(OfSpeaker, bpy.types.Operator):
    """Choose a GaussianAvatars folder whose poses are baked."""

    bl_idname = "gaussianspeech.import_poses"
    bl_label = "Import Poses"
    bl_description = "Choose a GaussianAvatars folder whose poses are baked as a line of the head"
    bl_options = {"INTERNAL"}
    modes = NOT_EDITING

    directory: bpy.props.StringProperty(name="Folder", subtype="DIR_PATH", options={"SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Let a folder be chosen."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Bake."""
        return invoke_operator(self, bpy.ops.gaussianspeech.load_poses, filepath=self.directory)


class GAUSSIANSPEECH_OT_import_motion(ImportMotionTask, bpy.types.Operator, ImportHelper):
    """Import motion of a face as a line of the selected head or character."""

    bl_idname = "gaussianspeech.import_motion"
    bl_label = "Import Face Motion"
    bl_description = (
        "Import a performance, a Live Link Face recording, ARKit weights or FLAME parameters as a "
        "line of the selected head or character, from the current frame on"
    )
    bl_options: ClassVar[set[str]] = (
        set()
    )  # The other has the step of undo, where a file is chosen.

    filename_ext: ClassVar[str] = ".csv"
    filter_glob: bpy.props.StringProperty(default=MOTION_FILES, options={"HIDDEN"})

    _chosen = False

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Let a file be chosen."""
        self._chosen = True
        return ImportHelper.invoke(self, context, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Import: beside the user's work where a file was chosen, at once for a script."""
        if self._chosen:
            target = bpy.ops.gaussianspeech.load_motion
            return invoke_operator(
                self,
                target,
                filepath=self.filepath,
                rate=self.rate,
                sound=self.sound,
                know_offset=self.know_offset,
                offset=self.offset,
            )
        return super().execute(context)

    def draw(self, _context: bpy.types.Context) -> None:
        """Draw the options."""
        self.layout.use_property_split = True
        self.layout.prop(self, "rate")
        column = self.layout.column()
        column.prop(self, "sound")
        row = column.row(heading="Offset")
        row.enabled = bool(self.sound.strip())
        row.prop(self, "know_offset", text="")
        number = row.row()
        number.enabled = self.know_offset
        number.prop(self, "offset", text="")


def _with_files(
    path: Path, sound: Path | None, params: dict[str, Any], *, remote: bool
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The parameters and arrays of ``performance.load``; not on the main thread."""
    if not remote:
        spoken = {} if sound is None else {"sound": str(sound)}
        return params | {"path": str(path)} | spoken, {}
    arrays = {"motion_file": _bytes_of(path)}
    named = {"name": path.name}
    if sound is not None:
        arrays["sound_file"], named["sound_name"] = _bytes_of(sound), sound.name
    return params | named, arrays


def _bytes_of(path: Path) -> NDArray[Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInputError(
            f"{path} cannot be read: {error.strerror or error}.", "Check the file."
        ) from error
    if len(data) > MAX_PAYLOAD:
        raise BadInputError(
            f"{path} has {len(data) / 1e9:.1f} GB: too much to send to the engine.",
            "Import it with an engine on this machine.",
        )
    return np.frombuffer(data, np.uint8)


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_OT_load_motion,
    GAUSSIANSPEECH_OT_load_poses,
    GAUSSIANSPEECH_OT_import_poses,
    GAUSSIANSPEECH_OT_import_motion,
)
