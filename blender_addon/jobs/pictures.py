# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs' latest pictures as icons of the panel."""

from __future__ import annotations

import bpy.utils.previews

from ...engine.jobs.summary import JobSummary
from .session import watcher

_previews: bpy.utils.previews.ImagePreviewCollection | None = None
_shown: dict[str, str] = {}
"""Key of the picture that is loaded for each job."""


def icon_of(job: JobSummary) -> int:
    """Icon of a job's latest picture; 0 without one. Older pictures of the job are freed."""
    picture = watcher.picture(job)
    if _previews is None or picture is None:
        return 0
    path, written = picture
    key = f"{job.folder}|{written}"
    if key not in _previews:
        old = _shown.pop(job.id, None)
        if old in _previews:
            del _previews[old]
        _previews.load(key, str(path), "IMAGE")
        _shown[job.id] = key
    return _previews[key].icon_id


def register() -> None:
    """Make the collection of pictures."""
    global _previews  # noqa: PLW0603 - one collection per Blender
    _previews = bpy.utils.previews.new()


def unregister() -> None:
    """Free them."""
    global _previews  # noqa: PLW0603 - as above
    if _previews is not None:
        bpy.utils.previews.remove(_previews)
    _previews = None
    _shown.clear()
