# SPDX-License-Identifier: GPL-3.0-or-later
"""A head's rotation as a rigid motion of its mesh."""

from __future__ import annotations

import numpy as np

from ...core.arrays import Double, Float


def rotations(vectors: Float) -> Double:
    """Rodrigues' formula: R = I + a·[r]ₓ + b·[r]ₓ² with a = sin θ / θ, b = (1 − cos θ) / θ².

    Args:
        vectors: (T, 3) rotation vectors r, radians; θ = |r|.

    Returns:
        (T, 3, 3) float64.
    """
    r = vectors.astype(np.float64)
    angle = np.linalg.norm(r, axis=1)[:, None, None]
    cross = np.zeros((len(r), 3, 3))
    cross[:, 0, 1], cross[:, 0, 2] = -r[:, 2], r[:, 1]
    cross[:, 1, 0], cross[:, 1, 2] = r[:, 2], -r[:, 0]
    cross[:, 2, 0], cross[:, 2, 1] = -r[:, 1], r[:, 0]
    a = np.sinc(angle / np.pi)
    b = 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    matrices: Double = np.eye(3) + a * cross + b * (cross @ cross)
    return matrices


def rotation_vectors(matrices: Double) -> Float:
    """(T, 3) float32 rotation vectors of (T, 3, 3) rotations by less than half a turn."""
    axis = np.stack(
        [
            matrices[:, 2, 1] - matrices[:, 1, 2],
            matrices[:, 0, 2] - matrices[:, 2, 0],
            matrices[:, 1, 0] - matrices[:, 0, 1],
        ],
        axis=1,
    )
    sine = 0.5 * np.linalg.norm(axis, axis=1)
    cosine = 0.5 * (np.trace(matrices, axis1=1, axis2=2) - 1)
    angle = np.arctan2(sine, cosine)
    vectors: Float = (0.5 * axis / np.sinc(angle / np.pi)[:, None]).astype(np.float32)
    return vectors


def pose_matrices(vectors: Float, pivot: Float) -> Float:
    """Rigid motions about a point: x ↦ R·(x − p) + p.

    Args:
        vectors: (T, 3) rotation vectors, radians.
        pivot: (3,) the point p that stays, metres.

    Returns:
        (T, 4, 4) float32.
    """
    turned = rotations(vectors)
    matrices = np.zeros((len(vectors), 4, 4))
    matrices[:, :3, :3] = turned
    matrices[:, :3, 3] = pivot - turned @ np.asarray(pivot, np.float64)
    matrices[:, 3, 3] = 1.0
    return matrices.astype(np.float32)
