# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars over any viewport: Solid, Material Preview, EEVEE and Cycles, without the engine.

A draw handler behind each viewport's own picture. What occludes an avatar hides it as far as
the viewport keeps depth; see docs/rendering.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import bpy

from ...engine.core.errors import GaussianSpeechError, one_line
from .camera import region_view
from .splats.renderer import SplatPicture, Subject
from .splats.scene import SceneAvatars

_MOVING_SECONDS = 1.0
"""Two changes of a viewport within this time are a movement."""
_STILL_SECONDS = 0.25
"""How long a viewport rests before it is drawn in full."""
_SLOW, _FAST = 1 / 20, 1 / 45
"""Seconds of a frame above which fewer Gaussians are drawn, and under which more are again."""
_LEAST_SHARE = 0.25
_BEFORE_MESH = 0.02

_handle: Any = None
_avatars = SceneAvatars()
_regions: dict[int, _Region] = {}
_failure = ""
_unusable = ""
"""What this GPU's driver refused. It is not asked again at each redraw: compiling takes seconds."""


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


def draw(
    context: bpy.types.Context,
    depsgraph: bpy.types.Depsgraph,
    show: Callable[[SplatPicture], None],
    *,
    all_heads: bool,
) -> bool:
    """Draw the avatars of the viewport that is being drawn.

    Args:
        context: of the drawing.
        depsgraph: the viewport's.
        show: puts the picture into the viewport.
        all_heads: all, also those that are shown in renders alone, or none.

    Returns:
        Whether those were drawn that can be seen; :func:`failure` says why not.
    """
    global _failure, _unusable  # noqa: PLW0603 - the one state that the panel reads
    if _unusable:
        return False
    try:
        subjects, _failure = _avatars.subjects(depsgraph, context.space_data, all_heads=all_heads)
        if _failure and all_heads:
            return False
        if subjects:
            show(_picture(context, subjects))
    except GaussianSpeechError as error:
        _failure = one_line(error)
    # A driver's refusal of a shader is a plain exception; drawing must not raise at each redraw.
    except Exception as error:  # noqa: BLE001
        _unusable = _failure = f"This GPU cannot draw avatars: {str(error)[:200]}"
    return not _failure


def _picture(context: bpy.types.Context, subjects: list[Subject]) -> SplatPicture:
    """The picture of a viewport, drawn anew where something has changed."""
    known, seen = _region(context.region), context.region_data
    view = region_view(
        seen.view_matrix,
        seen.window_matrix,
        context.region.width,
        context.region.height,
        (context.space_data.clip_start, context.space_data.clip_end),
    )
    key = (
        tuple(subject.number for subject in subjects),
        view.viewmat.tobytes(), view.K.tobytes(), view.width, view.height,
    )  # fmt: skip
    now = time.perf_counter()
    moved, since = key != known.key, now - known.drawn_at
    if moved or not known.full:
        moving = moved and since < _MOVING_SECONDS
        if moving:
            known.share = _next_share(known.share, since)
        share = known.share if moving else 1.0
        known.picture.draw(subjects, view, share)
        known.key, known.full = key, share == 1.0
        if moved:
            known.drawn_at = now
        if not known.full:
            _redraw_later(context.region)
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


def _redraw_later(region: bpy.types.Region) -> None:
    """Draw a viewport once more when it rests."""
    pointer = region.as_pointer()

    def redraw() -> None:
        for window in bpy.context.window_manager.windows:
            for other in window.screen.areas:
                if any(found.as_pointer() == pointer for found in other.regions):
                    other.tag_redraw()

    bpy.app.timers.register(redraw, first_interval=_STILL_SECONDS + 0.05)


def before_mesh(space: Any, scene: Any) -> float:
    """Metres that avatars come forward, where a viewport draws their meshes in spite of *Bounds*.

    EEVEE does so in its rendered viewport. The mesh lies within the avatar, but some Gaussians lie
    behind its surface.
    """
    renders_mesh = space.shading.type == "RENDERED" and scene.render.engine != "CYCLES"
    return _BEFORE_MESH if renders_mesh else 0.0


def _draw() -> None:
    context = bpy.context
    space = context.space_data
    if context.scene.render.engine == "GAUSSIANSPEECH" and space.shading.type == "RENDERED":
        return  # The render engine draws them itself.
    matrix = context.region_data.window_matrix
    draw(
        context,
        context.evaluated_depsgraph_get(),
        lambda picture: picture.lay_over(
            matrix, linear_target=True, nearer=before_mesh(space, context.scene)
        ),
        all_heads=False,
    )


@bpy.app.handlers.persistent
def _on_change(*_args: Any) -> None:
    _avatars.changed()


@bpy.app.handlers.persistent
def _on_load(*_args: Any) -> None:
    # After undo, too, other datablocks may lie at the same addresses.
    _avatars.clear()


@bpy.app.handlers.persistent
def _on_new_file(*_args: Any) -> None:
    global _unusable, _failure  # noqa: PLW0603
    _unusable = _failure = ""
    _on_load()


_HANDLERS: dict[str, Callable[..., None]] = {
    "depsgraph_update_post": _on_change,
    "frame_change_post": _on_change,
    "undo_post": _on_load,
    "redo_post": _on_load,
    "load_post": _on_new_file,
}


def register() -> None:
    """Draw in all viewports from now on."""
    global _handle  # noqa: PLW0603 - Blender's handle of the one handler
    if bpy.app.background:
        return
    _handle = bpy.types.SpaceView3D.draw_handler_add(_draw, (), "WINDOW", "POST_VIEW")
    for name, handler in _HANDLERS.items():
        getattr(bpy.app.handlers, name).append(handler)


def unregister() -> None:
    """Draw no more, and free the textures."""
    global _handle  # noqa: PLW0603
    if _handle is not None:
        bpy.types.SpaceView3D.draw_handler_remove(_handle, "WINDOW")
        _handle = None
        for name, handler in _HANDLERS.items():
            getattr(bpy.app.handlers, name).remove(handler)
    _regions.clear()
    _avatars.clear()
