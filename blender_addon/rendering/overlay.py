# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars over any viewport: Solid, Material Preview, EEVEE and Cycles, without the engine.

A draw handler behind each viewport's own picture. What stands before an avatar hides it as far as
the viewport keeps depth; see docs/rendering.md.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import bpy
import numpy as np

from ...engine.core.errors import GaussianSpeechError, one_line
from .camera import region_view
from .splats.renderer import SplatPicture, View
from .splats.scene import SceneAvatars

_MOVING_SECONDS = 1.0
"""Two changes of a viewport within this time are a movement."""
_STILL_SECONDS = 0.25
"""How long a viewport rests before it is drawn in full."""
_SLOW, _FAST = 1 / 20, 1 / 45
"""Seconds of a frame above which fewer Gaussians are drawn, and under which more are again."""
_LEAST_SHARE = 0.25

_handle: Any = None
_avatars = SceneAvatars()
_regions: dict[int, _Region] = {}
_failure = ""


@dataclass(eq=False)
class _Region:
    """What is kept for one viewport.

    Attributes:
        picture: its picture.
        key: of what the picture shows.
        drawn_at: when it was last drawn, seconds.
        share: of the Gaussians that are drawn while things move.
        full: whether the picture shows all of them.
    """

    picture: SplatPicture = field(default_factory=SplatPicture)
    key: Any = None
    drawn_at: float = 0.0
    share: float = 1.0
    full: bool = False


def failure() -> str:
    """Why this Blender cannot draw avatars itself; empty where it can."""
    return _failure


def draw_subjects(
    context: bpy.types.Context, depsgraph: bpy.types.Depsgraph, *, all_heads: bool
) -> SplatPicture | None:
    """Bring the picture of the viewport that is being drawn up to date.

    Args:
        context: of the drawing.
        depsgraph: the viewport's.
        all_heads: also those that are shown in renders alone.

    Returns:
        The picture, or ``None`` where nothing is to be seen, or the reason is in :func:`failure`.
    """
    global _failure  # noqa: PLW0603 - the one state that the panel reads
    try:
        subjects = _avatars.subjects(depsgraph, context.space_data, all_heads=all_heads)
        if not subjects:
            return None
        region, known = context.region, _region(context.region)
        view = _view(context)
        key = (
            tuple(subject.number for subject in subjects),
            view.viewmat.tobytes(), view.K.tobytes(), view.width, view.height,
        )  # fmt: skip
        now = time.perf_counter()
        moved = key != known.key
        if moved or not known.full:
            since = now - known.drawn_at
            if moved and since < _MOVING_SECONDS:
                known.share = _next_share(known.share, since)
            share = known.share if moved and since < _MOVING_SECONDS else 1.0
            known.picture.draw(subjects, view, share)
            known.key, known.full = key, share == 1.0
            if moved:
                known.drawn_at = now
            if not known.full:
                _redraw_later(region)
    except GaussianSpeechError as error:
        _failure = one_line(error)
        return None
    # A driver's refusal of a shader is a plain exception; drawing must not raise at each redraw.
    except Exception as error:  # noqa: BLE001
        _failure = f"This GPU cannot draw avatars: {str(error)[:200]}"
        return None
    _failure = ""
    return known.picture


def _next_share(share: float, seconds: float) -> float:
    """The share of the Gaussians after a frame that took so long."""
    if seconds > _SLOW:
        return max(_LEAST_SHARE, share * 0.7)
    return min(1.0, share * 1.25) if seconds < _FAST else share


def _region(region: bpy.types.Region) -> _Region:
    """What is kept of a viewport; of those that are gone nothing is."""
    pointer = region.as_pointer()
    if pointer not in _regions:
        open_now = {
            other.as_pointer()
            for window in bpy.context.window_manager.windows
            for area in window.screen.areas
            for other in area.regions
        }
        for gone in set(_regions) - open_now:
            del _regions[gone]
        _regions[pointer] = _Region()
    return _regions[pointer]


def _view(context: bpy.types.Context) -> View:
    space, seen = context.space_data, context.region_data
    camera = region_view(
        seen.view_matrix,
        seen.window_matrix,
        context.region.width,
        context.region.height,
        (space.clip_start, space.clip_end),
    )
    return View(
        np.asarray(camera.viewmat, np.float64), np.asarray(camera.K, np.float64),
        camera.width, camera.height, camera.near, camera.far, camera.orthographic,
    )  # fmt: skip


def _redraw_later(region: bpy.types.Region) -> None:
    """Draw a viewport once more when it rests."""
    pointer = region.as_pointer()

    def redraw() -> None:
        for window in bpy.context.window_manager.windows:
            for other in window.screen.areas:
                if any(found.as_pointer() == pointer for found in other.regions):
                    other.tag_redraw()

    bpy.app.timers.register(redraw, first_interval=_STILL_SECONDS + 0.05)


def _draw() -> None:
    context = bpy.context
    space = context.space_data
    if context.scene.render.engine == "GAUSSIANSPEECH" and space.shading.type == "RENDERED":
        return  # The render engine draws them itself.
    picture = draw_subjects(context, context.evaluated_depsgraph_get(), all_heads=False)
    if picture is not None:
        picture.lay_over(context.region_data.window_matrix, linear_target=True)


_HANDLERS = ("depsgraph_update_post", "frame_change_post", "undo_post", "redo_post", "load_post")


@bpy.app.handlers.persistent
def _changed(*_args: Any) -> None:
    _avatars.changed()


def register() -> None:
    """Draw in all viewports from now on."""
    global _handle  # noqa: PLW0603 - Blender's handle of the one handler
    if bpy.app.background:
        return
    _handle = bpy.types.SpaceView3D.draw_handler_add(_draw, (), "WINDOW", "POST_VIEW")
    for name in _HANDLERS:
        getattr(bpy.app.handlers, name).append(_changed)


def unregister() -> None:
    """Draw no more, and free the textures."""
    global _handle  # noqa: PLW0603
    if _handle is not None:
        bpy.types.SpaceView3D.draw_handler_remove(_handle, "WINDOW")
        _handle = None
    for name in _HANDLERS:
        handlers = getattr(bpy.app.handlers, name)
        if _changed in handlers:
            handlers.remove(_changed)
    _regions.clear()
    _avatars.clear()
