# SPDX-License-Identifier: GPL-3.0-or-later
"""Make ``training/tracking/landmark_map.npz``: MediaPipe's landmarks on the default head.

    python -m training.assets.landmark_map [--pictures 2400] [--looks 900]

Needs the extra ``tracking``. The default avatar is rendered from known cameras with known faces.
The neutral pictures show where on the mesh each landmark lies: the ray through its pixel meets the
mesh, and the median over the views is taken. The other pictures, of many people, show how the
detector responds to expressions and to shapes of heads beyond the mesh's own motion
(:mod:`training.tracking.landmark_responses`). --looks more pictures show people in other looks
(:mod:`training.assets.looks`): in which directions those move landmarks is part of the map, too.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from engine.avatar import load_avatar
from engine.core.arrays import Double, Float
from engine.heads import load_head
from engine.heads.head import Head
from engine.heads.surface import Surface
from engine.rendering.frames import FrameRenderer, studio_backdrop
from engine.splatting.camera import Camera
from engine.splatting.registry import choose_backend
from training.assets.look_pictures import LookPictures
from training.assets.looks import random_look
from training.synthetic.faces import EYES, MOUTHS, WHOLE
from training.synthetic.schedule import expression_of
from training.tracking.identity_space import IdentitySpace, default_space
from training.tracking.landmark_map import (
    ASSET,
    VIEW_FEATURES,
    LandmarkMap,
    save_landmark_map,
)
from training.tracking.landmark_responses import (
    Picture,
    Priors,
    look_offsets,
    with_responses,
)
from training.tracking.landmarks import INNER_LOWER, INNER_UPPER, IRISES, POINTS, LandmarkDetector
from training.tracking.mediapipe_faces import open_detector

_SIZE = 640
_VIEWS = ((0, 0), (-12, 0), (12, 0), (-25, 0), (25, 0), (0, 10), (0, -10), (-35, 4), (35, 4))
"""Degrees of turn and nod of the neutral views."""
_PRIORS = Priors(offset=0.003, response=0.0025, aspect=0.002)
_SHAPE = 0.35
"""Deviation of what the detector adds to a shape, against the shape's own root mean square."""
_FOCAL, _AWAY = 1.5, 0.55
_LOOK_SIZE = 480
_DIRECTIONS = 40
"""Of what looks add."""


Shown = tuple[Head, Double, Float, Double]
"""A head, its coefficients (K,), its weights (E,) and its matrix (4, 4) to the camera."""
_CHANGE = 6
"""Pictures after which another person is shown."""


