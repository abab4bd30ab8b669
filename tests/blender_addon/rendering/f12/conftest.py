# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene with one avatar that F12 renders with a stand-in of the engine process."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def scene(blender, disc):
    scene = blender.context.scene
    scene.render.engine = "GAUSSIANSPEECH"
    scene.render.film_transparent = True
    scene.render.resolution_x, scene.render.resolution_y = 60, 40
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.camera = blender.data.objects.new("Camera", blender.data.cameras.new("Camera"))
    scene.camera.location, scene.camera.rotation_euler = (0, -6, 0), (np.pi / 2, 0, 0)
    scene.collection.objects.link(scene.camera)
    return scene


@pytest.fixture
def head(blender, scene):
    blender.ops.mesh.primitive_cube_add(size=1)
    head = blender.context.object
    head.name = "Anna"
    known = head.gaussianspeech_head
    known.id, known.source, known.vertex_count = "default", "default", 8
    head.gaussianspeech_avatar.source = "default"
    return head
