# SPDX-License-Identifier: GPL-3.0-or-later
"""A job's progress in words. No bpy."""

from __future__ import annotations

from ...engine.jobs.summary import JobSummary, duration_text


def progress_text(job: JobSummary) -> str:
    """Steps and the time that remains, such as ``1,200 of 30,000, 12 min left``."""
    text = f"{job.step:,} of {job.total:,}" if job.total else f"{job.step:,} steps"
    if job.running and job.eta is not None:
        text += f", {duration_text(job.eta)} left"
    return text
