# SPDX-License-Identifier: GPL-3.0-or-later
"""Receivers and hulls: meshes that geometry nodes lay over a head, wherever it moves.

Nothing is copied from frame to frame: the vertices are the head's evaluated ones, moved outwards by
the attribute ``reach``; the shader reads the artist's amount through drivers.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ....engine.heads.axes import blender_to_head
from ... import compat
from ...avatars.properties import avatar_path
from ..node_math import math, vector
from .properties import NEUTRAL_TEMPERATURE
from .stored import avatar_file, stored_light

CAPTURE, SETTINGS = "Capture Light", "Light Settings"
"""Passes of the light scene: what the light is divided by; amount, gamma and coverage."""

MATERIAL, NODES = "GaussianSpeech Light", "GaussianSpeech Proxy"

_ALBEDO = 0.6
"""Of the neutral material: about that of skin, so as much light comes back from the other cheek."""
_GAP = 0.0003
"""Metres between a hull and its receiver, and between it and the head."""
_HAIR = 0.004
"""Metres: what stands off farther has a hull."""
_KNOWN = "light_known"
"""Property of a proxy's mesh."""
_DRIVEN = {"amount": 1.0, "gain": 1.0, "temperature": NEUTRAL_TEMPERATURE, "gamma": 1.0}


def make_receiver(head: bpy.types.Object) -> bpy.types.Object:
    """What shows the light on a head's avatar, in no collection yet.

    Raises:
        BadInputError: the avatar's file cannot be read.
    """
    proxy = make_proxy(head)
    proxy.data.materials.append(_material())
    for name, value in _DRIVEN.items():
        proxy[name] = value
        _drive(proxy, f'["{name}"]', head, f"gaussianspeech_light.{name}")
    return proxy


def make_hull(head: bpy.types.Object) -> bpy.types.Object:
    """What casts the shadow of a head's hair, in no collection yet.

    Raises:
        BadInputError: the avatar's file cannot be read.
    """
    hull = make_proxy(head, inset=_GAP, least=_HAIR)
    hull.visible_camera = False
    for material in head.data.materials:
        hull.data.materials.append(material)
    return hull


def make_proxy(
    head: bpy.types.Object, *, inset: float = 0.0, least: float = -1.0
) -> bpy.types.Object:
    """A mesh without material that follows a head, in no collection yet.

    Args:
        head: that it follows.
        inset: metres below where the avatar's Gaussians end.
        least: metres that they stand off where there is any of it.

    Raises:
        BadInputError: the avatar's file cannot be read.
    """
    mesh = _mesh_of_another(head) or _mesh(head)
    proxy = bpy.data.objects.new(mesh.name, mesh)
    proxy.gaussianspeech_light_proxy.head = head
    modifier = proxy.modifiers.new("Follow", "NODES")
    modifier.node_group = _nodes()
    _set_input(modifier, "Head", head)
    _set_input(modifier, "Inset", inset)
    _set_input(modifier, "Least", least)
    proxy.hide_select = proxy.hide_viewport = True
    _drive(proxy, "hide_render", head, "hide_render")
    return proxy


def is_current(proxy: bpy.types.Object) -> bool:
    """Whether a proxy was made of the mesh and the avatar that its head has now."""
    return proxy.data.get("made_of") == _made_of(proxy.gaussianspeech_light_proxy.head)


def remove_proxy(proxy: bpy.types.Object) -> None:
    """Remove a proxy and its mesh."""
    mesh = proxy.data
    bpy.data.objects.remove(proxy)
    bpy.data.meshes.remove(mesh)


def remove_unused(material: str = MATERIAL, nodes: str = NODES) -> None:
    """Remove a material and a node group, those of proxies or others, where nothing uses them."""
    for kind, name in ((bpy.data.materials, material), (bpy.data.node_groups, nodes)):
        item = kind.get(name)
        if item is not None and item.users == 0:
            kind.remove(item)


def _made_of(head: bpy.types.Object) -> str:
    source = avatar_path(head.gaussianspeech_avatar.source)
    file = avatar_file(source)
    version = file.stat().st_mtime_ns if file.is_file() else 0
    return f"{source}|{version}|{len(head.data.vertices)}|{len(head.data.polygons)}"


def light_is_known(proxy: bpy.types.Object) -> bool:
    """Whether the avatar's file says in what light it was captured."""
    return bool(proxy.data.get(_KNOWN, True))


def _mesh_of_another(head: bpy.types.Object) -> bpy.types.Mesh | None:
    """A copy of what another proxy of the head has: how far Gaussians reach takes 0.1 s."""
    for obj in bpy.data.objects:
        if obj.gaussianspeech_light_proxy.head == head and is_current(obj):
            mesh = obj.data.copy()
            mesh.materials.clear()
            return mesh
    return None


def _mesh(head: bpy.types.Object) -> bpy.types.Mesh:
    """The head's neutral mesh with its light and reach."""
    source = head.data
    keys = source.shape_keys
    points = keys.reference_key.data if keys else source.vertices
    positions = np.empty(3 * len(source.vertices), np.float32)
    points.foreach_get("co", positions)
    source.calc_loop_triangles()
    faces = np.empty(3 * len(source.loop_triangles), np.int32)
    source.loop_triangles.foreach_get("vertices", faces)
    positions, faces = positions.reshape(-1, 3), faces.reshape(-1, 3)
    path = avatar_path(head.gaussianspeech_avatar.source)
    stored = stored_light(path, blender_to_head(positions), faces)
    mesh = bpy.data.meshes.new(f"{head.name} Light")
    mesh.from_pydata(positions.tolist(), [], faces.tolist())
    mesh.polygons.foreach_set("use_smooth", np.ones(len(mesh.polygons), bool))
    mesh.attributes.new("reach", "FLOAT", "POINT").data.foreach_set("value", stored.reach)
    light = mesh.attributes.new("capture_light", "FLOAT_VECTOR", "POINT")
    light.data.foreach_set("vector", np.ascontiguousarray(stored.light).reshape(-1))
    mesh["made_of"], mesh[_KNOWN] = _made_of(head), stored.known
    return mesh


