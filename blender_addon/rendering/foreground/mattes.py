# SPDX-License-Identifier: GPL-3.0-or-later
"""Mattes: holdouts in the shape of the heads, with a rim behind their outlines.

The rim, the head made flat before the camera and larger, is behind hair that stands out beyond the
mesh. How far it goes does not matter: where there is no avatar, nothing that is rendered is used.
"""

from __future__ import annotations

import bpy

from ... import compat
from ..light.proxies import make_proxy
from ..node_math import vector

MATERIAL, NODES = "GaussianSpeech Matte", "GaussianSpeech Rim"

MATTE = "GaussianSpeech Matte"
"""Pass of the foreground scene, where there is one: the part of a pixel that reaches mattes."""

_RIM = 1.5
"""Size of the rim, of the head's."""


def make_matte(head: bpy.types.Object) -> bpy.types.Object:
    """The matte of a head, in no collection yet; cameras alone see it.

    Raises:
        BadInputError: the avatar's file cannot be read.
    """
    matte = make_proxy(head)
    matte.modifiers.new("Rim", "NODES").node_group = _nodes()
    matte.data.materials.append(matte_material())
    seen_by_cameras_alone(matte)
    return matte


def seen_by_cameras_alone(obj: bpy.types.Object) -> None:
    """Let an object neither be reflected nor cast shadows."""
    obj.visible_diffuse = obj.visible_glossy = obj.visible_transmission = False
    obj.visible_volume_scatter = obj.visible_shadow = False


def matte_material() -> bpy.types.Material:
    """The holdout, one in a file, with a value of 1 for the pass of mattes."""
    material = bpy.data.materials.get(MATERIAL) or bpy.data.materials.new(MATERIAL)
    nodes = compat.shader_nodes(material)
    if any(node.type == "OUTPUT_AOV" for node in nodes):
        return material
    nodes.clear()
    kinds = ("Holdout", "OutputMaterial", "OutputAOV")
    holdout, output, matte = (nodes.new(f"ShaderNode{kind}") for kind in kinds)
    material.node_tree.links.new(holdout.outputs[0], output.inputs["Surface"])
    matte.aov_name, matte.inputs["Value"].default_value = MATTE, 1.0
    return material


def _nodes() -> bpy.types.NodeTree:
    """Geometry nodes that add the rim: flat in the camera's plane, through the head's middle."""
    found = bpy.data.node_groups.get(NODES)
    if found is not None:
        return found
    tree = bpy.data.node_groups.new(NODES, "GeometryNodeTree")
    new, link = tree.nodes.new, tree.links.new
    for direction in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=direction, socket_type="NodeSocketGeometry")
    given, result = new("NodeGroupInput"), new("NodeGroupOutput")
    box = new("GeometryNodeBoundBox")
    link(given.outputs["Geometry"], box.inputs["Geometry"])
    middle = vector(tree, "SCALE", vector(tree, "ADD", box.outputs["Min"], box.outputs["Max"]))
    middle.node.inputs["Scale"].default_value = 0.5
    camera = new("GeometryNodeObjectInfo")
    link(new("GeometryNodeInputActiveCamera").outputs[0], camera.inputs["Object"])
    along = new("FunctionNodeRotateVector")
    along.inputs["Vector"].default_value = (0, 0, 1)
    link(camera.outputs["Rotation"], along.inputs["Rotation"])
    off = vector(tree, "SUBTRACT", new("GeometryNodeInputPosition").outputs[0], middle)
    depth = vector(tree, "PROJECT", off, along.outputs["Vector"])
    flat = vector(tree, "SCALE", vector(tree, "SUBTRACT", off, depth))
    flat.node.inputs["Scale"].default_value = _RIM
    moved = new("GeometryNodeSetPosition")
    link(given.outputs["Geometry"], moved.inputs["Geometry"])
    link(vector(tree, "ADD", middle, flat), moved.inputs["Position"])
    both = new("GeometryNodeJoinGeometry")
    for geometry in (given.outputs["Geometry"], moved.outputs["Geometry"]):
        link(geometry, both.inputs["Geometry"])
    link(both.outputs["Geometry"], result.inputs["Geometry"])
    return tree
