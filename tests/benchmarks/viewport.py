# SPDX-License-Identifier: GPL-3.0-or-later
"""What many redraws of a viewport hold: ``python -m tests.benchmarks.viewport``.

The default avatar on a mesh that moves and a view that turns, in a Blender that has a GPU context
in the background (5.2): over ``--frames`` redraws of 64×64 pixels the memory that is resident and
the files that are open (Linux), and the time of a redraw but the drawing itself, which is the GPU's
(vertices, order and their uploads). Depths and order alone are in ``gaussianspeech bench``.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

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

    from blender_addon.bench.pictures import head_mesh, turned

    arrays = addon_module("rendering.splats.arrays")
    avatar = first(arrays.load_arrays("default"), options.gaussians)
    vertices, faces = head_mesh()
    axes = [turned(index) for index in range(16)]
    print(f"{processor()}, Blender {bpy.app.version_string}, {avatar.count:,} Gaussians")
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


if __name__ == "__main__":
    main()
