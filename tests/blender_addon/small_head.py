# SPDX-License-Identifier: GPL-3.0-or-later
"""A head of four vertices: two lips and two more."""

from __future__ import annotations

FACES = ((0, 2, 3), (1, 2, 3))


def add_small_head(blender, offsets, vertices=((0, 0, 0), (0, 0, 0), (1, 0, 0), (0, 1, 0))):
    """Add it to the scene, which has 25 frames per second, and make it active.

    Args:
        blender: bpy.
        offsets: of each expression: vertex → where that key puts it.
        vertices: at rest.
    """
    mesh = blender.data.meshes.new("Small")
    mesh.from_pydata(vertices, [], FACES)
    obj = blender.data.objects.new("Small", mesh)
    blender.context.collection.objects.link(obj)
    blender.context.view_layer.objects.active = obj
    obj.shape_key_add(name="Basis")
    for name, moved in offsets.items():
        key = obj.shape_key_add(name=name, from_mix=False)
        key.value = 0
        for vertex, position in moved.items():
            key.points[vertex].co = position
    known = obj.gaussianspeech_head
    known.id, known.vertex_count = "small", len(vertices)
    known.camera_visibility = "ARTIST"  # As heads are made; of 0.1.0 undo would change it.
    blender.context.scene.render.fps, blender.context.scene.render.fps_base = 25, 1.0
    return obj
