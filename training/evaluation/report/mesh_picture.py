# SPDX-License-Identifier: GPL-3.0-or-later
"""A plain picture of a head's mesh, for heads without an avatar: triangles, back to front."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from engine.heads.head import Head
from engine.splatting.camera import Camera

_COLOURS = {
    "lips": (0.78, 0.45, 0.42),
    "mouth_interior": (0.35, 0.12, 0.12),
    "gums": (0.70, 0.38, 0.38),
    "tongue": (0.75, 0.42, 0.42),
    "teeth": (0.95, 0.93, 0.88),
    "eyeballs": (0.95, 0.95, 0.95),
    "irises": (0.35, 0.30, 0.25),
    "brows": (0.40, 0.30, 0.24),
}
_SKIN = (0.86, 0.72, 0.64)
_PAPER = (0.25, 0.26, 0.28)
_LIGHT = np.array([-0.35, 0.45, 0.82])
_AMBIENT = 0.35
_DPI = 100


def mesh_picture(head: Head, offsets: NDArray[np.float32], camera: Camera) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 sRGB: the shaded mesh.

    Args:
        head: faces and regions.
        offsets: (V, 3) from neutral, metres.
        camera: world is head space.
    """
    vertices = (head.template + offsets).astype(np.float64)
    seen = vertices @ camera.viewmat[:3, :3].T.astype(np.float64) + camera.viewmat[:3, 3]
    pixels = seen @ camera.K.T.astype(np.float64)
    pixels = pixels[:, :2] / pixels[:, 2:]
    corners = vertices[head.faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    towards = ((camera.position - corners.mean(axis=1)) * normal).sum(axis=1) > 0
    towards &= (seen[head.faces, 2] > camera.near).all(axis=1)
    front = np.flatnonzero(towards)
    front = front[np.argsort(-seen[head.faces[front], 2].mean(axis=1))]
    light = _LIGHT / np.linalg.norm(_LIGHT)
    shade = _AMBIENT + (1 - _AMBIENT) * np.clip(normal[front] @ light, 0.0, 1.0)
    colours = np.clip(_face_colours(head)[front] * shade[:, None], 0.0, 1.0)
    figure = Figure((camera.width / _DPI, camera.height / _DPI), dpi=_DPI, facecolor=_PAPER)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, camera.width)
    axes.set_ylim(camera.height, 0)
    # Edges of the same colour close the seams that smoothing leaves between triangles.
    axes.add_collection(
        PolyCollection(
            pixels[head.faces[front]], facecolors=colours, edgecolors=colours, linewidths=0.3
        )
    )
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=_DPI, facecolor=_PAPER)
    return np.asarray(Image.open(drawn).convert("RGB"), np.uint8)


def _face_colours(head: Head) -> NDArray[np.float64]:
    of_vertex = np.tile(np.array(_SKIN), (head.vertex_count, 1))
    for region, colour in _COLOURS.items():
        if region in head.regions:
            of_vertex[head.regions[region]] = colour
    colours: NDArray[np.float64] = of_vertex[head.faces].mean(axis=1)
    return colours
