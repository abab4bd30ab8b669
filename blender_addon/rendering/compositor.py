# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatar over the main scene's picture: nodes that compare depths and keep the avatar's look.

One group node does the work and stands directly behind the main scene's Render Layers, so an
artist's own nodes work as before, now with the avatar in their image.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import bpy

from . import compositor_nodes
from .coverage_nodes import between
from .foreground.mattes import MATTE
from .freeing import free
from .relight_nodes import INPUTS, relit
from .render_passes import FOREGROUND_USED

TAG = "gaussianspeech"
"""Custom property that marks this add-on's nodes and trees."""

GROUP_NAME = "GaussianSpeech Composite"

LAYERS = {"Composite": "RGBA", "Avatar": "RGBA", "Avatar.Depth": "FLOAT"}
"""Layers of the EXR file and their kinds."""

_CONVERSIONS = ("To Display", "From View")
"""Names of the nodes that convert colours."""

_LINEAR = "Linear Rec.709"
_SRGB = "sRGB"


def build_nodes(
    scene: bpy.types.Scene,
    avatar_scene: bpy.types.Scene,
    layer: str,
    light_scene: bpy.types.Scene | None = None,
    foreground_scene: bpy.types.Scene | None = None,
) -> None:
    """Put the avatar scene over ``scene`` in its compositing tree, replacing former nodes.

    Args:
        scene: the main scene.
        avatar_scene: that renders its avatars.
        layer: the view layer over whose picture they are put.
        light_scene: that renders the light on them, if any are lit by the scene.
        foreground_scene: that renders what occludes them; ``None`` to compare depths.
    """
    remove_nodes(scene)
    keep_passes(scene, avatar_scene)
    tree = compositor_nodes.ensure_tree(scene)
    main = _main_layers(tree, scene, layer)
    avatar = _render_layers(tree, avatar_scene)
    avatar.label, avatar[TAG] = "Avatar", "avatar"
    group = tree.nodes.new("CompositorNodeGroup")
    group.node_tree = _group(
        scene.view_settings.view_transform,
        lit=light_scene is not None,
        covered=foreground_scene is not None,
        held_out=foreground_scene is not None and MATTE in foreground_scene.view_layers[0].aovs,
    )
    group.label, group[TAG] = "Avatar over Scene", "composite"
    _insert(tree, main, group)
    tree.links.new(avatar.outputs["Image"], group.inputs["Avatar"])
    group.location = main.location.x + 320, main.location.y
    avatar.location = main.location.x, main.location.y - 420
    if light_scene is not None:
        light = _render_layers(tree, light_scene)
        light.label, light[TAG] = "Scene Light", "light"
        for source, name in zip(("Image", *INPUTS[1:]), INPUTS, strict=True):
            tree.links.new(light.outputs[source], group.inputs[name])
        light.location = main.location.x, main.location.y - 840
    if foreground_scene is None:
        tree.links.new(main.outputs["Depth"], group.inputs["Scene Depth"])
        tree.links.new(avatar.outputs["Depth"], group.inputs["Avatar Depth"])
    else:
        front = _render_layers(tree, foreground_scene)
        front.label, front[TAG] = "Before the Avatar", "foreground"
        tree.links.new(front.outputs["Image"], group.inputs["Foreground"])
        tree.links.new(avatar.outputs[FOREGROUND_USED], group.inputs[FOREGROUND_USED])
        if MATTE in group.inputs:
            tree.links.new(front.outputs[MATTE], group.inputs[MATTE])
        front.location = main.location.x, main.location.y - 1260


def keep_passes(scene: bpy.types.Scene, avatar_scene: bpy.types.Scene) -> None:
    """Have the depths that the nodes compare: without, every avatar would be behind everything."""
    for layer in (*scene.view_layers, *avatar_scene.view_layers):
        if not layer.use_pass_z:
            layer.use_pass_z = True
        layer.update_render_passes()


def write_layers(scene: bpy.types.Scene, path: str | None) -> None:
    """Have each frame's composite and avatar written into a multilayer EXR beside the render.

    The avatar's layer is what the composite is made of: scene-linear, premultiplied, its look kept
    under the scene's view transform, and whole where something of the scene occludes it. Its
    depth is planar, in metres, 1e10 where nothing is.

    Args:
        scene: a scene with :func:`build_nodes`' nodes.
        path: of the files, ``#`` for the frame's digits; ``None`` writes none.
    """
    tree = compositor_nodes.tree_of(scene)
    ours = {node[TAG]: node for node in tree.nodes if TAG in node}
    if "layers" in ours:
        tree.nodes.remove(ours["layers"])
    if path is None:
        return
    node = compositor_nodes.layer_file(tree, path.removesuffix(".exr"), LAYERS)
    node.label, node[TAG] = "Avatar Layers", "layers"
    group, avatar = ours["composite"], ours["avatar"]
    for name, source in (
        ("Composite", group.outputs["Image"]),
        ("Avatar", group.outputs["Avatar"]),
        ("Avatar.Depth", avatar.outputs["Depth"]),
    ):
        tree.links.new(source, node.inputs[name])
    node.location = group.location.x + 320, group.location.y - 420


