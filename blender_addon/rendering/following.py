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
    "use_multiview",
    "views_format",
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
    if scene.render.use_multiview:
        _copy_views(scene.render.views, other.render.views)
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


def cameras_of(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The cameras that a scene is seen by: with a view for each of several, these, too."""
    if scene.camera is None:
        return []
    if not has_several_cameras(scene):
        return [scene.camera]
    suffixes = [view.camera_suffix for view in scene.render.views if view.use]
    name = scene.camera.name
    own = next((suffix for suffix in suffixes if suffix and name.endswith(suffix)), "")
    named = [scene.objects.get(name.removesuffix(own) + suffix) for suffix in suffixes]
    found = [obj for obj in named if obj is not None and obj.type == "CAMERA"]
    return list(dict.fromkeys((scene.camera, *found)))


def has_several_cameras(scene: bpy.types.Scene) -> bool:
    """Whether a scene has a view for each of several cameras."""
    return scene.render.use_multiview and scene.render.views_format == "MULTIVIEW"


def _copy_views(source: bpy.types.RenderViews, target: bpy.types.RenderViews) -> None:
    """Have the same views: the eyes of a stereo pair, or cameras by their suffixes."""
    for view in [view for view in target if view.name not in source]:
        target.remove(view)
    for view in source:
        own = target.get(view.name) or target.new(view.name)
        _copy(view, own, ("use", "camera_suffix"))


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
