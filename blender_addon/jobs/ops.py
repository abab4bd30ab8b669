# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done with a job: cancel, resume, remove, look into it, and use what it made."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy

from ...engine.core.errors import BadInputError, GaussianSpeechError
from ..avatars.properties import heads_using
from ..engine_link import background
from ..engine_link.future import ThreadFuture
from ..heads.properties import active_head, is_head, require_head
from ..status import report, report_error, set_message
from .job import AVATAR, CAPTURE, SPEECH, Job
from .place import Place
from .properties import choose
from .session import current_place
from .watch import watcher


def act(
    operator: bpy.types.Operator,
    context: bpy.types.Context,
    label: str,
    function: Callable[[threading.Event], Any],
    done: Callable[[Any], str],
) -> set[str]:
    """Let a thread do what takes a while; without a window, wait for it.

    Args:
        operator: that was called.
        context: of the call.
        label: what is being done, for the panel.
        function: does it; given an event that is set when it should stop.
        done: told what it gives, on Blender's own thread; returns what to say. The operator is gone
            by then.
    """
    if not bpy.app.background:
        set_message(context, "")  # What went wrong before is over.
        background.run(label, ThreadFuture(function, label), done)
        return {"FINISHED"}
    try:
        message = done(function(threading.Event()))
    except GaussianSpeechError as error:
        report_error(operator, context, error)
        return {"CANCELLED"}
    watcher.read_now()
    report(operator, context, message)
    return {"FINISHED"}


def chosen(job: str, message: str) -> str:
    """Choose a job of the list, and hand on what to say of it."""
    choose(bpy.context, job)
    return message


_MADE = {AVATAR: "avatar", SPEECH: "speech model", CAPTURE: "capture"}
"""What a training has made, for people."""


def _users(job: Job) -> list[str]:
    """The heads of the file that use what it made, and the trainings that are not done with it."""
    heads = heads_using(job.results.get(AVATAR, ""))
    model = job.results.get(SPEECH)
    heads += [
        obj
        for obj in bpy.data.objects
        if is_head(obj)
        and obj not in heads
        and obj.gaussianspeech_speech.model == "FILE"
        and bpy.path.abspath(obj.gaussianspeech_speech.model_file) == model
    ]
    readers = [other.id for other in watcher.reading.jobs if other.reads(job.folder)]
    return [*(f"'{head.name}'" for head in heads), *(f"the training '{name}'" for name in readers)]


