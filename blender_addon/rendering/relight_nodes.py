# SPDX-License-Identifier: GPL-3.0-or-later
"""Compositor nodes that multiply an avatar by the scene's light over the capture's."""

from __future__ import annotations

from typing import Any

import bpy

from . import compositor_nodes
from .node_math import fed

INPUTS = ("Light", "Capture Light", "Light Settings")
"""Inputs of the group: the light pass, and the two passes of its receivers' material."""

_COVERED = 0.98
"""Of a pixel: where less is a receiver, other things are in its light."""
_SPREAD = 400
"""Pixels that light is continued beyond the receivers."""
_MOST = 32.0
"""Largest factor of an avatar's colour."""


def relit(
    tree: Any, sockets: dict[str, Any], plain: bpy.types.NodeSocket, look: bpy.types.NodeSocket
) -> bpy.types.NodeSocket:
    """The avatar in the scene's light.

    Between the look that it was captured with, which no view transform changes, and its colours
    times the light, which go through the view transform as the scene's own do: by the amount.

    Args:
        tree: of the group.
        sockets: of :data:`INPUTS`.
        plain: the avatar, scene-linear, premultiplied.
        look: likewise, with its look kept.
    """
    light, capture, settings, plain_parts, look_parts = (
        parts(tree, socket) for socket in (*(sockets[name] for name in INPUTS), plain, look)
    )
    covered = math(tree, "GREATER_THAN", settings[2], _COVERED)
    ratios = []
    for here, before in zip(light[:3], capture[:3], strict=True):
        ratio = math(tree, "DIVIDE", here, math(tree, "MAXIMUM", before, 1e-6))
        bounded = math(tree, "MINIMUM", math(tree, "MAXIMUM", ratio, 0.0), _MOST)
        shaped = math(tree, "POWER", bounded, math(tree, "MAXIMUM", settings[1], 0.1))
        ratios.append(math(tree, "MULTIPLY", shaped, covered))
    ratios = _spread(tree, ratios, covered)
    amount = _spread(tree, [math(tree, "MULTIPLY", settings[0], covered)] * 3, covered)[0]
    result = tree.nodes.new("CompositorNodeCombineColor")
    for index, ratio in enumerate(ratios):
        lit = math(tree, "MULTIPLY", plain_parts[index], ratio)
        change = math(tree, "SUBTRACT", lit, look_parts[index])
        mixed = math(tree, "ADD", look_parts[index], math(tree, "MULTIPLY", amount, change))
        tree.links.new(mixed, result.inputs[index])
    tree.links.new(look_parts[3], result.inputs["Alpha"])
    return result.outputs["Image"]


def _spread(tree: Any, values: list[Any], covered: Any) -> list[Any]:
    """Three values, continued outwards from where they are known."""
    image = tree.nodes.new("CompositorNodeCombineColor")
    for value, socket in zip((*values, covered), image.inputs, strict=True):
        tree.links.new(value, socket)
    inpaint = compositor_nodes.inpaint(tree, _SPREAD)
    tree.links.new(image.outputs["Image"], inpaint.inputs["Image"])
    return [_known(tree, value) for value in parts(tree, inpaint.outputs["Image"])[:3]]


def _known(tree: Any, value: Any) -> Any:
    """A value between 0 and the largest factor, 0 where it is no number.

    Blender 4.5 leaves a picture in which nothing is known as the memory was. Whether a maximum with
    NaN is NaN depends on the order there: one of the two orders gives 0 in each version.
    """
    least = math(tree, "MAXIMUM", 0.0, math(tree, "MAXIMUM", value, 0.0))
    return math(tree, "MINIMUM", least, _MOST)


def parts(tree: Any, socket: Any) -> list[Any]:
    """Red, green, blue and alpha of a picture."""
    node = tree.nodes.new("CompositorNodeSeparateColor")
    tree.links.new(socket, node.inputs["Image"])
    return list(node.outputs)


def math(tree: Any, operation: str, *values: Any) -> bpy.types.NodeSocket:
    """The result of an operation on two sockets or numbers."""
    return fed(tree, compositor_nodes.math_node(tree, operation), *values).outputs[0]
