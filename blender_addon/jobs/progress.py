# SPDX-License-Identifier: GPL-3.0-or-later
"""A job's progress in words. No bpy."""

from __future__ import annotations

from ...engine.jobs.summary import JobSummary


def progress_text(job: JobSummary) -> str:
    """Steps and the time that remains, such as ``1,200 of 30,000, 12 min left``."""
    text = f"{job.step:,} of {job.total:,}" if job.total else f"{job.step:,} steps"
    if job.running and job.eta is not None:
        text += f", {duration_text(job.eta)} left"
    return text


def duration_text(seconds: float) -> str:
    """A time in the two units that matter: ``45 s``, ``12 min``, ``3 h 20 min``, ``2 d 4 h``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