class JobOperator:
    """Mixin for operators about one job; list it before ``bpy.types.Operator``."""

    bl_options = {"INTERNAL"}

    job: bpy.props.StringProperty(
        name="Job", description="Id of the job", options={"SKIP_SAVE", "HIDDEN"}
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Find the job and do it."""
        try:
            place = current_place(context)
            if bpy.app.background:
                watcher.read_now()
            job = watcher.job(self.job)
            if job is None:
                raise BadInputError(f"There is no job {self.job!r}.", "Refresh the list.")
            return self.do(context, place, job)
        except GaussianSpeechError as error:
            report_error(self, context, error)
            return {"CANCELLED"}

    def do(self, context: bpy.types.Context, place: Place, job: Job) -> set[str]:
        """Do it.

        Raises:
            GaussianSpeechError: shown to the user.
        """
        raise NotImplementedError


class GAUSSIANSPEECH_OT_cancel_job(JobOperator, bpy.types.Operator):
    """Let a training save a checkpoint and stop."""

    bl_idname = "gaussianspeech.cancel_job"
    bl_label = "Cancel Training"
    bl_description = "Let the training save a checkpoint and stop; it can be resumed"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask first."""
        return context.window_manager.invoke_confirm(
            self,
            event,
            title="Cancel Training",
            message=f"'{self.job}' saves a checkpoint and stops. It can be resumed",
            confirm_text="Stop Training",
        )

    def do(self, context: bpy.types.Context, place: Place, job: Job) -> set[str]:
        """Cancel."""
        if not job.running:
            raise BadInputError(f"The training '{job.id}' is not running.")

        return act(
            self,
            context,
            f"Cancelling {job.id}",
            lambda _: place.cancel(job.id),
            lambda _: chosen(job.id, f"'{job.id}' saves a checkpoint and stops"),
        )


class GAUSSIANSPEECH_OT_end_job(JobOperator, bpy.types.Operator):
    """End a training that does not stop when asked."""

    bl_idname = "gaussianspeech.end_job"
    bl_label = "End Now"
    bl_description = "End the training at once; what it did since its last checkpoint is lost"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask first."""
        return context.window_manager.invoke_confirm(
            self,
            event,
            title="End Training Now",
            message=f"What '{self.job}' did since its last checkpoint is lost",
            confirm_text="End Now",
            icon="WARNING",
        )

    def do(self, context: bpy.types.Context, place: Place, job: Job) -> set[str]:
        """End it."""
        if not job.running:
            raise BadInputError(f"The training '{job.id}' is not running.")
        return act(
            self,
            context,
            f"Ending {job.id}",
            lambda _: place.cancel(job.id, at_once=True),
            lambda _: chosen(job.id, f"'{job.id}' was ended"),
        )


class GAUSSIANSPEECH_OT_resume_job(JobOperator, bpy.types.Operator):
    """Start a training again where it stopped."""

    bl_idname = "gaussianspeech.resume_job"
    bl_label = "Resume Training"
    bl_description = "Start the training again from its last checkpoint"

    def do(self, context: bpy.types.Context, place: Place, job: Job) -> set[str]:
        """Resume."""
        if not job.resumable:
            raise BadInputError(f"The training '{job.id}' is {job.state}.")
        return act(
            self,
            context,
            f"Resuming {job.id}",
            lambda _: place.resume(job.id),
            lambda _: chosen(job.id, f"'{job.id}' goes on"),
        )


class GAUSSIANSPEECH_OT_remove_job(JobOperator, bpy.types.Operator):
    """Delete a training that has ended, with what it made."""

    bl_idname = "gaussianspeech.remove_job"
    bl_label = "Remove Training"
    bl_description = "Delete the folder of a training that has ended, with all that it made"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask first, and say what is lost."""
        job = watcher.job(self.job)
        made = " and ".join(_MADE[kind] for kind in job.results) if job is not None else ""
        what = f" with its {made}" if made else ""
        users = _users(job) if job is not None else []
        if users:
            what += f", which {' and '.join(users)} use{'s' if len(users) == 1 else ''}"
        return context.window_manager.invoke_confirm(
            self,
            event,
            title="Remove Training",
            message=f"The folder of '{self.job}' is deleted{what}. This cannot be undone",
            confirm_text="Delete",
            icon="WARNING",
        )

    def do(self, context: bpy.types.Context, place: Place, job: Job) -> set[str]:
        """Delete."""
        if job.running:
            raise BadInputError(f"The training '{job.id}' is running.", "Cancel it first.")
        return act(
            self,
            context,
            f"Removing {job.id}",
            lambda _: place.remove(job.id),
            lambda _: chosen("", f"Removed '{job.id}'"),
        )


class GAUSSIANSPEECH_OT_open_job(JobOperator, bpy.types.Operator):
    """Open a training's log or folder with the system's program for it."""

    bl_idname = "gaussianspeech.open_job"
    bl_label = "Open"

    what: bpy.props.EnumProperty(
        items=(
            ("FOLDER", "Folder", "The job's folder"),
            ("LOG", "Log", "All that it printed"),
            ("REPORT", "Report", "The page about what it reached"),
        ),
        options={"SKIP_SAVE"},
    )

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: Any) -> str:
        """What opens."""
        return f"Open the job's {properties.what.lower()} with the system's program for it"

    def do(self, _context: bpy.types.Context, place: Place, job: Job) -> set[str]:
        """Open."""
        if place.remote:
            raise BadInputError(f"{job.folder} is on another machine.", "Open it there.")
        files = {"LOG": "log.txt", "REPORT": "report.html", "FOLDER": ""}
        path = str(Path(job.folder) / files[self.what])
        try:
            bpy.ops.wm.path_open(filepath=path)
        except RuntimeError as error:
            raise BadInputError(f"{path} cannot be opened: {error}".strip()) from error
        return {"FINISHED"}