def _set_input(modifier: Any, name: str, value: object) -> None:
    items = modifier.node_group.interface.items_tree
    identifier = next(item.identifier for item in items if item.name == name)
    compat.set_geometry_input(modifier, identifier, value)


def _drive(proxy: bpy.types.Object, path: str, head: bpy.types.Object, source: str) -> None:
    """Have a value follow one of the head's, without Python."""
    driver = proxy.driver_add(path).driver
    driver.type = "AVERAGE"
    variable = driver.variables.new()
    variable.targets[0].id, variable.targets[0].data_path = head, source


def _nodes() -> bpy.types.NodeTree:
    """Geometry nodes that lay a mesh over a head and move it outwards."""
    found = bpy.data.node_groups.get(NODES)
    if found is not None:
        return found
    tree = bpy.data.node_groups.new(NODES, "GeometryNodeTree")
    new, link = tree.nodes.new, tree.links.new
    for name, kind in (
        ("Geometry", "Geometry"), ("Head", "Object"), ("Inset", "Float"), ("Least", "Float"),
    ):  # fmt: skip
        tree.interface.new_socket(name, in_out="INPUT", socket_type=f"NodeSocket{kind}")
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    given, result = new("NodeGroupInput"), new("NodeGroupOutput")
    head = new("GeometryNodeObjectInfo")
    head.transform_space = "RELATIVE"
    link(given.outputs["Head"], head.inputs["Object"])
    sample = new("GeometryNodeSampleIndex")
    sample.data_type, sample.domain = "FLOAT_VECTOR", "POINT"
    link(head.outputs["Geometry"], sample.inputs["Geometry"])
    link(new("GeometryNodeInputPosition").outputs[0], sample.inputs["Value"])
    link(new("GeometryNodeInputIndex").outputs[0], sample.inputs["Index"])
    laid = new("GeometryNodeSetPosition")
    link(given.outputs["Geometry"], laid.inputs["Geometry"])
    link(sample.outputs["Value"], laid.inputs["Position"])
    reach = new("GeometryNodeInputNamedAttribute")
    reach.data_type = "FLOAT"
    reach.inputs["Name"].default_value = "reach"
    off = math(tree, "SUBTRACT", reach.outputs["Attribute"], given.outputs["Inset"])
    # The reach is in the head's own metres.
    size = vector(tree, "LENGTH", head.outputs["Scale"])
    scaled = math(tree, "MULTIPLY", math(tree, "DIVIDE", size, 3**0.5), off)
    along = vector(tree, "SCALE", new("GeometryNodeInputNormal").outputs["Normal"])
    link(scaled, along.node.inputs["Scale"])
    moved = new("GeometryNodeSetPosition")
    link(laid.outputs["Geometry"], moved.inputs["Geometry"])
    link(along, moved.inputs["Offset"])
    thin = math(tree, "LESS_THAN", reach.outputs["Attribute"], given.outputs["Least"])
    kept = new("GeometryNodeDeleteGeometry")
    link(moved.outputs["Geometry"], kept.inputs["Geometry"])
    link(thin, kept.inputs["Selection"])
    link(kept.outputs["Geometry"], result.inputs["Geometry"])
    return tree


def _material() -> bpy.types.Material:
    """The neutral material, which writes the passes :data:`CAPTURE` and :data:`SETTINGS`."""
    found = bpy.data.materials.get(MATERIAL)
    if found is not None:
        return found
    material = bpy.data.materials.new(MATERIAL)
    nodes = compat.shader_nodes(material)
    nodes.clear()
    tree = material.node_tree
    new, link = nodes.new, tree.links.new
    diffuse, output = new("ShaderNodeBsdfDiffuse"), new("ShaderNodeOutputMaterial")
    diffuse.inputs["Color"].default_value = (_ALBEDO, _ALBEDO, _ALBEDO, 1)
    link(diffuse.outputs[0], output.inputs["Surface"])
    driven = {name: _attribute(tree, "OBJECT", name).outputs["Fac"] for name in _DRIVEN}
    # Capture light · albedo / gain, in the colour that the temperature makes the light's white.
    bodies = [new("ShaderNodeBlackbody") for _ in range(2)]
    bodies[0].inputs[0].default_value = NEUTRAL_TEMPERATURE
    link(driven["temperature"], bodies[1].inputs[0])
    white = vector(tree, "DIVIDE", bodies[0].outputs[0], bodies[1].outputs[0])
    light = _attribute(tree, "GEOMETRY", "capture_light").outputs["Vector"]
    factor = math(tree, "DIVIDE", _ALBEDO, math(tree, "MAXIMUM", driven["gain"], 1e-6))
    scaled = vector(tree, "SCALE", vector(tree, "MULTIPLY", light, white))
    link(factor, scaled.node.inputs["Scale"])
    settings = new("ShaderNodeCombineXYZ")
    link(driven["amount"], settings.inputs[0])
    link(driven["gamma"], settings.inputs[1])
    settings.inputs[2].default_value = 1.0
    for name, socket in ((CAPTURE, scaled), (SETTINGS, settings.outputs[0])):
        out = new("ShaderNodeOutputAOV")
        out.aov_name = name
        link(socket, out.inputs["Color"])
    return material


def _attribute(tree: Any, kind: str, name: str) -> Any:
    node = tree.nodes.new("ShaderNodeAttribute")
    node.attribute_type, node.attribute_name = kind, name
    return node
