# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the head of a capture stands where its pictures show the person.

Cameras with other axes, millimetres for metres, or parameters of another capture make a training of
hours that ends in fog; the first frames tell in a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.ndimage import distance_transform_edt

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
_BESIDE = 0.02
"""Part of the head's height: 5 mm, more than trackers are out by."""
_BEYOND = 0.03
"""Part of the head that may lie so far beside the person: of heads that fit it is next to none."""
_LEAST = 0.25
"""Part of the head's vertices that lie on the person, on average: of whole heads nearly all do, of
close pictures at least half."""


class _Seen(NamedTuple):
    """Parts of a head's vertices in a picture.

    Attributes:
        on_mask: those that lie on the person, of all; 0 where the head is a speck.
        beyond: of the vertices above the neck that the picture shows, those that lie beside the
            person by more than :data:`_BESIDE`.
    """

    on_mask: float
    beyond: float


def check_silhouettes(folder: Path, frames: Sequence[Frame], motion: HeadMotion) -> str:
    """See that the head's mesh lies on the masks of the first frames.

    Parameters of FLAME do not say of which version they are, and all versions have the same sizes:
    under another one they make another face. Where that is larger than the person, it is seen here.

    Args:
        folder: of the capture.
        frames: all of them.
        motion: of the head.

    Returns:
        What the user should know of a head that reaches beyond the person; empty of one that fits.

    Raises:
        BadInputError: it does not; names the worst picture.
    """
    first = min(frame.timestep for frame in frames)
    by_camera = {frame.camera_id: frame for frame in frames if frame.timestep == first}
    cameras = sorted(by_camera)
    chosen = [by_camera[name] for name in cameras[:: max(1, len(cameras) // _CHECKED)][:_CHECKED]]
    seen = [_seen(folder, frame, motion) for frame in chosen]
    shares = [each.on_mask for each in seen]
    if np.mean(shares) >= _LEAST:
        beyond = [each.beyond for each in seen]
        if np.mean(beyond) < _BEYOND:
            return ""
        worst = int(np.argmax(beyond))
        return (
            f"In {folder / chosen[worst].image} {100 * beyond[worst]:.0f} % of the head lie beside "
            "the person's mask: the tracking is poor, or its parameters are of another version of "
            "FLAME than the model's file."
        )
    worst = int(np.argmin(shares))
    raise BadInputError(
        f"The head does not stand where the pictures show the person: in "
        f"{folder / chosen[worst].image} {100 * shares[worst]:.0f} % of its vertices lie on the "
        f"mask, in the {len(chosen)} pictures looked at {100 * float(np.mean(shares)):.0f} %.",
        "Check that transform_matrix is camera to world with OpenGL axes (y up, z backward), that "
        "all is in metres, and that the parameters are of these pictures.",
    )


def _seen(folder: Path, frame: Frame, motion: HeadMotion) -> _Seen:
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
        return _Seen(0.0, 1.0)
    part = float(on_mask[row[seen], column[seen]].sum() / len(pixels))
    # Masks may end at the collar or without the neck.
    seen &= motion.head.template[:, 1] > motion.head.neck[1]
    away = distance_transform_edt(~on_mask)[row[seen], column[seen]]
    return _Seen(part, float((away > _BESIDE * tall).mean()) if len(away) else 0.0)


def projected(vertices: Float, camera: Camera) -> Float:
    """(V, 2) pixels of (V, 3) vertices in the world; those behind the camera far outside."""
    viewmat, K = camera.viewmat.astype(np.float64), camera.K.astype(np.float64)
    local = vertices @ viewmat[:3, :3].T + viewmat[:3, 3]
    depth = local[:, 2]
    ahead = depth > 1e-6
    flat = (local @ K.T)[:, :2] / np.where(ahead, depth, 1.0)[:, None]
    return np.where(ahead[:, None], np.clip(flat, -1e6, 1e6), -1e6).astype(np.float32)
