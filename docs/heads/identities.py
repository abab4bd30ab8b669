# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws ``docs/images/identities.jpg``: people of the default head's identity space.

From the front, and below turned by 40°, rendered by Cycles. Needs a Python that has the project
with its extra ``blender``; run it after the head, its identities or its materials have changed::

    python docs/heads/identities.py
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
from pathlib import Path

import bpy
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "images" / "identities.jpg"
PEOPLE = (1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13)
COLUMNS = 6
SIZE = (1200, 920)
PITCH = (0.34, 0.39)
"""Metres from one head to the next, across and down."""
TURN = math.radians(40)


def place(person: int, column: int, row: int) -> None:
    """A person from the front, and in the row below turned."""
    bpy.ops.gaussianspeech.add_head(identity=person, with_avatar=False, frame=False)
    front = bpy.context.object
    turned = front.copy()
    bpy.context.scene.collection.objects.link(turned)
    across = (column - (COLUMNS - 1) / 2) * PITCH[0]
    for obj, turn, line in ((front, 0.0, row), (turned, TURN, row + 1)):
        obj.location = (across, 0.0, (1.5 - line) * PITCH[1])
        obj.rotation_euler.z = turn


def light_and_film(scene: bpy.types.Scene) -> None:
    """A camera without perspective, a lamp from the upper left, and a grey world."""
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.camera.data.type, scene.camera.data.ortho_scale = "ORTHO", COLUMNS * PITCH[0]
    scene.camera.location, scene.camera.rotation_euler = (0, -3, 0), (math.pi / 2, 0, 0)
    scene.collection.objects.link(scene.camera)
    lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "SUN"))
    lamp.data.energy, lamp.data.angle = 2.5, 0.3
    lamp.rotation_euler = (0.9, -0.3, 0)
    scene.collection.objects.link(lamp)
    scene.world = bpy.data.worlds.new("World")
    if scene.world.node_tree is None:  # Before Blender 5.0.
        scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (0.25, 0.27, 0.3, 1)
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 32, True
    scene.render.resolution_x, scene.render.resolution_y = SIZE
    scene.view_settings.view_transform = "Standard"


def main() -> None:
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("GAUSSIANSPEECH_PYTHON", sys.executable)
    from blender_addon.standalone import enabled_addon

    with enabled_addon(), tempfile.TemporaryDirectory() as folder:
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        for place_of, person in enumerate(PEOPLE):
            row, column = divmod(place_of, COLUMNS)
            place(person, column, 2 * row)
        scene = bpy.context.scene
        light_and_film(scene)
        scene.render.filepath = str(Path(folder) / "identities.png")
        bpy.ops.render.render(write_still=True)
        whole = Image.open(scene.render.filepath).convert("RGB")
        whole.save(PICTURE, quality=85, optimize=True)


if __name__ == "__main__":
    main()