def remove_nodes(scene: bpy.types.Scene) -> bool:
    """Take the avatar out of a compositing tree; what it was put between is joined again.

    Returns:
        Whether there was anything to remove.
    """
    tree = compositor_nodes.tree_of(scene)
    ours = [] if tree is None else [node for node in tree.nodes if TAG in node]
    for node in ours:
        if node.bl_idname == "CompositorNodeGroup":
            _bridge(tree, node)
            group, node.node_tree = node.node_tree, None
            if group is not None:
                free(partial(_remove_unused, group))
        tree.nodes.remove(node)
    return bool(ours)


def _remove_unused(group: bpy.types.NodeTree) -> None:
    if group.users == 0:
        bpy.data.node_groups.remove(group)


def built_view(scene: bpy.types.Scene) -> str | None:
    """The view transform that the nodes keep the avatar's look under; ``None`` without nodes."""
    tree = compositor_nodes.tree_of(scene)
    for node in () if tree is None else tree.nodes:
        if node.get(TAG) == "composite" and node.node_tree is not None:
            return node.node_tree.get(TAG)
    return None


def built_parts(scene: bpy.types.Scene) -> tuple[bool, bool, bool]:
    """Whether the nodes take in the scene's light, what occludes the avatars, and its holdouts."""
    tree = compositor_nodes.tree_of(scene)
    nodes = {node[TAG]: node for node in (() if tree is None else tree.nodes) if TAG in node}
    group = nodes.get("composite")
    return "light" in nodes, "foreground" in nodes, group is not None and MATTE in group.inputs


def built_layer(scene: bpy.types.Scene) -> str:
    """The view layer over whose picture the nodes put the avatars; empty without nodes."""
    tree = compositor_nodes.tree_of(scene)
    for node in () if tree is None else tree.nodes:
        if node.get(TAG) == "composite":
            for link in node.inputs["Scene"].links if "Scene" in node.inputs else ():
                if link.from_node.bl_idname == "CompositorNodeRLayers":
                    return link.from_node.layer
    return ""


def used_layers(scene: bpy.types.Scene) -> list[str]:
    """The view layers whose pictures the artist's nodes show, those before the others."""
    tree = compositor_nodes.tree_of(scene)
    return [] if tree is None else [node.layer for node in _own_layers(tree, scene)]


def _own_layers(tree: bpy.types.NodeTree, scene: bpy.types.Scene) -> list[bpy.types.Node]:
    """The artist's Render Layers nodes of a scene, those whose picture is used first."""
    nodes = [
        node
        for node in tree.nodes
        if node.bl_idname == "CompositorNodeRLayers" and node.scene == scene and TAG not in node
    ]
    return sorted(nodes, key=lambda node: not node.outputs["Image"].is_linked)


def _main_layers(tree: bpy.types.NodeTree, scene: bpy.types.Scene, layer: str) -> bpy.types.Node:
    """The Render Layers node of a view layer of the main scene, or a new one."""
    found = (node for node in _own_layers(tree, scene) if node.layer == layer)
    return next(found, None) or _render_layers(tree, scene, layer)


def _render_layers(
    tree: bpy.types.NodeTree, scene: bpy.types.Scene, layer: str = ""
) -> bpy.types.Node:
    node = tree.nodes.new("CompositorNodeRLayers")
    node.scene = scene
    node.layer = layer or scene.view_layers[0].name
    return node


def _insert(tree: bpy.types.NodeTree, main: bpy.types.Node, group: bpy.types.Node) -> None:
    """Let everything that used the main picture use the group's instead."""
    source = main.outputs["Image"]
    targets = [link.to_socket for link in source.links]
    if not targets:
        output = compositor_nodes.output_socket(tree, make=True)
        assert output is not None
        if output.is_linked:
            source = output.links[0].from_socket
        targets = [output]
    for target in targets:
        tree.links.new(group.outputs["Image"], target)
    tree.links.new(source, group.inputs["Scene"])


def _bridge(tree: bpy.types.NodeTree, group: bpy.types.Node) -> None:
    """Join what feeds the group's scene input with everything the group feeds."""
    links = group.inputs["Scene"].links if "Scene" in group.inputs else ()
    if links:
        source = links[0].from_socket
        for target in [link.to_socket for link in group.outputs["Image"].links]:
            tree.links.new(source, target)


