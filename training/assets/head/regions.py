# SPDX-License-Identifier: GPL-3.0-or-later
"""Vertex sets and landmarks of the skin, from the packaged masks, the expressions and geometry."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Ids, Mask
from training.assets.head.fairing import distance_from
from training.assets.head.lips import Slit
from training.assets.head.mesh import Mesh
from training.assets.head.source import MASKS, Source

# Where the hair ends at the back, height from the eyes' centres, metres.
_NAPE = -0.062
# Below this height the skin in front of the ears is bare.
_SIDEBURN = -0.005
# The brow from its head by the nose to its tail at the temple: |x|, height, half its thickness.
# Heights count from the eyes' centres, metres.
_BROW = np.array(
    [
        [0.010, 0.0195, 0.0030],
        [0.020, 0.0225, 0.0036],
        [0.032, 0.0255, 0.0034],
        [0.043, 0.0250, 0.0028],
        [0.052, 0.0205, 0.0016],
    ]
)


def finer_quads(source: Source, quads: Ids) -> Mask:
    """Which of the quads to split: lips with the skin and rim around them, and brows."""
    middle = source.vertices[quads].mean(axis=1)
    lips = source.masks["lips"][quads].max(axis=1) > 0.3
    lips |= np.isin(quads, np.unique(quads[lips])).any(axis=1)
    return np.asarray(lips | _brow(middle, 0.004))


def _brow(points: NDArray[np.float64], margin: float) -> Mask:
    """Points within a margin of the brows."""
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    height = np.interp(x, _BROW[:, 0], _BROW[:, 1])
    thickness = np.interp(x, _BROW[:, 0], _BROW[:, 2]) + margin
    along = (x > _BROW[0, 0] - margin) & (x < _BROW[-1, 0] + margin)
    return np.asarray(along & (np.abs(y - height) < thickness) & (z > -0.01))


def skin_regions(mesh: Mesh, names: tuple[str, ...], slit: Slit, cap: Ids) -> dict[str, Ids]:
    """Regions of the skin.

    Args:
        mesh: the skin alone: head and neck with the mouth's inside, neck closed.
        names: expression names of ``mesh.deltas``.
        slit: pairs across the mouth and inner loops, as indices of ``mesh``.
        cap: vertices that close the neck.
    """
    masks = {name: mesh.masks[:, column] for column, name in enumerate(MASKS)}
    x, y, z = mesh.vertices.T
    size = np.linalg.norm(mesh.deltas, axis=2)
    moved = dict(zip(names, size, strict=True))
    contact = _slit_height(mesh, slit, x)
    lips = masks["lips"] > 0.5
    inner = _flags(len(x), slit.inner)
    mouth = (masks["inside-mouth"] > 0.5) & ~lips
    upper = _upper_side(mesh, slit)
    ears = masks["ears"] > 0.5
    chin = mesh.vertices[landmark_chin(mesh)]
    lids = ((moved["eyeBlinkLeft"] > 0.003) | (moved["eyeBlinkRight"] > 0.003)) & (y > -0.022)
    in_front = z > np.where(y < _SIDEBURN, -0.08, -0.045)
    # The jaw line: from the chin up to the ear lobes.
    under_jaw = y < chin[1] + 0.004 + (chin[2] - z) * 0.62
    nape = (z < -0.06) & (y > _NAPE)
    neck = (under_jaw & (z < 0.012) & ~nape) | _flags(len(x), cap)
    neck &= ~mouth & ~lips & ~ears
    front = in_front & ~neck & ~mouth & ~ears
    brows = front & _brow(mesh.vertices, 0.0) & ~lids
    hairline = 0.086 - 0.9 * np.maximum(np.abs(x) - 0.035, 0)
    forehead = front & (y > 0.022) & (y < hairline) & ~brows & ~lids
    tip = mesh.vertices[landmark_nose_tip(mesh)]
    wing = np.interp(y, [tip[1] - 0.012, tip[1], 0.004], [0.020, 0.021, 0.011])
    nose = front & (np.abs(x) < wing) & (y > tip[1] - 0.013) & (y < 0.006) & (z > 0.008) & ~lips
    face = (front & (y < hairline)) | lips
    cheeks = face & ~(lips | nose | lids | brows | forehead) & (y < -0.008) & (y > contact - 0.012)
    cheeks &= np.abs(x) > 0.022
    scalp = ~(face | neck | mouth | ears | _enclosed(mesh))
    flags = {
        "lips": lips | inner,
        "inner_lips": inner,
        "upper_lip": (lips | inner) & upper,
        "lower_lip": (lips | inner) & ~upper,
        "mouth_interior": mouth & ~inner,
        "eyelids": lids,
        "brows": brows,
        "forehead": forehead,
        "nose": nose,
        "cheeks": cheeks,
        "ears": ears,
        "face": face,
        "scalp": scalp,
        "neck": neck,
    }
    return {name: np.nonzero(flag)[0] for name, flag in flags.items()}


def landmark_nose_tip(mesh: Mesh) -> int:
    """The foremost vertex on the midline between eyes and mouth."""
    x, y, z = mesh.vertices.T
    candidates = (np.abs(x) < 1e-3) & (y < -0.01) & (y > -0.06)
    return int(np.argmax(np.where(candidates, z, -np.inf)))


def landmark_chin(mesh: Mesh) -> int:
    """The foremost vertex on the midline of the chin's bulge, below the lip's furrow."""
    x, y, z = mesh.vertices.T
    candidates = (np.abs(x) < 1e-3) & (y < -0.096) & (y > -0.125)
    return int(np.argmax(np.where(candidates, z, -np.inf)))


def _flags(count: int, indices: Ids) -> Mask:
    flags = np.zeros(count, bool)
    flags[indices] = True
    return flags


def _slit_height(mesh: Mesh, slit: Slit, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Height at which the lips meet, at each lateral position."""
    line = np.concatenate([slit.corners[:1], slit.upper, slit.corners[1:]])
    points = mesh.vertices[line]
    order = np.argsort(points[:, 0])
    return np.asarray(np.interp(x, points[order, 0], points[order, 1]))


def _upper_side(mesh: Mesh, slit: Slit) -> Mask:
    """Vertices nearer to the upper vertices of the slit than to the lower, along the surface."""
    above = distance_from(mesh.vertices, mesh.faces, slit.upper)
    below = distance_from(mesh.vertices, mesh.faces, slit.lower)
    return np.asarray(above < below)


def _enclosed(mesh: Mesh) -> Mask:
    """Vertices of the sockets behind the eyes and of the nostrils: not seen from outside."""
    x, y, z = mesh.vertices.T
    return np.asarray((np.abs(x) < 0.055) & (np.abs(y) < 0.03) & (z < 0.0) & (z > -0.05))
