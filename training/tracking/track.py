# SPDX-License-Identifier: GPL-3.0-or-later
"""From landmarks of a video to the head, the camera and what the head does in every frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from engine.core.arrays import Double
from engine.core.errors import BadInputError
from engine.core.progress import Progress, subprogress
from engine.heads.default import load_default_head
from engine.heads.head import Head
from engine.motion.lip_contact import close_lips, hold_lips_closed, lip_gap, lips_touch
from training.tracking.face_model import FaceModel, arkit_face_model, weights_of
from training.tracking.face_problem import landmark_weights
from training.tracking.film import Film
from training.tracking.first_poses import initial_poses
from training.tracking.fitting import fit_frames, project
from training.tracking.identity_search import IdentitySearch
from training.tracking.identity_space import default_space
from training.tracking.landmark_map import load_landmark_map
from training.tracking.landmarks import (
    EYE_CORNERS,
    LandmarkDetector,
    eye_distance,
    lip_gap_pixels,
)
from training.tracking.observations import FrameFit, Intrinsics, Observations, View
from training.tracking.own_looks import FilmPictures
from training.tracking.scan import GOOD, MISFIT, Scan
from training.tracking.varied_frames import varied

_PHONE_FOCAL = 0.77
"""Focal length of phones' cameras against the larger side of their videos."""
_IDENTITY_FRAMES, _CONTACTS = 48, 8
_MISFIT = 0.12
"""Mean reprojection error, of the eyes' distance, from which a frame is dropped."""
_FAILED = 0.05
"""The same of the whole video, from which tracking has failed: of people it is 0.025 at most, of a
muzzle 0.06."""
_STRANGE = 0.85
"""Root mean square of an identity's coefficients from which it is nobody's: people have 1, and what
is found of them is nearer to the mean, 0.3 to 0.7; of a muzzle it is 0.9."""
_OPEN_SMEARED = 0.07
"""The same as the last in films that compression smears: they may show the frames before."""
_SURELY = (0.8, 0.95)
"""Closure by recognised sounds from which lips that look closed begin to, and do, surely touch."""
_KNOWN_FROM = 3.0
"""Frames with contacts from which it is known where the detector sees the lips' edges."""
_FIT_NEARLY = (0.0005, 0.001)
"""Metres: gap of the fit up to which landmarks may close it, and from which not."""
_NO_PERSON = "Film a person's face from in front; drawings, animals and masks do not fit."
_TOUCHING, _PARTED, _OPEN = 0.004, 0.012, 0.035
"""Median gap of the landmarks, in eye distances (90 mm): of lips that touch, and that do not. On
films of known heads the first stays below 0.0045, and lips 1.5 mm apart show 0.012 and
more, mostly 0.035: the last is a mouth that no recognised sound closes."""


@dataclass(frozen=True, eq=False)
class Track:
    """What a video shows, as parameters of a head.

    Attributes:
        head: the person, neutral.
        camera: of the video; the first of several.
        fit: of all T frames; frames that were dropped are interpolated.
        error: (T,) mean reprojection error in parts of the distance of the eyes' outer corners;
            NaN of frames that were dropped.
        scan: frames and takes, with those dropped that the head did not fit.
        identity: (I,) coefficients.
        view_error: (C, T) the same as ``error`` in each of several cameras; NaN where it shows no
            face.
    """

    head: Head
    camera: Intrinsics
    fit: FrameFit
    error: Double
    scan: Scan
    identity: Double
    view_error: Double = field(default_factory=lambda: np.zeros((0, 0)))


