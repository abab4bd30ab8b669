# SPDX-License-Identifier: GPL-3.0-or-later
"""A camera that frames a head as a portrait."""

from __future__ import annotations

import math

import bpy
import numpy as np
from mathutils import Euler, Matrix, Vector

LENS, SENSOR_HEIGHT = 85.0, 24.0
"""Millimetres: a portrait lens on a small-format sensor."""

ABOVE, BELOW = 0.055, 0.025
"""Metres above the head, and of the neck's end that the frame cuts off."""

TURN = math.radians(7)
"""Radians that the camera is to the side: a face seen square on looks flat."""


def add_portrait_camera(
    scene: bpy.types.Scene, head: bpy.types.Object, name: str = "Portrait"
) -> bpy.types.Object:
    """Put a camera in front of a head, whatever its rotation, and make it the scene's."""
    corners = np.array(head.bound_box)
    low, high = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    top, bottom = high[2] + ABOVE, low[2] + BELOW
    target = Vector(((low[0] + high[0]) / 2, (low[1] + high[1]) / 2, (top + bottom) / 2))
    distance = (top - bottom) * LENS / SENSOR_HEIGHT
    position = target + distance * Vector((math.sin(TURN), -math.cos(TURN), 0.0))
    location, rotation, scale = head.matrix_world.decompose()
    size = max(abs(value) for value in scale)
    data = bpy.data.cameras.new(name)
    data.lens, data.sensor_fit, data.sensor_height = LENS, "VERTICAL", SENSOR_HEIGHT
    data.clip_start = 0.01
    camera = bpy.data.objects.new(name, data)
    turned = Matrix.LocRotScale(size * position, Euler((math.pi / 2, 0.0, TURN)), None)
    camera.matrix_world = Matrix.LocRotScale(location, rotation, None) @ turned
    scene.collection.objects.link(camera)
    scene.camera = camera
    return camera
