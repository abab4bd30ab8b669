# SPDX-License-Identifier: GPL-3.0-or-later
"""Compositing trees and their nodes, in Blender 4.2 to 5.2.

A tree inside the scene with a Composite node before 5.0; a node group with an output after.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import bpy


def tree_of(scene: bpy.types.Scene) -> bpy.types.NodeTree | None:
    """The scene's compositing nodes, ``None`` where the scene is not composited."""
    if hasattr(scene, "compositing_node_group"):
        return scene.compositing_node_group
    return scene.node_tree if scene.use_nodes else None


def ensure_tree(scene: bpy.types.Scene) -> bpy.types.NodeTree:
    """The scene's compositing nodes; an empty tree is made, or an unused one emptied and used."""
    tree = tree_of(scene)
    if tree is None:
        if hasattr(scene, "compositing_node_group"):
            tree = bpy.data.node_groups.new(f"{scene.name} Compositing", "CompositorNodeTree")
            scene.compositing_node_group = tree
        else:
            fresh = scene.node_tree is None
            scene.use_nodes = True
            tree = scene.node_tree
            if fresh:
                tree.nodes.clear()
    return tree


def single_user_tree(scene: bpy.types.Scene) -> bpy.types.NodeTree | None:
    """The scene's compositing nodes, copied where another scene uses them, too."""
    tree = tree_of(scene)
    if hasattr(scene, "compositing_node_group") and tree is not None and tree.users > 1:
        tree = tree.copy()
        scene.compositing_node_group = tree
    return tree


def output_socket(tree: bpy.types.NodeTree, *, make: bool) -> bpy.types.NodeSocket | None:
    """The socket that takes the scene's final image; where there is none, made if ``make``."""
    grouped = not _has_node("CompositorNodeComposite")
    kind = "NodeGroupOutput" if grouped else "CompositorNodeComposite"
    nodes = [node for node in tree.nodes if node.bl_idname == kind]
    active = [node for node in nodes if getattr(node, "is_active_output", True)]
    node = (active or nodes or [None])[0]
    if node is None and make:
        node = tree.nodes.new(kind)
    if node is None:
        return None
    if grouped and make and not any(socket.type == "RGBA" for socket in node.inputs):
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    return next((socket for socket in node.inputs if socket.type == "RGBA"), None)


@cache
def _has_node(kind: str) -> bool:
    """Whether this Blender has a type of nodes; listing all types takes a millisecond."""
    return kind in dir(bpy.types)


def math_node(tree: bpy.types.NodeTree, operation: str) -> bpy.types.Node:
    """A Math node of a compositing tree."""
    old = _has_node("CompositorNodeMath")
    node = tree.nodes.new("CompositorNodeMath" if old else "ShaderNodeMath")
    node.operation = operation
    return node


def alpha_convert(tree: bpy.types.NodeTree, *, straight: bool) -> bpy.types.Node:
    """A node that makes premultiplied colours straight, or straight ones premultiplied."""
    node = tree.nodes.new("CompositorNodePremulKey")
    if hasattr(node, "mapping"):
        node.mapping = "PREMUL_TO_STRAIGHT" if straight else "STRAIGHT_TO_PREMUL"
    else:
        node.inputs["Type"].default_value = "To Straight" if straight else "To Premultiplied"
    return node


def inpaint(tree: bpy.types.NodeTree, distance: int) -> bpy.types.Node:
    """A node that fills what is transparent from the nearest pixels, so many of them far."""
    node = tree.nodes.new("CompositorNodeInpaint")
    if hasattr(node, "distance"):
        node.distance = distance
    else:
        node.inputs["Size"].default_value = distance
    return node


def layer_file(tree: bpy.types.NodeTree, path: str, layers: Mapping[str, str]) -> bpy.types.Node:
    """A File Output node that writes one multilayer EXR of 32-bit floats for each frame.

    Args:
        tree: the compositing tree.
        path: of the files, ``#`` for the frame's digits, without an extension.
        layers: the layers' names and socket types, ``RGBA`` or ``FLOAT``, in the inputs' order.
    """
    node = tree.nodes.new("CompositorNodeOutputFile")
    file = node.format
    if hasattr(file, "media_type"):
        file.media_type = "MULTI_LAYER_IMAGE"
    file.file_format, file.color_depth, file.exr_codec = "OPEN_EXR_MULTILAYER", "32", "ZIP"
    if hasattr(file, "use_exr_interleave"):
        # The form that older Blenders write and every program reads.
        file.use_exr_interleave = True
    if hasattr(node, "file_output_items"):
        cut = max(path.rfind("/"), path.rfind("\\")) + 1
        node.directory, node.file_name = path[:cut], path[cut:]
        for name, kind in layers.items():
            node.file_output_items.new(kind, name)
    else:
        node.base_path = path
        node.layer_slots.clear()
        for name in layers:
            node.layer_slots.new(name)
    return node
