# SPDX-License-Identifier: GPL-3.0-or-later
"""Contact sheet of a head's expressions, to judge the asset by eye (``blender`` extra).

``python -m training.assets.head.preview sheet.png --poses jawOpen=0.5 mouthPucker=1 --turn 35``
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.heads import Head, load_head
from engine.heads.axes import head_to_blender

_PALETTE = {
    "scalp": (0.35, 0.22, 0.15),
    "lips": (0.55, 0.18, 0.16),
    "mouth_interior": (0.35, 0.06, 0.06),
    "brows": (0.30, 0.17, 0.11),
    "tongue": (0.60, 0.20, 0.20),
    "teeth": (0.85, 0.82, 0.72),
    "gums": (0.55, 0.20, 0.20),
    "eyeballs": (0.85, 0.83, 0.80),
    "irises": (0.10, 0.20, 0.28),
    "pupils": (0.005, 0.005, 0.005),
}
_SKIN = (0.62, 0.36, 0.26)


def main() -> None:
    """Render the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--head", default="default")
    parser.add_argument("--poses", nargs="+", default=["jawOpen=0"])
    parser.add_argument("--turn", type=float, nargs="+", default=[0.0], help="degrees, each a row")
    parser.add_argument("--region", nargs="*", default=[], help="paint these regions")
    parser.add_argument("--size", type=int, default=360)
    parser.add_argument("--zoom", type=float, default=1.0)
    parser.add_argument("--centre", type=float, nargs=2, default=(0.0, -0.02))
    parser.add_argument("--samples", type=int, default=16)
    options = parser.parse_args()
    head = load_head(options.head)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    item = _object(head, _colours(head, options.region))
    _stage(options)
    size = options.size
    sheet = Image.new("RGB", (len(options.poses) * size, len(options.turn) * size))
    with tempfile.TemporaryDirectory() as folder:
        bpy.context.scene.render.filepath = str(Path(folder) / "cell.png")
        for column, pose in enumerate(options.poses):
            vertices = head.deform(_weights(head, pose)) - np.array([0, *options.centre], "f4")
            item.data.vertices.foreach_set("co", head_to_blender(vertices).ravel())
            item.data.update()
            for row, turn in enumerate(options.turn):
                item.rotation_euler = (0, 0, np.radians(turn))
                bpy.ops.render.render(write_still=True)
                with Image.open(bpy.context.scene.render.filepath) as cell:
                    sheet.paste(cell.convert("RGB"), (column * size, row * size))
    sheet.save(options.out)


def _weights(head: Head, pose: str) -> NDArray[np.float32]:
    weights = np.zeros(len(head.expression_names), np.float32)
    for term in pose.split(","):
        name, _, value = term.partition("=")
        for side in ("",) if name in head.expression_names else ("Left", "Right"):
            weights[head.expression_index(name + side)] = float(value)
    return weights


def _colours(head: Head, painted: list[str]) -> NDArray[np.float32]:
    colours = np.tile(np.array(_SKIN, np.float32), (head.vertex_count, 1))
    if painted:
        for name, hue in zip(painted, np.linspace(0, 1, len(painted), endpoint=False), strict=True):
            turn = np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1
            colours[head.regions[name]] = np.clip(turn, 0.02, 1)
    else:
        for name, colour in _PALETTE.items():
            colours[head.regions.get(name, np.array([], int))] = colour
    return colours


def _object(head: Head, colours: NDArray[np.float32]) -> bpy.types.Object:
    mesh = bpy.data.meshes.new("head")
    mesh.from_pydata(head_to_blender(head.template).tolist(), [], head.faces.tolist())
    mesh.polygons.foreach_set("use_smooth", [True] * len(head.faces))
    layer = mesh.color_attributes.new("colour", "FLOAT_COLOR", "POINT")
    layer.data.foreach_set("color", np.c_[colours, np.ones(len(colours))].ravel())
    mesh.materials.append(_material())
    item = bpy.data.objects.new("head", mesh)
    bpy.context.scene.collection.objects.link(item)
    return item


def _material() -> bpy.types.Material:
    material = bpy.data.materials.new("head")
    if material.node_tree is None:  # Before Blender 5.0.
        material.use_nodes = True
    nodes = material.node_tree.nodes
    shader = nodes["Principled BSDF"]
    shader.inputs["Roughness"].default_value = 0.45
    colour = nodes.new("ShaderNodeVertexColor")
    colour.layer_name = "colour"
    material.node_tree.links.new(colour.outputs["Color"], shader.inputs["Base Color"])
    return material


def _stage(options: argparse.Namespace) -> None:
    scene = bpy.context.scene
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.data.type = "ORTHO"
    camera.data.ortho_scale = 0.36 / options.zoom
    camera.location = (0, -3, 0)
    camera.rotation_euler = (np.pi / 2, 0, 0)
    scene.collection.objects.link(camera)
    scene.camera = camera
    for angles, strength in (((50, 0, -35), 2.5), ((60, 0, 50), 1.0)):
        sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
        sun.data.energy = strength
        sun.data.angle = 0.3
        sun.rotation_euler = tuple(np.radians(angles))
        scene.collection.objects.link(sun)
    scene.world = bpy.data.worlds.new("world")
    if scene.world.node_tree is None:  # Before Blender 5.0.
        scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs[0].default_value = (0.25, 0.27, 0.3, 1)
    scene.render.engine = "CYCLES"
    scene.cycles.samples = options.samples
    scene.cycles.use_denoising = True
    scene.cycles.max_bounces = 3
    scene.render.resolution_x = scene.render.resolution_y = options.size
    scene.render.use_persistent_data = True
    scene.render.threads_mode = "FIXED"
    scene.render.threads = 2
    scene.view_settings.view_transform = "Standard"


if __name__ == "__main__":
    main()
