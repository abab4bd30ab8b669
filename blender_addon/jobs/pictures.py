# SPDX-License-Identifier: GPL-3.0-or-later
"""The trainings' latest pictures as icons of the panel."""

from __future__ import annotations

import bpy.utils.previews

from .job import Job

_previews: bpy.utils.previews.ImagePreviewCollection | None = None
_shown: dict[str, str] = {}
"""Key of the picture that is loaded for each job."""


def icon_of(job: Job) -> int:
    """Icon of a job's latest picture; 0 without one. Older pictures of the job are let go."""
    if _previews is None or job.preview is None:
        return 0
    key = f"{job.folder}|{job.preview.name}|{job.preview_time}"
    if key not in _previews:
        old = _shown.pop(job.id, None)
        if old in _previews:
            del _previews[old]
        _previews.load(key, str(job.preview), "IMAGE")
        _shown[job.id] = key
    return _previews[key].icon_id


def register() -> None:
    """Make a place for the pictures."""
    global _previews  # noqa: PLW0603 - one collection per Blender
    _previews = bpy.utils.previews.new()


def unregister() -> None:
    """Let them go."""
    global _previews  # noqa: PLW0603 - as above
    if _previews is not None:
        bpy.utils.previews.remove(_previews)
    _previews = None
    _shown.clear()