class GAUSSIANSPEECH_OT_refresh_jobs(bpy.types.Operator):
    """Read the list of trainings again."""

    bl_idname = "gaussianspeech.refresh_jobs"
    bl_label = "Refresh"
    bl_description = "Read the list of trainings again"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Read."""
        try:
            current_place(context)
        except GaussianSpeechError as error:
            report_error(self, context, error)
            return {"CANCELLED"}
        if bpy.app.background:
            watcher.read_now()
        else:
            watcher.read_soon()
        return {"FINISHED"}


class GAUSSIANSPEECH_OT_use_job(JobOperator, bpy.types.Operator):
    """Let the active head use what a training made."""

    bl_idname = "gaussianspeech.use_job"
    bl_label = "Use"
    bl_options = {"INTERNAL", "UNDO"}

    kind: bpy.props.EnumProperty(
        items=(
            (AVATAR.upper(), "Avatar", "Let the head wear the trained avatar"),
            (SPEECH.upper(), "Speech Model", "Let the head speak by the trained model"),
            (CAPTURE.upper(), "Capture", "Choose the capture for a new training"),
        ),
        options={"SKIP_SAVE"},
    )

    @classmethod
    def description(cls, context: bpy.types.Context, properties: Any) -> str:
        """What a click does, to which head."""
        head = active_head(context)
        if properties.kind == CAPTURE.upper():
            return "Choose the capture for a new training, below"
        if properties.kind == SPEECH.upper():
            return "Let the head speak by the trained model"
        if head is None:
            return "Add a head that wears the trained avatar"
        return f"Let '{head.name}' wear the trained avatar"

    def do(self, context: bpy.types.Context, _place: Place, job: Job) -> set[str]:
        """Use it."""
        path = job.results.get(self.kind.lower())
        if path is None:
            raise BadInputError(
                f"The training '{job.id}' has made no {self.kind.lower()}.", "Let it finish first."
            )
        if self.kind == AVATAR.upper():
            return self._wear(context, path)
        if self.kind == CAPTURE.upper():
            settings = context.scene.gaussianspeech_training
            settings.kind, settings.data = "AVATAR", path
            report(self, context, f"'{job.id}' is chosen for a new training")
            return {"FINISHED"}
        head = require_head(context)
        head.gaussianspeech_speech.model = "FILE"
        head.gaussianspeech_speech.model_file = path
        report(self, context, f"'{head.name}' speaks by '{job.id}': predict to hear it")
        return {"FINISHED"}

    def _wear(self, context: bpy.types.Context, path: str) -> set[str]:
        mode = "EXEC_DEFAULT" if bpy.app.background else "INVOKE_DEFAULT"
        operators = bpy.ops.gaussianspeech
        try:
            if active_head(context) is None:
                result = operators.add_head(mode, with_avatar=True, avatar=path)
            else:
                result = operators.bind_avatar(mode, avatar=path)
        except RuntimeError as error:  # What the operator reported; it is in the panel too.
            self.report({"ERROR"}, str(error).removeprefix("Error: ").strip())
            return {"CANCELLED"}
        return {"CANCELLED"} if "CANCELLED" in result else {"FINISHED"}


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_OT_cancel_job,
    GAUSSIANSPEECH_OT_end_job,
    GAUSSIANSPEECH_OT_resume_job,
    GAUSSIANSPEECH_OT_remove_job,
    GAUSSIANSPEECH_OT_open_job,
    GAUSSIANSPEECH_OT_refresh_jobs,
    GAUSSIANSPEECH_OT_use_job,
)
