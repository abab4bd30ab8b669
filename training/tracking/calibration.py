# SPDX-License-Identifier: GPL-3.0-or-later
"""How the detector answers to the person of a film: it is shown renders of what was fitted.

A detector is wrong about a face by millimetres, always in the same way, and a fit takes that for
the face's shape and pose. On renders of the fitted head, posed as in the film, what it says can be
compared with what is true. The difference becomes part of the person's own landmark map, by which
the film is fitted again (analysis by synthesis). Of blurred pictures it says other things than of
sharp ones, so the renders for a film out of focus are as soft as that. Of other brows, lids and
hair it says other things, too: once a first fit says what the film's pictures show where, the
renders have the colours of the person (:mod:`training.tracking.own_looks`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage
from scipy.optimize import brentq

from engine.avatar import load_avatar
from engine.core.arrays import Double, Float
from engine.core.progress import Progress, subprogress
from engine.heads.head import Head
from engine.rendering.frames import render_frame, studio_backdrop
from engine.splatting.camera import Camera
from engine.splatting.registry import choose_backend
from training.tracking.landmark_map import LandmarkMap
from training.tracking.landmark_responses import Picture, Priors, with_responses
from training.tracking.landmarks import Image, LandmarkDetector
from training.tracking.observations import FrameFit, Intrinsics
from training.tracking.own_looks import FilmPicture, PosedPicture, in_own_looks
from training.tracking.sharpness import grey_of, sharpness_of

_PRIORS = Priors(offset=0.002, response=0.001, aspect=0.002)
"""Of one person against the map of many."""
_LARGEST = 448
"""Pixels: detectors see no more of a face."""
_ROOM = 1.9
"""Side of a render against the face's larger extent."""
_SOFT, _MOST_BLUR = 0.5, 6.0
"""Sharpness of a film's face against the renders' from which these are blurred, and the largest
deviation of that blur, pixels."""
_COLOURED = 0.3
"""Part of the work that taking colours is."""
_LEAST = 6
"""Renders in which a face has to be found."""


def calibrated(
    marks: LandmarkMap,
    person: Head,
    views: Sequence[tuple[Intrinsics, FrameFit]],
    detector: LandmarkDetector,
    progress: Progress,
    sharpness: Sequence[Double] | None = None,
    filmed: Sequence[Sequence[FilmPicture]] | None = None,
) -> LandmarkMap:
    """The map of one person, seen from where a film sees them.

    Args:
        marks: of people in general.
        person: as fitted, neutral, on the default head's mesh.
        views: cameras, and some of the frames of each with poses in its space.
        detector: of pictures that are no film.
        progress: called before each render; may raise to cancel.
        sharpness: (T,) for each view, of the film's face in those frames
            (:func:`training.tracking.sharpness.sharpness_of`); without it all are sharp.
        filmed: for each view, the film's pictures of those frames, whose colours the renders get;
            without them they have the default avatar's.

    Returns:
        The map; the one given where hardly any render shows the detector a face.
    """
    avatar, backend = load_avatar("default", person, other_identity=True), choose_backend("cpu")
    if filmed is not None:
        taken = subprogress(progress, 0.0, _COLOURED)
        avatar = in_own_looks(avatar, person, _posed(person, views, filmed), backend, taken)
        progress = subprogress(progress, _COLOURED, 1.0)
    pictures: list[Picture] = []
    blurs: dict[float, float] = {}
    if sharpness is None:
        sharpness = [np.full(len(fit.expression), math.inf) for _, fit in views]
    shots = [
        (camera, fit.picked(slice(frame, frame + 1)), float(wanted))
        for (camera, fit), of_view in zip(views, sharpness, strict=True)
        for frame, wanted in enumerate(of_view)
    ]
    for number, (camera, fit, wanted) in enumerate(shots):
        progress(number / len(shots), "showing the detector what was fitted")
        vertices, expression, matrix = _pose(person, fit, 0)
        shown, K = _window(person, vertices, matrix, camera)
        image = render_frame(
            vertices, expression, avatar, backend, shown, studio_backdrop(shown.width, shown.height)
        )
        found = detector.detect(_softened(image, blurs.get(wanted, 0.0)), 0.0)
        if found and wanted not in blurs:
            blur = blurs[wanted] = _blur(image, found[0].points, wanted)
            found = detector.detect(_softened(image, blur), 0.0) if blur else found
        if found:
            pictures.append(Picture(found[0].points, vertices, expression, matrix, K))
    if len(pictures) < _LEAST:
        return marks
    # How far detections scatter is known of many people; these renders are of one.
    own = with_responses(marks, person, pictures, _PRIORS)
    return replace(own, deviation=marks.deviation)


def _pose(person: Head, fit: FrameFit, frame: int) -> tuple[Float, Float, Double]:
    """(V, 3) vertices in head space, (E,) expression, and (4, 4) head space to camera."""
    expression = fit.expression[frame].astype(np.float32)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = fit.rotation[frame], fit.translation[frame]
    return person.deform(expression), expression, matrix


def _posed(
    person: Head,
    views: Sequence[tuple[Intrinsics, FrameFit]],
    filmed: Sequence[Sequence[FilmPicture]],
) -> list[PosedPicture]:
    found = []
    for (camera, fit), of_view in zip(views, filmed, strict=True):
        for frame, picture in enumerate(of_view):
            vertices, expression, matrix = _pose(person, fit, frame)
            K = camera.matrix.astype(np.float32)
            found.append(PosedPicture(picture, K, matrix, vertices, expression))
    return found


def _blur(image: Image, points: Float, wanted: float) -> float:
    """Deviation in pixels of the blur that makes a render as soft as the film, 0 if it is sharp."""

    def sharp(deviation: float) -> float:
        return sharpness_of(grey_of(_softened(image, deviation)), points)

    if wanted >= _SOFT * sharp(0.0):
        return 0.0
    if sharp(_MOST_BLUR) >= wanted:
        return _MOST_BLUR
    return float(brentq(lambda blur: sharp(blur) - wanted, 0.0, _MOST_BLUR, xtol=0.05))


def _softened(image: Image, deviation: float) -> Image:
    if deviation == 0:
        return image
    soft: Image = ndimage.gaussian_filter(image, (deviation, deviation, 0))
    return soft


def _window(
    person: Head, vertices: Float, matrix: Double, camera: Intrinsics
) -> tuple[Camera, Float]:
    """A square of the film's picture round the face, no finer than the film, and its K."""
    face = vertices[person.regions["face"]] @ matrix[:3, :3].T + matrix[:3, 3]
    flat = face[:, :2] / face[:, 2:] * camera.focal + camera.centre
    low, high = flat.min(axis=0), flat.max(axis=0)
    side = _ROOM * float((high - low).max())
    size = max(64, min(_LARGEST, round(side)))
    scale = size / side
    corner = 0.5 * (low + high) - 0.5 * side
    cropped = Intrinsics(camera.focal * scale, (camera.centre - corner) * scale)
    K = cropped.matrix.astype(np.float32)
    return Camera(matrix.astype(np.float32), K, size, size), K
