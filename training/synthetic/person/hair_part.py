# SPDX-License-Identifier: GPL-3.0-or-later
"""Strands as Blender hair curves that follow the head's triangles."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from engine.heads.axes import head_to_blender
from engine.heads.head import Head
from training.synthetic.person.nodes import Graph
from training.synthetic.person.strands import Binding, Field


class HairPart:
    """A field of strands as one object.

    Attributes:
        item: the Blender object.
        field: the strands, neutral.
    """

    def __init__(
        self, head: Head, field: Field, material: bpy.types.Material, parent: Any, name: str
    ) -> None:
        """Build the object in the neutral pose.

        Args:
            head: the head the strands hang on.
            field: the strands.
            material: of all of them.
            parent: object it hangs on; it is linked into that object's collections.
            name: of the object.
        """
        self.field = field
        self._binding = Binding(head, field)
        strands, points, _ = field.points.shape
        self._curves = bpy.data.hair_curves.new(name)
        self._curves.add_curves([points] * strands)
        radius = self._curves.attributes.get("radius")
        if radius is None:
            radius = self._curves.attributes.new("radius", "FLOAT", "POINT")
        radius.data.foreach_set("value", field.radius.astype(np.float32).ravel())
        self._curves.materials.append(material)
        self.item = bpy.data.objects.new(name, self._curves)
        for collection in parent.users_collection:
            collection.objects.link(self.item)
        self.item.parent = parent
        self.move(head.template)

    def move(self, vertices: NDArray[np.float32]) -> None:
        """Follow the head's vertices (V, 3), head space."""
        points = head_to_blender(self._binding.points(vertices))
        self._curves.position_data.foreach_set("vector", np.ascontiguousarray(points).ravel())
        self._curves.update_tag()


def hair_material(name: str, *, melanin: float, redness: float) -> bpy.types.Material:
    """Hair of natural pigment (Chiang et al., 2016), each strand a little different.

    Args:
        name: of the material.
        melanin: from 0, white, to 1, black.
        redness: share of the red pigment.
    """
    graph = Graph(name)
    shader = graph.node(
        "BsdfHairPrincipled",
        {
            "Melanin": melanin,
            "Melanin Redness": redness,
            "Roughness": 0.28,
            "Radial Roughness": 0.40,
            "Coat": 0.0,
            "Random Color": 0.35,
            "Random Roughness": 0.2,
        },
        model="CHIANG",
        parametrization="MELANIN",
    )
    return graph.surface(shader)
