# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that compute, in node trees of any kind."""

from __future__ import annotations

from typing import Any

import bpy


def math(tree: Any, operation: str, *values: Any) -> bpy.types.NodeSocket:
    """The result of an operation on sockets and numbers."""
    node = tree.nodes.new("ShaderNodeMath")
    node.operation = operation
    return fed(tree, node, *values).outputs[0]


def vector(tree: Any, operation: str, *values: Any) -> bpy.types.NodeSocket:
    """The vector or number that an operation makes of vectors; its node has the other inputs."""
    node = tree.nodes.new("ShaderNodeVectorMath")
    node.operation = operation
    return next(socket for socket in fed(tree, node, *values).outputs if socket.enabled)


def fed(tree: Any, node: bpy.types.Node, *values: Any) -> bpy.types.Node:
    """A node with its inputs, in order, linked to sockets or set to numbers."""
    for socket, value in zip(node.inputs, values, strict=False):
        if isinstance(value, float):
            socket.default_value = value
        else:
            tree.links.new(value, socket)
    return node
