# SPDX-License-Identifier: GPL-3.0-or-later
"""Shader node trees written as expressions."""

from __future__ import annotations

from typing import Any

import bpy

Socket = Any
"""An output socket, or a constant: a number or a tuple of them."""


class Graph:
    """The node tree of a new material.

    Attributes:
        material: what it belongs to.
    """

    def __init__(self, name: str) -> None:
        """Start with an empty tree.

        Args:
            name: of the material.
        """
        self.material = bpy.data.materials.new(name)
        if self.material.node_tree is None:
            self.material.use_nodes = True
        self._tree = self.material.node_tree
        self._tree.nodes.clear()

    def node(self, kind: str, inputs: dict[str | int, Socket] | None = None, **options: Any) -> Any:
        """Add a node.

        Args:
            kind: ``bl_idname`` without its ``ShaderNode``.
            inputs: sockets or constants by the input's name or position.
            options: properties of the node.
        """
        node = self._tree.nodes.new(f"ShaderNode{kind}")
        for name, value in options.items():
            setattr(node, name, value)
        for key, value in (inputs or {}).items():
            self._feed(node.inputs[key], value)
        return node

    def _feed(self, entry: Any, value: Socket) -> None:
        if isinstance(value, bpy.types.NodeSocket):
            self._tree.links.new(value, entry)
        elif entry.type == "RGBA" and len(value) == 3:
            entry.default_value = (*value, 1)
        else:
            entry.default_value = value

    def attribute(self, name: str) -> Any:
        """The node that reads a mesh attribute."""
        return self.node("Attribute", attribute_name=name)

    def math(self, operation: str, *values: Socket, clamp: bool = False) -> Socket:
        """The result of a ``Math`` node."""
        inputs: dict[str | int, Socket] = dict(enumerate(values))
        return self.node("Math", inputs, operation=operation, use_clamp=clamp).outputs[0]

    def add(self, *terms: Socket) -> Socket:
        """The sum of scalars."""
        total = terms[0]
        for term in terms[1:]:
            total = self.math("ADD", total, term)
        return total

    def times(self, *factors: Socket) -> Socket:
        """The product of scalars."""
        total = factors[0]
        for factor in factors[1:]:
            total = self.math("MULTIPLY", total, factor)
        return total

    def vector(self, operation: str, *values: Socket) -> Any:
        """A ``Vector Math`` node's vector result, or its number where it has one."""
        inputs: dict[str | int, Socket] = dict(enumerate(values))
        node = self.node("VectorMath", inputs, operation=operation)
        scalar = operation in {"DOT_PRODUCT", "DISTANCE", "LENGTH"}
        return node.outputs[1 if scalar else 0]

    def step(self, value: Socket, low: float, high: float) -> Socket:
        """Smooth step from 0 at ``low`` to 1 at ``high``, falling where ``high`` < ``low``."""
        if low > high:
            return self.math("SUBTRACT", 1.0, self.step(value, high, low))
        node = self.node("MapRange", {0: value, 1: low, 2: high}, interpolation_type="SMOOTHSTEP")
        return node.outputs[0]

    def blend(self, first: Socket, second: Socket, amount: Socket, how: str = "MIX") -> Socket:
        """Colour from ``first`` to ``second`` by ``amount``."""
        node = self.node("Mix", data_type="RGBA", blend_type=how)
        self._feed(node.inputs[0], amount)
        self._feed(node.inputs[6], first)
        self._feed(node.inputs[7], second)
        return node.outputs[2]

    def noise(self, vector: Socket, scale: float, detail: float = 2.0) -> Socket:
        """Noise of about 0.2 to 0.8 with features of ``1 / scale`` metres."""
        node = self.node("TexNoise", {"Vector": vector, "Scale": scale, "Detail": detail})
        return node.outputs[0]

    def bump(self, height: Socket) -> Socket:
        """A normal for a height in metres."""
        inputs: dict[str | int, Socket] = {"Height": height, "Strength": 1.0, "Distance": 1.0}
        return self.node("Bump", inputs).outputs[0]

    def surface(self, shader: Any) -> bpy.types.Material:
        """Make a shader's output the material's surface."""
        self.node("OutputMaterial", {"Surface": shader.outputs[0]})
        return self.material
