# SPDX-License-Identifier: GPL-3.0-or-later
"""The Training section of the add-on's tab: what is being trained, and starting more."""

from __future__ import annotations

import bpy

from ..heads.properties import active_head
from ..panels import CATEGORY, PARENT_ID
from ..panels.main import draw_wrapped, wrapped
from ..preferences import get_preferences
from .job import AVATAR, CAPTURE, SPEECH, Job, State, progress_text
from .ops import (
    GAUSSIANSPEECH_OT_cancel_job,
    GAUSSIANSPEECH_OT_end_job,
    GAUSSIANSPEECH_OT_open_job,
    GAUSSIANSPEECH_OT_refresh_jobs,
    GAUSSIANSPEECH_OT_remove_job,
    GAUSSIANSPEECH_OT_resume_job,
    GAUSSIANSPEECH_OT_use_job,
)
from .pictures import icon_of
from .properties import get_jobs
from .start_ops import (
    GAUSSIANSPEECH_OT_make_capture,
    GAUSSIANSPEECH_OT_train_avatar,
    GAUSSIANSPEECH_OT_train_speech,
)
from .watch import watcher

_KINDS = {AVATAR: "USER", SPEECH: "SPEAKER", CAPTURE: "CAMERA_DATA"}
_STATES = {
    State.STARTING: "TIME",
    State.RUNNING: "PLAY",
    State.CANCELLING: "PAUSE",
    State.FINISHED: "CHECKMARK",
    State.CANCELLED: "CANCEL",
    State.FAILED: "ERROR",
}
_PICTURE = 8.0
"""Size of the preview, in buttons."""

_LOG_ROWS = 16
"""Rows of the panel for the end of a log."""


class GAUSSIANSPEECH_UL_jobs(bpy.types.UIList):
    """The trainings, the latest first."""

    def draw_item(
        self,
        _context: bpy.types.Context,
        layout: bpy.types.UILayout,
        _data: object,
        item: bpy.types.PropertyGroup,
        _icon: int,
        _active: object,
    ) -> None:
        """Draw what it is, its name and how far it is."""
        job = watcher.job(item.name)
        if job is None:
            layout.label(text=item.name)
            return
        row = layout.row(align=True)
        row.label(text=job.id, icon=_KINDS.get(job.kind, "PREFERENCES"))
        right = row.row(align=True)
        right.alignment = "RIGHT"
        if job.state in (State.RUNNING, State.CANCELLING):
            right.label(text=f"{100 * job.fraction:.0f} %" if job.total else "")
        right.label(text="", icon=_STATES[job.state])


class GAUSSIANSPEECH_PT_training(bpy.types.Panel):
    """The trainings in the background."""

    bl_idname = "GAUSSIANSPEECH_PT_training"
    bl_parent_id = PARENT_ID
    bl_label = "Training"
    bl_category = CATEGORY
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 60

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the list and the chosen training."""
        layout, listed, reading = self.layout, get_jobs(context), watcher.reading
        watcher.drawn()
        _draw_place(layout, context)
        if reading.error is not None:
            draw_wrapped(layout, context, str(reading.error), icon="ERROR")
        if not reading.jobs:
            layout.label(text="No trainings yet", icon="INFO")
            return
        row = layout.row()
        row.template_list(
            "GAUSSIANSPEECH_UL_jobs", "", listed, "entries", listed, "index",
            rows=min(5, max(2, len(reading.jobs))),
        )  # fmt: skip
        side = row.column(align=True)
        side.operator(GAUSSIANSPEECH_OT_refresh_jobs.bl_idname, text="", icon="FILE_REFRESH")
        job = watcher.job(listed.chosen)
        if job is not None:
            side.separator()
            remove = side.row()
            remove.enabled = not job.running
            remove.operator(
                GAUSSIANSPEECH_OT_remove_job.bl_idname, text="", icon="TRASH"
            ).job = job.id
            _draw_job(layout, context, job)


class GAUSSIANSPEECH_PT_new_training(bpy.types.Panel):
    """Starting a training."""

    bl_idname = "GAUSSIANSPEECH_PT_new_training"
    bl_parent_id = "GAUSSIANSPEECH_PT_training"
    bl_label = "New Training"
    bl_category = CATEGORY
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the settings and the button."""
        layout, settings = self.layout, context.scene.gaussianspeech_training
        layout.row().prop(settings, "kind", expand=True)
        layout.use_property_split = True
        layout.use_property_decorate = False
        column = layout.column()
        button = layout.row()
        button.scale_y = 1.4
        if settings.kind == "AVATAR":
            column.prop(settings, "data")
            column.prop(settings, "title", placeholder=_suggested(settings.data))
            column.prop(settings, "preset")
            steps = _draw_steps(column, settings)
            operator = button.operator(GAUSSIANSPEECH_OT_train_avatar.bl_idname, icon="PLAY")
            operator.data, operator.preset = settings.data, settings.preset
            operator.steps = steps
        elif settings.kind == "SPEECH":
            column.prop(settings, "recordings")
            column.prop(settings, "title", placeholder=_suggested(settings.recordings))
            steps = _draw_steps(column, settings)
            head = active_head(context)
            if head is None:
                column.label(text="Select the head it is for", icon="INFO")
            button.enabled = head is not None
            operator = button.operator(GAUSSIANSPEECH_OT_train_speech.bl_idname, icon="PLAY")
            operator.data, operator.steps = settings.recordings, steps
        else:
            column.prop(settings, "title", placeholder="capture")
            for name in ("scale", "cameras", "timesteps"):
                column.prop(settings, name)
            operator = button.operator(GAUSSIANSPEECH_OT_make_capture.bl_idname, icon="PLAY")
            operator.scale, operator.cameras = settings.scale, settings.cameras
            operator.timesteps = settings.timesteps
        operator.title = settings.title


