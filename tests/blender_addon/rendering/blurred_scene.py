# SPDX-License-Identifier: GPL-3.0-or-later
"""A bar before a head that is blurred, by coverage, by depth, and as the mean of sharp pictures.

The sharp pictures are by depth, which is exact but at the edges of what occludes: there a pixel is
all of the one or all of the other. So they are larger, and their pixels are put together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from blender_addon.standalone import addon_module
from tests.blender_addon.rendering.compositor.composited_scene import glowing_cube
from tests.blender_addon.rendering.disc_engine import DiscEngine

WIDTH, HEIGHT = 96, 64
FINER = 4
"""Pixels of a sharp picture, along each side of one of the blurred picture."""
BLUE, WHITE = (0.05, 0.05, 0.8), (0.9, 0.9, 0.9)

Move = Callable[[float], None]
"""Makes the scene sharp, and moves it to a part in [0, 1] of what blurs it."""


def build(scene: Any) -> None:
    """A head before a bright wall; the disc of its avatar is as large as its sphere."""
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 64, False
    scene.cycles.use_adaptive_sampling = False
    scene.cycles.pixel_filter_type = "BOX"  # A pixel is the mean of what lies in it, in all sizes.
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    scene.view_settings.view_transform = "Standard"
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.camera.location, scene.camera.rotation_euler = (0, -4, 0), (np.pi / 2, 0, 0)
    scene.collection.objects.link(scene.camera)
    bpy.ops.mesh.primitive_uv_sphere_add(radius=0.5, segments=32, ring_count=16)
    head = bpy.context.object
    head.name = "Head"
    known = head.gaussianspeech_head
    known.id, known.source = "default", "default"
    known.vertex_count = len(head.data.vertices)
    head.gaussianspeech_avatar.source = "/nowhere/avatar.ply"
    glowing_cube("Wall", (0, 3, 0), WHITE).scale = (20, 0.1, 20)


def add_bar() -> Any:
    """A dark bar before the face."""
    cube = glowing_cube("Bar", (0.0, -1.5, 0), BLUE)
    cube.scale = (0.12, 0.12, 4)
    return cube


def moving_bar(scene: Any, bar: Any) -> Move:
    """Blur the bar by its motion, two thirds of the face while the shutter is open."""
    move_at_constant_speed(bar, -0.4, 0.4)
    _open_shutter(scene)

    def move(part: float) -> None:
        scene.render.use_motion_blur = False
        scene.frame_set(0 if part < 0.5 else 1, subframe=(part + 0.5) % 1)

    return move


def moving_head(scene: Any, bar: Any) -> Move:
    """Blur the head by its motion, 0.9 of its width, behind the resting bar."""
    head = bpy.data.objects["Head"]
    bar.location.x = -0.3
    move_at_constant_speed(head, -0.9, 0.9)
    _open_shutter(scene)

    def move(part: float) -> None:
        scene.render.use_motion_blur = False
        head.animation_data_clear()
        head.location.x = 0.9 * (part - 0.5)

    return move


def nothing_moves(_scene: Any, bar: Any) -> Move:
    """Leave everything sharp; the bar's edges are in the middle of pixels."""
    bar.location.x = -0.3
    return lambda _part: None


def bar_out_of_focus(scene: Any, _bar: Any, count: int) -> Move:
    """Blur the bar by the lens, f/0.15; its points are a sunflower's of so many."""
    camera = scene.camera
    dof = camera.data.dof
    dof.use_dof, dof.focus_distance, dof.aperture_fstop = True, 4.0, 0.15
    radius = camera.data.lens / 1000 / (2 * dof.aperture_fstop)

    def move(part: float) -> None:
        dof.use_dof = False
        index = part * count - 0.5
        away, angle = radius * math.sqrt(part), index * math.pi * (3 - math.sqrt(5))
        x, z = away * math.cos(angle), away * math.sin(angle)
        camera.location = (x, -4, z)
        # What is in the focal plane stays where it is.
        shift = camera.data.lens / camera.data.sensor_width / dof.focus_distance
        camera.data.shift_x, camera.data.shift_y = -x * shift, -z * shift

    return move


def compared(scene: Any, folder: Path, move: Move, steps: int) -> tuple[float, float]:
    """PSNR (dB) by coverage and by depth, against the mean of so many sharp pictures."""
    composite = scene.gaussianspeech_composite
    blurred = {}
    for composite.occlusion in ("COVERAGE", "DEPTH"):
        bpy.ops.gaussianspeech.set_up_composite()
        blurred[composite.occlusion] = rendered(scene, folder)
    truth = sharp_mean(scene, folder, steps, move)
    return psnr(blurred["COVERAGE"], truth), psnr(blurred["DEPTH"], truth)


def rendered(scene: Any, folder: Path) -> np.ndarray:
    """Scene-linear colours and alpha."""
    scene.render.filepath = str(folder / "picture.exr")
    settings = scene.render.image_settings
    settings.file_format, settings.color_depth, settings.color_mode = "OPEN_EXR", "32", "RGBA"
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath, check_existing=False)
    flat = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(flat)
    bpy.data.images.remove(image)
    return flat.reshape(scene.render.resolution_y, scene.render.resolution_x, 4)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Of the middle, where avatar, bar and wall meet."""
    rows = slice(HEIGHT // 4, 3 * HEIGHT // 4)
    return -10 * math.log10(float(np.mean((one - other)[rows, 20:76, :3] ** 2)))


def sharp_mean(scene: Any, folder: Path, steps: int, move: Move) -> np.ndarray:
    """The mean of sharp pictures, each by depth, and by more pixels than it has."""
    scene.gaussianspeech_composite.occlusion = "DEPTH"
    scene.cycles.samples, softness = 1, DiscEngine.softness
    scene.render.resolution_x, scene.render.resolution_y = FINER * WIDTH, FINER * HEIGHT
    DiscEngine.softness = FINER * softness
    total = np.zeros((HEIGHT, WIDTH, 4))
    try:
        for step in range(steps):
            move((step + 0.5) / steps)
            fine = rendered(scene, folder).reshape(HEIGHT, FINER, WIDTH, FINER, 4)
            total += fine.mean(axis=(1, 3))
    finally:
        DiscEngine.softness = softness
    return total / steps


def move_at_constant_speed(obj: Any, start: float, end: float) -> None:
    """Along x, from frame 0 to frame 2."""
    for frame, x in ((0, start), (2, end)):
        obj.location.x = x
        obj.keyframe_insert("location", frame=frame)
    for curve in addon_module("compat").fcurves_of(obj):
        for key in curve.keyframe_points:
            key.interpolation = "LINEAR"


def _open_shutter(scene: Any) -> None:
    scene.render.use_motion_blur, scene.render.motion_blur_shutter = True, 1.0
    scene.frame_set(1)
