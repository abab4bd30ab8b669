# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done with a job: cancel, resume, remove, open its files, and use its results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import bpy

from ...engine.core.errors import BadInputError, GaussianSpeechError
from ...engine.jobs.summary import AVATAR, CAPTURE, PERSON, SPEECH, JobSummary
from ..avatars.properties import heads_using
from ..engine_link import background
from ..engine_link.future import Future
from ..heads.properties import active_head, is_head, require_head
from ..speech.line_list import use_model
from ..status import invoke_operator, report, report_error, set_message
from .client import JobsClient
from .properties import choose
from .session import current_client, watcher


def act(
    operator: bpy.types.Operator,
    context: bpy.types.Context,
    label: str,
    send: Callable[[], Future],
    done: Callable[[Any], str],
) -> set[str]:
    """Ask the engine, and take its answer when it is there; without a window, wait for it.

    Args:
        operator: that was called.
        context: of the call.
        label: what is being done, for the panel.
        send: sends the request.
        done: called with the answer's body, on Blender's own thread; returns the message for the
            status line. The operator is gone by then.
    """
    try:
        future = send()
        if not bpy.app.background:
            set_message(context, "")  # An earlier error is of no more interest.
            background.run(label, future, lambda answer: done(answer.body))
            return {"FINISHED"}
        message = done(future.result().body)
    except GaussianSpeechError as error:
        report_error(operator, context, error)
        return {"CANCELLED"}
    watcher.read_now()
    report(operator, context, message)
    return {"FINISHED"}


def chosen(job: str, message: str) -> str:
    """Choose a job of the list; returns the message about it."""
    choose(bpy.context, job)
    return message


_RESULTS = {PERSON: "person", AVATAR: "avatar", SPEECH: "speech model", CAPTURE: "capture"}
"""Results in words."""


def _users(job: JobSummary) -> list[str]:
    """The heads of the .blend that use its results, and the unfinished jobs that read them."""
    heads = heads_using(job.results.get(AVATAR, ""))
    model = job.results.get(SPEECH)
    heads += [
        obj
        for obj in bpy.data.objects
        if is_head(obj)
        and obj not in heads
        and any(
            settings.model == "FILE" and bpy.path.abspath(settings.model_file) == model
            for settings in (obj.gaussianspeech_speech, *obj.gaussianspeech_lines)
        )
    ]
    readers = [other.id for other in watcher.snapshot.jobs if other.reads(job.folder)]
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
            client = current_client(context)
            if bpy.app.background:
                watcher.read_now()
            job = watcher.job(self.job)
            if job is None:
                raise BadInputError(f"There is no job {self.job!r}.", "Refresh the list.")
            return self.do(context, client, job)
        except GaussianSpeechError as error:
            report_error(self, context, error)
            return {"CANCELLED"}

    def do(self, context: bpy.types.Context, client: JobsClient, job: JobSummary) -> set[str]:
        """Do it.

        Raises:
            GaussianSpeechError: shown to the user.
        """
        raise NotImplementedError


