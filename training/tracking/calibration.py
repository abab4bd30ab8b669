# SPDX-License-Identifier: GPL-3.0-or-later
"""How the detector answers to the person of a film: it is shown renders of what was fitted.

A detector is wrong about a face by millimetres, always in the same way, and a fit takes that for
the face's shape and pose. On renders of the fitted head, posed as in the film, what it says can be
compared with what is true. The difference becomes part of the person's own landmark map, by which
the film is fitted again (analysis by synthesis).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.avatar import load_avatar
from engine.core.arrays import Double, Float
from engine.core.progress import Progress
from engine.heads.head import Head
from engine.rendering.frames import render_frame, studio_backdrop
from engine.splatting.camera import Camera
from engine.splatting.registry import choose_backend
from training.tracking.fitting import FrameFit, Intrinsics
from training.tracking.landmark_map import LandmarkMap
from training.tracking.landmark_responses import Picture, Priors, with_responses
from training.tracking.landmarks import LandmarkDetector

_PRIORS = Priors(offset=0.002, response=0.001, aspect=0.002)
"""Of one person against the map of many."""
_LARGEST = 448
"""Pixels: detectors see no more of a face."""
_ROOM = 1.9
"""Side of a render against the face's larger extent."""
_LEAST = 6
"""Renders in which a face has to be found."""


def calibrated(
    marks: LandmarkMap,
    person: Head,
    camera: Intrinsics,
    fit: FrameFit,
    detector: LandmarkDetector,
    progress: Progress,
) -> LandmarkMap:
    """The map of one person, seen from where a film sees them.

    Args:
        marks: of people in general.
        person: as fitted, neutral, on the default head's mesh.
        camera: of the film.
        fit: some of its frames.
        detector: of pictures that are no film.
        progress: called before each render; may raise to cancel.

    Returns:
        The map; the one given where hardly any render shows the detector a face.
    """
    avatar, backend = load_avatar("default", person, other_identity=True), choose_backend("cpu")
    pictures = []
    count = len(fit.expression)
    for frame in range(count):
        progress(frame / count, "showing the detector what was fitted")
        expression = fit.expression[frame].astype(np.float32)
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = fit.rotation[frame], fit.translation[frame]
        vertices = person.deform(expression)
        shown, K = _window(person, vertices, matrix, camera)
        image = render_frame(
            vertices, expression, avatar, backend, shown, studio_backdrop(shown.width, shown.height)
        )
        if found := detector.detect(image, 0.0):
            pictures.append(Picture(found[0].points, vertices, expression, matrix, K))
    if len(pictures) < _LEAST:
        return marks
    # How far detections scatter is known of many people; these renders are of one.
    own = with_responses(marks, person, pictures, _PRIORS)
    return replace(own, deviation=marks.deviation)


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
    x, y = (camera.centre - corner) * scale
    focal = camera.focal * scale
    K = np.array([[focal, 0, x], [0, focal, y], [0, 0, 1]], np.float32)
    return Camera(matrix.astype(np.float32), K, size, size), K
