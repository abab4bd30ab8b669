# SPDX-License-Identifier: GPL-3.0-or-later
"""Vertex sets and landmarks of the skin, from the packaged masks, the expressions and geometry."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.assets.build.lips import Slit
from engine.assets.build.mesh import Ids, Mesh
from engine.assets.build.source import MASKS

Flags = NDArray[np.bool_]


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
    upper = np.where(inner, _upper_side(mesh, slit), y > contact)
    ears = masks["ears"] > 0.5
    chin = mesh.vertices[landmark_chin(mesh)]
    lids = ((moved["eyeBlinkLeft"] > 0.003) | (moved["eyeBlinkRight"] > 0.003)) & (y > -0.022)
    brow_motion = np.maximum.reduce([moved[name] for name in names if name.startswith("brow")])
    in_front = z > -0.045
    # The jaw line: from the chin up to the ear lobes.
    under_jaw = y < chin[1] + 0.004 + (chin[2] - z) * 0.62
    neck = (under_jaw & (z < 0.012)) | ((z < -0.085) & (y < -0.075)) | _flags(len(x), cap)
    neck &= ~mouth & ~lips & ~ears
    front = in_front & ~neck & ~mouth & ~ears
    brows = front & (y > 0.011) & (y < 0.032) & (np.abs(x) > 0.006) & (brow_motion > 0.0035) & ~lids
    hairline = 0.086 - 0.9 * np.maximum(np.abs(x) - 0.035, 0)
    forehead = front & (y > 0.022) & (y < hairline) & ~brows & ~lids
    tip = mesh.vertices[landmark_nose_tip(mesh)]
    wing = np.interp(y, [tip[1] - 0.012, tip[1], 0.004], [0.020, 0.021, 0.011])
    nose = front & (np.abs(x) < wing) & (y > tip[1] - 0.013) & (y < 0.006) & (z > 0.008) & ~lips
    face = (front & (y < hairline)) | lips
    cheeks = face & ~(lips | nose | lids | brows | forehead) & (y < -0.008) & (y > contact - 0.012)
    cheeks &= np.abs(x) > 0.022
    scalp = ~(face | neck | mouth | ears) & (y > -0.075) & ~_enclosed(mesh)
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


def _flags(count: int, indices: Ids) -> Flags:
    flags = np.zeros(count, bool)
    flags[indices] = True
    return flags


def _slit_height(mesh: Mesh, slit: Slit, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Height at which the lips meet, at each lateral position."""
    line = np.concatenate([slit.corners[:1], slit.upper, slit.corners[1:]])
    points = mesh.vertices[line]
    order = np.argsort(points[:, 0])
    return np.asarray(np.interp(x, points[order, 0], points[order, 1]))


def _upper_side(mesh: Mesh, slit: Slit) -> Flags:
    """Vertices nearer to the upper vertices of the slit than to the lower, along the surface."""
    from engine.assets.build.fairing import distance_from

    above = distance_from(mesh.vertices, mesh.faces, slit.upper)
    below = distance_from(mesh.vertices, mesh.faces, slit.lower)
    return np.asarray(above < below)


def _enclosed(mesh: Mesh) -> Flags:
    """Vertices of the sockets behind the eyes and of the nostrils: not seen from outside."""
    x, y, z = mesh.vertices.T
    return (np.abs(x) < 0.055) & (np.abs(y) < 0.03) & (z < 0.0) & (z > -0.05)
