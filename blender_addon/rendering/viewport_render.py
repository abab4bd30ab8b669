# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a viewport with its avatars: Blender's *Viewport Render* calls no draw handlers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import gpu
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from ...engine.core.errors import BadInputError, GaussianSpeechError
from ..status import report, report_error
from .camera import film_size, region_view
from .overlay import before_mesh
from .splats.renderer import SplatPicture
from .splats.scene import SceneAvatars

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "TARGA", "WEBP")
"""File formats of eight bits a channel, as a viewport shows them."""

_INTERVAL = 0.01


class ViewportRender:
    """Draws a viewport with its avatars at the render's size.

    Args:
        context: of a 3D viewport, in a window.

    Raises:
        BadInputError: no 3D viewport, or a file format that cannot be written.
    """

    def __init__(self, context: bpy.types.Context) -> None:
        if context.space_data is None or context.space_data.type != "VIEW_3D":
            raise BadInputError("This is no 3D viewport.", "Start it from a 3D viewport.")
        self._scene, self._layer = context.scene, context.view_layer
        self._space, self._region = context.space_data, context.region
        self._seen = context.region_data
        self._form = self._scene.render.image_settings.file_format
        if self._form not in FORMATS:
            raise BadInputError(
                f"A viewport cannot be written as {self._form}.",
                f"Choose {', '.join(FORMATS[:-1])} or {FORMATS[-1]} as the output's file format.",
            )
        self._size = film_size(self._scene.render)
        self._avatars, self._picture = SceneAvatars(), SplatPicture()
        try:
            self._offscreen = gpu.types.GPUOffScreen(*self._size)
        except Exception as error:
            raise BadInputError(
                f"This GPU draws no picture of {self._size[0]}×{self._size[1]} pixels: {error}",
                "Lower the resolution.",
            ) from error

    def write(self, context: bpy.types.Context, path: str) -> None:
        """Draw the current frame into a file.

        Raises:
            BadInputError: an avatar cannot be drawn.
            GaussianSpeechError: the file cannot be written.
        """
        pixels = self._draw(context)
        image = bpy.data.images.new("Viewport Render", *self._size, alpha=True)
        try:
            image.pixels.foreach_set(pixels.reshape(-1))
            image.file_format = self._form
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            image.save(filepath=path)
        except (RuntimeError, OSError) as error:
            raise GaussianSpeechError(
                f"{path} cannot be written: {error}", "Choose another folder for the output."
            ) from error
        finally:
            bpy.data.images.remove(image)

    def free(self) -> None:
        """Free what the GPU holds."""
        self._offscreen.free()
        self._avatars.clear()

    def _draw(self, context: bpy.types.Context) -> NDArray[np.float32]:
        """(H, W, 4) display values, the bottom row first."""
        depsgraph = context.evaluated_depsgraph_get()
        view, projection = self._matrices(depsgraph)
        with self._offscreen.bind():
            self._offscreen.draw_view3d(
                self._scene, self._layer, self._space, self._region, view, projection,
                do_color_management=True,
            )  # fmt: skip
        alone = self._scene.render.engine == "GAUSSIANSPEECH"
        self._avatars.changed()
        subjects, missing = self._avatars.subjects(
            depsgraph,
            self._space,
            all_heads=alone and self._space.shading.type == "RENDERED",
        )
        if missing:
            raise BadInputError(missing)
        if subjects:
            clip = self._space.clip_start, self._space.clip_end
            self._picture.draw(subjects, region_view(view, projection, *self._size, clip))
        with self._offscreen.bind():
            if subjects:
                nearer = before_mesh(self._space, self._scene)
                self._picture.lay_over(projection, linear_target=False, nearer=nearer)
            frame = gpu.state.active_framebuffer_get()
            pixels = frame.read_color(0, 0, *self._size, 4, 0, "FLOAT")
        width, height = self._size
        pixels.dimensions = width * height * 4
        return np.array(pixels, np.float32).reshape(height, width, 4)

    def _matrices(self, depsgraph: bpy.types.Depsgraph) -> tuple[Matrix, Matrix]:
        """World to view, and the projection, for a picture of the render's shape."""
        width, height = self._size
        render, camera = self._scene.render, self._scene.camera
        if self._seen.view_perspective == "CAMERA" and camera is not None:
            evaluated = camera.evaluated_get(depsgraph)
            projection = evaluated.calc_matrix_camera(
                depsgraph,
                x=width,
                y=height,
                scale_x=render.pixel_aspect_x,
                scale_y=render.pixel_aspect_y,
            )
            return evaluated.matrix_world.normalized().inverted(), projection
        # The longer side shows what the viewport's longer side shows.
        longest = max(self._region.width, self._region.height) / max(width, height)
        projection = self._seen.window_matrix.copy()
        for row, (shown, wanted) in enumerate(
            ((self._region.width, width), (self._region.height, height))
        ):
            projection[row] *= shown / (wanted * longest)
        return self._seen.view_matrix.copy(), projection


