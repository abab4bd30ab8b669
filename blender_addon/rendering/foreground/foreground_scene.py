# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene that renders what occludes a main scene's avatars, kept in step with it."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

import bpy

from ..following import has_several_cameras
from ..freeing import free
from ..light.light_scene import (
    engine_differs,
    follow_engine,
    keep_proxies,
    new_scene_before,
    proxies_differ,
)
from ..light.proxies import remove_proxy, remove_unused
from ..properties import composite_of
from ..rendered_heads import is_shown_by_sets
from .bounding_holdout import NAME as HOLDOUT
from .bounding_holdout import follow_camera, make_holdout
from .held_out import differs as held_out_differs
from .held_out import holds_out_objects, keep_held_out, remove_held_out
from .mattes import MATERIAL, NODES, make_matte

_WITH_HOLDOUTS = {"CYCLES", "BLENDER_EEVEE", "BLENDER_EEVEE_NEXT"}
"""Engines that know the shader; in Workbench, for one, mattes would hide the avatars."""


def wants_coverage(scene: bpy.types.Scene) -> bool:
    """Whether a main scene's avatars are hidden by coverage, and not by one depth a pixel."""
    if scene.render.engine not in _WITH_HOLDOUTS or not is_shown_by_sets(scene):
        return False
    if has_several_cameras(scene):
        return False  # The bounding holdout is before one camera.
    occlusion = composite_of(scene).occlusion
    if occlusion == "AUTO":
        # Cycles takes the longer for its own picture the better that is to be; EEVEE does not.
        every = scene.render.engine == "CYCLES"
        return every or _is_blurred(scene) or holds_out_objects(scene)
    return occlusion == "COVERAGE"


def _is_blurred(scene: bpy.types.Scene) -> bool:
    """Whether some frame may have motion blur or depth of field."""
    cameras = {scene.camera, *(marker.camera for marker in scene.timeline_markers)} - {None}
    return scene.render.use_motion_blur or any(
        camera.type == "CAMERA" and camera.data.dof.use_dof for camera in cameras
    )


def keep_foreground_scene(scene: bpy.types.Scene, heads: Collection[bpy.types.Object]) -> None:
    """Have mattes of these heads and of no others, and no foreground scene for none.

    Raises:
        BadInputError: an avatar's file cannot be read.
    """
    composite = composite_of(scene)
    if not heads:
        remove_foreground_scene(scene)
        return
    if composite.foreground_scene is None:
        composite.foreground_scene = new_scene_before(
            scene, f"{scene.name} Foreground", "foreground"
        )
    foreground = composite.foreground_scene
    changed = keep_proxies(foreground.collection.objects, heads, make_matte)
    follow_engine(scene, foreground)
    _follow_shutter(scene.render, foreground.render)
    if _bounding(foreground) is None:
        bounding = bpy.data.collections.new(HOLDOUT)
        foreground.collection.children.link(bounding)
        bounding.objects.link(make_holdout())
        changed = True
    changed |= keep_held_out(scene, foreground)
    follow_camera(holdout_of(foreground), scene.camera)
    if changed:
        # A render that has begun already would otherwise crash Blender 5.2.
        foreground.view_layers[0].update()


def holdout_of(foreground: bpy.types.Scene) -> bpy.types.Object:
    """The bounding holdout of a foreground scene, in a collection of its own: it is no matte."""
    bounding = _bounding(foreground)
    assert bounding is not None
    return bounding.objects[0]


def _bounding(foreground: bpy.types.Scene) -> bpy.types.Collection | None:
    children = foreground.collection.children
    return next((child for child in children if child.name.startswith(HOLDOUT)), None)


def differs(scene: bpy.types.Scene, heads: Collection[bpy.types.Object]) -> bool:
    """Whether :func:`keep_foreground_scene` would make or remove something."""
    foreground = composite_of(scene).foreground_scene
    if foreground is None:
        return bool(heads)
    return (
        proxies_differ(foreground.collection.objects, heads)
        or held_out_differs(scene, foreground)
        or engine_differs(scene, foreground)
    )


def remove_foreground_scene(scene: bpy.types.Scene) -> None:
    """Remove the foreground scene, its mattes, and what they share."""
    composite = composite_of(scene)
    foreground, composite.foreground_scene = composite.foreground_scene, None
    if foreground is not None:
        free(partial(remove_scene, foreground))


def remove_scene(foreground: bpy.types.Scene) -> None:
    """Remove a foreground scene at once, with its mattes and its bounding holdout."""
    for obj in [obj for obj in foreground.collection.objects if obj.type == "MESH"]:
        remove_proxy(obj)
    remove_held_out(foreground)
    for collection in list(foreground.collection.children):
        for obj in list(collection.objects):
            remove_proxy(obj)
        bpy.data.collections.remove(collection)
    bpy.data.scenes.remove(foreground)
    remove_unused(MATERIAL, NODES)
    remove_unused()


def _follow_shutter(source: bpy.types.RenderSettings, target: bpy.types.RenderSettings) -> None:
    """Take over the curve by which the shutter opens and closes: both pictures must agree."""
    curve, own = (render.motion_blur_shutter_curve.curves[0].points for render in (source, target))
    shape = [(*point.location, point.handle_type) for point in curve]
    if shape == [(*point.location, point.handle_type) for point in own]:
        return
    while len(own) > len(shape):
        own.remove(own[-1])
    while len(own) < len(shape):
        own.new(1.0, 0.0)
    for point, (x, y, handle) in zip(own, shape, strict=True):
        point.location, point.handle_type = (x, y), handle
    target.motion_blur_shutter_curve.update()
