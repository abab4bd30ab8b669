# SPDX-License-Identifier: GPL-3.0-or-later
"""The viewport's part on Blender's main thread, and F12 beside the engine's own part of it."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import bpy
import numpy as np

from blender_addon.bench.turns import Figure, in_turn
from blender_addon.standalone import addon_module
from engine.heads.axes import head_to_blender

_SIZES = ((550, 802), (1100, 1604), (1920, 1080))
_ASSETS = Path(__file__).parents[2] / "engine" / "assets"


def measure_viewport(*, quick: bool) -> list[Figure]:
    """Depths and order of the default avatar's splats, the part that is not the GPU's."""
    arrays = addon_module("rendering.splats.arrays")
    sorting = addon_module("rendering.splats.sorting")
    avatar, (vertices, faces) = arrays.load_arrays("default"), head_mesh()
    sorter = sorting.DepthSorter(faces, avatar.binding, avatar.positions)
    axes = [turned(index) for index in range(16)]
    depths, seen = sorter.depths(vertices, axes[0]), iter(range(1_000_000))
    ours, theirs = in_turn(
        [
            lambda: sorting.back_to_front(sorter.depths(vertices, axes[next(seen) % 16])),
            lambda: np.argsort(depths, kind="stable"),
        ],
        5 if quick else 30,
    )
    what = f"depths and order of {avatar.count:,} splats for a redraw"
    reference = "numpy's stable sort of as many float32"
    return [("viewport.order", what, ours, "ms", reference, theirs)]


def measure_f12(*, quick: bool) -> list[Figure]:
    """Wall time of ``render.render`` beside the seconds that the engine took of it."""
    own: list[float] = []
    engine = addon_module("rendering.engine")
    render_image = engine.render_image

    def watched(*given: object) -> object:
        picture = render_image(*given)
        own.append(picture.seconds)
        return picture

    engine.render_image = watched
    try:
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        bpy.ops.gaussianspeech.add_head()
        bpy.ops.gaussianspeech.bind_avatar()
        addon_module("demo_scene").set_up(bpy.context.scene, bpy.context.object)
        bpy.ops.gaussianspeech.render_avatars()
        figures = [_f12(size, own, 2 if quick else 7) for size in _SIZES[: 1 if quick else 3]]
    finally:
        engine.render_image = render_image
    return figures


def _f12(size: tuple[int, int], own: list[float], runs: int) -> Figure:
    render = bpy.context.scene.render
    render.resolution_x, render.resolution_y = size
    bpy.ops.render.render()  # The first also compiles and loads.
    own.clear()
    walls = []
    for _ in range(runs):
        start = time.perf_counter()
        bpy.ops.render.render()
        walls.append(time.perf_counter() - start)
    wall, engine = 1e3 * statistics.median(walls), 1e3 * statistics.median(own)
    what = f"F12 of the default avatar, {size[0]}×{size[1]}"
    return (f"f12.{size[0]}x{size[1]}", what, wall, "ms", "the engine's own time for it", engine)


def head_mesh() -> tuple[np.ndarray, np.ndarray]:
    """The default head at rest, Blender's axes."""
    with np.load(_ASSETS / "default_head.npz") as head:
        template = head_to_blender(head["template"].astype(np.float32))
        return template, head["faces"].astype(np.int32)


def turned(index: int) -> np.ndarray:
    """A direction of view."""
    return np.array([np.sin(0.1 * index), np.cos(0.1 * index), 0.0], np.float32)
