# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene that holds a main scene's avatars, so that each is rendered by its own engine.

The heads that the main scene renders are linked into both scenes, at each change and before each
render: what is deleted, hidden, excluded, duplicated or appended is so in both. The avatar scene
draws them as Gaussians; while the main scene is rendered they are hidden from its camera rays, so
their shadows and reflections stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import bpy
from bpy.app.handlers import persistent

from ...engine.core.errors import BadInputError, GaussianSpeechError
from ..status import set_error
from . import copied_scenes, freeing, properties, render_errors
from .camera_visibility import (
    hide,
    show,
    show_arrived,
    show_hidden_before,
    show_left_hidden,
    show_restored,
)
from .compositor import (
    build_nodes,
    built_parts,
    built_view,
    follow_view,
    keep_passes,
    remove_nodes,
    write_layers,
)
from .engine import GaussianSpeechRenderEngine
from .following import cameras_of, follow, follow_all, follow_subframe
from .foreground import foreground_scene as foreground
from .foreground import frames
from .foreground.held_out import sees_mattes
from .light import properties as light_properties
from .light.light_scene import differs, keep_light_scene, remove_light_scene
from .properties import composite_of
from .rendered_heads import avatars_of, composited_layer, instanced_heads, shows_avatar

_RETRY_SECONDS = 0.5


def set_up_composite(scene: bpy.types.Scene) -> bpy.types.Scene:
    """Render the heads of ``scene`` as avatars in a linked scene, composited over it by depth.

    Returns:
        The avatar scene.

    Raises:
        BadInputError: no head has an avatar, no camera, or the scene itself renders avatars.
    """
    if scene.render.engine == GaussianSpeechRenderEngine.bl_idname:
        raise BadInputError(
            f"The scene '{scene.name}' already renders avatars itself.",
            "Choose Cycles or EEVEE as its render engine, then set up the composite.",
        )
    if not any(shows_avatar(obj) or instanced_heads(obj) for obj in scene.objects):
        raise BadInputError(
            f"No head in '{scene.name}' has an avatar.", "Bind an avatar to a head first."
        )
    if scene.camera is None:
        raise BadInputError(
            f"The scene '{scene.name}' has no camera.", "Add one and make it the active camera."
        )
    composite = composite_of(scene)
    if composite.avatar_scene is None:
        composite.avatar_scene = bpy.data.scenes.new(f"{scene.name} Avatar")
        composite.keeps_visibility = True
    avatar_scene = composite.avatar_scene
    copied_scenes.claim(scene, avatar_scene)
    avatar_scene.render.engine = GaussianSpeechRenderEngine.bl_idname
    avatar_scene.render.film_transparent = True
    if not avatars_of(composited_layer(scene)):
        remove_nodes(scene)  # Another view layer may show them.
    show_hidden_before(composite)
    _link_heads(scene, avatar_scene)
    follow(scene, avatar_scene)
    _link_cameras(scene, avatar_scene)
    scene.render.use_compositing = True
    _keep_scenes(scene, avatar_scene)
    _build_nodes(scene, avatar_scene)
    return avatar_scene


def _build_nodes(scene: bpy.types.Scene, avatar_scene: bpy.types.Scene) -> None:
    composite = composite_of(scene)
    layer = composited_layer(scene).name
    build_nodes(scene, avatar_scene, layer, composite.light_scene, composite.foreground_scene)
    write_layers(scene, composite.layers_path if composite.write_layers else None)


def _keep_scenes(scene: bpy.types.Scene, avatar_scene: bpy.types.Scene) -> None:
    """Have the light scene that the lit heads need, and the foreground scene."""
    keep_light_scene(scene, _lit_heads(avatar_scene))
    light_scene = composite_of(scene).light_scene
    if light_scene is not None:
        _link_cameras(scene, light_scene)
    foreground.keep_foreground_scene(scene, _covered_heads(scene, avatar_scene))
    follow_all(scene)


def _lit_heads(avatar_scene: bpy.types.Scene) -> list[bpy.types.Object]:
    return [obj for obj in _heads(avatar_scene) if light_properties.is_lit(obj)]


