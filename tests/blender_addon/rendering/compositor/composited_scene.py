# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scene with a composited avatar has, and its pictures."""

from __future__ import annotations

import numpy as np

WIDTH, HEIGHT = 96, 64


def glowing_cube(name, location, color):
    import bpy

    bpy.ops.mesh.primitive_cube_add(size=1, location=location)
    cube = bpy.context.object
    cube.name = name
    material = bpy.data.materials.new(name)
    if material.node_tree is None:
        material.use_nodes = True
    nodes = material.node_tree.nodes
    nodes.clear()
    emission, output = (nodes.new(f"ShaderNode{kind}") for kind in ("Emission", "OutputMaterial"))
    emission.inputs["Color"].default_value = (*color, 1)
    material.node_tree.links.new(emission.outputs[0], output.inputs["Surface"])
    cube.data.materials.append(material)
    return cube


def rendered(scene, tmp_path, suffix="png") -> np.ndarray:
    import bpy

    scene.render.filepath = str(tmp_path / f"composite.{suffix}")
    scene.render.image_settings.file_format = {"png": "PNG", "exr": "OPEN_EXR"}[suffix]
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath, check_existing=False)
    return np.array(image.pixels[:]).reshape(HEIGHT, WIDTH, 4)[..., :3]
