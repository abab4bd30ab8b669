# SPDX-License-Identifier: GPL-3.0-or-later
"""A part of the head as a Blender mesh that follows the head's vertices."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from engine.heads.axes import head_to_blender
from engine.heads.head import Head

_KINDS = {1: ("FLOAT", "value"), 3: ("FLOAT_VECTOR", "vector"), 4: ("FLOAT_COLOR", "color")}


class MeshPart:
    """Some of the head's vertices and all triangles between them, as one object.

    Attributes:
        vertices: (N,) which of the head's vertices.
        item: the Blender object.
    """

    def __init__(
        self,
        head: Head,
        vertices: NDArray[np.intp],
        material: bpy.types.Material,
        parent: Any,
        name: str,
    ) -> None:
        """Build the object in the neutral pose; the attribute ``rest`` keeps it (head space).

        Args:
            head: the head.
            vertices: (N,) its vertices that belong to the part.
            material: of all its faces.
            parent: object it hangs on; it is linked into that object's collections.
            name: of the object.
        """
        self.vertices = vertices
        number = np.full(head.vertex_count, -1)
        number[vertices] = np.arange(len(vertices))
        faces = number[head.faces]
        faces = faces[(faces >= 0).all(axis=1)]
        rest = head.template[vertices]
        self._mesh = bpy.data.meshes.new(name)
        self._mesh.from_pydata(head_to_blender(rest).tolist(), [], faces.tolist())
        self._mesh.polygons.foreach_set("use_smooth", np.ones(len(faces), bool))
        self._mesh.materials.append(material)
        self.item = bpy.data.objects.new(name, self._mesh)
        for collection in parent.users_collection:
            collection.objects.link(self.item)
        self.item.parent = parent
        self.set_attribute("rest", rest)

    def set_attribute(self, name: str, values: NDArray[Any]) -> None:
        """Set or replace a vertex attribute.

        Args:
            name: what materials read it by.
            values: (N,) numbers, (N, 3) vectors or (N, 4) colours.
        """
        kind, field = _KINDS[1 if values.ndim == 1 else values.shape[1]]
        layer = self._mesh.attributes.get(name)
        if layer is None:
            layer = self._mesh.attributes.new(name, kind, "POINT")
        layer.data.foreach_set(field, np.ascontiguousarray(values, np.float32).ravel())

    def move(self, vertices: NDArray[np.float32]) -> None:
        """Take the positions of the head's vertices (V, 3), head space."""
        moved = head_to_blender(vertices[self.vertices])
        self._mesh.vertices.foreach_set("co", np.ascontiguousarray(moved, np.float32).ravel())
        self._mesh.update()
        self._mesh.update_tag()