def track_scan(
    film: Film,
    found: Scan,
    focal: float | None,
    progress: Progress,
    *,
    closure: Double | None = None,
    still: LandmarkDetector | None = None,
    views: Sequence[View] = (),
    filmed: FilmPictures | None = None,
) -> Track:
    """Fit a head to the landmarks of a video, or of several calibrated cameras.

    Args:
        film: the video; the first of several.
        found: its landmarks; of several :func:`training.tracking.several.merged`.
        focal: pixels of the film's pictures; estimated where ``None``.
        progress: called with the share done; may raise to cancel.
        closure: (T,) how far the p, b and m that were recognised close the lips, 0 to 1.
        still: detector of pictures that are no film, which is shown what was fitted
            (:mod:`training.tracking.calibration`); without one the landmark map of people in
            general is all that is known of it.
        views: of several cameras, all frames of each; their focal lengths are known.
        filmed: pictures of the film, or of each camera's, whose colours the detector is shown;
            without them it is shown the default avatar's.

    Raises:
        BadInputError: the head does not fit what the video shows, or one of several.
    """
    space, marks = default_space(), load_landmark_map()
    model = arkit_face_model(load_default_head(), space, marks)
    guess = phone_focal(film) if focal is None else focal
    camera = Intrinsics(guess, np.array([film.width / 2, film.height / 2]))
    camera = views[0].camera if views else camera
    said = None if closure is None else closure[found.good]
    shown = tuple(view.picked(found.good) for view in views)
    seen = replace(_observations(found, found.good, said), views=shown)
    chosen = varied(model, seen, camera, _IDENTITY_FRAMES, _CONTACTS)
    picked = seen.picked(chosen)
    free = focal is None and not views
    frames = found.good[chosen]
    search = IdentitySearch(space, marks, still, free, found.sharpness[frames], frames, filmed)
    identity, camera, marks = search.run(picked, camera, subprogress(progress, 0.0, 0.4))
    _check_shape(film, identity)
    person = space.shaped(identity)
    none = np.zeros(0)
    model = replace(
        arkit_face_model(person, space, marks),
        identity=np.zeros((0, *model.rest.shape)),
        mean=none,
    )
    start = initial_poses(model, seen, camera)
    fit = fit_frames(model, seen, camera, none, start, subprogress(progress, 0.4, 1.0))
    by_view = _errors(model, camera, fit, seen)
    for number, view in enumerate(views):
        _check_fit(view.name, float(np.nanmedian(by_view[number])))
    if not views:
        paths = np.array([str(film.take_of(frame).path) for frame in found.good])
        for path in dict.fromkeys(paths):
            _check_fit(path, float(np.nanmedian(by_view[0, paths == path])))
    error = np.nanmean(by_view, axis=0)
    kept, found_frames = error <= _MISFIT, found.good
    state = found.state.copy()
    state[found_frames[~kept]] = MISFIT
    found = replace(found, state=state)
    smeared = found.smeared[found.good]
    shut = closed_lips(person, fit.expression, seen, said, smeared)
    fit = replace(fit, expression=shut)
    whole = _interpolated(fit.picked(np.flatnonzero(kept)), found)
    if closure is not None:
        lost = found.state != GOOD
        whole.expression[lost] = unseen_closures(person, whole.expression[lost], closure[lost])
    errors = np.full(len(state), np.nan)
    errors[found.good] = error[kept]
    view_errors = np.full((len(by_view), len(state)), np.nan)
    view_errors[:, found.good] = by_view[:, kept]
    return Track(person, camera, whole, errors, found, identity, view_errors)


def phone_focal(film: Film) -> float:
    """Pixels of focal length that a phone's camera is likely to have."""
    return _PHONE_FOCAL * max(film.width, film.height)


def _check_shape(film: Film, identity: Double) -> None:
    deviations = float(np.sqrt(np.mean(identity**2)))
    if deviations > _STRANGE:
        paths = ", ".join(str(take.path) for take in film.takes or (film,))
        raise BadInputError(
            f"The face in {paths} is no person's: its shape is {deviations:.1f} times as far "
            "from the mean as people's are.",
            _NO_PERSON,
        )


def _check_fit(video: str, error: float) -> None:
    if error > _FAILED:
        raise BadInputError(
            f"The head does not fit the face in {video}: landmarks are "
            f"{100 * error:.1f} % of the eyes' distance apart.",
            _NO_PERSON,
        )


def closed_lips(
    head: Head,
    expression: Double,
    seen: Observations,
    said: Double | None = None,
    smeared: NDArray[np.bool_] | None = None,
) -> Double:
    """Weights whose lips touch where the landmarks of the inner lips meet, and in p, b and m.

    A fit ends a little short of every contact; landmarks are smoothed over the few frames that one
    lasts. The lips close all the way where they nearly do and landmarks or sound say so. Rounded
    lips look closed to the detector: once contacts have shown where it sees the lips' edges, the
    fit knows better, and landmarks close only what it leaves nearly closed.

    Args:
        head: the person.
        expression: (T, E).
        seen: the landmarks.
        said: (T,) how far recognised sounds close the lips.
        smeared: (T,) whether the film is compressed so far that lips stay open in its pictures.
    """
    weights = weights_of(expression)
    gap = lip_gap(head.expression_basis, head.expression_names, head.landmarks)
    if gap is None:
        return expression
    closed, widest = _seen_closed(seen.points), gap.apart(weights).max(axis=1)
    if said is not None and seen.touching.sum() >= _KNOWN_FROM:
        closed = closed * _fading(widest, _FIT_NEARLY)
    shut = close_lips(weights, gap, closed)
    if said is not None:
        apart = _inner_lips_apart(seen.points)
        near = _fading(apart, (_PARTED, _OPEN))
        if smeared is not None:
            near = np.where(smeared, _fading(apart, (_OPEN, _OPEN_SMEARED)), near)
        surely = _surely(said) * near
        shut = hold_lips_closed(shut, head.expression_names, gap, surely)
    return np.where(lips_touch(weights, gap)[:, None], weights, shut).astype(np.float64)


