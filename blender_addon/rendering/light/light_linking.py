# SPDX-License-Identifier: GPL-3.0-or-later
"""Lamps that light, or are shadowed by, some objects alone: proxies are what their heads are."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import bpy


def differs(scene: bpy.types.Scene, proxies: Collection[bpy.types.Object]) -> bool:
    """Whether :func:`follow_light_linking` would change something."""
    return any(_changes(scene, proxies))


def follow_light_linking(scene: bpy.types.Scene, proxies: Collection[bpy.types.Object]) -> bool:
    """Have the lamps of a scene light proxies as the heads that these stand for.

    Collections that are in a scene are left alone: proxies would be seen there.

    Returns:
        Whether anything was changed.
    """
    changes = list(_changes(scene, proxies))
    for collection, proxy, state in changes:
        objects = collection.objects
        if state and proxy.name not in objects:
            objects.link(proxy)
        elif not state:
            objects.unlink(proxy)
        if state:
            number = list(objects).index(proxy)
            collection.collection_objects[number].light_linking.link_state = state
    return bool(changes)


def _changes(
    scene: bpy.types.Scene, proxies: Collection[bpy.types.Object]
) -> Iterator[tuple[bpy.types.Collection, bpy.types.Object, str]]:
    """Collections, proxies and the states in these that they are to have; empty for none."""
    if not proxies:
        return
    shown = {known for each in bpy.data.scenes for known in each.collection.children_recursive}
    linked = {
        collection
        for obj in scene.collection.all_objects
        for collection in (
            obj.light_linking.receiver_collection,
            obj.light_linking.blocker_collection,
        )
        if collection is not None
    }
    for collection in linked - shown:
        for proxy in proxies:
            wanted = _state(collection, proxy.gaussianspeech_light_proxy.head)
            if _own_state(collection, proxy) != wanted:
                yield collection, proxy, wanted


def _own_state(collection: bpy.types.Collection, obj: bpy.types.Object | None) -> str:
    """Whether an object is included or excluded by itself; empty where it is neither."""
    for known, entry in zip(collection.objects, collection.collection_objects, strict=True):
        if known == obj:
            return str(entry.light_linking.link_state)
    return ""


def _state(collection: bpy.types.Collection, obj: bpy.types.Object | None) -> str:
    """Whether an object is included or excluded, by itself or in a collection."""
    if own := _own_state(collection, obj):
        return own
    for child, entry in zip(collection.children, collection.collection_children, strict=True):
        if obj is not None and obj.name in child.all_objects:
            return str(entry.light_linking.link_state)
    return ""