def _group(view: str, *, lit: bool, covered: bool, held_out: bool) -> bpy.types.NodeTree:
    """The group that puts the avatar over the scene where nothing of it is before the avatar."""
    group = bpy.data.node_groups.new(GROUP_NAME, "CompositorNodeTree")
    values = (FOREGROUND_USED,) if covered else ("Scene Depth", "Avatar Depth")
    values += (MATTE,) if held_out else ()
    for name in (
        "Scene",
        "Avatar",
        *(("Foreground",) if covered else ()),
        *(INPUTS if lit else ()),
    ):
        group.interface.new_socket(name, in_out="INPUT", socket_type="NodeSocketColor")
    for name in values:
        group.interface.new_socket(name, in_out="INPUT", socket_type="NodeSocketFloat")
    for name in ("Image", "Avatar"):
        group.interface.new_socket(name, in_out="OUTPUT", socket_type="NodeSocketColor")
    inputs, output = group.nodes.new("NodeGroupInput"), group.nodes.new("NodeGroupOutput")
    given = inputs.outputs
    avatar = _keep_look(group, given["Avatar"], view)
    if lit:
        avatar = relit(group, {name: given[name] for name in INPUTS}, given["Avatar"], avatar)
    if covered:
        matte = given[MATTE] if held_out else None
        image = between(
            group, given["Scene"], given["Foreground"], avatar, given[FOREGROUND_USED], matte
        )
    else:
        image = _over_by_depth(group, given, avatar)
    group.links.new(avatar, output.inputs["Avatar"])
    group.links.new(image, output.inputs["Image"])
    _lay_out(group)
    return group


def _over_by_depth(
    group: bpy.types.NodeTree, given: Any, avatar: bpy.types.NodeSocket
) -> bpy.types.NodeSocket:
    """The avatar over the scene where it is nearer to the camera."""
    nearer = compositor_nodes.math_node(group, "LESS_THAN")
    over = group.nodes.new("CompositorNodeAlphaOver")
    background, foreground = [socket for socket in over.inputs if socket.type == "RGBA"]
    # Z Combine with alpha would apply the alpha twice; as a factor of Alpha Over it is exact.
    group.links.new(given["Avatar Depth"], nearer.inputs[0])
    group.links.new(given["Scene Depth"], nearer.inputs[1])
    group.links.new(nearer.outputs[0], _socket(over.inputs, "Fac"))
    group.links.new(given["Scene"], background)
    group.links.new(avatar, foreground)
    return over.outputs[0]


def follow_view(scene: bpy.types.Scene) -> None:
    """Keep the avatar's look under the scene's present view transform.

    Raises:
        KeyError: the nodes are of an earlier version: build them anew.
    """
    tree = compositor_nodes.tree_of(scene)
    for node in () if tree is None else tree.nodes:
        if node.get(TAG) == "composite" and node.node_tree is not None:
            _set_view(node.node_tree, scene.view_settings.view_transform)


def _keep_look(
    group: bpy.types.NodeTree, image: bpy.types.NodeSocket, view: str
) -> bpy.types.NodeSocket:
    """Undo the view transform beforehand, so that the avatar's own colours reach the screen.

    An avatar is learned from finished pictures: its colours are what a screen shows. The curves
    hold for straight colours, hence the two alpha conversions round them. The nodes are the same
    for every view, so that none need be added once a render has begun.
    """
    straight = compositor_nodes.alpha_convert(group, straight=True)
    group.links.new(image, straight.inputs["Image"])
    socket = straight.outputs["Image"]
    for name in _CONVERSIONS:
        node = group.nodes.new("CompositorNodeConvertColorSpace")
        node.name = name
        group.links.new(socket, node.inputs["Image"])
        socket = node.outputs["Image"]
    premultiplied = compositor_nodes.alpha_convert(group, straight=False)
    group.links.new(socket, premultiplied.inputs["Image"])
    _set_view(group, view)
    return premultiplied.outputs["Image"]


def _set_view(group: bpy.types.NodeTree, view: str) -> None:
    nodes = [group.nodes[name] for name in _CONVERSIONS]
    for node, spaces in zip(nodes, _look_steps(view, nodes[0]), strict=True):
        node.from_color_space, node.to_color_space = spaces
    group[TAG] = view


def _look_steps(view: str, convert: bpy.types.Node) -> tuple[tuple[str, str], tuple[str, str]]:
    """Two conversions of colour spaces that a view transform later undoes."""
    spaces = {item.identifier for item in convert.bl_rna.properties["from_color_space"].enum_items}
    as_it_is = (_LINEAR, _LINEAR)
    if view == "Raw":
        return (_LINEAR, _SRGB), as_it_is
    # A view named V for an sRGB screen has its colour space: "AgX Base sRGB", "Filmic sRGB", …
    for space in (f"{view} sRGB", f"{view} Base sRGB"):
        if space in spaces:
            return (_LINEAR, _SRGB), (space, _LINEAR)
    return as_it_is, as_it_is


def _socket(sockets: Iterable[bpy.types.NodeSocket], identifier: str) -> bpy.types.NodeSocket:
    return next(socket for socket in sockets if socket.identifier == identifier)


def _lay_out(group: bpy.types.NodeTree) -> None:
    for number, node in enumerate(group.nodes):
        node.location = 220 * number, -40 * (number % 3)
