# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping an avatar in a file of the artist's own: trainings leave theirs in a cache folder."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import ClassVar

import bpy
from bpy_extras.io_utils import ExportHelper

from ...engine.core.errors import BadInputError
from ..engine_link.future import Future, ThreadFuture
from ..engine_link.tasks import EngineTask
from ..heads.properties import active_head
from ..settings import get_preferences
from ..status import invoke_operator, report
from .copying import copy_avatar
from .properties import DEFAULT_AVATAR, avatar_path, heads_using, shown_name


class GAUSSIANSPEECH_OT_copy_avatar(EngineTask, bpy.types.Operator):
    """Copy the bound avatar to a file, and bind the copy instead."""

    bl_idname = "gaussianspeech.copy_avatar"
    bl_label = "Copy Avatar"
    bl_description = "Copy the bound avatar to a file, and bind the copy instead"
    bl_options = {"INTERNAL", "UNDO"}
    task_label: ClassVar[str] = "Saving the avatar"

    filepath: bpy.props.StringProperty(
        name="File", description="Where the copy goes", options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """There is a file to copy."""
        return _savable(cls, context)

    def begin(self, context: bpy.types.Context) -> Future:
        """Copy in a thread: avatars have tens of megabytes, and disks can be far away."""
        source = Path(avatar_path(active_head(context).gaussianspeech_avatar.source))
        if not _has_name(self.filepath):
            raise BadInputError("No file is chosen.", "Give the avatar's copy a name.")
        target = _named(Path(bpy.path.abspath(self.filepath)), source)
        self._source, self._target = str(source), str(target)

        def copy(cancelled: threading.Event) -> None:
            copy_avatar(source, target, cancelled)

        return ThreadFuture(copy, "Copying")

    def finish(self, context: bpy.types.Context, _reply: None) -> None:
        """Bind the copy to the heads that use the avatar."""
        names = []
        for head in heads_using(self._source):
            if head.library is None:
                head.gaussianspeech_avatar.source = self._target
                names.append(f"'{head.name}'")
        bound = f" and bound it to {' and '.join(names)}" if names else ""
        report(self, context, f"Saved {Path(self._target).name}{bound}")


class GAUSSIANSPEECH_OT_save_avatar(bpy.types.Operator, ExportHelper):
    """Save the bound avatar to a file of one's own."""

    bl_idname = "gaussianspeech.save_avatar"
    bl_label = "Save Avatar"
    bl_description = (
        "Copy the bound avatar to a file of yours, and bind the copy instead. "
        "An avatar of a training is deleted with its training"
    )
    bl_options = {"INTERNAL"}

    filename_ext: ClassVar[str] = ""
    check_extension = None  # The suffix is that of the avatar; ``check`` keeps it.
    filter_glob: bpy.props.StringProperty(default="*.safetensors;*.ply", options={"HIDDEN"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """There is a file to copy."""
        return _savable(cls, context)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Suggest the avatar's name beside the .blend file."""
        source = active_head(context).gaussianspeech_avatar.source
        folder = Path(bpy.data.filepath).parent if bpy.data.filepath else Path.home()
        self.filepath = str(_named(folder / shown_name(source), Path(source)))
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def check(self, context: bpy.types.Context) -> bool:
        """Keep the avatar's suffix, so that an older file is found out before it is replaced."""
        if not _has_name(self.filepath):
            return False
        source = active_head(context).gaussianspeech_avatar.source
        wanted = str(_named(Path(self.filepath), Path(source)))
        changed, self.filepath = wanted != self.filepath, wanted
        return changed

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Copy to the chosen file."""
        return invoke_operator(self, bpy.ops.gaussianspeech.copy_avatar, filepath=self.filepath)


def _savable(operator: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether the active head has an avatar whose file is on this machine; or a message why not."""
    head = active_head(context)
    if head is None:
        operator.poll_message_set("Select a head")
    elif not head.gaussianspeech_avatar.source:
        operator.poll_message_set(f"'{head.name}' has no avatar")
    elif head.gaussianspeech_avatar.source == DEFAULT_AVATAR:
        operator.poll_message_set("The default avatar comes with the add-on")
    elif get_preferences(context).engine_command.strip():
        operator.poll_message_set(
            "Engine Command may run the engine on another machine, where this avatar's file is: "
            "copy it there, and choose the copy with Open Avatar"
        )
    else:
        return True
    return False


def _has_name(filepath: str) -> bool:
    """Whether a file is named, not a folder alone, as when the name's field has been emptied."""
    return bool(filepath) and not filepath.endswith(("/", "\\"))


def _named(target: Path, source: Path) -> Path:
    """The target with the source's suffix: the engine knows the kind of an avatar by it."""
    if target.suffix.lower() in (".safetensors", ".ply"):
        target = target.with_suffix("")
    return target.with_name(target.name + source.suffix)


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_OT_copy_avatar, GAUSSIANSPEECH_OT_save_avatar)
