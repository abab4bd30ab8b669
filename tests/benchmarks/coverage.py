# SPDX-License-Identifier: GPL-3.0-or-later
"""What *Occlusion: Coverage* adds to a frame, with a bar before the face and with nothing there.

``python -m tests.benchmarks.coverage [--engine ENGINE] [--size WIDTH HEIGHT] [--samples N]
[--triangles N]`` needs ``bpy``. A head of a quarter of the picture's height, of which a disc is
drawn, in a closed room of matt walls under a lamp, whose light is thrown from wall to wall; what
stands before an avatar is rendered as in a real scene. ``--triangles`` gives the room a rough
floor of so many. Seconds of the main scene and of the foreground, by Blender's handlers, of the
second of two frames.
"""

import argparse

import numpy as np

from blender_addon.standalone import addon_module, enabled_addon
from tests.benchmarks.machine import processor
from tests.blender_addon.rendering.disc_engine import DiscEngine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="CYCLES")
    parser.add_argument("--size", type=int, nargs=2, default=(240, 135))
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--triangles", type=int, default=0)
    options = parser.parse_args()
    import bpy

    with enabled_addon():
        addon_module("rendering.engine").get_engine = lambda _context: DiscEngine()
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        scene = bpy.context.scene
        scene.render.engine = options.engine
        scene.render.resolution_x, scene.render.resolution_y = options.size
        scene.cycles.samples, scene.cycles.use_denoising = options.samples, False
        scene.eevee.taa_render_samples = options.samples
        bar = room(bpy, scene)
        if options.triangles:
            add_floor(bpy, options.triangles)
        scene.gaussianspeech_composite.occlusion = "COVERAGE"
        bpy.ops.gaussianspeech.set_up_composite()
        print(f"{processor()}, Blender {bpy.app.version_string}, {options.engine}")
        for what, hidden in (("a bar before the face", False), ("nothing before the face", True)):
            bar.hide_render = hidden
            main_seconds, foreground = times(bpy, scene)
            part = 100 * foreground / main_seconds
            print(
                f"{what}: scene {main_seconds:.2f} s, coverage {foreground:.2f} s, {part:.0f} %",
                flush=True,
            )


def times(bpy, scene) -> tuple[float, float]:
    bpy.ops.render.render()  # The first also compiles.
    bpy.ops.render.render()
    parts = addon_module("rendering.pass_times").times_of(scene).scenes
    foreground = scene.gaussianspeech_composite.foreground_scene.name
    return parts[scene.name], parts.get(foreground, 0.0)


def room(bpy, scene):
    """The head, the camera, a lamp and walls; the bar before the head."""
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.camera.location, scene.camera.rotation_euler = (0, -4, 0), (1.5708, 0, 0)
    scene.collection.objects.link(scene.camera)
    lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "POINT"))
    lamp.location, lamp.data.energy = (1, -2, 1.8), 200
    scene.collection.objects.link(lamp)
    bpy.ops.mesh.primitive_cube_add(size=6, location=(0, -2, 0.5))
    bpy.ops.mesh.primitive_uv_sphere_add(radius=0.3, segments=32, ring_count=16)
    head = bpy.context.object
    known = head.gaussianspeech_head
    known.id, known.source, known.vertex_count = "default", "default", len(head.data.vertices)
    head.gaussianspeech_avatar.source = "/nowhere/avatar.ply"
    bpy.ops.mesh.primitive_cube_add(size=1, location=(0.1, -1.5, 0))
    bar = bpy.context.object
    bar.scale = (0.05, 0.05, 3)
    return bar


def add_floor(bpy, triangles):
    """A floor of about so many triangles, whose heights are random."""
    side = round((triangles / 2) ** 0.5)
    bpy.ops.mesh.primitive_grid_add(
        x_subdivisions=side, y_subdivisions=side, size=5.9, location=(0, -2, -2)
    )
    mesh = bpy.context.object.data
    points = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", points)
    points[2::3] = np.random.default_rng(0).normal(0, 0.02, len(points) // 3)
    mesh.vertices.foreach_set("co", points)
    mesh.update()


if __name__ == "__main__":
    main()
