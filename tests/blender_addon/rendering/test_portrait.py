# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera that takes a head's portrait."""

from __future__ import annotations

import math

import numpy as np
import pytest


@pytest.fixture
def head(blender):
    """Something of a head's size and proportions that the add-on takes for one."""
    blender.ops.mesh.primitive_uv_sphere_add(segments=16, ring_count=10, radius=0.15)
    obj = blender.context.object
    for vertex in obj.data.vertices:
        vertex.co.x *= 0.6
    known = obj.gaussianspeech_head
    known.id, known.source, known.vertex_count = "default", "default", len(obj.data.vertices)
    return obj


def picture_places(bpy, head, camera) -> np.ndarray:
    """(V, 3) places of the vertices in the picture, 0 to 1, and their distances."""
    from bpy_extras.object_utils import world_to_camera_view

    bpy.context.view_layer.update()
    return np.array(
        [
            world_to_camera_view(bpy.context.scene, camera, head.matrix_world @ vertex.co)
            for vertex in head.data.vertices
        ]
    )


@pytest.mark.parametrize(
    ("place", "turn", "size"),
    [
        ((0, 0, 0), (0, 0, 0), 1.0),
        ((3, -2, 1.6), (0.2, -0.1, 2.0), 1.0),
        ((0, 0, 1), (0, 0, math.pi), 7.5),
    ],
)
def test_the_face_fills_the_picture_wherever_the_head_looks(blender, head, place, turn, size):
    head.location, head.rotation_euler, head.scale = place, turn, (size,) * 3
    blender.context.view_layer.update()
    blender.ops.gaussianspeech.portrait_camera()
    camera = blender.context.scene.camera
    places = picture_places(blender, head, camera)
    assert places[:, 0].min() > 0.1
    assert places[:, 0].max() < 0.9
    assert 0.7 < np.ptp(places[:, 1]) < 1.1
    nose = min(range(len(places)), key=lambda i: head.data.vertices[i].co.y)
    assert places[nose, 2] == pytest.approx(places[:, 2].min(), rel=0.01)


def test_the_selection_stays_and_without_a_head_it_is_greyed_out(blender, head):
    blender.ops.gaussianspeech.portrait_camera()
    assert blender.context.selected_objects == [head]
    blender.data.objects.remove(head)
    assert not blender.ops.gaussianspeech.portrait_camera.poll()
