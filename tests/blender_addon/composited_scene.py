# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures: a Cycles scene with a head of which an avatar is composited."""

from __future__ import annotations

import numpy as np
import pytest

from tests.blender_addon.disc_engine import disc

__all__ = ["disc"]

WIDTH, HEIGHT = 96, 64


@pytest.fixture
def compositing(addon):
    return addon("rendering.compositor_nodes")


@pytest.fixture
def scene(blender, disc):
    """A head of one metre at the origin, seen from the front by a Cycles scene."""
    scene = blender.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 4, False
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    scene.render.filter_size = 0.01  # No blur over pixels: colours can be compared.
    scene.view_settings.view_transform = "Standard"
    scene.render.image_settings.file_format = "PNG"
    scene.camera = blender.data.objects.new("Camera", blender.data.cameras.new("Camera"))
    scene.camera.location, scene.camera.rotation_euler = (0, -6, 0), (np.pi / 2, 0, 0)
    scene.collection.objects.link(scene.camera)
    head = glowing_cube("Head", (0, 0, 0), (0, 1, 0))
    known = head.gaussianspeech_head
    known.id, known.source, known.vertex_count = "default", "default", 8
    head.gaussianspeech_avatar.source = "default"
    return scene


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
