# SPDX-License-Identifier: GPL-3.0-or-later
"""Identity, camera, poses and expressions from landmarks, by least squares.

First a few frames of different poses and mouths give identity and camera, then all frames follow in
windows. What is minimised, :mod:`training.tracking.face_problem` says, and
:mod:`training.tracking.gauss_newton` how.
"""

from __future__ import annotations

import math

import numpy as np

from engine.core.arrays import Double
from engine.core.progress import Progress, no_progress, subprogress
from training.tracking.face_model import FaceModel
from training.tracking.face_problem import FOCAL_DEVIATION, FaceProblem
from training.tracking.landmark_map import view_features
from training.tracking.observations import FrameFit, Intrinsics, Observations

_WINDOW, _OVERLAP = 160, 12
_IDENTITY_ROUNDS = (False, True, True)
"""Of fitting the identity: whether outliers count less. Each begins with the pose of the one
before, which shows what faces the camera."""


def fit_identity(
    model: FaceModel,
    seen: Observations,
    camera: Intrinsics,
    start: FrameFit,
    *,
    free_focal: bool,
    known: tuple[Double, Intrinsics] | None = None,
    progress: Progress = no_progress,
) -> tuple[Double, Intrinsics, FrameFit]:
    """Identity (I,) and camera from frames of different poses, whose fit is given back, too.

    Args:
        model: of the head.
        seen: the frames.
        camera: as guessed, or known.
        start: poses to begin with.
        free_focal: whether the focal length is estimated.
        known: identity (I,) and camera of an earlier fit, whose poses are the start; one round is
            left.
        progress: called with the share done; may raise to cancel.
    """
    identity, found = (model.mean, camera) if known is None else known
    fit, rounds = start, _IDENTITY_ROUNDS if known is None else _IDENTITY_ROUNDS[-1:]
    for round_, robust in enumerate(rounds):
        # The guess stays what the focal length is likely to be near, whatever a round has found.
        zoom = math.log(found.focal / camera.focal) / FOCAL_DEVIATION
        problem = FaceProblem(
            model,
            seen,
            camera,
            fit,
            identity,
            shared=True,
            free_focal=free_focal,
            robust=robust,
            zoom=zoom,
        )
        part = subprogress(progress, round_ / len(rounds), (round_ + 1) / len(rounds))
        identity, found, fit = problem.solve(part)
    return identity, found, fit


def fit_frames(
    model: FaceModel,
    seen: Observations,
    camera: Intrinsics,
    identity: Double,
    start: FrameFit,
    progress: Progress = no_progress,
) -> FrameFit:
    """Poses and expressions of all frames, window by window; memory is that of a window.

    Args:
        model: of the head.
        seen: the frames.
        camera: of the video.
        identity: (I,).
        start: poses to begin with.
        progress: called with the share done; may raise to cancel.
    """
    count = len(seen.times)
    done = FrameFit(start.rotation.copy(), start.translation.copy(), start.expression.copy())
    first = 0
    while first < count:
        begin, end = max(0, first - _OVERLAP), min(count, first + _WINDOW)
        window = slice(begin, end)
        fit = done.picked(window)
        middle = 0.5 * (first + end)
        # The second time what faces the camera is known, and from where it is seen.
        for low, high in ((first, middle), (middle, end)):
            observed, held = seen.picked(window), first - begin
            problem = FaceProblem(model, observed, camera, fit, identity, held=held)
            _, _, fit = problem.solve(subprogress(progress, low / count, high / count))
        done.rotation[window], done.translation[window] = fit.rotation, fit.translation
        done.expression[window] = fit.expression
        first = end
    return done


def cost(model: FaceModel, seen: Observations, camera: Intrinsics, fit: FrameFit) -> float:
    """What the least squares of frames comes to in a fit, a frame; of one neutral head.

    Args:
        model: of the head, without identities.
        seen: the frames.
        camera: of the video.
        fit: of the frames.
    """
    return FaceProblem(model, seen, camera, fit, np.zeros(0)).cost() / len(seen.times)


def project(model: FaceModel, identity: Double, camera: Intrinsics, fit: FrameFit) -> Double:
    """(T, 478, 2) pixels of the model's landmarks."""
    neutral = model.rest + np.tensordot(identity, model.identity, 1)
    views = view_features(fit.rotation, fit.translation)
    points = neutral + np.tensordot(fit.expression, model.expression, 1)
    points += np.tensordot(views, model.aspect, 1)
    local = np.einsum("tij,tlj->tli", fit.rotation, points) + fit.translation[:, None]
    flat: Double = local[..., :2] / local[..., 2:] * camera.focal + camera.centre
    return flat
