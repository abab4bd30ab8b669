# SPDX-License-Identifier: GPL-3.0-or-later
"""A Cycles scene with a head of which an avatar is composited."""

from __future__ import annotations

import numpy as np
import pytest

from tests.blender_addon.rendering.compositor.composited_scene import HEIGHT, WIDTH, glowing_cube


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
