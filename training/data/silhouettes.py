# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the head of a capture stands where its pictures show the person.

Cameras with other axes, millimetres for metres, or parameters of another capture make a training of
hours that ends in fog; the first frames tell in a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.splatting.camera import Camera
from training.data.layout import Frame
from training.data.multiview_heads import HeadMotion
from training.data.multiview_pictures import load_picture

_CHECKED = 4
"""Cameras that are looked through."""
_SMALLEST = 0.1
"""Height of the head in the picture against the person's on the mask; shoulders may be on it."""
_LEAST = 0.25
"""Part of the head's vertices that lie on the person, on average: of whole heads nearly all do, of
close pictures at least half."""


def check_silhouettes(folder: Path, frames: Sequence[Frame], motion: HeadMotion) -> None:
    """See that the head's mesh lies on the masks of the first frames.

    Args:
        folder: of the capture.
        frames: all of them.
        motion: of the head.

    Raises:
        BadInputError: it does not; names the worst picture.
    """
    first = min(frame.timestep for frame in frames)
    by_camera = {frame.camera_id: frame for frame in frames if frame.timestep == first}
    cameras = sorted(by_camera)
    chosen = [by_camera[name] for name in cameras[:: max(1, len(cameras) // _CHECKED)][:_CHECKED]]
    shares = [_on_person(folder, frame, motion) for frame in chosen]
    if np.mean(shares) >= _LEAST:
        return
    worst = int(np.argmin(shares))
    raise BadInputError(
        f"The head does not stand where the pictures show the person: in "
        f"{folder / chosen[worst].image} {100 * shares[worst]:.0f} % of its vertices lie on the "
        f"mask, in the {len(chosen)} pictures looked at {100 * float(np.mean(shares)):.0f} %.",
        "Check that transform_matrix is camera to world with OpenGL axes (y up, z backward), that "
        "all is in metres, and that the parameters are of these pictures.",
    )


def _on_person(folder: Path, frame: Frame, motion: HeadMotion) -> float:
    """Part of the head's vertices that are seen on the person's mask; 0 where it is a speck."""
    camera = frame.camera
    _, alpha = load_picture(
        folder / frame.image,
        None if frame.mask is None else folder / frame.mask,
        (camera.width, camera.height),
        (0.0, 0.0, 0.0),
    )
    pixels = projected(motion.at(folder / frame.param).vertices, camera)
    column, row = np.floor(pixels).astype(np.int64).T
    seen = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    on_mask = alpha > 0.5
    rows = np.flatnonzero(on_mask.any(axis=1))
    tall = float(np.ptp(pixels[seen, 1])) if seen.any() else 0.0
    if not len(rows) or tall < _SMALLEST * (rows[-1] - rows[0] + 1):
        return 0.0
    return float(on_mask[row[seen], column[seen]].sum() / len(pixels))


def projected(vertices: Float, camera: Camera) -> Float:
    """(V, 2) pixels of (V, 3) vertices in the world; those behind the camera far outside."""
    viewmat, K = camera.viewmat.astype(np.float64), camera.K.astype(np.float64)
    local = vertices @ viewmat[:3, :3].T + viewmat[:3, 3]
    depth = local[:, 2]
    ahead = depth > 1e-6
    flat = (local @ K.T)[:, :2] / np.where(ahead, depth, 1.0)[:, None]
    return np.where(ahead[:, None], np.clip(flat, -1e6, 1e6), -1e6).astype(np.float32)
