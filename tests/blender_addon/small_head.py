# SPDX-License-Identifier: GPL-3.0-or-later
"""A head of four vertices, two lips and two more; and lines that it speaks."""

from __future__ import annotations

import numpy as np

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


def bake_line(blender, addon, obj, names, values, deltas=None, **about):
    """Bake curves on a line of the head, which is made where it is missing; gives what was done.

    Args:
        blender: bpy.
        addon: gives its modules.
        obj: the head.
        names: its expressions.
        values: (T, K).
        deltas: (N, 4, 3) of correctives; none by default.
        about: other fields of the prediction.
    """
    known = {
        "clip": "voice",
        "head": "small",
        "model": "rules",
        "fps": 25.0,
        "start": 1.0,
        "strip_start": None,
        "correctives": (),
        "ranges": ((0.0, 1.0),) * len(names),
    }
    prediction = addon("speech.prediction").Prediction(
        expressions=names, values=np.asarray(values, np.float32), **(known | about)
    )
    line = obj.gaussianspeech_lines.get(prediction.clip)
    line = line or addon("speech.line_list").add_line(obj, prediction.clip)
    deltas = np.zeros((0, 4, 3), np.float32) if deltas is None else deltas
    return addon("speech.bake").bake(blender.context, line, prediction, deltas)
