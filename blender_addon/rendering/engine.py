# SPDX-License-Identifier: GPL-3.0-or-later
"""The render engine: avatars in F12, in animations and in the viewport."""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

import bpy
import numpy as np
from numpy.typing import NDArray

from ...engine.core.errors import BadInputError, CancelledError, GaussianSpeechError, one_line
from ...engine.core.protocol import Message
from .. import compat
from ..engine_link.future import EngineFuture
from ..engine_link.session import get_engine
from . import main_loop, render_errors, render_passes
from .camera import ViewCamera, ViewLens, camera_view, lens_at, render_region
from .foreground.frames import DrawnAvatars, use_foreground
from .images import RenderedImage, mean_image, render_image
from .instances import AvatarInstance, visible_avatars
from .properties import is_avatar_scene
from .render_passes import FOREGROUND_USED
from .shutter import lens_samples, shutter_of, times_needed, world_vertices
from .viewport import Viewport

_POLL_SECONDS = 0.02
"""Seconds between two polls of a request: short against any render."""

_CANCEL_SECONDS = 5.0
"""How long a cancelled request may take to end before the render is left without it."""

_MISSING = np.array([1, 0, 1], np.float32)
"""Blender's colour for what is missing."""


class _Seen(NamedTuple):
    """What is rendered at one time.

    Attributes:
        instances: the avatars.
        camera: the camera.
        lens: its depth of field, if any.
        points: (V, 3) vertices of each avatar, world space.
    """

    instances: list[AvatarInstance]
    camera: ViewCamera
    lens: ViewLens | None
    points: list[NDArray[np.float32]]


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
        if is_avatar_scene(scene):
            self.register_pass(scene, renderlayer, FOREGROUND_USED, 1, "X", "VALUE")

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
        finally:
            if is_avatar_scene(depsgraph.scene.original):
                main_loop.hold()

    def _fail(self, depsgraph: bpy.types.Depsgraph, error: GaussianSpeechError) -> None:
        self.report({"ERROR"}, one_line(error))
        render_errors.show(error)
        if is_avatar_scene(depsgraph.scene.original):
            # Blender does not hand an error on from a scene rendered for another's compositor:
            # the frame must not pass for a finished one.
            self._write_plain(depsgraph, _MISSING, alpha=1.0)

    def _render(self, depsgraph: bpy.types.Depsgraph) -> None:
        scene = depsgraph.scene
        if scene.camera is None:
            raise BadInputError(
                f"The scene '{scene.name}' has no camera.", "Add one and make it the active camera."
            )
        if not visible_avatars(depsgraph):
            if is_avatar_scene(scene.original):
                self._write_plain(depsgraph, np.zeros(3, np.float32), alpha=0.0)
                return
            raise BadInputError(
                f"No head with an avatar is visible in the view layer "
                f"'{depsgraph.view_layer.name}' of '{scene.name}'.",
                "Bind an avatar to a head, or unhide the head from renders.",
            )
        self.update_stats("GaussianSpeech", "Waiting for the engine")
        started = time.monotonic()
        background = None if scene.render.film_transparent else world_color(scene.world)
        pictures, drawn = [], []
        for view in views_of(scene.render):
            if view:
                self.active_view_set(view)
            image, seen = self._exposed(depsgraph, view)
            pictures.append((view, image))
            drawn.append(drawn_avatars(seen, image.alpha))
        used = use_foreground(scene.original, drawn)
        for (view, image), mask in zip(pictures, used, strict=True):
            self._write(depsgraph.view_layer.name, view, image, background, mask)
        self.update_stats(
            f"{image.gaussians:,} Gaussians",
            f"Engine {image.seconds:.2f} s of {time.monotonic() - started:.2f} s",
        )

    def _write_plain(
        self, depsgraph: bpy.types.Depsgraph, color: NDArray[np.float32], alpha: float
    ) -> None:
        """One colour instead of avatars, before everything of the main scene."""
        crop = render_region(depsgraph.scene.render)
        shape = (crop.height, crop.width)
        rgb, depth = np.broadcast_to(color, (*shape, 3)), np.zeros(shape, np.float32)
        plain = RenderedImage(rgb, np.full(shape, alpha, np.float32), depth, 0.0, 0)
        views = views_of(depsgraph.scene.render)
        use_foreground(depsgraph.scene.original, [None] * len(views))
        for view in views:
            self._write(depsgraph.view_layer.name, view, plain, None, None)

    def _exposed(
        self, depsgraph: bpy.types.Depsgraph, view: str
    ) -> tuple[RenderedImage, list[_Seen]]:
        """The picture of a frame, with motion blur and depth of field where they are asked for.

        And what is seen at each of its times.

        Args:
            depsgraph: of the render.
            view: of a stereo pair or of more cameras, the active one; empty where there is one.
        """
        scene, engine = depsgraph.scene, get_engine(bpy.context)
        frame, subframe, shutter = (
            scene.frame_current,
            scene.frame_subframe,
            shutter_of(scene.render),
        )
        times = [0.0]
        try:
            if shutter is not None:
                opened, closed = (
                    self._seen_at(depsgraph, view, frame + subframe + offset) for offset in shutter
                )
                count = times_needed(opened.points, closed.points, (opened.camera, closed.camera))
                if count > 1:
                    steps = (np.arange(count) + 0.5) / count
                    times = (shutter[0] + steps * (shutter[1] - shutter[0])).tolist()
            images, every = [], []
            for index, offset in enumerate(times):
                # Back from the shutter's end also where one time is enough: there an avatar may be
                # gone that is to be seen at the frame.
                seen = self._seen_at(
                    depsgraph, view, frame + subframe + offset, move=shutter is not None
                )
                every.append(seen)
                samples = lens_samples(seen.lens, seen.camera, seen.points)
                lens = None
                if samples:
                    assert seen.lens is not None
                    lens = {
                        "radius": seen.lens.radius, "focus": seen.lens.focus,
                        "samples": max(samples, len(times)), "first": index, "step": len(times),
                    }  # fmt: skip
                images.append(render_image(engine, seen.instances, seen.camera, self._wait, lens))
        finally:
            if shutter is not None:
                self.frame_set(frame, subframe)
        return mean_image(images), every

    def _seen_at(
        self, depsgraph: bpy.types.Depsgraph, view: str, time: float, *, move: bool = True
    ) -> _Seen:
        """What the camera sees at a time, in frames.

        Args:
            depsgraph: of the render.
            view: the active one; empty where there is one.
            time: in frames.
            move: whether to go there first.
        """
        if move:
            whole = math.floor(time)
            self.frame_set(whole, time - whole)
        scene = depsgraph.scene
        # Of the active view; a pair has one camera.
        camera = ((self.camera_override if view else None) or scene.camera).evaluated_get(depsgraph)
        instances = visible_avatars(depsgraph)
        matrix, shift_x = camera.matrix_world, None
        if view:
            matrix, shift_x = self.camera_model_matrix(camera), self.camera_shift_x(camera)
        return _Seen(
            instances,
            camera_view(matrix, camera.data, scene.render, shift_x),
            lens_at(camera, depsgraph),
            [world_vertices(instance) for instance in instances],
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
        self,
        layer: str,
        view: str,
        image: RenderedImage,
        background: NDArray[np.float32] | None,
        used: NDArray[np.bool_] | None,
    ) -> None:
        height, width = image.alpha.shape
        result = self.begin_result(0, 0, width, height, layer=layer, view=view)
        passes = result.layers[0].passes
        combined = render_passes.combined(image.rgb, image.alpha, background)
        passes["Combined"].rect.foreach_set(combined.reshape(-1))
        # The layer has a depth only where its pass is switched on.
        if "Depth" in passes:
            depth = render_passes.planar_depth(image.depth, image.alpha)
            passes["Depth"].rect.foreach_set(depth.reshape(-1))
        if FOREGROUND_USED in passes:
            mask = np.zeros((height, width), np.float32) if used is None else used[::-1]
            passes[FOREGROUND_USED].rect.foreach_set(mask.astype(np.float32).reshape(-1))
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


def views_of(render: bpy.types.RenderSettings) -> list[str]:
    """The views of a stereo pair or of more cameras that are rendered; one without a name else."""
    if not render.use_multiview:
        return [""]
    pair = render.views_format == "STEREO_3D"
    return [view.name for view in (render.stereo_views if pair else render.views) if view.use]


def drawn_avatars(seen: list[_Seen], alpha: NDArray[np.float32]) -> DrawnAvatars | None:
    """Where the avatars of a frame are, at all times of it; ``None`` where there are none."""
    depths = [
        points @ one.camera.viewmat[2, :3] + one.camera.viewmat[2, 3]
        for one in seen
        for points in one.points
    ]
    if not depths:
        return None
    ends = float(min(depth.min() for depth in depths)), float(max(depth.max() for depth in depths))
    return DrawnAvatars(seen[0].camera, seen[0].lens, alpha > 0, ends)


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
