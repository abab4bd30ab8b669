# SPDX-License-Identifier: GPL-3.0-or-later
"""How near *Occlusion: Coverage* and *Depth* come to the mean of sharp frames, PSNR in dB.

``python -m tests.benchmarks.occlusion [--engine ENGINE] [--frames N]`` needs ``bpy``. A bar before
a face that is drawn as a disc, 96×64 pixels: the bar moves, the bar is out of focus, the head moves
behind the bar, nothing is blurred. The sharp frames have 16 pixels for one. EEVEE needs a GPU
context, and has no depth of field here.
"""

import argparse
import tempfile
from functools import partial
from pathlib import Path

from blender_addon.standalone import addon_module, enabled_addon
from tests.benchmarks.machine import processor
from tests.blender_addon.rendering.disc_engine import DiscEngine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="CYCLES")
    parser.add_argument("--frames", type=int, default=48)
    options = parser.parse_args()
    import bpy

    from tests.blender_addon.rendering import blurred_scene as blurred

    cases = {
        "the bar moves by two thirds of the face": blurred.moving_bar,
        "the bar is out of focus, f/0.15": partial(blurred.bar_out_of_focus, count=options.frames),
        "the head moves by 0.9 of its width": blurred.moving_head,
        "nothing moves, and all is in focus": blurred.nothing_moves,
    }
    if options.engine != "CYCLES":
        del cases["the bar is out of focus, f/0.15"]
    with enabled_addon(), tempfile.TemporaryDirectory() as folder:
        addon_module("rendering.engine").get_engine = lambda _context: DiscEngine()
        print(f"{processor()}, Blender {bpy.app.version_string}, {options.engine}")
        for what, blur in cases.items():
            bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
            scene = bpy.context.scene
            blurred.build(scene)
            scene.render.engine = options.engine
            move = blur(scene, blurred.add_bar())
            coverage, depth = blurred.compared(scene, Path(folder), move, options.frames)
            print(f"{what}: coverage {coverage:.1f} dB, depth {depth:.1f} dB", flush=True)


if __name__ == "__main__":
    main()
