# SPDX-License-Identifier: GPL-3.0-or-later
"""Main scenes that were copied or deleted: each composite has scenes of its own, or none."""

from __future__ import annotations

from collections.abc import Iterator

import bpy

from . import compositor_nodes
from .compositor import TAG
from .foreground.foreground_scene import remove_scene as remove_foreground
from .light.light_scene import remove_scene as remove_light
from .properties import composite_of

_POINTERS = ("avatar_scene", "light_scene", "foreground_scene")


def claim(scene: bpy.types.Scene, avatar_scene: bpy.types.Scene) -> None:
    """Note whose avatars a scene renders: a copy of the main scene points at it, too."""
    composite_of(avatar_scene).main_scene = scene
    avatar_scene[TAG] = "avatar"


def copies() -> list[bpy.types.Scene]:
    """Scenes whose composite is another's: they were copied with it."""
    found, first = [], {}
    for scene in bpy.data.scenes:
        avatar_scene = composite_of(scene).avatar_scene
        if avatar_scene is None:
            continue
        owner = composite_of(avatar_scene).main_scene
        if owner is None or composite_of(owner).avatar_scene != avatar_scene:
            owner = first.setdefault(avatar_scene, scene)
        if owner != scene:
            found.append(scene)
    return found


def separate(scene: bpy.types.Scene) -> None:
    """Let a copied scene go of all that belongs to the composite of the one it was copied from."""
    composite = composite_of(scene)
    owner = composite_of(composite.avatar_scene).main_scene
    for name in _POINTERS:
        setattr(composite, name, None)
    if owner is None:
        return
    hulls = composite_of(owner).hulls
    if hulls is not None and composite.hulls == hulls:
        composite.hulls = None
        if hulls.name in scene.collection.children:
            scene.collection.children.unlink(hulls)
    tree = compositor_nodes.single_user_tree(scene)
    for node in tree.nodes if tree is not None else ():
        if node.bl_idname == "CompositorNodeRLayers" and node.scene == owner:
            layer = node.layer
            node.scene = scene
            if layer in scene.view_layers:
                node.layer = layer


def left_over() -> list[bpy.types.Scene]:
    """Scenes that this add-on made for main scenes that have been deleted since."""
    used = set(_referred())
    return [
        scene
        for scene in bpy.data.scenes
        if TAG in scene
        and scene not in used
        and scene.background_set is None
        and composite_of(scene).main_scene is None
    ]


def remove(scene: bpy.types.Scene) -> None:
    """Remove a scene that is left over, with what was made for it."""
    {"light": remove_light, "foreground": remove_foreground}.get(
        scene[TAG], bpy.data.scenes.remove
    )(scene)


def _referred() -> Iterator[bpy.types.Scene]:
    for scene in bpy.data.scenes:
        for name in _POINTERS:
            other = getattr(composite_of(scene), name)
            if other is not None:
                yield other