class GAUSSIANSPEECH_OT_viewport_render(bpy.types.Operator):
    """Write what this viewport shows, avatars included, to the scene's output path."""

    bl_idname = "gaussianspeech.viewport_render"
    bl_label = "Render Viewport with Avatars"
    bl_description = (
        "Write this viewport, avatars included, to the scene's output path: Blender's own "
        "viewport render has no avatars in it. Esc ends it"
    )
    bl_options = {"REGISTER"}

    animation: bpy.props.BoolProperty(
        name="Animation", description="All frames of the scene instead of the current one"
    )

    _render: ViewportRender | None = None
    _timer: Any = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """There is a window."""
        cls.poll_message_set("Needs a 3D viewport in a window")
        return not bpy.app.background and context.area is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Write all frames before anything else happens: for scripts."""
        if not self._begin(context):
            return {"CANCELLED"}
        while self._frames:
            if not self._step(context):
                return {"CANCELLED"}
        return self._end(context)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Write a frame at each tick of a timer."""
        if not self._begin(context):
            return {"CANCELLED"}
        self._timer = context.window_manager.event_timer_add(_INTERVAL, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """The next frame, or the end."""
        if event.type == "ESC":
            self._leave(context)
            report(self, context, f"Cancelled after {self._written} frames")
            return {"CANCELLED"}
        if event.type != "TIMER":
            return {"RUNNING_MODAL"}
        if not self._frames:
            return self._end(context)
        return {"RUNNING_MODAL"} if self._step(context) else {"CANCELLED"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends the operator: a new file is loaded, or Blender quits."""
        self._leave(context)

    def _begin(self, context: bpy.types.Context) -> bool:
        scene = context.scene
        self._before = scene.frame_current, scene.frame_subframe
        self._written, self._path = 0, ""
        self._frames = [scene.frame_current]
        if self.animation:
            self._frames = list(range(scene.frame_start, scene.frame_end + 1, scene.frame_step))
        try:
            self._render = ViewportRender(context)
        except GaussianSpeechError as error:
            report_error(self, context, error)
            return False
        return True

    def _step(self, context: bpy.types.Context) -> bool:
        assert self._render is not None
        scene, frame = context.scene, self._frames.pop(0)
        path = bpy.path.ensure_ext(scene.render.filepath, scene.render.file_extension)
        if self.animation:
            scene.frame_set(frame)
            path = scene.render.frame_path(frame=frame)
        self._path = bpy.path.abspath(path)
        try:
            self._render.write(context, self._path)
        except GaussianSpeechError as error:
            self._leave(context)
            report_error(self, context, error)
            return False
        self._written += 1
        text = f"Rendering the viewport: frame {frame}, {len(self._frames)} to go.  Esc cancels"
        context.workspace.status_text_set(text)
        return True

    def _end(self, context: bpy.types.Context) -> set[str]:
        self._leave(context)
        frames = f"{self._written} frames" if self.animation else "the viewport"
        report(self, context, f"Wrote {frames}, the last to {self._path}")
        return {"FINISHED"}

    def _leave(self, context: bpy.types.Context) -> None:
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        if self._render is not None:
            self._render.free()
            self._render = None
        context.workspace.status_text_set(None)
        if self.animation:
            context.scene.frame_set(self._before[0], subframe=self._before[1])


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_OT_viewport_render,)
