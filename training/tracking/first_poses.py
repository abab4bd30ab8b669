# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a neutral head stands in frames, from landmarks alone: what a fit begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engine.core.arrays import Double
from training.tracking.face_model import FaceModel
from training.tracking.landmarks import OVAL, SKIN
from training.tracking.observations import FrameFit, Intrinsics, Observations, View

_INSIDE = np.setdiff1d(np.arange(SKIN), OVAL)


def initial_poses(model: FaceModel, seen: Observations, camera: Intrinsics) -> FrameFit:
    """Neutral heads in weak perspective (DeMenthon and Davis 1995, its first iteration).

    Of several cameras that counts which is most before the face, and the face lies where the rays
    to its middle pass each other.
    """
    if not seen.views:
        alone = weak_perspective(model.rest, seen.points, camera)
        return replace(alone, expression=np.zeros((len(seen.times), len(model.names))))
    centre = face_middle(model.rest)
    count, cameras = len(seen.times), len(seen.views)
    facing = np.full((cameras, count), -np.inf)
    rotation, at = np.zeros((cameras, count, 3, 3)), np.zeros((cameras, count, 3))
    for number, view in enumerate(seen.views):
        own = weak_perspective(model.rest, view.points[view.seen], view.camera)
        facing[number, view.seen] = -own.rotation[:, 2, 2]
        R, t = view.placed[:3, :3], view.placed[:3, 3]
        rotation[number, view.seen] = R.T @ own.rotation
        at[number, view.seen] = (own.rotation @ centre + own.translation - t) @ R
    best = facing.argmax(axis=0), np.arange(count)
    middle, _ = crossing(seen.views)
    middle = np.where(np.isfinite(middle), middle, at[best])
    turned = rotation[best]
    translation = middle - turned @ centre
    return FrameFit(turned, translation, np.zeros((count, len(model.names))))


def face_middle(rest: Double) -> Double:
    """(3,) middle of the landmarks inside the face's outline, head space; of all, (478, 3)."""
    middle: Double = rest[_INSIDE].mean(axis=0)
    return middle


def crossing(views: Sequence[View]) -> tuple[Double, Double]:
    """Where the rays to the middle of a face pass each other, and at what distances.

    Returns:
        (T, 3) the points nearest to all rays of a frame, in the first camera's space, metres, and
        (T,) their mean distance from the rays; NaN of frames that fewer than two cameras show.
    """
    origins, rays = [], []
    for view in views:
        R, t = view.placed[:3, :3], view.placed[:3, 3]
        flat = (view.points[:, _INSIDE].mean(axis=1) - view.camera.centre) / view.camera.focal
        ray = np.c_[flat, np.ones(len(flat))] @ R
        rays.append(ray / np.linalg.norm(ray, axis=1, keepdims=True))
        origins.append(np.tile(-R.T @ t, (len(flat), 1)))
    seen = np.array([view.seen for view in views])
    o, d = np.array(origins), np.where(seen[..., None], np.array(rays), 0.0)
    across = np.where(seen[..., None, None], np.eye(3) - d[..., :, None] * d[..., None, :], 0.0)
    points, missed = np.full((seen.shape[1], 3), np.nan), np.full(seen.shape[1], np.nan)
    for frame in np.flatnonzero(seen.sum(axis=0) > 1):
        A = across[:, frame]
        b = np.einsum("cij,cj->i", A, o[:, frame])
        points[frame] = np.linalg.lstsq(A.sum(axis=0), b, rcond=None)[0]
        away = np.einsum("cij,cj->ci", A, points[frame] - o[:, frame])
        missed[frame] = np.linalg.norm(away[seen[:, frame]], axis=1).mean()
    return points, missed


def weak_perspective(landmarks: Double, seen: Double, camera: Intrinsics) -> FrameFit:
    """Poses of neutral heads in a camera's space; without expressions.

    Args:
        landmarks: (478, 3) of the neutral head, head space.
        seen: (T, 478, 2) pixels.
        camera: of them.
    """
    rest = landmarks[_INSIDE]
    middle = rest.mean(axis=0)
    inverse = np.linalg.pinv(rest - middle)
    count = len(seen)
    rotation, translation = np.zeros((count, 3, 3)), np.zeros((count, 3))
    for frame in range(count):
        points = seen[frame, _INSIDE]
        centre = points.mean(axis=0)
        rows = (inverse @ (points - centre)).T
        sizes = np.linalg.norm(rows, axis=1)
        x, y = rows / sizes[:, None]
        u, _, v = np.linalg.svd(np.stack([x, y, np.cross(x, y)]))
        R = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ v))]) @ v
        z = camera.focal / sizes.mean()
        at = np.array([*((centre - camera.centre) * z / camera.focal), z])
        rotation[frame], translation[frame] = R, at - R @ middle
    return FrameFit(rotation, translation, np.zeros((count, 0)))
