# SPDX-License-Identifier: GPL-3.0-or-later
"""Which heads of a main scene are avatars in its composite, and in which view layer."""

from __future__ import annotations

from collections.abc import Iterator

import bpy

from ..avatars.properties import bound_avatar
from .camera_visibility import is_hidden_by_artist
from .compositor import built_layer, used_layers


def shows_avatar(obj: bpy.types.Object) -> bool:
    """Whether an object is a head with an avatar."""
    return obj.type == "MESH" and bound_avatar(obj) is not None


def instanced_heads(obj: bpy.types.Object) -> list[bpy.types.Object]:
    """Heads with avatars in the collection that an object is an instance of."""
    if obj.instance_type != "COLLECTION" or obj.instance_collection is None:
        return []
    return [other for other in obj.instance_collection.all_objects if shows_avatar(other)]


def avatars_of(layer: bpy.types.ViewLayer) -> set[bpy.types.Object]:
    """The heads, and instances of heads, that a view layer renders as avatars.

    A head that is held out stays a mesh, which cuts its hole.
    """
    return {
        obj
        for obj in _rendered(layer.layer_collection)
        if (shows_avatar(obj) and not is_hidden_by_artist(obj) and not obj.is_holdout)
        or instanced_heads(obj)
    }


def composited_layer(scene: bpy.types.Scene) -> bpy.types.ViewLayer:
    """The view layer over whose picture the avatars are put.

    That of the nodes that are there; else the first that renders avatars, of those whose pictures
    the artist's nodes use before others.
    """
    built = scene.view_layers.get(built_layer(scene))
    if built is not None:
        return built
    names = dict.fromkeys((*used_layers(scene), *scene.view_layers.keys()))
    layers = [scene.view_layers[name] for name in names]
    return next((layer for layer in layers if avatars_of(layer)), layers[0])


def is_shown_by_sets(scene: bpy.types.Scene) -> bool:
    """Whether scenes with the main one as their background set show the composited layer of it.

    They show the first that is rendered.
    """
    used = [layer for layer in scene.view_layers if layer.use]
    return composited_layer(scene) == (used or scene.view_layers)[0]


def _rendered(layer: bpy.types.LayerCollection) -> Iterator[bpy.types.Object]:
    """Objects of a view layer's collections that cameras see in renders."""
    if layer.collection.hide_render:
        return
    if not layer.exclude and not layer.indirect_only and not layer.holdout:
        yield from layer.collection.objects
    for child in layer.children:
        yield from _rendered(child)