def main() -> None:
    """Render, detect, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=2400)
    parser.add_argument("--looks", type=int, default=900)
    parser.add_argument("--out", type=Path, default=ASSET)
    chosen = parser.parse_args()
    head, space = load_head("default"), default_space()
    detector = open_detector(still=True)
    neutral = list(_pictures(head, detector, _neutral(head, space)))
    faces = list(_pictures(head, detector, _faces(head, space, chosen.pictures)))
    print(f"{len(neutral)} of {len(_VIEWS)} neutral views, {len(faces)} of {chosen.pictures} faces")
    found = fitted_map(head, space, neutral, faces, detector.name)
    others = list(_in_looks(head, detector, _faces(head, space, chosen.looks)))
    print(f"{len(others)} of {chosen.looks} faces in other looks")
    found = replace(found, looks=look_offsets(found, head, others, _DIRECTIONS))
    save_landmark_map(found, chosen.out)
    print(f"wrote {chosen.out}: median deviation {1e3 * np.median(found.deviation):.2f} mm")


def fitted_map(
    head: Head,
    space: IdentitySpace,
    neutral: list[Picture],
    faces: list[Picture],
    detector: str,
) -> LandmarkMap:
    """The map that fits the pictures."""
    corners, weights = _on_the_mesh(head, neutral)
    names = head.expression_names
    nothing = LandmarkMap(
        corners,
        weights,
        offset=np.zeros((POINTS, 3), np.float32),
        response=np.zeros((len(names), POINTS, 3), np.float32),
        identity=np.zeros((len(space.basis), POINTS, 3), np.float32),
        aspect=np.zeros((VIEW_FEATURES, POINTS, 3), np.float32),
        looks=np.zeros((0, POINTS, 3), np.float32),
        deviation=np.zeros(POINTS, np.float32),
        expression_names=names,
        detector=detector,
    )
    moved = np.square(nothing.on_mesh(space.basis), dtype=np.float64).sum(axis=2)
    shapes = _SHAPE * np.sqrt(moved.mean(axis=1))
    return with_responses(nothing, head, [*neutral, *faces], replace(_PRIORS, identity=shapes))


def camera_matrix(size: int = _SIZE) -> Float:
    """(3, 3) of pictures of so many pixels in square."""
    f = _FOCAL * size
    return np.array([[f, 0, size / 2], [0, f, size / 2], [0, 0, 1]], np.float32)


def _pictures(head: Head, detector: LandmarkDetector, shown: Iterator[Shown]) -> Iterator[Picture]:
    camera = Camera(np.eye(4, dtype=np.float32), camera_matrix(), _SIZE, _SIZE)
    avatar, backend = load_avatar("default", head), choose_backend("cpu")
    renderer = FrameRenderer(avatar, backend, camera, studio_backdrop(_SIZE, _SIZE))
    for person, identity, expression, matrix in shown:
        vertices = person.deform(expression)
        image = renderer.submit(vertices, expression, matrix.astype(np.float32)).numpy()[0]
        if found := detector.detect(image, 0.0):
            yield Picture(found[0].points, vertices, expression, matrix, camera_matrix(), identity)


def _in_looks(head: Head, detector: LandmarkDetector, shown: Iterator[Shown]) -> Iterator[Picture]:
    """Of people each of whom has another look."""
    K, size = camera_matrix(_LOOK_SIZE), _LOOK_SIZE
    pictures = LookPictures(head, Camera(np.eye(4, dtype=np.float32), K, size, size))
    for number, (person, identity, expression, matrix) in enumerate(shown):
        if number % _CHANGE == 0:
            rng = np.random.default_rng([7, number])
            look = random_look(rng, size)
        vertices = person.deform(expression)
        image = pictures.take(look, vertices, expression, matrix, rng)
        if found := detector.detect(image, 0.0):
            yield Picture(found[0].points, vertices, expression, matrix, K, identity)


def _matrix(head: Head, turn: float, nod: float, tilt: float, away: float = _AWAY) -> Double:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("YXZ", [turn, nod, tilt], degrees=True).as_matrix()
    middle = head.eyes - np.array([0, 0.035, 0])
    matrix[:3, 3] = -matrix[:3, :3] @ middle
    flip = np.diag([1.0, -1.0, -1.0, 1.0])
    flip[2, 3] = away
    return flip @ matrix


def _neutral(head: Head, space: IdentitySpace) -> Iterator[Shown]:
    shape, weights = np.zeros(len(space.basis)), np.zeros(len(head.expression_names), np.float32)
    for turn, nod in _VIEWS:
        yield head, shape, weights, _matrix(head, turn, nod, 0)


def _faces(head: Head, space: IdentitySpace, count: int) -> Iterator[Shown]:
    """Listed faces mixed by two, with a few expressions on top; half of them speak.

    Speaking is a jaw and lips that mostly stay small. They are of people of the identity space, so
    that what is particular to one face is not taken for the detector's.
    """
    rng = np.random.default_rng(16)
    person, shape = head, space.mean.astype(np.float64)
    listed = [expression_of(head, face) for _, face in (*MOUTHS, *EYES, *WHOLE)]
    index = head.expression_index
    for number in range(count):
        if number % 2:
            mixed = sum(rng.uniform(0, 0.9) * listed[k] for k in rng.choice(len(listed), 2))
        else:
            mixed = np.zeros(len(head.expression_names))
            jaw = rng.beta(1, 2.5)
            mixed[index("jawOpen")] = jaw
            mixed[index("mouthClose")] = jaw * rng.choice([0, rng.uniform(), 1])
            for name in rng.choice(
                [n for n in head.expression_names if n.startswith("mouth") and "Close" not in n], 6
            ):
                mixed[index(name)] = rng.beta(1, 2)
        for name in rng.choice(head.expression_names, 3):
            mixed[index(name)] += 0.6 * rng.beta(1, 2)
        if number % _CHANGE == 0:
            shape = space.mean + rng.standard_normal(len(space.mean))
            person = space.shaped(shape)
        turn, nod, tilt = rng.normal(0, (17, 8, 6))
        weights = np.clip(mixed, 0, 1).astype(np.float32)
        yield (
            person,
            shape,
            weights,
            _matrix(person, turn, nod, tilt, _AWAY * rng.uniform(0.9, 1.3)),
        )


def _on_the_mesh(head: Head, pictures: list[Picture]) -> tuple[NDArray[np.int32], Float]:
    """Triangle and barycentric coordinates of each landmark: median of the views' hits."""
    hits = np.full((len(pictures), POINTS, 3), np.nan)
    for row, picture in enumerate(pictures):
        hits[row] = _hits(head, picture)
    places = np.nanmedian(hits, 0)
    corners, weights = np.zeros((POINTS, 3), np.int32), np.zeros((POINTS, 3), np.float32)
    seen = np.isfinite(places).all(1)
    inner = head.regions["mouth_interior"]
    eyes, mouth = head.regions["eyeballs"], np.union1d(head.regions["teeth"], inner)
    skin = np.setdiff1d(np.arange(head.vertex_count), np.union1d(eyes, mouth))
    kinds = {
        "iris": (np.isin(np.arange(POINTS), IRISES), eyes),
        "upper": (np.isin(np.arange(POINTS), INNER_UPPER[1:-1]), head.regions["upper_lip"]),
        "lower": (np.isin(np.arange(POINTS), INNER_LOWER[1:-1]), head.regions["lower_lip"]),
    }
    kinds["skin"] = (~np.any([chosen for chosen, _ in kinds.values()], axis=0), skin)
    for chosen, vertices in kinds.values():
        rows = np.flatnonzero(chosen)
        faces = head.faces[np.isin(head.faces, vertices).all(1)]
        surface = Surface(head.template.astype(np.float64), faces, np.zeros(head.vertex_count))
        found = surface.closest(np.where(seen[rows, None], places[rows], 0.0))
        corners[rows], weights[rows] = faces[found.faces], found.weights
    if not seen.all():
        raise SystemExit(f"No view shows the landmarks {np.flatnonzero(~seen)}.")
    return corners, weights


