# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain materials by region, so that a head looks like one in any render engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import bpy
import numpy as np

from ...engine.core.arrays import Index
from ..compat import shader_nodes


class RegionMaterial(NamedTuple):
    """A material and the regions that get it.

    Attributes:
        name: of the material.
        regions: of the head; of several that contain a triangle the last gives its material.
        color: scene-linear base colour.
        roughness: of the surface.
        subsurface: weight of the light that scatters below the surface.
    """

    name: str
    regions: tuple[str, ...]
    color: tuple[float, float, float]
    roughness: float
    subsurface: float


SKIN = RegionMaterial("Head Skin", (), (0.68, 0.40, 0.30), 0.5, 0.15)
MATERIALS = (
    SKIN,
    RegionMaterial("Head Lips", ("lips",), (0.54, 0.24, 0.20), 0.35, 0.15),
    RegionMaterial("Head Mouth", ("mouth_interior", "inner_lips"), (0.25, 0.05, 0.05), 0.3, 0.2),
    RegionMaterial("Head Tongue", ("tongue",), (0.48, 0.13, 0.13), 0.3, 0.2),
    RegionMaterial("Head Teeth", ("teeth",), (0.80, 0.75, 0.63), 0.15, 0.1),
    RegionMaterial("Head Eye White", ("eyeballs",), (0.82, 0.80, 0.78), 0.1, 0.05),
    RegionMaterial("Head Iris", ("irises",), (0.10, 0.17, 0.22), 0.1, 0.0),
    RegionMaterial("Head Pupil", ("pupils",), (0.004, 0.004, 0.004), 0.05, 0.0),
)
"""From the widest region to the narrowest."""

_MARK = "gaussianspeech_look"


def assign_materials(mesh: bpy.types.Mesh, faces: Index, regions: Mapping[str, Index]) -> None:
    """Give each triangle the material of the region that all its corners lie in.

    Args:
        mesh: of the head, with ``faces`` as its polygons.
        faces: (F, 3) vertex indices.
        regions: vertex sets by name; materials whose regions are missing are left out.
    """
    slots = np.zeros(len(faces), np.int32)
    vertices = len(mesh.vertices)
    for preset in MATERIALS:
        found = [regions[name] for name in preset.regions if name in regions]
        if preset is not SKIN and not found:
            continue
        if found:
            inside = np.zeros(vertices, bool)
            inside[np.concatenate(found)] = True
            slots[inside[faces].all(axis=1)] = len(mesh.materials)
        mesh.materials.append(_material(preset))
    mesh.polygons.foreach_set("material_index", slots)


def _material(preset: RegionMaterial) -> bpy.types.Material:
    for material in bpy.data.materials:
        # A material that an artist has changed is shared by the next head.
        if material.get(_MARK) == preset.name and material.library is None:
            return material
    material = bpy.data.materials.new(preset.name)
    material[_MARK] = preset.name
    shader: Any = next(n for n in shader_nodes(material) if n.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = (*preset.color, 1.0)
    shader.inputs["Roughness"].default_value = preset.roughness
    shader.inputs["Subsurface Weight"].default_value = preset.subsurface
    # Millimetres: light travels about this far in skin, red the farthest.
    shader.inputs["Subsurface Scale"].default_value = 0.004
    shader.inputs["Subsurface Radius"].default_value = (1.0, 0.35, 0.2)
    material.diffuse_color = (*preset.color, 1.0)
    material.roughness = preset.roughness
    return material
