# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by Blender itself: a large render that the user breaks off, then a small one.

``blender -b --factory-startup --python cancel_render.py -- ENGINE_PYTHON`` prints ``RESULT`` and a
JSON object. A background Blender takes an interrupt as the user's Esc.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parents[3]))
from blender_addon.standalone import addon_module, enabled_addon

ENGINE_PYTHON = sys.argv[-1]
SMALL, LARGE = 64, 8000


def main() -> None:
    with enabled_addon(ENGINE_PYTHON):
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        bpy.ops.gaussianspeech.add_head()
        bpy.ops.gaussianspeech.bind_avatar()
        addon_module("demo_scene").set_up(bpy.context.scene, bpy.context.object)
        bpy.ops.gaussianspeech.render_avatars()
        before = render(SMALL)
        render_image, ends = addon_module("rendering.engine").render_image, []

        def break_off(*given):
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                return render_image(*given)
            except Exception as error:
                ends.append(type(error).__name__)
                raise

        addon_module("rendering.engine").render_image = break_off
        broken = render(LARGE)
        addon_module("rendering.engine").render_image = render_image
        result = {"before": before, "broken": broken, "ends": ends, "after": render(SMALL)}
    print("RESULT", json.dumps(result), flush=True)


def render(size: int) -> str:
    settings = bpy.context.scene.render
    settings.resolution_x = settings.resolution_y = size
    return next(iter(bpy.ops.render.render()))


main()
