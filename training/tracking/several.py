# SPDX-License-Identifier: GPL-3.0-or-later
"""Several calibrated cameras as one observation of a head; whether they fit their videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from engine.core.arrays import Double
from engine.core.errors import BadInputError
from training.tracking.film import Film
from training.tracking.first_poses import crossing, face_middle, weak_perspective
from training.tracking.landmarks import eye_distance
from training.tracking.observations import Intrinsics, View
from training.tracking.rig import RigCamera, relative
from training.tracking.scan import GOOD, NO_FACE, Scan

CAMERA_ID = "00"
"""Of a single camera."""
_TOP, _CHIN = 10, 152
"""Landmarks at the upper and lower end of the face."""
_SIZES = (0.6, 1.6)
"""Sizes of a head against the likeliest one at which metres are believed."""
_APART = 0.04
"""Metres by which the rays to the middle of the face may pass each other."""
_TURNED = 40.0
"""Degrees by which two cameras may differ in where the face turns, each by itself."""
_REMEDY = (
    "Give the calibration of these videos, in metres, each camera with its own video; or the times "
    "at which they begin (--offsets)."
)


@dataclass(frozen=True, eq=False)
class TrackedCamera:
    """A camera of a track.

    Attributes:
        id: its name.
        film: its video.
        K: (3, 3) pixels of the film's pictures.
        placed: (4, 4) from the first camera's space to its own.
        scan: what it shows.
    """

    id: str
    film: Film
    K: Double
    placed: Double
    scan: Scan

    @property
    def clear(self) -> NDArray[np.bool_]:
        """(T,) whether the picture shows the head unspoilt, be it from behind."""
        return np.isin(self.scan.state, (GOOD, NO_FACE)) & (self.scan.trust > 0.5)


def one_camera(film: Film, camera: Intrinsics, scan: Scan) -> TrackedCamera:
    """The camera of a single video."""
    return TrackedCamera(CAMERA_ID, film, camera.matrix, np.eye(4), scan)


def tracked_cameras(
    rig: Sequence[RigCamera], films: Sequence[Film], scans: Sequence[Scan]
) -> tuple[TrackedCamera, ...]:
    """The cameras of videos, whose scans become as long as the shortest.

    Raises:
        BadInputError: what is left of one shows no face.
    """
    count = min(len(scan.state) for scan in scans)
    for film, scan in zip(films, scans, strict=True):
        if not (scan.state[:count] == GOOD).any():
            raise BadInputError(
                f"{film.path} shows no face in the {count} frames that all videos have.",
                "Give whole videos of one face.",
            )
    return tuple(
        TrackedCamera(
            camera.id,
            film,
            camera.camera.K.astype(np.float64),
            placed,
            scan.first(count),
        )
        for camera, film, scan, placed in zip(rig, films, scans, relative(rig), strict=True)
    )


def view_of(camera: TrackedCamera) -> View:
    """What a camera shows, in square pixels."""
    fx, fy, centre = camera.K[0, 0], camera.K[1, 1], camera.K[:2, 2]
    points = camera.scan.points.astype(np.float64)
    points = (points - centre) * np.array([1.0, fx / fy]) + centre
    points[camera.scan.state != GOOD] = np.nan
    name = str(camera.film.path)
    intrinsics = Intrinsics(float(fx), centre, float(fy / fx))
    return View(points, camera.scan.trust, intrinsics, camera.placed, name)


def merged(cameras: Sequence[TrackedCamera], views: Sequence[View]) -> Scan:
    """One scan of several cameras.

    A frame is of use in which one of them shows the face. The points are those of the camera before
    which the face turns away least; at a cut of any begins another take.
    """
    points = np.array([view.points for view in views])
    high = np.linalg.norm(points[:, :, _TOP] - points[:, :, _CHIN], axis=2)
    wide = np.where(np.isfinite(high), eye_distance(points) / high, -1.0)
    best = wide.argmax(axis=0), np.arange(points.shape[1])
    good = np.isfinite(high).any(axis=0)
    cuts = np.any([np.diff(camera.scan.takes) != 0 for camera in cameras], axis=0)
    state = np.where(good, GOOD, cameras[0].scan.state).astype(np.int8)
    takes = np.r_[0, np.cumsum(cuts)].astype(np.intp)
    trust = np.max([np.where(view.seen, view.trust, 0.0) for view in views], axis=0)
    sharpness = np.median([camera.scan.sharpness for camera in cameras], axis=0)
    smeared = np.array([camera.scan.smeared for camera in cameras])[best]
    return Scan(
        points[best].astype(np.float32),
        state,
        takes,
        cameras[0].scan.fps,
        np.where(good, trust, 1.0),
        sharpness,
        smeared,
    )


def check_cameras(views: Sequence[View], landmarks: Double) -> None:
    """See that cameras stand where the videos were filmed from.

    Args:
        views: what they show.
        landmarks: (478, 3) of a likely head, head space.

    Raises:
        BadInputError: the head would be of another size, the cameras look past each other, or they
            see it turned differently; names a video.
    """
    poses = [weak_perspective(landmarks, view.points[view.seen], view.camera) for view in views]
    turned, near = [], []
    for view, pose in zip(views, poses, strict=True):
        R, t = view.placed[:3, :3], view.placed[:3, 3]
        here, there = np.full((len(view.seen), 3, 3), np.nan), np.full((len(view.seen), 3), np.nan)
        here[view.seen] = R.T @ pose.rotation
        local = pose.rotation @ face_middle(landmarks) + pose.translation
        there[view.seen] = (local - t) @ R
        turned.append(here)
        near.append(there)
    for number, view in enumerate(views[1:], 1):
        _check_pair((views[0], view), (turned[0], turned[number]), (near[0], near[number]))


def _check_pair(
    views: tuple[View, View], turned: tuple[Double, Double], near: tuple[Double, Double]
) -> None:
    both = views[0].seen & views[1].seen
    if not both.any():
        return
    names = f"{views[0].name} and {views[1].name}"
    one, other = (rotation[both] for rotation in turned)
    angle = np.median(Rotation.from_matrix(one @ np.swapaxes(other, 1, 2)).magnitude())
    if np.degrees(angle) > _TURNED:
        raise BadInputError(
            f"The calibration does not fit {names}: they show the head turned by "
            f"{np.degrees(angle):.0f}° from each other.",
            _REMEDY,
        )
    middle, missed = crossing(views)
    origin = [-view.placed[:3, :3].T @ view.placed[:3, 3] for view in views]
    sizes = [
        np.einsum("ti,ti->t", middle - at, guess - at) / np.square(guess - at).sum(1)
        for at, guess in zip(origin, near, strict=True)
    ]
    low, high = _SIZES
    size = float(np.median(np.array(sizes)[:, both]))
    if not low < size < high:
        raise BadInputError(
            f"By its calibration a head before {names} is {size:.3g} times as large as people's.",
            _REMEDY,
        )
    apart = float(np.median(missed[both]))
    if apart > _APART:
        raise BadInputError(
            f"The calibration does not fit {names}: their rays to the face pass each other at "
            f"{2e3 * apart:.0f} mm.",
            _REMEDY,
        )