def _covered_heads(scene: bpy.types.Scene, avatar_scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """Those that are hidden by coverage."""
    return _heads(avatar_scene) if foreground.wants_coverage(scene) else []


def _heads(avatar_scene: bpy.types.Scene) -> list[bpy.types.Object]:
    return [obj for obj in avatar_scene.collection.objects if obj.type == "MESH"]


def remove_composite(scene: bpy.types.Scene) -> None:
    """Undo :func:`set_up_composite`; what the artist built stays."""
    composite = composite_of(scene)
    remove_nodes(scene)
    remove_light_scene(scene)
    foreground.remove_foreground_scene(scene)
    show_hidden_before(composite)
    avatar_scene, composite.avatar_scene = composite.avatar_scene, None
    if avatar_scene is not None:
        bpy.data.scenes.remove(avatar_scene)


def _link_heads(scene: bpy.types.Scene, avatar_scene: bpy.types.Scene) -> None:
    """Have the heads in the avatar scene that the main scene renders, and no others."""
    objects = avatar_scene.collection.objects
    gone, missing = _differing_heads(scene, avatar_scene)
    for obj in gone:
        objects.unlink(obj)
    for obj in missing:
        objects.link(obj)
    if gone or missing:
        # A render that has begun already would otherwise crash Blender 5.2.
        avatar_scene.view_layers[0].update()


def _differing_heads(
    scene: bpy.types.Scene, avatar_scene: bpy.types.Scene
) -> tuple[set[bpy.types.Object], set[bpy.types.Object]]:
    """Heads that the avatar scene has and is not to have, and those that it lacks."""
    wanted = avatars_of(composited_layer(scene))
    objects = avatar_scene.collection.objects
    present = {obj for obj in objects if obj.type == "MESH" or obj.instance_collection is not None}
    return present - wanted, wanted - present


def _link_cameras(scene: bpy.types.Scene, other: bpy.types.Scene) -> None:
    """Have the cameras in a scene, so that its 3D views can look through them.

    Those of a scene with a view for each of several are looked for by their names.
    """
    objects, wanted = other.collection.objects, cameras_of(scene)
    if all(camera.name in objects for camera in wanted):
        return
    for old in [obj for obj in objects if obj.type == "CAMERA"]:
        objects.unlink(old)
    for camera in wanted:
        objects.link(camera)
    # A render that has begun already would otherwise crash Blender 5.2.
    other.view_layers[0].update()


def _composites() -> Iterator[tuple[bpy.types.Scene, bpy.types.Scene]]:
    """The main scenes that have an avatar scene, with it."""
    for scene in bpy.data.scenes:
        avatar_scene = composite_of(scene).avatar_scene
        if avatar_scene is not None:
            yield scene, avatar_scene


def _keep_in_step() -> None:
    """Bring the avatar scenes and their nodes up to date with their main scenes."""
    for scene in copied_scenes.copies():
        copied_scenes.separate(scene)
        _set_up_or_say(scene)
    for scene in copied_scenes.left_over():
        freeing.free(partial(copied_scenes.remove, scene))
    for scene, avatar_scene in _composites():
        _link_heads(scene, avatar_scene)
        follow(scene, avatar_scene)
        _link_cameras(scene, avatar_scene)
        try:
            _keep_scenes(scene, avatar_scene)
        except GaussianSpeechError as error:
            set_error(bpy.context, error)
        composite = composite_of(scene)
        scenes = composite.light_scene is not None, composite.foreground_scene is not None
        parts = *scenes, sees_mattes(composite.foreground_scene)
        if built_view(scene) is not None and built_parts(scene) != parts:
            _build_nodes(scene, avatar_scene)
        if built_view(scene) not in (None, scene.view_settings.view_transform):
            with suppress(KeyError):  # Nodes of an earlier version: Set Up Again makes new ones.
                follow_view(scene)


def _set_up_or_say(scene: bpy.types.Scene) -> None:
    try:
        set_up_composite(scene)
    except GaussianSpeechError as error:
        remove_composite(scene)
        set_error(bpy.context, error)


def _keep_in_step_soon() -> None:
    # Objects cannot be linked while the dependency graph is being updated. In the background there
    # are no timers; there the next render begins with it.
    if not bpy.app.background and not bpy.app.timers.is_registered(_keep_in_step_between_renders):
        bpy.app.timers.register(_keep_in_step_between_renders, first_interval=0.0)


def _keep_in_step_between_renders() -> float | None:
    if bpy.app.is_job_running("RENDER"):
        return _RETRY_SECONDS
    _keep_in_step()
    return None


@persistent
def _on_change(*_args: object) -> None:
    show_arrived()
    if copied_scenes.copies() or copied_scenes.left_over():
        _keep_in_step_soon()
    for scene, avatar_scene in _composites():
        if (
            any(_differing_heads(scene, avatar_scene))
            or differs(scene, _lit_heads(avatar_scene))
            or foreground.differs(scene, _covered_heads(scene, avatar_scene))
        ):
            _keep_in_step_soon()
        follow_all(scene)


@persistent
def _on_frame(
    changed: bpy.types.Scene, depsgraph: bpy.types.Depsgraph | None, *_args: object
) -> None:
    # A marker may have changed the camera.
    for scene, avatar_scene in _composites():
        follow_all(scene)
        if scene == changed and depsgraph is not None and depsgraph.mode == "RENDER":
            frames.add_time(scene, depsgraph, _covered_heads(scene, avatar_scene))


@persistent
def _on_render_frame(scene: bpy.types.Scene, *_args: object) -> None:
    _on_frame(scene, None)
    follow_subframe(scene)
    frames.begin_frame(scene)


@persistent
def _on_render_init(scene: bpy.types.Scene, *_args: object) -> None:
    freeing.begin_render()
    render_errors.forget()
    if bpy.app.background:
        _keep_in_step()
    avatar_scene = composite_of(scene).avatar_scene
    if avatar_scene is not None and built_view(scene) is not None:
        keep_passes(scene, avatar_scene)
        hide(_heads(avatar_scene))
        for obj in avatar_scene.collection.objects:
            hide(instanced_heads(obj))


@persistent
def _on_render_end(*_args: object) -> None:
    show()
    freeing.end_render()


@persistent
def _on_load(*_args: object) -> None:
    for scene, _ in _composites():
        show_hidden_before(composite_of(scene))
    show_left_hidden(opened=True)
    _watch_view_transform()


def _watch_view_transform() -> None:
    """Have new nodes built when the artist chooses another view transform: no update says so."""
    bpy.msgbus.clear_by_owner(_HANDLERS)
    bpy.msgbus.subscribe_rna(
        key=(bpy.types.ColorManagedViewSettings, "view_transform"),
        owner=_HANDLERS,
        args=(),
        notify=_keep_in_step_soon,
    )


_HANDLERS: dict[str, Any] = {
    "depsgraph_update_post": _on_change,
    "frame_change_post": _on_frame,
    "render_pre": _on_render_frame,
    "render_init": _on_render_init,
    "render_complete": _on_render_end,
    "render_cancel": _on_render_end,
    "load_post": _on_load,
    "undo_post": show_restored,
    "redo_post": show_restored,
}


def register() -> None:
    """Keep avatar scenes in step with their main scenes."""
    for name, handler in _HANDLERS.items():
        getattr(bpy.app.handlers, name).append(handler)
    for calls in (light_properties.changed, properties.changed):
        calls.append(_keep_in_step)
    _watch_view_transform()


def unregister() -> None:
    """Follow main scenes no more."""
    show()
    freeing.unregister()
    for calls in (light_properties.changed, properties.changed):
        calls.remove(_keep_in_step)
    bpy.msgbus.clear_by_owner(_HANDLERS)
    if bpy.app.timers.is_registered(_keep_in_step_between_renders):
        bpy.app.timers.unregister(_keep_in_step_between_renders)
    for name, handler in _HANDLERS.items():
        getattr(bpy.app.handlers, name).remove(handler)
