# SPDX-License-Identifier: GPL-3.0-or-later
"""What F12 costs above the engine's own time: ``python -m tests.benchmarks.f12 [ENGINE_PYTHON]``.

Needs ``bpy`` and an engine. The default head with the default avatar, alone; wall time of the whole
``render.render`` against the seconds that the engine reports for its part of the same frames.
"""

import statistics
import sys
import time

from blender_addon.standalone import addon_module, enabled_addon

SIZES, RUNS = ((550, 802), (1100, 1604)), 7


def main(engine_python: str) -> None:
    import bpy

    own = []
    with enabled_addon(engine_python):
        engine = addon_module("rendering.engine")
        take_picture = engine.take_picture

        def watched(*arguments):
            picture = take_picture(*arguments)
            own.append(picture.seconds)
            return picture

        engine.take_picture = watched
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        bpy.ops.gaussianspeech.add_head()
        bpy.ops.gaussianspeech.bind_avatar()
        addon_module("talk_stage").set_stage(bpy.context.scene, bpy.context.object)
        bpy.ops.gaussianspeech.render_avatars()
        count = bpy.context.object.gaussianspeech_avatar.gaussians
        print(f"Blender {bpy.app.version_string}, {count:,} Gaussians")
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


if __name__ == "__main__":
    main(*sys.argv[1:] or [sys.executable])
