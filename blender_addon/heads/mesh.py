# SPDX-License-Identifier: GPL-3.0-or-later
"""A head as a Blender mesh: geometry, UV map, vertex groups and shape keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...engine.core.arrays import Float, Index
from ...engine.heads.axes import head_to_blender
from .materials import assign_materials


def build_head(name: str, body: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Any:
    """Make the mesh object of a head; it is linked nowhere yet.

    Args:
        name: of the object and its mesh.
        body: of the engine's reply to ``head.load``.
        arrays: of the same reply.
    """
    template = head_to_blender(arrays["template"])
    mesh = bpy.data.meshes.new(name)
    obj = bpy.data.objects.new(name, mesh)
    _set_geometry(mesh, template, arrays["faces"])
    _set_uv(mesh, arrays["uv"][arrays["uv_faces"]])
    regions = {
        key.removeprefix("region/"): indices
        for key, indices in arrays.items()
        if key.startswith("region/")
    }
    for region, indices in regions.items():
        obj.vertex_groups.new(name=region).add(indices.tolist(), 1.0, "REPLACE")
    assign_materials(mesh, arrays["faces"], regions)
    basis = head_to_blender(arrays["expression_basis"])
    _add_shape_keys(obj, template, basis, body["expression_names"], body["expression_ranges"])
    return obj


def _set_geometry(mesh: bpy.types.Mesh, vertices: Float, faces: Index) -> None:
    mesh.vertices.add(len(vertices))
    mesh.vertices.foreach_set("co", np.ascontiguousarray(vertices, np.float32).ravel())
    mesh.loops.add(faces.size)
    mesh.loops.foreach_set("vertex_index", np.ascontiguousarray(faces, np.int32).ravel())
    mesh.polygons.add(len(faces))
    mesh.polygons.foreach_set("loop_start", np.arange(0, faces.size, 3, dtype=np.int32))
    mesh.update(calc_edges=True)
    mesh.shade_smooth()


def _set_uv(mesh: bpy.types.Mesh, corners: Float) -> None:
    layer = mesh.uv_layers.new(name="UVMap")
    layer.uv.foreach_set("vector", np.ascontiguousarray(corners, np.float32).ravel())


def _add_shape_keys(
    obj: bpy.types.Object,
    template: Float,
    basis: Float,
    names: list[str],
    ranges: list[tuple[float, float]],
) -> None:
    obj.shape_key_add(name="Basis", from_mix=False)
    for name, offsets, (low, high) in zip(names, basis, ranges, strict=True):
        key = obj.shape_key_add(name=name, from_mix=False)
        set_key_points(key, template + offsets)
        key.slider_min, key.slider_max, key.value = low, high, 0.0


def set_key_points(key: bpy.types.ShapeKey, points: Float) -> None:
    """Set the (V, 3) Blender-space vertices of a shape key."""
    key.points.foreach_set("co", np.ascontiguousarray(points, np.float32).ravel())
