# SPDX-License-Identifier: GPL-3.0-or-later
"""What F12 costs above the engine's own time, and whether an animation's memory stays flat.

``python -m tests.benchmarks.f12 [--memory FRAMES] [--engine PYTHON]`` needs ``bpy`` and an engine.
The default head with the default avatar, alone. Time: wall time of the whole ``render.render``
against the seconds that the engine reports for its part of the same frames. Memory, on Linux: what
Blender and the engine hold resident, and how many files they have open, through an animation of
many tiny frames with a moving jaw.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from blender_addon.standalone import addon_module, enabled_addon
from tests.benchmarks.machine import held

SIZES, RUNS = ((550, 802), (1100, 1604), (1920, 1080)), 7
REPORTS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", type=int, metavar="FRAMES", default=0)
    parser.add_argument("--engine", metavar="PYTHON", default=sys.executable)
    options = parser.parse_args()
    import bpy

    own = []
    with enabled_addon(options.engine):
        engine = addon_module("rendering.engine")
        render_image = engine.render_image

        def watched(*given):
            picture = render_image(*given)
            own.append(picture.seconds)
            return picture

        engine.render_image = watched
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        bpy.ops.gaussianspeech.add_head()
        bpy.ops.gaussianspeech.bind_avatar()
        addon_module("demo_scene").set_up(bpy.context.scene, bpy.context.object)
        bpy.ops.gaussianspeech.render_avatars()
        count = bpy.context.object.gaussianspeech_avatar.gaussians
        print(f"Blender {bpy.app.version_string}, {count:,} Gaussians")
        if options.memory:
            print_memory(bpy, options.memory)
            return
        for size in SIZES:
            wall = time_renders(bpy, size, own)
            print(
                f"{size[0]:5d} × {size[1]:<5d} F12 {wall * 1e3:7.0f} ms, "
                f"engine {statistics.median(own) * 1e3:7.0f} ms, "
                f"above it {(wall - statistics.median(own)) * 1e3:6.0f} ms"
            )


def time_renders(bpy, size, own) -> float:
    render = bpy.context.scene.render
    render.resolution_x, render.resolution_y = size
    walls = []
    bpy.ops.render.render()  # The first also compiles and loads.
    own.clear()
    for _ in range(RUNS):
        start = time.perf_counter()
        bpy.ops.render.render()
        walls.append(time.perf_counter() - start)
    return statistics.median(walls)


def print_memory(bpy, frames: int) -> None:
    pid = addon_module("engine_link.session").current_engine().wait_ready()["pid"]
    step = max(1, frames // REPORTS)

    def report(frame, both):
        if frame % step == 0 or frame == step // 10:
            (blender, files), (engine, engine_files) = both
            print(
                f"frame {frame:5d}: Blender {blender:7.1f} MiB, {files} files; "
                f"engine {engine:7.1f} MiB, {engine_files} files",
                flush=True,
            )

    memory_of_animation(bpy, pid, frames, report)


def memory_of_animation(bpy, engine_pid: int, frames: int, report=None) -> list[tuple]:
    """MiB and open files of this Blender and of the engine after each frame of a moving jaw."""
    scene, found = bpy.context.scene, []
    jaw = bpy.context.object.data.shape_keys.key_blocks["jawOpen"]
    for frame, value in ((1, 0.0), (frames, 1.0)):
        jaw.value = value
        jaw.keyframe_insert("value", frame=frame)
    scene.frame_start, scene.frame_end = 1, frames
    scene.render.resolution_x = scene.render.resolution_y = 32

    def note(*_):
        found.append((held(), held(engine_pid)))
        if report is not None:
            report(len(found), found[-1])

    bpy.app.handlers.render_write.append(note)
    try:
        with tempfile.TemporaryDirectory() as folder:
            scene.render.filepath = str(Path(folder) / "frame-")
            bpy.ops.render.render(animation=True)
    finally:
        bpy.app.handlers.render_write.remove(note)
    return found


if __name__ == "__main__":
    main()
