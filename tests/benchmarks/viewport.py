# SPDX-License-Identifier: GPL-3.0-or-later
"""What a viewport's redraw takes on the main thread: ``python -m tests.benchmarks.viewport``.

The default avatar on a mesh that moves and a view that turns; depths and order beside numpy's
stable sort of as many float32, the reference. In a Blender that has a GPU context in the background
(5.2), also the whole of a redraw but the drawing itself, which is the GPU's (vertices, order and
their uploads), and over ``--frames`` redraws of 64×64 pixels the memory
that is resident and the files that are open (Linux).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from blender_addon.standalone import addon_module
from tests.benchmarks.machine import held, processor

FRAMES, SIZE, REPORTS = 300, 64, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--gaussians", type=int, help="as many of the avatar's alone")
    options = parser.parse_args()
    frames = options.frames
    import bpy
    import gpu

    arrays = addon_module("rendering.splats.arrays")
    sorting = addon_module("rendering.splats.sorting")
    avatar = first(arrays.load_arrays("default"), options.gaussians)
    vertices, faces = mesh()
    sorter = sorting.DepthSorter(faces, avatar.binding, avatar.positions)
    axes = [turned(index) for index in range(16)]
    depths = sorter.depths(vertices, axes[0])
    print(f"{processor()}, Blender {bpy.app.version_string}, {avatar.count:,} Gaussians")
    reference = best_of(lambda _: np.argsort(depths, kind="stable"))
    find = best_of(lambda index: sorter.depths(vertices, axes[index % 16]))
    order = best_of(lambda _: sorting.back_to_front(depths))
    print(f"numpy's stable sort of float32 {reference:6.2f} ms")
    print(f"depths                         {find:6.2f} ms, {find / reference:.2f} of that")
    print(f"order                          {order:6.2f} ms, {order / reference:.2f} of that")
    if not hasattr(gpu, "init"):
        print("no GPU context in the background of this Blender")
        return
    gpu.init()
    draw(addon_module("rendering.splats.renderer"), avatar, vertices, faces, axes, frames)


def first(avatar, count):
    """An avatar of the first Gaussians of another's."""
    if count is None:
        return avatar
    names = ("binding", "positions", "scales", "quats", "opacities")
    color = replace(avatar.color, latents=avatar.color.latents[:count])
    parts = {name: getattr(avatar, name)[:count] for name in names}
    return replace(avatar, color=color, rank=avatar.rank[avatar.rank < count], **parts)


def draw(renderer, avatar, vertices, faces, axes, frames) -> None:
    import gpu

    known = renderer.GpuAvatar(avatar, faces)
    picture, taken = renderer.SplatPicture(), []
    step = max(1, frames // REPORTS)
    print(f"with {gpu.platform.renderer_get()}, {gpu.platform.backend_type_get()}")
    moved = [vertices + np.float32(1e-4 * index) for index in range(8)]
    for frame in range(frames):
        started = time.perf_counter()
        subject = renderer.Subject(
            known, moved[frame % 8], np.eye(3, dtype=np.float32), np.zeros(52, np.float32)
        )
        seen = view(renderer, axes[frame % 16])
        picture._sort([subject], seen, 1.0)
        taken.append(time.perf_counter() - started)
        picture.draw([subject], seen)
        picture.read()  # Wait for it, so that the next frame's time is its own.
        if (frame + 1) % step == 0:
            memory, files = held()
            print(f"frame {frame + 1:5d}: {memory:7.1f} MiB, {files} files", flush=True)
    print(f"vertices, order, uploads       {1e3 * np.median(taken):6.2f} ms, median of {frames}")


def view(renderer, axis):
    eye = -axis
    right = np.cross(axis, [0, 0, 1])
    right /= np.linalg.norm(right)
    viewmat = np.eye(4)
    viewmat[:3, :3] = np.stack([right, np.cross(axis, right), axis])
    viewmat[:3, 3] = -viewmat[:3, :3] @ eye
    K = np.array([[2.4 * SIZE, 0, SIZE / 2], [0, 2.4 * SIZE, SIZE / 2], [0, 0, 1]])
    return renderer.ViewCamera(viewmat, K, SIZE, SIZE, 0.01, 100.0, False)


def mesh():
    """The default head at rest, Blender's axes."""
    with np.load(Path(__file__).parents[2] / "engine" / "assets" / "default_head.npz") as head:
        x, y, z = head["template"].astype(np.float32).T
        return np.stack([x, -z, y], axis=1), head["faces"].astype(np.int32)


def turned(index: int):
    return np.array([np.sin(0.1 * index), np.cos(0.1 * index), 0.0], np.float32)


def best_of(work, times: int = 30) -> float:
    """Milliseconds of the quickest of some runs."""
    taken = []
    for index in range(times):
        started = time.perf_counter()
        work(index)
        taken.append(time.perf_counter() - started)
    return 1e3 * min(taken)


if __name__ == "__main__":
    main()
