# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings what the watcher learns into Blender: the list, the status line, redraws."""

from __future__ import annotations

import bpy

from ...engine.core.errors import GaussianSpeechError
from ...engine.jobs.status import State
from ...engine.jobs.summary import JobSummary
from ..engine_link.background import redraw_sidebars
from ..status import get_status, set_error, set_message
from .properties import get_jobs
from .session import current_client, watcher

_TICK = 0.5
"""Seconds between two ticks of the watcher."""


def sync(context: bpy.types.Context) -> bool:
    """List the jobs of the engine of the preferences; whether the list has changed."""
    try:
        current_client(context)
    except GaussianSpeechError:
        watcher.watch(None)
    listed, wanted = get_jobs(context), [job.id for job in watcher.snapshot.jobs]
    changed = listed.entries.keys() != wanted
    if changed:
        listed.entries.clear()
        for job_id in wanted:
            listed.entries.add().name = job_id
    if listed.chosen not in wanted and wanted and watcher.is_current:
        listed.chosen = wanted[0]
    if listed.chosen in wanted and listed.index != wanted.index(listed.chosen):
        listed.index = wanted.index(listed.chosen)
        changed = True
    if watcher.chosen != listed.chosen:
        watcher.read_soon()  # For its picture and log.
    watcher.chosen, watcher.with_log = listed.chosen, listed.show_log
    for job in watcher.take_ended():
        _announce(context, job)
    return changed


def _announce(context: bpy.types.Context, job: JobSummary) -> None:
    status = get_status(context)
    if status.busy:
        return
    if job.state is State.FAILED:
        error = GaussianSpeechError(
            f"'{job.id}' failed: {job.message}", "Its log in Training may say more."
        )
        set_error(context, error)
        status.log = "NONE"
    elif job.state is State.FINISHED and not status.is_error:
        set_message(context, f"'{job.id}' has finished")


def _on_timer() -> float:
    try:
        if watcher.tick() | sync(bpy.context):
            redraw_sidebars(bpy.context)
    except (AttributeError, ReferenceError):
        # Between two files, or while the add-on is being disabled, there is nothing to show on.
        return _TICK
    return _TICK


def register() -> None:
    """Start the timer, which outlives the loading of files; background Blender has none."""
    if not bpy.app.background:
        bpy.app.timers.register(_on_timer, first_interval=_TICK, persistent=True)


def unregister() -> None:
    """Stop it; jobs continue."""
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)
    watcher.watch(None)
