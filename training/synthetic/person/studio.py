# SPDX-License-Identifier: GPL-3.0-or-later
"""The photographer's studio: soft key, fill and rim lights, and how Cycles renders."""

from __future__ import annotations

from typing import Any, NamedTuple

import bpy
import numpy as np


class _Lamp(NamedTuple):
    """A softbox.

    Attributes:
        place: where it stands in Blender space, metres, from the head's origin.
        size: width and height, metres.
        power: watts.
        colour: linear RGB.
    """

    place: tuple[float, float, float]
    size: tuple[float, float]
    power: float
    colour: tuple[float, float, float]


_LAMPS = {
    "key": _Lamp((-0.75, -1.15, 0.62), (0.70, 0.70), 21.0, (1.0, 0.965, 0.92)),
    "fill": _Lamp((1.05, -1.0, 0.10), (1.1, 1.1), 6.5, (0.94, 0.965, 1.0)),
    "top": _Lamp((0.0, -0.35, 1.3), (0.9, 0.6), 3.6, (1.0, 1.0, 1.0)),
    "rim left": _Lamp((0.85, 0.75, 0.45), (0.35, 0.9), 6.5, (0.97, 0.98, 1.0)),
    "rim right": _Lamp((-0.95, 0.70, 0.30), (0.35, 0.9), 4.5, (1.0, 0.98, 0.95)),
}
_SURROUND = (0.18, 0.185, 0.19)


def light_studio(scene: Any) -> None:
    """Put up the lights; no camera sees them or the walls.

    Args:
        scene: the scene that gets them, and a world of its own.
    """
    for name, lamp in _LAMPS.items():
        light = bpy.data.lights.new(name, "AREA")
        light.shape = "RECTANGLE"
        light.size, light.size_y = lamp.size
        light.energy = lamp.power
        light.color = lamp.colour
        item = bpy.data.objects.new(name, light)
        item.location = lamp.place
        x, y, z = lamp.place
        item.rotation_euler = (np.arctan2(np.hypot(x, y), z), 0, np.arctan2(x, -y))
        item.visible_camera = False
        scene.collection.objects.link(item)
    world = bpy.data.worlds.new("studio")
    if world.node_tree is None:
        world.use_nodes = True
    world.node_tree.nodes["Background"].inputs[0].default_value = (*_SURROUND, 1)
    scene.world = world


def prepare_rendering(scene: Any, samples: int = 16) -> None:
    """Set Cycles up: denoised, transparent behind the head, Standard view transform.

    Size, threads, file format and camera are the caller's.

    Args:
        scene: the scene.
        samples: a pixel.
    """
    scene.render.engine = "CYCLES"
    cycles = scene.cycles
    cycles.device = "CPU"
    cycles.samples = samples
    cycles.use_adaptive_sampling = True
    cycles.adaptive_threshold = 0.02
    cycles.adaptive_min_samples = 8
    cycles.use_denoising = True
    cycles.denoiser = "OPENIMAGEDENOISE"
    cycles.max_bounces = 4
    cycles.diffuse_bounces = 2
    cycles.glossy_bounces = 2
    cycles.transmission_bounces = 3
    cycles.transparent_max_bounces = 8
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 4.0
    cycles.filter_width = 1.2
    scene.cycles_curves.shape = "RIBBONS"
    scene.cycles_curves.subdivisions = 2
    scene.render.film_transparent = True
    scene.render.use_persistent_data = True
    scene.render.resolution_percentage = 100
    scene.display_settings.display_device = "sRGB"
    scene.view_settings.view_transform = "Standard"
    scene.view_settings.look = "None"
    scene.view_settings.exposure = 0.0
    scene.view_settings.gamma = 1.0
