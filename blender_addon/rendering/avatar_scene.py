# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene that holds a main scene's avatars, so that each is rendered by its own engine.

The heads are linked into both scenes. The avatar scene draws them as Gaussians; in the main scene
they are hidden from camera rays only, so their shadows and reflections stay, and only as long as
they show an avatar.
"""

from __future__ import annotations

import bpy
from bpy.app.handlers import persistent

from ...engine.core.errors import BadInputError
from ..avatars.properties import bound_avatar
from .camera_visibility import hide_from_camera
from .compositor import build_nodes, remove_nodes, write_layers
from .engine import GaussianSpeechRenderEngine
from .properties import composite_of

_SETTINGS = (
    "fps",
    "fps_base",
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
)
_FRAMES = ("frame_start", "frame_end", "frame_step")
_VIEW = ("view_transform", "look", "exposure", "gamma")


def set_up_composite(scene: bpy.types.Scene) -> bpy.types.Scene:
    """Render the heads of ``scene`` as avatars in a linked scene, composited over it by depth.

    Safe to call again: heads that were added since, or a new view transform, are taken over.

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
    heads = [obj for obj in scene.objects if bound_avatar(obj) is not None]
    if not heads:
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
    avatar_scene.render.engine = GaussianSpeechRenderEngine.bl_idname
    avatar_scene.render.film_transparent = True
    _link_heads(avatar_scene, heads)
    hide_from_camera(composite, heads)
    follow(scene, avatar_scene)
    _link_camera(avatar_scene)
    scene.render.use_compositing = True
    build_nodes(scene, avatar_scene)
    write_layers(scene, composite.layers_path if composite.write_layers else None)
    return avatar_scene


def remove_composite(scene: bpy.types.Scene) -> bool:
    """Undo :func:`set_up_composite`; what the artist built stays.

    Returns:
        Whether there was anything to remove.
    """
    composite = composite_of(scene)
    found = remove_nodes(scene)
    hide_from_camera(composite, ())
    avatar_scene, composite.avatar_scene = composite.avatar_scene, None
    if avatar_scene is None:
        return found
    bpy.data.scenes.remove(avatar_scene)
    return True


def follow(scene: bpy.types.Scene, avatar_scene: bpy.types.Scene) -> None:
    """Give the avatar scene the main scene's camera, frames, resolution and view."""
    _copy(scene, avatar_scene, ("camera", *_FRAMES))
    _copy(scene.render, avatar_scene.render, _SETTINGS)
    _copy(scene.view_settings, avatar_scene.view_settings, _VIEW)


def _link_heads(avatar_scene: bpy.types.Scene, heads: list[bpy.types.Object]) -> None:
    collection = avatar_scene.collection
    for obj in [obj for obj in collection.objects if obj.type == "MESH" and obj not in heads]:
        collection.objects.unlink(obj)
    for obj in heads:
        if obj.name not in collection.objects:
            collection.objects.link(obj)


def _link_camera(avatar_scene: bpy.types.Scene) -> None:
    """Have the camera in the scene, so that its 3D views can look through it."""
    objects, camera = avatar_scene.collection.objects, avatar_scene.camera
    if camera is None or camera.name in objects:
        return
    for other in [obj for obj in objects if obj.type == "CAMERA"]:
        objects.unlink(other)
    objects.link(camera)


def _copy(source: object, target: object, names: tuple[str, ...]) -> None:
    # Writing an equal value would tag the scene as changed and call the handler again.
    for name in names:
        value = getattr(source, name)
        if getattr(target, name) != value:
            setattr(target, name, value)


@persistent
def _on_change(*_args: object) -> None:
    for scene in bpy.data.scenes:
        composite = composite_of(scene)
        avatar_scene, heads = composite.avatar_scene, []
        if avatar_scene is not None:
            follow(scene, avatar_scene)
            heads = [obj for obj in avatar_scene.collection.objects if _shows_avatar(obj)]
        if heads or composite.hidden_heads:
            hide_from_camera(composite, heads)


def _shows_avatar(obj: bpy.types.Object) -> bool:
    return obj.type == "MESH" and bound_avatar(obj) is not None


def _handlers() -> tuple[list, ...]:
    handlers = bpy.app.handlers
    return handlers.depsgraph_update_post, handlers.frame_change_post, handlers.render_pre


def register() -> None:
    """Keep avatar scenes in step with their main scenes."""
    for handlers in _handlers():
        handlers.append(_on_change)


def unregister() -> None:
    """Let them go."""
    for handlers in _handlers():
        handlers.remove(_on_change)
