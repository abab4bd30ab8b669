# SPDX-License-Identifier: GPL-3.0-or-later
"""How near the scene's light on an avatar is to the truth: the person it was filmed of, in Cycles.

``python -m tests.benchmarks.scene_light FOLDER [VIEW]`` needs ``bpy``. The default avatar in some
lights, as it was captured and lit by the scene, beside Cycles' rendering of the synthetic person in
the same light. Prints PSNR over the person's pixels and seconds, and writes ``scene-light.jpg``.
"""

import math
import os
import sys
import time
from pathlib import Path

import numpy as np

from blender_addon.standalone import addon_module, enabled_addon

SIZE = 360, 450
SAMPLES = 24
LIGHTS = {
    "noon": ([((0.5, -0.6, 1.4), (1, 0.95, 0.85), 30, 0.15)], (0.12, 0.18, 0.3)),
    "red night lamp": ([((-1.0, -0.5, 0.2), (1, 0.08, 0.03), 22, 0.3)], (0.01, 0.012, 0.03)),
    "blinds": ([((-1.1, -1.1, 0.1), (1, 0.85, 0.6), 45, 0.05)], (0.03, 0.04, 0.06)),
}


def main(folder: str, view: str = "Standard") -> None:
    import bpy

    rows = []
    with enabled_addon(sys.executable):
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        scene, truth = stage(bpy, view)
        head = bpy.context.object
        print(f"Blender {bpy.app.version_string}, {SIZE[0]} × {SIZE[1]}, {SAMPLES} samples, {view}")
        for name, (lamps, world) in LIGHTS.items():
            light(bpy, scene, lamps, world, slats=name == "blinds")
            pictures, seconds = [], []
            for on in (False, True):
                head.gaussianspeech_light.enabled = on
                picture, took = rendered(bpy, scene, folder)
                pictures.append(picture)
                seconds.append(took)
            share(scene, truth)
            expected, _ = rendered(bpy, truth, folder)
            scores = [psnr(picture, expected) for picture in pictures]
            print(
                f"{name:15s} as captured {scores[0]:5.2f} dB, lit {scores[1]:5.2f} dB; "
                f"{seconds[0]:5.1f} s, lit {seconds[1]:5.1f} s",
                flush=True,
            )
            rows.append(np.concatenate([shown(p) for p in (expected, pictures[1], pictures[0])], 1))
    from PIL import Image

    sheet = np.concatenate(rows, 0)
    Image.fromarray(sheet).save(Path(folder) / "scene-light.jpg", quality=88)


def stage(bpy, view):
    """The avatar's scene with its composite, and the person's."""
    from engine.heads import load_head
    from training.synthetic.person.person import build_person
    from training.synthetic.person.studio import prepare_rendering

    scene = bpy.context.scene
    prepare_rendering(scene, SAMPLES)
    scene.view_settings.view_transform = view
    bpy.ops.gaussianspeech.add_head()
    bpy.ops.gaussianspeech.bind_avatar()
    head = bpy.context.object
    scene.render.resolution_x, scene.render.resolution_y = SIZE
    addon_module("rendering.portrait").add_portrait_camera(scene, head)
    scene.world = bpy.data.worlds.new("world")
    if scene.world.node_tree is None:
        scene.world.use_nodes = True
    bpy.ops.gaussianspeech.set_up_composite()
    truth = bpy.data.scenes.new("Truth")
    prepare_rendering(truth, SAMPLES)
    truth.view_settings.view_transform = view
    truth.render.resolution_x, truth.render.resolution_y = SIZE
    build_person(truth, load_head("default"))
    return scene, truth


def light(bpy, scene, lamps, world, *, slats) -> None:
    from mathutils import Vector

    for obj in [obj for obj in scene.objects if obj.type == "LIGHT" or obj.name[:4] == "slat"]:
        bpy.data.objects.remove(obj)
    scene.world.node_tree.nodes["Background"].inputs[0].default_value = (*world, 1)
    for place, color, power, size in lamps:
        data = bpy.data.lights.new("lamp", "AREA")
        data.color, data.energy, data.size = color, power, size
        obj = bpy.data.objects.new("lamp", data)
        obj.location = place
        obj.rotation_euler = (-Vector(place)).to_track_quat("-Z", "Y").to_euler()
        obj.visible_camera = False
        scene.collection.objects.link(obj)
    for index in range(6 if slats else 0):
        mesh = bpy.data.meshes.new("slat")
        corners = [(-0.4, 0, -1), (0.4, 0, -1), (0.4, 0, 1), (-0.4, 0, 1)]
        mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
        obj = bpy.data.objects.new("slat", mesh)
        obj.location, obj.scale = (-0.45, -0.45, -0.14 + 0.055 * index), (1, 1, 0.012)
        obj.rotation_euler, obj.visible_camera = (0, 0, -math.pi / 4), False
        scene.collection.objects.link(obj)


def share(scene, truth) -> None:
    """Put the lamps, the slats, the camera and the world into the person's scene."""
    for obj in list(truth.collection.objects):
        if obj.type in ("LIGHT", "CAMERA"):
            truth.collection.objects.unlink(obj)
    for obj in scene.collection.objects:
        shared = obj.type in ("LIGHT", "CAMERA") or obj.name[:4] == "slat"
        if shared and obj.name not in truth.collection.objects:
            truth.collection.objects.link(obj)
    truth.camera, truth.world = scene.camera, scene.world


def rendered(bpy, scene, folder):
    """(H, W, 4) display values, straight alpha, and the seconds it took."""
    path = str(Path(folder) / "picture.png")
    scene.render.filepath = path
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode = "PNG", "RGBA"
    started = time.monotonic()
    bpy.ops.render.render(write_still=True, scene=scene.name)
    took = time.monotonic() - started
    image = bpy.data.images.load(path, check_existing=False)
    image.colorspace_settings.name = "Non-Color"
    pixels = np.array(image.pixels[:], np.float32).reshape(SIZE[1], SIZE[0], 4)[::-1]
    bpy.data.images.remove(image)
    return pixels, took


def psnr(picture, expected) -> float:
    """Over the pixels that the person covers, over black."""
    seen = expected[..., 3] > 0.5
    difference = (picture[..., :3] * picture[..., 3:] - expected[..., :3] * expected[..., 3:])[seen]
    return -10 * math.log10(float(np.mean(difference**2)))


def shown(picture):
    return (np.clip(picture[..., :3] * picture[..., 3:], 0, 1) * 255).astype(np.uint8)


if __name__ == "__main__":
    main(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)  # Blender's module may crash in its own clean-up.
