# SPDX-License-Identifier: GPL-3.0-or-later
"""The tongue of the source, which follows the jaw."""

from __future__ import annotations

import numpy as np

from training.assets.head.mesh import Mesh, triangulated
from training.assets.head.source import JOINTS, Source


def tongue(source: Source) -> Mesh:
    """The helper tongue as it is, rigid to the jaw but for its own expressions."""
    chosen = np.isin(source.quads, source.groups["helper-tongue"]).all(axis=1)
    faces, uv_faces = triangulated(source.vertices, source.quads[chosen], source.uv_quads[chosen])
    weights = np.zeros((len(source.vertices), len(JOINTS)))
    weights[:, JOINTS.index("jaw")] = 1
    body = Mesh(
        vertices=source.vertices,
        deltas=source.deltas,
        weights=weights,
        masks=np.zeros((len(source.vertices), len(source.masks))),
        origins=np.full(len(source.vertices), -1),
        faces=faces,
        uv=source.uv,
        uv_faces=uv_faces,
    )
    return body.only(np.ones(len(faces), bool))