def _draw_place(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Say whose jobs these are, where that is not plain."""
    if watcher.place is not None and watcher.place.remote:
        text = f"On another machine, by '{watcher.place.name}': its folders, not this machine's"
        draw_wrapped(layout, context, text, icon="URL")
    elif get_preferences(context).engine_command.strip():
        text = (
            "Trainings run on this machine, by Engine Python: where Engine Command runs is known "
            "only if it ends in 'serve'"
        )
        draw_wrapped(layout, context, text, icon="INFO")


def _draw_steps(column: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> int:
    """Draw the number of steps; returns it, or 0 for as many as are usual."""
    row = column.row(heading="Steps")
    row.prop(settings, "limit_steps", text="")
    number = row.row()
    number.enabled = settings.limit_steps
    number.prop(settings, "steps", text="")
    return settings.steps if settings.limit_steps else 0


def _draw_job(layout: bpy.types.UILayout, context: bpy.types.Context, job: Job) -> None:
    box = layout.box()
    icon = icon_of(job)
    if icon:
        box.template_icon(icon_value=icon, scale=_PICTURE)
    _draw_state(box, context, job)
    _draw_results(box, job)
    if job.state is State.CANCELLING:
        box.operator(GAUSSIANSPEECH_OT_end_job.bl_idname, icon="X").job = job.id
    elif job.running:
        box.operator(GAUSSIANSPEECH_OT_cancel_job.bl_idname, text="Cancel", icon="X").job = job.id
    elif job.resumable:
        box.operator(
            GAUSSIANSPEECH_OT_resume_job.bl_idname, text="Resume", icon="PLAY"
        ).job = job.id
    _draw_files(box, context, job)


def _draw_state(box: bpy.types.UILayout, context: bpy.types.Context, job: Job) -> None:
    if job.total and job.state in (State.RUNNING, State.CANCELLING, State.CANCELLED):
        box.progress(factor=job.fraction, text=progress_text(job))
    elif job.state is State.FINISHED:
        steps = f", {job.total:,} steps" if job.total else ""
        box.label(text=f"Finished{steps}", icon=_STATES[job.state])
    if job.loss is not None and job.state is not State.FAILED:
        box.label(text=f"Loss {job.loss:.4g}", icon="GRAPH")
    message = "Starting" if job.state is State.STARTING else job.message
    if job.state is State.FAILED:
        alert = box.column()
        alert.alert = True
        draw_wrapped(alert, context, message, icon="ERROR")
    elif job.state is State.CANCELLING:
        draw_wrapped(box, context, "Saving a checkpoint to stop", icon="PAUSE")
    elif message:
        draw_wrapped(box, context, message, icon="INFO")


def _draw_results(box: bpy.types.UILayout, job: Job) -> None:
    labels = {
        AVATAR: ("Use Avatar", "USER"),
        SPEECH: ("Use Speech Model", "SPEAKER"),
        CAPTURE: ("Train on This", "FORWARD"),
    }
    for kind in job.results:
        text, icon = labels[kind]
        row = box.row()
        row.scale_y = 1.3
        operator = row.operator(GAUSSIANSPEECH_OT_use_job.bl_idname, text=text, icon=icon)
        operator.job, operator.kind = job.id, kind.upper()


def _draw_files(box: bpy.types.UILayout, context: bpy.types.Context, job: Job) -> None:
    listed = get_jobs(context)
    row = box.row(align=True)
    row.prop(listed, "show_log", icon="TRIA_DOWN" if listed.show_log else "TRIA_RIGHT")
    if watcher.place is not None and not watcher.place.remote:
        shown = [("LOG", "TEXT"), ("FOLDER", "FILE_FOLDER")]
        for what, icon in [("REPORT", "DOCUMENTS"), *shown] if job.report else shown:
            operator = row.operator(GAUSSIANSPEECH_OT_open_job.bl_idname, text="", icon=icon)
            operator.job, operator.what = job.id, what
    if listed.show_log:
        lines = box.column(align=True)
        lines.scale_y = 0.7
        told = watcher.reading.log or ("Nothing yet",)
        pieces = [piece for line in told for piece in wrapped(context, line)]
        for piece in pieces[-_LOG_ROWS:]:
            lines.label(text=piece)


def _suggested(data: str) -> str:
    return data.rstrip("/\\").replace("\\", "/").rpartition("/")[2]


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_UL_jobs,
    GAUSSIANSPEECH_PT_training,
    GAUSSIANSPEECH_PT_new_training,
)
