# SPDX-License-Identifier: GPL-3.0-or-later
"""How near the scene's light on an avatar is to the truth: the person it was filmed of, in Cycles.

``python -m tests.benchmarks.scene_light FOLDER`` needs ``bpy``. The default avatar in some lights,
as it was captured and lit by the scene, beside Cycles' rendering of the synthetic person in the
same light: noon, a red lamp at night, blinds, a gobo that moves (two frames), and another head that
stands in the light. Prints PSNR over the person's pixels and seconds, and writes
``scene-light-VIEW.jpg``.
"""

import argparse
import math
import os
import sys
import time
from pathlib import Path

import numpy as np

from blender_addon.standalone import addon_module, enabled_addon
from tests.benchmarks.machine import processor

LIGHTS = {
    "noon": ([((0.5, -0.6, 1.4), (1, 0.95, 0.85), 30, 0.15)], (0.12, 0.18, 0.3)),
    "red night lamp": ([((-1.0, -0.5, 0.2), (1, 0.08, 0.03), 22, 0.3)], (0.01, 0.012, 0.03)),
    "blinds": ([((-1.1, -1.1, 0.1), (1, 0.85, 0.6), 45, 0.05)], (0.03, 0.04, 0.06)),
    "gobo, frame 1": ([((0.7, -1.3, 0.5), (1, 0.95, 0.8), 45, 0.03)], (0.03, 0.035, 0.05)),
    "gobo, frame 2": ([((0.7, -1.3, 0.5), (1, 0.95, 0.8), 45, 0.03)], (0.03, 0.035, 0.05)),
    "two heads": ([((-1.3, -0.5, 0.15), (1, 0.9, 0.75), 40, 0.05)], (0.03, 0.04, 0.06)),
}
"""Lamps (place, colour, watts, size in metres) and the world's radiance, by name."""
FEW = 3
"""Lights up to which each has a row of the sheet to itself."""
OTHER = (-0.42, -0.02, 0.0)
"""Where the other head stands: between the lamp and the first."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--views", nargs="+", default=["Standard", "AgX"])
    parser.add_argument("--lights", nargs="+", default=list(LIGHTS))
    parser.add_argument("--size", nargs=2, type=int, default=(240, 300))
    parser.add_argument("--samples", type=int, default=24)
    parser.add_argument("--avatar", default="", help="the default one")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    import bpy

    size = "×".join(map(str, options.size))
    print(f"{processor()}, Blender {bpy.app.version_string}, {size}, {options.samples} samples")
    with enabled_addon(sys.executable):
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        compare(bpy, Stage(bpy, options), options)


def compare(bpy, stage, options) -> None:
    rows = {view: [] for view in options.views}
    for name in options.lights:
        stage.light(name)
        expected = stage.truths(options.views)
        for view in options.views:
            pictures, seconds = zip(
                *(stage.avatar(view, lit=on) for on in (False, True)), strict=True
            )
            scores = [psnr(picture, expected[view]) for picture in pictures]
            print(
                f"{name:15s} {view:8s} as captured {scores[0]:5.2f} dB, lit {scores[1]:5.2f} dB; "
                f"{seconds[0]:5.1f} s, lit {seconds[1]:5.1f} s",
                flush=True,
            )
            shown_three = [shown(picture) for picture in (expected[view], *pictures[::-1])]
            rows[view].append(np.concatenate(shown_three, 1))
    from PIL import Image

    for view, pictures in rows.items():
        # Two lights beside each other; a few below each other.
        columns = 1 if len(pictures) <= FEW else 2
        even = [*pictures, *[np.zeros_like(pictures[0])] * (-len(pictures) % columns)]
        rows_of = [
            np.concatenate(even[at : at + columns], 1) for at in range(0, len(even), columns)
        ]
        sheet = Image.fromarray(np.concatenate(rows_of, 0))
        sheet.save(options.folder / f"scene-light-{view}.jpg", quality=88)


class Stage:
    """The avatar's scene with its composite, and the person's in the same light."""

    def __init__(self, bpy, options) -> None:
        from engine.heads import load_head
        from training.synthetic.person.person import build_person
        from training.synthetic.person.studio import prepare_rendering

        self.bpy, self.folder = bpy, options.folder
        self.scene = scene = bpy.context.scene
        prepare_rendering(scene, options.samples)
        scene.render.resolution_x, scene.render.resolution_y = options.size
        bpy.ops.gaussianspeech.add_head()
        bpy.ops.gaussianspeech.bind_avatar(avatar=options.avatar or "default")
        self.head = bpy.context.object
        addon_module("rendering.portrait").add_portrait_camera(scene, self.head)
        scene.world = bpy.data.worlds.new("world")
        if scene.world.node_tree is None:
            scene.world.use_nodes = True
        self.other = self.head.copy()
        self.other.location = OTHER
        bpy.ops.gaussianspeech.set_up_composite()
        self.truth = truth = bpy.data.scenes.new("Truth")
        prepare_rendering(truth, options.samples)
        truth.render.resolution_x, truth.render.resolution_y = options.size
        person = build_person(truth, load_head("default"))
        self.other_person = []
        for part in person.parts.values():
            copy = part.copy()
            copy.location = OTHER
            self.other_person.append(copy)

    def light(self, name) -> None:
        """Put the lamps and props of a light into both scenes."""
        lamps, world = LIGHTS[name]
        for obj in [obj for obj in self.scene.objects if obj.type == "LIGHT" or "prop" in obj]:
            self.bpy.data.objects.remove(obj)
        background = self.scene.world.node_tree.nodes["Background"]
        background.inputs[0].default_value = (*world, 1)
        for lamp in lamps:
            self._lamp(*lamp)
        if name == "blinds":
            for index in range(6):
                corners = [(-0.4, 0, -1), (0.4, 0, -1), (0.4, 0, 1), (-0.4, 0, 1)]
                place = (-0.45, -0.45, -0.14 + 0.055 * index)
                self._prop(corners, [(0, 1, 2, 3)], place, (1, 1, 0.012), -math.pi / 4)
        if name.startswith("gobo"):
            self._gobo(shift=0.0 if name.endswith("1") else 0.022)
        objects, other = self.scene.collection.objects, name == "two heads"
        if other != (self.other.name in objects):
            (objects.link if other else objects.unlink)(self.other)
        self._share(other)

    def truths(self, views):
        """The person in Cycles, by view transform: one render, shown through each."""
        self.bpy.ops.render.render(scene=self.truth.name)
        found = {}
        for view in views:
            self.truth.view_settings.view_transform = view
            path = self.folder / "truth.png"
            self._as_png(self.truth)
            self.bpy.data.images["Render Result"].save_render(str(path), scene=self.truth)
            found[view] = self._loaded(path)
        return found

    def avatar(self, view, *, lit):
        """The composite as display values, straight alpha, and the seconds it took."""
        self.scene.view_settings.view_transform = view
        for head in (self.head, self.other):
            head.gaussianspeech_light.enabled = lit
        path = self.folder / "picture.png"
        self._as_png(self.scene)
        self.scene.render.filepath = str(path)
        started = time.monotonic()
        self.bpy.ops.render.render(write_still=True, scene=self.scene.name)
        return self._loaded(path), time.monotonic() - started

    def _as_png(self, scene) -> None:
        scene.render.image_settings.file_format = "PNG"
        scene.render.image_settings.color_mode = "RGBA"

    def _loaded(self, path):
        image = self.bpy.data.images.load(str(path), check_existing=False)
        image.colorspace_settings.name = "Non-Color"
        width, height = image.size
        pixels = np.array(image.pixels[:], np.float32).reshape(height, width, 4)[::-1]
        self.bpy.data.images.remove(image)
        return pixels

    def _lamp(self, place, color, power, size) -> None:
        from mathutils import Vector

        data = self.bpy.data.lights.new("lamp", "AREA")
        data.color, data.energy, data.size = color, power, size
        obj = self.bpy.data.objects.new("lamp", data)
        obj.location = place
        obj.rotation_euler = (-Vector(place)).to_track_quat("-Z", "Y").to_euler()
        obj.visible_camera = False
        self.scene.collection.objects.link(obj)

    def _prop(self, corners, faces, place, scale, turn) -> None:
        mesh = self.bpy.data.meshes.new("prop")
        mesh.from_pydata(corners, [], faces)
        obj = self.bpy.data.objects.new("prop", mesh)
        obj["prop"] = True
        obj.location, obj.scale = place, scale
        obj.rotation_euler, obj.visible_camera = (0, 0, turn), False
        self.scene.collection.objects.link(obj)

    def _gobo(self, shift) -> None:
        """A card before the lamp with a chequered hole pattern."""
        side = 0.016
        squares = [(x, z) for x in range(-14, 14) for z in range(-14, 14) if (x + z) % 2]
        corners, faces = [], []
        for x, z in squares:
            faces.append(tuple(range(len(corners), len(corners) + 4)))
            around = ((0, 0), (1, 0), (1, 1), (0, 1))
            corners += [(side * (x + i), 0, side * (z + k)) for i, k in around]
        turn = math.atan2(0.7, 1.3)
        self._prop(corners, faces, (0.35 + shift, -0.65, 0.22), (1, 1, 1), turn)

    def _share(self, other) -> None:
        """Put lamps, props, camera, world and the other person into the person's scene."""
        truth = self.truth
        for obj in list(truth.collection.objects):
            if obj.type in ("LIGHT", "CAMERA") or obj in self.other_person:
                truth.collection.objects.unlink(obj)
        for obj in self.scene.collection.objects:
            if obj.type in ("LIGHT", "CAMERA") or "prop" in obj:
                truth.collection.objects.link(obj)
        for obj in self.other_person if other else ():
            truth.collection.objects.link(obj)
        truth.camera, truth.world = self.scene.camera, self.scene.world


def psnr(picture, expected) -> float:
    """Over the pixels that the person covers, over black."""
    seen = expected[..., 3] > 0.5
    difference = (picture[..., :3] * picture[..., 3:] - expected[..., :3] * expected[..., 3:])[seen]
    return -10 * math.log10(float(np.mean(difference**2)))


def shown(picture):
    return (np.clip(picture[..., :3] * picture[..., 3:], 0, 1) * 255).astype(np.uint8)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # Blender's module may crash in its own clean-up.