class JobRequest(JobOperator):
    """Mixin for operators that ask the engine to do something with a job.

    Attributes:
        doing: what the panel shows meanwhile, before the job's id.
        outcome: the message afterwards; ``{job}`` is its id.
    """

    doing: ClassVar[str]
    outcome: ClassVar[str]

    def send(self, client: JobsClient, job: JobSummary) -> Future:
        """Send the request.

        Raises:
            GaussianSpeechError: shown to the user.
        """
        raise NotImplementedError

    def question(self) -> str:
        """What the user confirms first; empty where nothing is lost."""
        return ""

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask first where something is lost."""
        question = self.question()
        if not question:
            return self.execute(context)
        return context.window_manager.invoke_confirm(
            self,
            event,
            title=self.bl_label,
            message=question,
            confirm_text=self.bl_label,
            icon="WARNING",
        )

    def do(self, context: bpy.types.Context, client: JobsClient, job: JobSummary) -> set[str]:
        """Send the request; the job is chosen in the list when it is answered."""
        return act(
            self,
            context,
            f"{self.doing} {job.id}",
            lambda: self.send(client, job),
            # The operator is gone by then, and its class is not.
            lambda _, outcome=self.outcome: chosen(job.id, outcome.format(job=job.id)),
        )


class GAUSSIANSPEECH_OT_cancel_job(JobRequest, bpy.types.Operator):
    """Let a training save a checkpoint and stop."""

    bl_idname = "gaussianspeech.cancel_job"
    bl_label = "Cancel Training"
    bl_description = "Let the training save a checkpoint and stop; it can be resumed"
    doing = "Cancelling"
    outcome = "'{job}' saves a checkpoint and stops"

    def question(self) -> str:
        """What happens."""
        return f"'{self.job}' saves a checkpoint and stops. It can be resumed"

    def send(self, client: JobsClient, job: JobSummary) -> Future:
        """Cancel."""
        _check_running(job)
        return client.cancel(job.id)


class GAUSSIANSPEECH_OT_end_job(JobRequest, bpy.types.Operator):
    """End a training that does not stop when asked."""

    bl_idname = "gaussianspeech.end_job"
    bl_label = "End Training Now"
    bl_description = "End the training at once; what it did since its last checkpoint is lost"
    doing = "Ending"
    outcome = "'{job}' was ended"

    def question(self) -> str:
        """What is lost."""
        return f"What '{self.job}' did since its last checkpoint is lost"

    def send(self, client: JobsClient, job: JobSummary) -> Future:
        """End it."""
        _check_running(job)
        return client.cancel(job.id, at_once=True)


class GAUSSIANSPEECH_OT_resume_job(JobRequest, bpy.types.Operator):
    """Start a training again where it stopped."""

    bl_idname = "gaussianspeech.resume_job"
    bl_label = "Resume Training"
    bl_description = "Start the training again from its last checkpoint"
    doing = "Resuming"
    outcome = "'{job}' continues"

    def send(self, client: JobsClient, job: JobSummary) -> Future:
        """Resume."""
        return client.resume(job.id)


class GAUSSIANSPEECH_OT_remove_job(JobRequest, bpy.types.Operator):
    """Delete a training that has ended, with what it made."""

    bl_idname = "gaussianspeech.remove_job"
    bl_label = "Remove Training"
    bl_description = "Delete the folder of a training that has ended, with all that it made"
    doing = "Removing"
    outcome = "Removed '{job}'"

    def question(self) -> str:
        """What is lost, and who uses it."""
        job = watcher.job(self.job)
        made = " and ".join(_RESULTS[kind] for kind in job.results) if job is not None else ""
        what = f" with its {made}" if made else ""
        users = _users(job) if job is not None else []
        if users:
            what += f", which {' and '.join(users)} use{'s' if len(users) == 1 else ''}"
        return f"The folder of '{self.job}' is deleted{what}. This cannot be undone"

    def send(self, client: JobsClient, job: JobSummary) -> Future:
        """Delete."""
        return client.remove(job.id)


def _check_running(job: JobSummary) -> None:
    if not job.running:
        raise BadInputError(f"The training '{job.id}' is not running.")


class GAUSSIANSPEECH_OT_open_job(JobOperator, bpy.types.Operator):
    """Open a training's log or folder with the system's program for it."""

    bl_idname = "gaussianspeech.open_job"
    bl_label = "Open Training"

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

    def do(self, _context: bpy.types.Context, client: JobsClient, job: JobSummary) -> set[str]:
        """Open."""
        if client.remote:
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
    bl_label = "Refresh Trainings"
    bl_description = "Read the list of trainings again"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Read."""
        try:
            current_client(context)
        except GaussianSpeechError as error:
            report_error(self, context, error)
            return {"CANCELLED"}
        if bpy.app.background:
            watcher.read_now()
        else:
            watcher.read_soon()
        return {"FINISHED"}


class GAUSSIANSPEECH_OT_use_job(JobOperator, bpy.types.Operator):
    """Use a training's result on the active head."""

    bl_idname = "gaussianspeech.use_job"
    bl_label = "Use Training"
    bl_options = {"INTERNAL", "UNDO"}

    kind: bpy.props.EnumProperty(
        items=(
            (PERSON.upper(), "Person", "Add the person: head, avatar and speech model"),
            (AVATAR.upper(), "Avatar", "Bind the trained avatar to the head"),
            (SPEECH.upper(), "Speech Model", "Use the trained model for the head"),
            (CAPTURE.upper(), "Capture", "Choose the capture for a new training"),
        ),
        default=AVATAR.upper(),
        options={"SKIP_SAVE"},
    )

    @classmethod
    def description(cls, context: bpy.types.Context, properties: Any) -> str:
        """What a click does, to which head."""
        head = active_head(context)
        if properties.kind == PERSON.upper():
            return "Add the person: head, avatar and speech model"
        if properties.kind == CAPTURE.upper():
            return "Choose the capture for a new training, below"
        if properties.kind == SPEECH.upper():
            return "Use the trained model for the head"
        if head is None:
            return "Add the person: the trained avatar on its head"
        return f"Bind the trained avatar to '{head.name}'"

    def do(self, context: bpy.types.Context, _client: JobsClient, job: JobSummary) -> set[str]:
        """Use it."""
        path = job.results.get(self.kind.lower())
        if path is None:
            raise BadInputError(
                f"The training '{job.id}' has made no {self.kind.lower()}.", "Let it finish first."
            )
        if self.kind == PERSON.upper():
            return invoke_operator(self, bpy.ops.gaussianspeech.add_person, person=path)
        if self.kind == AVATAR.upper():
            operators = bpy.ops.gaussianspeech
            if active_head(context) is None:
                return invoke_operator(self, operators.add_person, person=path)
            return invoke_operator(self, operators.bind_avatar, avatar=path)
        if self.kind == CAPTURE.upper():
            settings = context.scene.gaussianspeech_training
            settings.kind, settings.data = "AVATAR", path
            report(self, context, f"'{job.id}' is chosen for a new training")
            return {"FINISHED"}
        head = require_head(context)
        use_model(head, path)
        report(
            self, context, f"'{head.name}' uses the model of '{job.id}' from the next prediction on"
        )
        return {"FINISHED"}


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_OT_cancel_job,
    GAUSSIANSPEECH_OT_end_job,
    GAUSSIANSPEECH_OT_resume_job,
    GAUSSIANSPEECH_OT_remove_job,
    GAUSSIANSPEECH_OT_open_job,
    GAUSSIANSPEECH_OT_refresh_jobs,
    GAUSSIANSPEECH_OT_use_job,
)
