# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the memory of an animation stays flat: ``python -m tests.benchmarks.f12 FRAMES``.

``[--engine PYTHON]``; needs ``bpy`` and an engine; on Linux. The default head with the default
avatar, alone: what Blender and the engine hold resident, and how many files they have open, through
an animation of many tiny frames with a moving jaw. What F12 takes is in ``gaussianspeech bench``.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from blender_addon.standalone import addon_module, enabled_addon
from tests.benchmarks.machine import held

REPORTS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frames", type=int)
    parser.add_argument("--engine", metavar="PYTHON", default=sys.executable)
    options = parser.parse_args()
    import bpy

    with enabled_addon(options.engine):
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        bpy.ops.gaussianspeech.add_head()
        bpy.ops.gaussianspeech.bind_avatar()
        addon_module("demo_scene").set_up(bpy.context.scene, bpy.context.object)
        bpy.ops.gaussianspeech.render_avatars()
        count = bpy.context.object.gaussianspeech_avatar.gaussians
        print(f"Blender {bpy.app.version_string}, {count:,} Gaussians")
        print_memory(bpy, options.frames)


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
