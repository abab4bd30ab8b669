# SPDX-License-Identifier: GPL-3.0-or-later
"""The render engine: avatars in F12, in animations and in the viewport."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...engine.core.errors import BadInputError, CancelledError, GaussianSpeechError, one_line
from ...engine.core.protocol import Message
from .. import compat
from ..engine_link.future import EngineFuture
from ..engine_link.session import get_engine
from ..status import set_error
from . import render_passes
from .camera import camera_view, render_region
from .images import RenderedImage, render_image
from .instances import visible_avatars
from .properties import is_avatar_scene
from .viewport import Viewport

_POLL_SECONDS = 0.02
"""Seconds between two polls of a request: short against any render."""

_CANCEL_SECONDS = 5.0
"""How long a cancelled request may take to end before the render is left without it."""

_MISSING = np.array([1, 0, 1], np.float32)
"""Blender's colour for what is missing."""


class GaussianSpeechRenderEngine(bpy.types.RenderEngine):
    """Draws the Gaussian avatars of a scene's heads; other objects are left to other engines."""

    bl_idname = "GAUSSIANSPEECH"
    bl_label = "GaussianSpeech"
    bl_use_preview = False
    bl_use_postprocess = True
    bl_use_eevee_viewport = True

    _viewport: Viewport | None = None

    def update_render_passes(self, scene: Any = None, renderlayer: Any = None) -> None:
        """Offer Combined and Depth to the compositor and to files."""
        self.register_pass(scene, renderlayer, "Combined", 4, "RGBA", "COLOR")
        self.register_pass(scene, renderlayer, "Depth", 1, "Z", "VALUE")

    def render(self, depsgraph: bpy.types.Depsgraph) -> None:
        """Render one frame of one view layer."""
        # An exception that leaves this method is only printed; a report makes the render fail.
        try:
            self._render(depsgraph)
        except CancelledError:
            return
        except GaussianSpeechError as error:
            self._fail(depsgraph, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the user must see it
            message = f"The render failed: {type(error).__name__}: {error}"
            self._fail(depsgraph, GaussianSpeechError(message))

    def _fail(self, depsgraph: bpy.types.Depsgraph, error: GaussianSpeechError) -> None:
        self.report({"ERROR"}, one_line(error))
        if bpy.app.background:
            # Where a script can see it: a composite's render itself says that it has finished.
            show_in_status(error)
        else:
            # The status line belongs to the interface's thread; this is the render's.
            bpy.app.timers.register(partial(show_in_status, error), first_interval=0.0)
        if is_avatar_scene(depsgraph.scene.original):
            # Blender does not hand an error on from a scene rendered for another's compositor:
            # the frame must not pass for a finished one.
            crop = render_region(depsgraph.scene.render)
            shape = (crop.height, crop.width)
            rgb = np.broadcast_to(_MISSING, (*shape, 3))
            missing = RenderedImage(
                rgb, np.ones(shape, np.float32), np.zeros(shape, np.float32), 0.0, 0
            )
            self._write(depsgraph.view_layer.name, missing, None)

    def _render(self, depsgraph: bpy.types.Depsgraph) -> None:
        scene = depsgraph.scene
        if scene.camera is None:
            raise BadInputError(
                f"The scene '{scene.name}' has no camera.", "Add one and make it the active camera."
            )
        camera_object = scene.camera.evaluated_get(depsgraph)
        camera = camera_view(camera_object.matrix_world, camera_object.data, scene.render)
        instances = visible_avatars(depsgraph)
        if not instances:
            raise BadInputError(
                f"No head with an avatar is visible in the view layer "
                f"'{depsgraph.view_layer.name}' of '{scene.name}'.",
                "Bind an avatar to a head, or unhide the head from renders.",
            )
        self.update_stats("GaussianSpeech", "Waiting for the engine")
        started = time.monotonic()
        image = render_image(get_engine(bpy.context), instances, camera, self._wait)
        background = None if scene.render.film_transparent else world_color(scene.world)
        self._write(depsgraph.view_layer.name, image, background)
        self.update_stats(
            f"{image.gaussians:,} Gaussians",
            f"Engine {image.seconds:.2f} s of {time.monotonic() - started:.2f} s",
        )

    def _wait(self, future: EngineFuture) -> Message:
        while not future.done:
            if self.test_break():
                future.cancel()
                future.wait(_CANCEL_SECONDS)
                raise CancelledError
            fraction, message = future.poll()
            self.update_progress(fraction)
            if message:
                self.update_stats("GaussianSpeech", message)
            future.wait(_POLL_SECONDS)
        return future.result()

    def _write(
        self, layer: str, image: RenderedImage, background: NDArray[np.float32] | None
    ) -> None:
        height, width = image.alpha.shape
        result = self.begin_result(0, 0, width, height, layer=layer)
        passes = result.layers[0].passes
        combined = render_passes.combined(image.rgb, image.alpha, background)
        passes["Combined"].rect.foreach_set(combined.reshape(-1))
        # The layer has a depth only where its pass is switched on.
        if "Depth" in passes:
            depth = render_passes.planar_depth(image.depth, image.alpha)
            passes["Depth"].rect.foreach_set(depth.reshape(-1))
        self.end_result(result)

    def view_update(self, context: bpy.types.Context, depsgraph: bpy.types.Depsgraph) -> None:
        """Gather what the viewport shows now."""
        self._view().update(depsgraph)

    def view_draw(self, context: bpy.types.Context, depsgraph: bpy.types.Depsgraph) -> None:
        """Draw the newest image and ask for the next."""
        self._view().draw(context, depsgraph)

    def _view(self) -> Viewport:
        if self._viewport is None:
            self._viewport = Viewport(self)
        return self._viewport


def show_in_status(error: GaussianSpeechError) -> None:
    """Put an error on the panel's status line; runs once, as a timer."""
    set_error(bpy.context, error)


def world_color(world: bpy.types.World | None) -> NDArray[np.float32]:
    """(3,) scene-linear colour of the world's background; black without a world."""
    if world is None:
        return np.zeros(3, np.float32)
    nodes = world.node_tree.nodes if compat.uses_nodes(world) else ()
    for node in nodes:
        if node.type == "BACKGROUND":
            color = np.array(node.inputs["Color"].default_value[:3], np.float32)
            return color * np.float32(node.inputs["Strength"].default_value)
    return np.array(world.color[:3], np.float32)
