# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scenes of a composite take from the main scene: camera, frames, resolution and view."""

from __future__ import annotations

import bpy

from .properties import composite_of

_SETTINGS = (
    "fps",
    "fps_base",
    "frame_map_old",
    "frame_map_new",
    "resolution_x",
    "resolution_y",
    "resolution_percentage",
    "pixel_aspect_x",
    "pixel_aspect_y",
    "use_border",
    "use_crop_to_border",
    "border_min_x",
    "border_max_x",
    "border_min_y",
    "border_max_y",
    "use_motion_blur",
    "motion_blur_shutter",
    "motion_blur_position",
    "filter_size",
    "use_simplify",
    "simplify_subdivision_render",
    "simplify_child_particles_render",
)
_FRAMES = ("frame_start", "frame_end", "frame_step")
_VIEW = ("view_transform", "look", "exposure", "gamma")


def follow(scene: bpy.types.Scene, other: bpy.types.Scene) -> None:
    """Give a scene of the composite the main scene's camera, frames, resolution and view."""
    _copy(scene, other, ("camera", *_FRAMES))
    _copy(scene.render, other.render, _SETTINGS)
    _copy(scene.view_settings, other.view_settings, _VIEW)


def follow_all(scene: bpy.types.Scene) -> None:
    """:func:`follow` for all scenes that are rendered for a main scene's compositor."""
    for other in _scenes_of(scene):
        follow(scene, other)


def follow_subframe(scene: bpy.types.Scene) -> None:
    """Have them at the main scene's subframe: Blender gives them the whole frame alone."""
    for other in _scenes_of(scene):
        if other.frame_subframe != scene.frame_subframe:
            other.frame_float = scene.frame_float


def _scenes_of(scene: bpy.types.Scene) -> list[bpy.types.Scene]:
    composite = composite_of(scene)
    others = (composite.avatar_scene, composite.light_scene, composite.foreground_scene)
    return [other for other in others if other is not None]


def _copy(source: object, target: object, names: tuple[str, ...]) -> None:
    # Writing an equal value would tag the scene as changed and call the handler again.
    for name in names:
        value = getattr(source, name)
        if getattr(target, name) != value:
            setattr(target, name, value)
