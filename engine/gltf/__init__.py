# SPDX-License-Identifier: GPL-3.0-or-later
"""glTF 2.0 files, and VRM, which is glTF: read within bounds, and written with more animations.

Specification: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html
"""

from __future__ import annotations

from engine.gltf.animation import MorphClip, write_animated
from engine.gltf.document import GLTF_SUFFIXES, Document, read_document
from engine.gltf.expressions import Bind, Expression, read_expressions
from engine.gltf.geometry import Geometry, read_geometry
from engine.gltf.meshes import MeshNode, mesh_nodes

__all__ = [
    "GLTF_SUFFIXES",
    "Bind",
    "Document",
    "Expression",
    "Geometry",
    "MeshNode",
    "MorphClip",
    "mesh_nodes",
    "read_document",
    "read_expressions",
    "read_geometry",
    "write_animated",
]
