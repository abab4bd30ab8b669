# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames show most of a person's shape: those of different poses and mouths."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from training.synthetic.schedule import farthest_first
from training.tracking.face_model import FaceModel
from training.tracking.first_poses import initial_poses
from training.tracking.landmarks import eye_distance, lip_gap_pixels
from training.tracking.observations import Intrinsics, Observations

_TURN, _OPENING = 0.15, 0.08
"""Radians and parts of the eyes' distance by which frames differ alike."""


def varied(
    model: FaceModel, seen: Observations, camera: Intrinsics, most: int, contacts: int = 0
) -> NDArray[np.intp]:
    """Frames of different poses and mouths, and some in which the lips touch.

    Args:
        model: of the head.
        seen: all frames; those that motion has smeared are left out where there are others.
        camera: of them.
        most: frames of different poses and mouths, at most.
        contacts: frames with touching lips besides, at most.

    Returns:
        Numbers of the frames, in their order.
    """
    poses = initial_poses(model, seen, camera)
    turned = Rotation.from_matrix(poses.rotation).as_rotvec() / _TURN
    mouth = lip_gap_pixels(seen.points).mean(axis=1) / eye_distance(seen.points) / _OPENING
    clear = seen.trust > 0.5
    sharp = np.flatnonzero(clear if clear.any() else ~clear)
    described = np.c_[turned, mouth][sharp]
    order = farthest_first(described)
    touching = np.flatnonzero(seen.touching * clear > 0.5)
    some = np.linspace(0, len(touching) - 1, min(contacts, len(touching))).round().astype(int)
    chosen = sharp[[next(order) for _ in range(min(most, len(described)))]]
    picked: NDArray[np.intp] = np.unique(np.r_[chosen, touching[some]])
    return picked
