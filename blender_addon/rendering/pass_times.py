# SPDX-License-Identifier: GPL-3.0-or-later
"""What each scene of a composite takes of a frame's time, for the artist who pays for it.

Blender changes the frame of every scene that it renders for a compositor as it comes to it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import bpy
from bpy.app.handlers import persistent

from .properties import composite_of


@dataclass
class FrameTimes:
    """Seconds of the last frame of a main scene.

    Attributes:
        whole: of all its scenes.
        scenes: of each scene, by name.
    """

    whole: float = 0.0
    scenes: dict[str, float] = field(default_factory=dict)


_known: dict[str, FrameTimes] = {}
"""By name of the main scene."""
_began: float | None = None
_under_way: tuple[str, float] | None = None
_current = FrameTimes()


def times_of(scene: bpy.types.Scene) -> FrameTimes | None:
    """The times of a main scene's last frame in this session."""
    return _known.get(scene.name)


def cost(scene: bpy.types.Scene, other: bpy.types.Scene | None) -> str:
    """What a scene of a composite took of the last frame; empty where that is not known."""
    times = times_of(scene)
    if times is None or other is None:
        return ""
    return f"{times.scenes.get(other.name, 0.0):.1f} of the last frame's {times.whole:.1f} s"


@persistent
def _on_begin(_scene: bpy.types.Scene, *_args: object) -> None:
    global _began, _current, _under_way
    _began, _current, _under_way = time.monotonic(), FrameTimes(), None


@persistent
def _on_scene(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph, *_args: object) -> None:
    global _under_way  # noqa: PLW0603
    if _began is not None and depsgraph is not None and depsgraph.mode == "RENDER":
        _close()
        _under_way = scene.name, time.monotonic()


@persistent
def _on_end(scene: bpy.types.Scene, *_args: object) -> None:
    global _began
    if _began is None:
        return
    _close()
    _current.whole, _began = time.monotonic() - _began, None
    _known[scene.name] = _current
    composite = composite_of(scene)
    parts = [
        f"{what} {cost(scene, other)}"
        for what, other in (
            ("scene light", composite.light_scene),
            ("occlusion", composite.foreground_scene),
        )
        if other is not None
    ]
    if parts:
        print(f"GaussianSpeech: {'; '.join(parts)}", flush=True)


@persistent
def _on_cancel(*_args: object) -> None:
    global _began  # noqa: PLW0603
    _began = None


def _close() -> None:
    global _under_way  # noqa: PLW0603
    if _under_way is not None:
        name, since = _under_way
        _current.scenes[name] = _current.scenes.get(name, 0.0) + time.monotonic() - since
        _under_way = None


_HANDLERS = {
    "render_pre": _on_begin,
    "frame_change_post": _on_scene,
    "render_post": _on_end,
    "render_cancel": _on_cancel,
}


def register() -> None:
    """Measure from now on."""
    for name, handler in _HANDLERS.items():
        getattr(bpy.app.handlers, name).append(handler)


def unregister() -> None:
    """Measure no more."""
    for name, handler in _HANDLERS.items():
        getattr(bpy.app.handlers, name).remove(handler)
    _known.clear()
