# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatar in a 3D viewport: asked for in a thread, drawn when it is there, never waited for."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import blf
import bpy
import gpu
import numpy as np
from gpu_extras.presets import draw_texture_2d

from ...engine.core.errors import GaussianSpeechError, one_line
from ...engine.core.protocol import Message
from ..engine_link.client import EngineClient
from ..engine_link.future import EngineFuture
from ..engine_link.session import get_engine
from . import render_passes
from .camera import ViewCamera, region_view
from .images import render_image
from .instances import AvatarInstance, visible_avatars

_PREVIEW_SCALE = 0.5
"""Share of the pixels along each side while things move; the full size follows when they rest."""

_POLL_SECONDS = 1 / 60


_timers: set[Callable[[], float | None]] = set()
"""Timers of viewports that wait for a picture."""


def unregister() -> None:
    """Stop waiting for pictures; Blender must not call into an add-on that is gone."""
    while _timers:
        timer = _timers.pop()
        if bpy.app.timers.is_registered(timer):
            bpy.app.timers.unregister(timer)


@dataclass(frozen=True, eq=False)
class RenderRequest:
    """One picture to take: who, from where, and how finely."""

    instances: tuple[AvatarInstance, ...]
    camera: ViewCamera
    preview: bool


class Viewport:
    """The state of one viewport that shows avatars.

    At most one picture is under way. While it is, newer wishes replace each other: a viewport that
    cannot keep up drops frames, it does not fall behind.
    """

    def __init__(self, owner: bpy.types.RenderEngine) -> None:
        self._owner = owner
        self._timer = self._poll  # Blender knows a timer by its object, and methods are made anew.
        self._instances: tuple[AvatarInstance, ...] = ()
        self._engine: EngineClient | None = None
        self._changed = True
        self._seen: bytes = b""
        self._requested: RenderRequest | None = None
        self._worker: threading.Thread | None = None
        self._taken: tuple[RenderRequest, np.ndarray] | None = None
        self._texture: Any = None
        self._shown: RenderRequest | None = None
        self._problem = ""

    def update(self, depsgraph: bpy.types.Depsgraph) -> None:
        """Gather the instances anew; something of the scene has changed."""
        try:
            self._instances = tuple(visible_avatars(depsgraph))
        except GaussianSpeechError as error:
            self._instances, self._problem = (), one_line(error)
        self._changed = True

    def draw(self, context: bpy.types.Context, depsgraph: bpy.types.Depsgraph) -> None:
        """Draw the newest picture and wish for a better one where it is out of date."""
        self._upload_result()
        region, view = context.region, context.region_data
        camera = region_view(
            view.view_matrix,
            view.window_matrix,
            region.width,
            region.height,
            (context.space_data.clip_start, context.space_data.clip_end),
        )
        seen = camera.viewmat.tobytes() + camera.K.tobytes()
        self._changed, moved = False, self._changed or seen != self._seen
        self._seen = seen
        if moved:
            self._ask(
                context, RenderRequest(self._instances, camera.scaled(_PREVIEW_SCALE), preview=True)
            )
        elif self._shown is not None and self._shown.preview and self._idle:
            self._ask(context, RenderRequest(self._instances, camera, preview=False))
        if self._texture is not None and self._instances:
            _draw_over(self._owner, depsgraph.scene, self._texture, region)
        if self._problem:
            _draw_text(self._problem)
        elif self._texture is None and not self._idle:
            _draw_text("Waiting for the engine")

    @property
    def _idle(self) -> bool:
        return self._requested is None and self._worker is None

    def _ask(self, context: bpy.types.Context, wish: RenderRequest) -> None:
        if not wish.instances:
            return
        try:
            self._engine = get_engine(context)
        except GaussianSpeechError as error:
            self._problem = one_line(error)
        else:
            self._requested = wish
            self._start()

    def _start(self) -> None:
        if self._worker is not None or self._requested is None:
            return
        wish, self._requested = self._requested, None
        self._worker = threading.Thread(
            target=self._work, args=(self._engine, wish), name="avatar-viewport", daemon=True
        )
        self._worker.start()
        if not bpy.app.timers.is_registered(self._timer):
            bpy.app.timers.register(self._timer, first_interval=_POLL_SECONDS)
            _timers.add(self._timer)

    def _work(self, engine: EngineClient, wish: RenderRequest) -> None:
        try:
            picture = render_image(engine, wish.instances, wish.camera, _wait)
        except GaussianSpeechError as error:
            self._problem = one_line(error)
        except Exception as error:  # noqa: BLE001 - a thread's exception would go unseen
            self._problem = f"{type(error).__name__}: {error}"
        else:
            self._problem = ""
            self._taken = wish, render_passes.combined(picture.rgb, picture.alpha)

    def _poll(self) -> float | None:
        """Timer on the main thread, because only that may touch the interface."""
        if self._worker is not None and self._worker.is_alive():
            return _POLL_SECONDS
        self._worker = None
        # The viewport may have been closed meanwhile, and its engine freed.
        with contextlib.suppress(ReferenceError):
            self._owner.tag_redraw()
            self._start()
        if self._worker is not None:
            return _POLL_SECONDS
        _timers.discard(self._timer)
        return None

    def _upload_result(self) -> None:
        taken, self._taken = self._taken, None
        if taken is None:
            return
        self._shown, image = taken
        height, width = image.shape[:2]
        data = gpu.types.Buffer("FLOAT", image.size, np.ascontiguousarray(image).reshape(-1))
        self._texture = gpu.types.GPUTexture((width, height), format="RGBA16F", data=data)


def _wait(pending: EngineFuture) -> Message:
    return pending.result()


def _draw_over(owner: Any, scene: Any, texture: Any, region: Any) -> None:
    gpu.state.blend_set("ALPHA_PREMULT")
    owner.bind_display_space_shader(scene)
    draw_texture_2d(texture, (0, 0), region.width, region.height)
    owner.unbind_display_space_shader()
    gpu.state.blend_set("NONE")


def _draw_text(text: str) -> None:
    blf.position(0, 60, 40, 0)
    blf.size(0, 13)
    blf.color(0, 1, 0.55, 0.35, 1)
    blf.draw(0, text)
