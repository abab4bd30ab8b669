# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artist holds out before the avatars: it cuts its hole into them, too.

In the picture of the scene it is as empty as what lies behind everything. So the foreground scene
gets a pass of what reaches the heads' mattes, which tells the two apart.
"""

from __future__ import annotations

from collections.abc import Iterator

import bpy

from ..rendered_heads import composited_layer
from .mattes import MATERIAL, MATTE, matte_material

NAME = "GaussianSpeech Held Out"
"""Collection of a foreground scene with what the main scene holds out: of a background set Blender
forgets what collections hold out, and before 5.0 objects, too."""


def keep_held_out(scene: bpy.types.Scene, foreground: bpy.types.Scene) -> bool:
    """Have in a foreground scene what the main scene holds out.

    Returns:
        Whether objects were linked or unlinked.
    """
    wanted, (gone, missing) = bool(_holds_out(scene)), _differing(scene, foreground)
    if wanted:
        matte_material()
    _keep_pass(foreground.view_layers[0], wanted=wanted)
    if not gone and not missing:
        return False
    collection = _collection(foreground)
    if collection is None:
        collection = bpy.data.collections.new(NAME)
        foreground.collection.children.link(collection)
    for obj in gone:
        collection.objects.unlink(obj)
    for obj in missing:
        collection.objects.link(obj)
    layer = foreground.view_layers[0]
    layer.update()  # A new scene has no layer collections before.
    children = layer.layer_collection.children
    next(child for child in children if child.collection == collection).holdout = True
    return True


def differs(scene: bpy.types.Scene, foreground: bpy.types.Scene) -> bool:
    """Whether :func:`keep_held_out` would change something; holdout shaders are not looked for."""
    return any(_differing(scene, foreground))


def sees_mattes(foreground: bpy.types.Scene | None) -> bool:
    """Whether a foreground scene has the pass of mattes."""
    return foreground is not None and MATTE in foreground.view_layers[0].aovs


def remove_held_out(foreground: bpy.types.Scene) -> None:
    """Remove the collection; what is in it is the artist's."""
    collection = _collection(foreground)
    if collection is not None:
        bpy.data.collections.remove(collection)


def holds_out_objects(scene: bpy.types.Scene) -> bool:
    """Whether objects of a scene are held out, by themselves or by their collections."""
    layer = composited_layer(scene).layer_collection
    return any(_held_by_themselves(layer)) or any(_held_by_collections(layer))


def _keep_pass(layer: bpy.types.ViewLayer, *, wanted: bool) -> None:
    if wanted and MATTE not in layer.aovs:
        aov = layer.aovs.add()
        aov.name, aov.type = MATTE, "VALUE"
        # What is transparent before a matte is in the alpha: the pass is of what is behind it.
        layer.pass_alpha_threshold = 1.0
        layer.update_render_passes()
    elif not wanted and MATTE in layer.aovs:
        layer.aovs.remove(layer.aovs[MATTE])
        layer.update_render_passes()


def _collection(foreground: bpy.types.Scene) -> bpy.types.Collection | None:
    children = foreground.collection.children
    return next((child for child in children if child.name.startswith(NAME)), None)


def _differing(
    scene: bpy.types.Scene, foreground: bpy.types.Scene
) -> tuple[set[bpy.types.Object], set[bpy.types.Object]]:
    collection = _collection(foreground)
    present = set() if collection is None else set(collection.objects)
    layer = composited_layer(scene).layer_collection
    wanted = {*_held_by_collections(layer), *_held_by_themselves(layer)}
    return present - wanted, wanted - present


def _held_by_collections(layer: bpy.types.LayerCollection) -> Iterator[bpy.types.Object]:
    if layer.collection.hide_render or layer.exclude:
        return
    if layer.holdout:
        yield from layer.collection.objects
    for child in layer.children:
        yield from _held_by_collections(child)


def _held_by_themselves(layer: bpy.types.LayerCollection) -> Iterator[bpy.types.Object]:
    # Not by the view layer's own list: to read it while frames change undoes what they animate.
    if layer.collection.hide_render:
        return
    if not layer.exclude:
        yield from (
            obj for obj in layer.collection.objects if obj.is_holdout and not obj.hide_render
        )
    for child in layer.children:
        yield from _held_by_themselves(child)


def _holds_out(scene: bpy.types.Scene) -> bool:
    """Whether objects, collections or shaders of a scene hold out."""
    return holds_out_objects(scene) or any(
        _has_holdout(material.node_tree) for material in _materials()
    )


def _materials() -> Iterator[bpy.types.Material]:
    return (material for material in bpy.data.materials if material.name != MATERIAL)


def _has_holdout(tree: bpy.types.NodeTree | None) -> bool:
    return tree is not None and any(
        node.type == "HOLDOUT" or (node.type == "GROUP" and _has_holdout(node.node_tree))
        for node in tree.nodes
    )
