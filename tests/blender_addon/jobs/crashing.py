# SPDX-License-Identifier: GPL-3.0-or-later
"""A Blender that is at everything at once when it is killed; see test_crash.py.

    python crashing.py PACKAGE FILE.blend FOLDER

Prints the pid of its engine once an export, a training and a prediction are under way.
"""

from __future__ import annotations

import importlib
import sys
import threading
import time
from pathlib import Path

import bpy

PACKAGE, FILE, FOLDER = sys.argv[1], sys.argv[2], Path(sys.argv[3])

addon_utils = importlib.import_module("addon_utils")  # Blender's: after bpy.
addon_utils.enable("bl_pkg")
addon_utils.enable(PACKAGE, default_set=True)
preferences = bpy.context.preferences.addons[PACKAGE].preferences
preferences.jobs_folder = str(FOLDER / "jobs")


def addon(name):
    return importlib.import_module(f"{PACKAGE}.blender_addon.{name}")


bpy.ops.wm.open_mainfile(filepath=FILE)
engine = addon("engine_link.session").get_engine(bpy.context)
head = bpy.context.view_layer.objects.active
engine.wait_ready(120)
export = addon("export.mesh_files").export_mesh
exporting = export(bpy.context, [head], FOLDER / "head.abc", "ABC", range(1, 100_000))
while exporting.poll()[0] == 0.0:
    if exporting.done:
        exporting.result(0)
    time.sleep(0.02)
addon("jobs.session").current_client(bpy.context).resume("anna").result(120)


def say():
    time.sleep(0.3)
    print("at work", engine.hello["pid"], flush=True)


threading.Thread(target=say).start()
while True:
    bpy.ops.gaussianspeech.predict()
