# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``blender -b --python ENABLE SCENE -s A -e B -a`` does, with Blender as a Python module."""

from __future__ import annotations

import os
import runpy
import sys

import bpy

enable, scene, start, end = sys.argv[1:]
bpy.ops.wm.read_factory_settings(use_empty=True)
runpy.run_path(enable, run_name="__main__")
bpy.ops.wm.open_mainfile(filepath=scene)
bpy.context.scene.frame_start, bpy.context.scene.frame_end = int(start), int(end)
bpy.ops.render.render(animation=True)
sys.stdout.flush()
# As a module, 4.2 may crash and 4.5 hang in its own clean-up.
os._exit(0)
