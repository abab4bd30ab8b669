# SPDX-License-Identifier: GPL-3.0-or-later
"""The Training section of the add-on's tab: the jobs, and the chosen one."""

from __future__ import annotations

import bpy

from ...engine.jobs.status import State
from ...engine.jobs.summary import AVATAR, CAPTURE, JOINT, PERSON, SPEECH, JobSummary
from ..avatars.properties import heads_using
from ..avatars.saving import GAUSSIANSPEECH_OT_save_avatar
from ..heads.properties import active_head
from ..panels.section import Section
from ..text import BOX, draw_wrapped, wrapped
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
from .progress import progress_text
from .properties import get_jobs
from .session import watcher

_KINDS = {
    AVATAR: "USER",
    SPEECH: "SPEAKER",
    JOINT: "LINKED",
    PERSON: "COMMUNITY",
    CAPTURE: "CAMERA_DATA",
}
_STATES = {
    State.STARTING: "TIME",
    State.RUNNING: "PLAY",
    State.CANCELLING: "PAUSE",
    State.FINISHED: "CHECKMARK",
    State.CANCELLED: "CANCEL",
    State.FAILED: "ERROR",
    State.DAMAGED: "LIBRARY_DATA_BROKEN",
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


class GAUSSIANSPEECH_PT_training(Section, bpy.types.Panel):
    """The trainings in the background."""

    bl_idname = "GAUSSIANSPEECH_PT_training"
    bl_label = "Training"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 60

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the list and the chosen training."""
        layout, listed, snapshot = self.layout, get_jobs(context), watcher.snapshot
        watcher.drawn()
        if watcher.client is not None and watcher.client.remote:
            text = f"On the machine of '{watcher.client.remote}': folders are that machine's"
            draw_wrapped(layout, context, text, icon="URL")
        if snapshot.error is not None:
            draw_wrapped(layout, context, str(snapshot.error), icon="ERROR")
        if not snapshot.jobs:
            if watcher.has_answer and snapshot.error is None:
                layout.label(text="No trainings yet", icon="INFO")
            elif snapshot.error is None:
                layout.label(text="Asking the engine", icon="TIME")
            else:
                layout.operator(
                    GAUSSIANSPEECH_OT_refresh_jobs.bl_idname, text="Refresh", icon="FILE_REFRESH"
                )
            return
        row = layout.row()
        row.template_list(
            "GAUSSIANSPEECH_UL_jobs", "", listed, "entries", listed, "index",
            rows=min(5, max(2, len(snapshot.jobs))),
        )  # fmt: skip
        side = row.column(align=True)
        side.operator(GAUSSIANSPEECH_OT_refresh_jobs.bl_idname, text="", icon="FILE_REFRESH")
        job = watcher.job(listed.chosen)
        if job is not None:
            side.separator()
            remove = GAUSSIANSPEECH_OT_remove_job.bl_idname
            side.operator(remove, text="", icon="TRASH").job = job.id
            _draw_job(layout, context, job)


def _draw_job(layout: bpy.types.UILayout, context: bpy.types.Context, job: JobSummary) -> None:
    box = layout.box()
    icon = icon_of(job)
    if icon:
        box.template_icon(icon_value=icon, scale=_PICTURE)
    _draw_state(box, context, job)
    _draw_results(box, context, job)
    if job.state is State.CANCELLING:
        box.operator(GAUSSIANSPEECH_OT_end_job.bl_idname, text="End Now", icon="X").job = job.id
    elif job.running:
        box.operator(GAUSSIANSPEECH_OT_cancel_job.bl_idname, text="Cancel", icon="X").job = job.id
    elif job.resumable:
        box.operator(
            GAUSSIANSPEECH_OT_resume_job.bl_idname, text="Resume", icon="PLAY"
        ).job = job.id
    _draw_files(box, context, job)
    # Last, for there may be several long ones: the buttons stay where they are seen.
    for note in job.notes:
        draw_wrapped(box, context, note, icon="INFO", beside=BOX)


def _draw_state(box: bpy.types.UILayout, context: bpy.types.Context, job: JobSummary) -> None:
    if job.total and job.state in (State.RUNNING, State.CANCELLING, State.CANCELLED):
        box.progress(factor=job.fraction, text=progress_text(job))
    elif job.state is State.FINISHED:
        steps = f", {job.total:,} steps" if job.total else ""
        box.label(text=f"Finished{steps}", icon=_STATES[job.state])
    if job.loss is not None and job.state not in (State.FAILED, State.DAMAGED):
        box.label(text=f"Loss {job.loss:.4g}", icon="GRAPH")
    message = "Starting" if job.state is State.STARTING else job.message
    if job.state in (State.FAILED, State.DAMAGED):
        alert = box.column()
        alert.alert = True
        draw_wrapped(alert, context, message, icon="ERROR", beside=BOX)
    elif job.state is State.CANCELLING:
        draw_wrapped(box, context, "Saving a checkpoint to stop", icon="PAUSE", beside=BOX)
    elif message:
        draw_wrapped(box, context, message, icon="INFO", beside=BOX)


def _draw_results(box: bpy.types.UILayout, context: bpy.types.Context, job: JobSummary) -> None:
    labels = {
        PERSON: ("Add Person", "COMMUNITY"),
        AVATAR: ("Use Avatar", "USER"),
        SPEECH: ("Use Speech Model", "SPEAKER"),
        CAPTURE: ("Train on This", "FORWARD"),
    }
    head = active_head(context)
    for kind, path in job.results.items():
        text, icon = labels[kind]
        row = box.row(align=True)
        row.scale_y = 1.3
        operator = row.operator(GAUSSIANSPEECH_OT_use_job.bl_idname, text=text, icon=icon)
        operator.job, operator.kind = job.id, kind.upper()
        if kind == AVATAR and head is not None and head in heads_using(path):
            row.operator(GAUSSIANSPEECH_OT_save_avatar.bl_idname, text="", icon="FILE_TICK")


def _draw_files(box: bpy.types.UILayout, context: bpy.types.Context, job: JobSummary) -> None:
    listed = get_jobs(context)
    row = box.row(align=True)
    row.prop(listed, "show_log", icon="TRIA_DOWN" if listed.show_log else "TRIA_RIGHT")
    if watcher.client is not None and not watcher.client.remote:
        shown = [("LOG", "TEXT"), ("FOLDER", "FILE_FOLDER")]
        for what, icon in [("REPORT", "DOCUMENTS"), *shown] if job.report else shown:
            operator = row.operator(GAUSSIANSPEECH_OT_open_job.bl_idname, text="", icon=icon)
            operator.job, operator.what = job.id, what
    if listed.show_log:
        lines = box.column(align=True)
        lines.scale_y = 0.7
        printed = watcher.snapshot.log or ("Nothing yet",)
        rows = [row for line in printed for row in wrapped(context, line, BOX)]
        for row in rows[-_LOG_ROWS:]:
            lines.label(text=row)


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_UL_jobs, GAUSSIANSPEECH_PT_training)
