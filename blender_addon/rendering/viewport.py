# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatars in a viewport of the project's own engine: on the GPU, else rendered in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import blf
import bpy
import gpu
import numpy as np
from gpu_extras.presets import draw_texture_2d

from ...engine.core.arrays import Float
from ...engine.core.errors import GaussianSpeechError, one_line
from ...engine.core.protocol import Message
from ..engine_link.client import EngineClient
from ..engine_link.future import EngineFuture, ThreadFuture
from ..engine_link.session import get_engine
from . import overlay, render_passes
from .camera import ViewCamera, region_view
from .images import render_preview
from .instances import AvatarInstance, visible_avatars
from .splats.renderer import SplatPicture

_PREVIEW_SCALE = 0.5
"""Share of the pixels along each side while things move; the full size follows when they rest."""

_POLL_SECONDS = 1 / 60

_timers: set[Callable[[], float | None]] = set()
"""Timers of viewports that wait for an image."""


def unregister() -> None:
    """Stop waiting for images; Blender must not call into an add-on that is gone."""
    while _timers:
        timer = _timers.pop()
        if bpy.app.timers.is_registered(timer):
            bpy.app.timers.unregister(timer)


@dataclass(frozen=True, eq=False)
class RenderRequest:
    """One image to render.

    Attributes:
        instances: who.
        camera: from where, and how large.
        preview: whether a finer image is to follow.
    """

    instances: tuple[AvatarInstance, ...]
    camera: ViewCamera
    preview: bool


class Viewport:
    """The state of one viewport that shows avatars; used on Blender's main thread alone.

    At most one image is being rendered. While it is, newer requests replace each other: a viewport
    that cannot keep up drops frames, it does not fall behind.
    """

    def __init__(self, owner: bpy.types.RenderEngine) -> None:
        self._owner = owner
        self._timer = self._poll  # Blender knows a timer by its object, and methods are made anew.
        self._instances: tuple[AvatarInstance, ...] = ()
        self._scene_error = ""
        self._changed = True
        self._seen: bytes = b""
        self._engine: EngineClient | None = None
        self._requested: RenderRequest | None = None
        self._rendering: _PreviewFuture | None = None
        self._progress = ""
        self._result: tuple[RenderRequest, Float] | None = None
        self._render_error = ""
        self._texture: Any = None
        self._shown: RenderRequest | None = None

    @property
    def error(self) -> str:
        """What is wrong with the scene as it is now, or with its last image; empty if nothing."""
        return self._scene_error or self._render_error

    def update(self, depsgraph: bpy.types.Depsgraph) -> None:
        """Gather the avatars anew; something of the scene has changed."""
        self._instances, self._scene_error = (), ""
        try:
            self._instances = tuple(visible_avatars(depsgraph))
        except GaussianSpeechError as error:
            self._scene_error = one_line(error)
        if not self._instances:
            self._requested, self._render_error = None, ""
        self._changed = True

    def draw(self, context: bpy.types.Context, depsgraph: bpy.types.Depsgraph) -> None:
        """Draw the avatars on the GPU; where that cannot be, the engine's newest image.

        That asks for a better one where it is out of date.
        """

        def show(picture: SplatPicture) -> None:
            _draw_over(self._owner, depsgraph.scene, picture.linear(), context.region)

        if overlay.draw(context, depsgraph, show, all_heads=True):
            return
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
            smaller = camera.scaled(_PREVIEW_SCALE)
            self._ask(context, RenderRequest(self._instances, smaller, preview=True))
        elif self._shown is not None and self._shown.preview and self._idle:
            self._ask(context, RenderRequest(self._instances, camera, preview=False))
        if self._texture is not None and self._instances:
            _draw_over(self._owner, depsgraph.scene, self._texture, region)
        if self.error:
            _draw_text(self.error)
        elif self._texture is None and self._progress:
            _draw_text(self._progress[:1].upper() + self._progress[1:])

    @property
    def _idle(self) -> bool:
        """Whether nothing is under way; after an error only a change is a reason to try again."""
        return self._requested is None and self._rendering is None and not self._render_error

    def _ask(self, context: bpy.types.Context, request: RenderRequest) -> None:
        if not request.instances:
            return
        try:
            self._engine = get_engine(context)
        except GaussianSpeechError as error:
            self._render_error = one_line(error)
        else:
            self._requested = request
            self._start()

    def _start(self) -> None:
        if self._rendering is not None or self._requested is None:
            return
        request, self._requested = self._requested, None
        assert self._engine is not None
        self._rendering = _PreviewFuture(self._engine, request)
        if not bpy.app.timers.is_registered(self._timer):
            bpy.app.timers.register(self._timer, first_interval=_POLL_SECONDS)
            _timers.add(self._timer)

    def _poll(self) -> float | None:
        """Timer on the main thread, because only that may touch the interface."""
        future = self._rendering
        if future is not None and not future.done:
            _, message = future.poll()
            if self._texture is None and message not in ("", self._progress):
                self._progress = message
                self._redraw()
            return _POLL_SECONDS
        self._rendering, self._progress = None, ""
        if future is not None:
            try:
                self._result = future.request, future.result(0)
                self._render_error = ""
            except GaussianSpeechError as error:
                self._render_error = one_line(error) if self._instances else ""
        if self._redraw():
            self._start()
        if self._rendering is not None:
            return _POLL_SECONDS
        _timers.discard(self._timer)
        return None

    def _redraw(self) -> bool:
        """Ask for a redraw; whether the viewport is still there: its render engine may be freed."""
        try:
            self._owner.tag_redraw()
        except ReferenceError:
            return False
        return True

    def _upload_result(self) -> None:
        """Make a texture of the newest image; where Blender draws, there is a GPU context."""
        if self._result is None:
            return
        self._shown, image = self._result
        self._result = None
        height, width = image.shape[:2]
        data = gpu.types.Buffer("FLOAT", image.size, np.ascontiguousarray(image).reshape(-1))
        self._texture = gpu.types.GPUTexture((width, height), format="RGBA16F", data=data)


class _PreviewFuture(ThreadFuture):
    """The image of a request, scene-linear; its progress is the engine's."""

    def __init__(self, engine: EngineClient, request: RenderRequest) -> None:
        self.request = request
        self._engine = engine
        self._reply: EngineFuture | None = None
        super().__init__(self._render, "Rendering the avatars")

    def poll(self) -> tuple[float, str]:
        """Fraction in [0, 1] and message of the last progress."""
        return super().poll() if self._reply is None else self._reply.poll()

    def _render(self, _cancelled: threading.Event) -> Float:
        request = self.request
        rgba = render_preview(self._engine, request.instances, request.camera, self._wait)
        return render_passes.combined_from_display(rgba)

    def _wait(self, future: EngineFuture) -> Message:
        self._reply = future
        return future.result()


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