def unseen_closures(head: Head, expression: Double, said: Double) -> Double:
    """Weights of frames without landmarks, whose lips are closed where the sound says so.

    Args:
        head: the person.
        expression: (T, E) between what was seen before and after.
        said: (T,) how far recognised sounds close the lips, 0 to 1.
    """
    names = head.expression_names
    gap = lip_gap(head.expression_basis, names, head.landmarks)
    return hold_lips_closed(weights_of(expression), names, gap, said).astype(np.float64)


def _observations(found: Scan, frames: NDArray[np.intp], said: Double | None) -> Observations:
    points = found.points[frames].astype(np.float64)
    touching = np.zeros(len(frames)) if said is None else _surely(said) * _seen_closed(points)
    return Observations(
        points, frames / found.fps, found.takes[frames], touching, found.trust[frames]
    )


def _inner_lips_apart(points: Double) -> Double:
    """(T,) median gap of the landmarks of the inner lips, in parts of the eyes' distance."""
    apart: Double = np.median(lip_gap_pixels(points), axis=1) / eye_distance(points)
    return apart


def _seen_closed(points: Double) -> Double:
    """(T,) how closed the detector sees the inner lips, 0 to 1."""
    return _fading(_inner_lips_apart(points), (_TOUCHING, _PARTED))


def _surely(said: Double) -> Double:
    """(T,) how surely a recognised sound closes the lips, 0 to 1."""
    return 1 - _fading(said, _SURELY)


def _fading(x: Double, limits: tuple[float, float]) -> Double:
    """1 up to the lower limit, 0 from the upper one."""
    low, high = limits
    return np.clip((high - x) / (high - low), 0.0, 1.0)


def _errors(model: FaceModel, camera: Intrinsics, fit: FrameFit, seen: Observations) -> Double:
    """(C, T) mean distance of the landmarks, in parts of the eyes' distance.

    Of several cameras the skin that faces each counts, and the eyes' distance is that of the head,
    for from the side it looks short.
    """
    nobody = np.zeros(0)
    if not seen.views:
        away = np.linalg.norm(project(model, nobody, camera, fit) - seen.points, axis=2)
        return np.asarray(away.mean(axis=1) / eye_distance(seen.points))[None]
    errors = []
    right, left = model.rest[list(EYE_CORNERS)]
    for view in seen.views:
        own = view.of(fit)
        away = np.linalg.norm(project(model, nobody, view.camera, own) - view.points, axis=2)
        weights = landmark_weights(model, own)
        depth = own.translation[:, 2] + (own.rotation @ model.rest.mean(axis=0))[:, 2]
        eyes = np.linalg.norm(right - left) * view.camera.focal / depth
        errors.append((away * weights).sum(1) / np.maximum(weights.sum(1), 1e-9) / eyes)
    return np.array(errors)


def _interpolated(fit: FrameFit, found: Scan) -> FrameFit:
    """All frames: those that were dropped between their neighbours of the same take."""
    count, good = len(found.state), found.good
    if not len(good):
        raise BadInputError("No frame of the video fits the head.", "Film a face from in front.")
    if len(good) == 1:
        return FrameFit(
            *(np.repeat(a, count, 0) for a in (fit.rotation, fit.translation, fit.expression))
        )
    at = np.clip(np.arange(count), good[0], good[-1]).astype(np.float64)
    for take in np.unique(found.takes):
        inside = found.takes == take
        if len(seen := good[inside[good]]):
            at[inside] = at[inside].clip(seen[0], seen[-1])
    rotation = Slerp(good, Rotation.from_matrix(fit.rotation))(at).as_matrix()
    translation = np.stack([np.interp(at, good, row) for row in fit.translation.T], 1)
    expression = np.stack([np.interp(at, good, row) for row in fit.expression.T], 1)
    assert (found.state[good] == GOOD).all()
    return FrameFit(rotation, translation, expression)