def _hits(head: Head, picture: Picture) -> Double:
    """(478, 3) head space: where the rays through the landmarks meet the mesh; NaN beside it."""
    K, matrix = camera_matrix().astype(np.float64), picture.matrix
    local = picture.vertices @ matrix[:3, :3].T + matrix[:3, 3]
    flat = (local @ K.T)[:, :2] / local[:, 2:]
    a, b, c = np.moveaxis(flat[head.faces], 1, 0)
    area = _cross(b - a, c - a)
    depth = local[head.faces, 2]
    result = np.full((POINTS, 3), np.nan)
    inverse = np.linalg.inv(matrix)
    for number, point in enumerate(picture.points.astype(np.float64)):
        near = np.flatnonzero(np.abs(a - point).max(1) < 60)
        parts = (
            np.stack(
                [
                    _cross(b[near] - point, c[near] - point),
                    _cross(c[near] - point, a[near] - point),
                ],
                1,
            )
            / np.where(np.abs(area[near]) > 1e-9, area[near], np.inf)[:, None]
        )
        parts = np.c_[parts, 1 - parts.sum(1)]
        inside = np.flatnonzero((parts >= 0).all(1) & (np.abs(area[near]) > 1e-9))
        if not len(inside):
            continue
        inverse_depth = (parts[inside] / depth[near[inside]]).sum(1)
        z = 1 / inverse_depth.max()
        ray = np.linalg.inv(K) @ np.array([*point, 1.0])
        result[number] = inverse[:3, :3] @ (z * ray) + inverse[:3, 3]
    return result


def _cross(u: Double, v: Double) -> Double:
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]


if __name__ == "__main__":
    main()
