# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pixels of a view show which part of the head: its regions, seen by the view's camera.

The head's triangles are drawn with a depth buffer, so that teeth count as seen only where the lips
are open, and each pixel belongs to the nearest triangle.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numba import njit
from scipy.ndimage import distance_transform_edt

from engine.core.arrays import Float, Index, Mask
from engine.heads.head import Head
from engine.motion.model.wrinkles import RidgeDetector
from engine.splatting.camera import Camera
from engine.splatting.cpu.threads import KERNELS

REGIONS: Mapping[str, tuple[str, ...]] = {
    "mouth interior": ("mouth_interior", "teeth", "gums", "tongue"),
    "eyes": ("eyeballs", "irises", "pupils"),
    "hair": ("scalp",),
    "skin": ("face", "forehead", "brows", "eyelids", "cheeks", "upper_lip", "lower_lip"),
}
"""Regions of the report by the regions of the head that make them up, those that it has.

``hair`` has the pixels of the person beyond the mesh whose nearest triangle is the scalp's, too;
``skin`` is the face without lips, nose, eyes and what is inside the mouth.
"""
_NOT_SKIN = ("lips", "inner_lips", "nose", "eyeballs", "mouth_interior", "teeth", "gums", "tongue")
WRINKLES = "wrinkles"
"""The tenth of the skin with the deepest furrows in the true picture."""
_FURROWED = 0.1
_FEWEST = 30
"""Pixels: fewer of a region say nothing."""
_NOWHERE = -1


def visible_faces(vertices: Float, faces: Index, camera: Camera) -> Index:
    """The triangle that each pixel's centre shows, −1 for none.

    Args:
        vertices: (V, 3) in the camera's world, metres.
        faces: (F, 3).
        camera: pinhole or orthographic.

    Returns:
        (H, W) int32. Triangles with a corner nearer than the camera's near plane are left out.
    """
    seen = vertices.astype(np.float64) @ camera.viewmat[:3, :3].T.astype(np.float64)
    seen += camera.viewmat[:3, 3]
    depth = seen[:, 2]
    divisor = np.ones_like(depth) if camera.orthographic else np.where(depth > 0, depth, 1.0)
    flat = (seen / divisor[:, None]) @ camera.K.T.astype(np.float64)
    if camera.orthographic:
        flat = seen[:, :2] @ camera.K[:2, :2].T.astype(np.float64) + camera.K[:2, 2]
    points = np.ascontiguousarray(np.column_stack([flat[:, :2], depth]))
    shown = np.full((camera.height, camera.width), _NOWHERE, np.int32)
    buffer = np.full((camera.height, camera.width), np.inf)
    with KERNELS:
        _draw(
            points,
            np.ascontiguousarray(faces, np.int32),
            max(camera.near, 1e-6),
            int(camera.orthographic),
            buffer,
            shown,
        )
    return shown


@njit(cache=True, error_model="numpy")
def _draw(
    points: Any, faces: Index, near: float, orthographic: int, buffer: Any, shown: Index
) -> None:
    height, width = shown.shape
    for f in range(faces.shape[0]):
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        x0, y0, z0 = points[i, 0], points[i, 1], points[i, 2]
        x1, y1, z1 = points[j, 0], points[j, 1], points[j, 2]
        x2, y2, z2 = points[k, 0], points[k, 1], points[k, 2]
        if min(z0, z1, z2) < near:
            continue
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area == 0.0:
            continue
        left = max(0, int(np.ceil(min(x0, x1, x2) - 0.5)))
        right = min(width - 1, int(np.floor(max(x0, x1, x2) - 0.5)))
        top = max(0, int(np.ceil(min(y0, y1, y2) - 0.5)))
        bottom = min(height - 1, int(np.floor(max(y0, y1, y2) - 0.5)))
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                px, py = x + 0.5, y + 0.5
                a = ((x1 - px) * (y2 - py) - (x2 - px) * (y1 - py)) / area
                b = ((x2 - px) * (y0 - py) - (x0 - px) * (y2 - py)) / area
                c = 1.0 - a - b
                if a < 0.0 or b < 0.0 or c < 0.0:
                    continue
                # On the screen it is 1/z that is linear.
                if orthographic:
                    depth = a * z0 + b * z1 + c * z2
                else:
                    depth = 1.0 / (a / z0 + b / z1 + c / z2)
                if depth < buffer[y, x]:
                    buffer[y, x] = depth
                    shown[y, x] = f


def region_masks(
    head: Head, vertices: Float, camera: Camera, alpha: Float, picture: Float
) -> dict[str, Mask]:
    """Pixels of each region of :data:`REGIONS` and of :data:`WRINKLES`.

    All follow from the head and the true picture alone, so that every avatar is measured on the
    same pixels.

    Args:
        head: its regions; one that it does not name has no pixels.
        vertices: (V, 3) of the view, in the camera's world.
        camera: of the view.
        alpha: (H, W) the person in the true picture.
        picture: (H, W, 3) the true picture.

    Returns:
        Bool masks (H, W) by name; of less than 30 pixels none are kept.
    """
    shown = visible_faces(vertices, head.faces, camera)
    covered = shown != _NOWHERE
    person = alpha > 0.5
    labels = {name: _within(head, own) for name, own in REGIONS.items()}
    labels["skin"] &= ~_within(head, _NOT_SKIN)
    masks = {name: covered & person & of[np.maximum(shown, 0)] for name, of in labels.items()}
    if masks["hair"].any():
        nearest: Index = distance_transform_edt(
            ~covered, return_distances=False, return_indices=True
        )
        masks["hair"] |= person & ~covered & labels["hair"][shown[nearest[0], nearest[1]]]
    masks[WRINKLES] = _furrowed(picture, masks["skin"])
    return {name: mask & (mask.sum() >= _FEWEST) for name, mask in masks.items()}


def _furrowed(picture: Float, skin: Mask) -> Mask:
    if not skin.any():
        return skin
    pictures = torch.from_numpy(np.ascontiguousarray(picture, np.float32)).permute(2, 0, 1)[None]
    with torch.no_grad():
        furrows = RidgeDetector()(pictures).amax(dim=1)[0].numpy()
    least: float = np.quantile(furrows[skin], 1 - _FURROWED)
    deepest: Mask = skin & (furrows > least)
    return deepest


def _vertices(head: Head, names: tuple[str, ...]) -> Mask:
    inside = np.zeros(head.vertex_count, bool)
    for name in names:
        inside[head.regions.get(name, np.zeros(0, np.int32))] = True
    return inside


def _within(head: Head, names: tuple[str, ...]) -> Mask:
    within: Mask = _vertices(head, names)[head.faces].all(axis=1)
    return within
