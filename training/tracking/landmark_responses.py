# SPDX-License-Identifier: GPL-3.0-or-later
"""How a detector answers to faces that are known, beyond the motion of their mesh.

For each landmark a ridge regression of its displacement in head space from two pixels a picture:
where it rests, what each expression adds, what the direction of view adds, and, of pictures of many
people, what each shape of a head adds: (1 + E + 5 + K) × 3 unknowns. Pictures in which the face
turns away there are left out. What is then left of a person in all pictures alike is that person's
looks, of which :func:`look_offsets` finds the directions in which people differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Double, Float
from engine.heads.head import Head
from engine.heads.surface import Surface
from training.tracking.face_model import landmark_shares
from training.tracking.landmark_map import VIEW_FEATURES, LandmarkMap, view_features
from training.tracking.landmarks import INNER_LOWER, INNER_UPPER, IRISES, POINTS

_FACING = 0.35
"""Cosine between a landmark's normal and the line of sight from which the landmark counts."""
_NOISE = 0.0007
"""Metres: standard deviation of a detection."""
_LOOKS = 0.002
"""Metres: standard deviation of what a person's looks add."""
_LEAST_PICTURES = 5
"""Of a person whose looks are counted."""


class Picture(NamedTuple):
    """A detection with what was rendered.

    Attributes:
        points: (478, 2) pixels.
        vertices: (V, 3) head space.
        expression: (E,).
        matrix: (4, 4) head space to camera.
        K: (3, 3) of the camera, pixels.
        identity: (K,) coefficients of the person; none where all pictures show one.
    """

    points: Float
    vertices: Float
    expression: Float
    matrix: Double
    K: Float
    identity: Double = np.zeros(0)


@dataclass(frozen=True)
class Priors:
    """Standard deviations of what is found, metres.

    Attributes:
        offset: of where a landmark rests.
        response: of what it adds to an expression.
        aspect: of what a turn of the head by a radian adds.
        identity: (K,) of what it adds to each shape of a head; none where pictures show one person.
    """

    offset: float
    response: float
    aspect: float
    identity: Double = field(default_factory=lambda: np.zeros(0))


def with_responses(
    marks: LandmarkMap, head: Head, pictures: Sequence[Picture], priors: Priors
) -> LandmarkMap:
    """A map with what detections in pictures add to it.

    Args:
        marks: what is known.
        head: whose triangles the vertices of the pictures are of.
        pictures: the detections.
        priors: of the difference to what is known.
    """
    expressions = np.array([picture.expression for picture in pictures], np.float64)
    matrices = np.array([picture.matrix for picture in pictures])
    views = view_features(matrices[:, :3, :3], matrices[:, :3, 3])
    people = np.array([picture.identity for picture in pictures])
    design = np.c_[np.ones(len(pictures)), expressions, views, people]
    E, shapes = expressions.shape[1], people.shape[1]
    known = np.concatenate(
        [marks.offset[None], marks.response, marks.aspect, marks.identity[:shapes]]
    ).astype(np.float64)
    shown = [
        _shown(marks, head, picture, row @ known.reshape(len(known), -1))
        for picture, row in zip(pictures, design, strict=True)
    ]
    rows, wanted, counted = (np.array(part) for part in zip(*shown, strict=True))
    counted |= _always()
    deviations = [priors.offset, *([priors.response] * E), *([priors.aspect] * VIEW_FEATURES)]
    prior = np.repeat(1 / np.r_[deviations, priors.identity] ** 2, 3)
    found, deviation = np.zeros_like(known), np.zeros(POINTS)
    for mark in range(POINTS):
        kept = counted[:, mark]
        solved, residual = _ridge(design[kept], rows[kept, mark], wanted[kept, mark], prior)
        found[:, mark] = solved
        deviation[mark] = 1.4826 * np.median(residual) if len(residual) else marks.deviation[mark]
    total: Float = (known + found).astype(np.float32)
    views_end = 1 + E + VIEW_FEATURES
    return replace(
        marks,
        offset=total[0],
        response=total[1 : 1 + E],
        aspect=total[1 + E : views_end],
        identity=np.concatenate([total[views_end:], marks.identity[shapes:]]),
        deviation=deviation.astype(np.float32),
    )


def look_offsets(marks: LandmarkMap, head: Head, pictures: Sequence[Picture], count: int) -> Float:
    """(count, 478, 3) float32 metres: principal directions of what people's looks add to a map.

    They are about the map, which may be of other looks, and as long as a standard deviation. What
    two halves of a person's pictures say alike is that person's.

    Args:
        marks: the map.
        head: whose triangles the vertices of the pictures are of.
        pictures: of many people in looks of their own, those of one person one after another.
        count: how many.
    """
    people: list[list[Picture]] = []
    for picture in pictures:
        if not people or not np.array_equal(people[-1][0].identity, picture.identity):
            people.append([])
        people[-1].append(picture)
    halves = np.array(
        [
            [_own_offset(marks, head, of[start::2]) for start in range(2)]
            for of in people
            if len(of) >= _LEAST_PICTURES
        ]
    )
    weight = np.sqrt(landmark_shares()) * _NOISE / np.maximum(marks.deviation, _NOISE)
    first, second = np.moveaxis(halves * weight[:, None], 1, 0).reshape(2, len(halves), -1)
    # What is particular to a picture differs between the halves: its mean product is nothing.
    covariance = (first.T @ second + second.T @ first) / (2 * len(halves))
    variances, directions = np.linalg.eigh(covariance)
    largest = np.argsort(variances)[::-1][:count]
    found = directions.T[largest] * np.sqrt(np.maximum(variances[largest], 0))[:, None]
    offsets: Float = found.reshape(-1, POINTS, 3) / weight[:, None]
    return offsets.astype(np.float32)


def _own_offset(marks: LandmarkMap, head: Head, pictures: Sequence[Picture]) -> Double:
    """(478, 3) metres by which the landmarks of one person lie beside a map, in its pictures."""
    precision = np.tile(np.eye(3) / _LOOKS**2, (POINTS, 1, 1))
    pull = np.zeros((POINTS, 3))
    certain = 1 / np.maximum(marks.deviation.astype(np.float64), _NOISE) ** 2
    for picture in pictures:
        rotation, translation = picture.matrix[None, :3, :3], picture.matrix[None, :3, 3]
        own = marks.of_person(picture.identity)
        known = own.offset + np.tensordot(picture.expression, own.response, 1)
        known = known + np.tensordot(view_features(rotation, translation)[0], own.aspect, 1)
        rows, wanted, counted = _shown(own, head, picture, known.astype(np.float64))
        weight = certain * (counted | _always())
        precision += np.einsum("lij,lik,l->ljk", rows, rows, weight)
        pull += np.einsum("lij,li,l->lj", rows, wanted, weight)
    found: Double = np.linalg.solve(precision, pull[..., None])[..., 0]
    return found


def _always() -> NDArray[np.bool_]:
    """(478,) landmarks that count whatever their normals are: irises and inner lips."""
    chosen = np.zeros(POINTS, bool)
    chosen[[*IRISES, *INNER_UPPER, *INNER_LOWER]] = True
    return chosen


def _shown(
    marks: LandmarkMap, head: Head, picture: Picture, known: Double
) -> tuple[Double, Double, NDArray[np.bool_]]:
    """Jacobians (478, 2, 3), displacements (478, 2) and whether each counts (478,).

    In metres across the line of sight, so that near and far pictures count alike.
    """
    K = picture.K.astype(np.float64)
    R, t = picture.matrix[:3, :3], picture.matrix[:3, 3]
    mesh = picture.vertices.astype(np.float64)
    normals = Surface(mesh, head.faces, np.zeros(len(mesh))).normals
    facing = np.einsum("lc,lcd->ld", marks.weights, normals[marks.corners]) @ R.T
    point = np.einsum("lc,lcd->ld", marks.weights, mesh[marks.corners])
    local = (point + known.reshape(POINTS, 3)) @ R.T + t
    sight = -local / np.linalg.norm(local, axis=1, keepdims=True)
    size = np.maximum(np.linalg.norm(facing, axis=1), 1e-9)
    x, y, z = local.T
    metres = z / K[0, 0]
    jacobian = np.zeros((POINTS, 2, 3))
    jacobian[:, 0, 0], jacobian[:, 0, 2] = K[0, 0] / z, -K[0, 0] * x / z**2
    jacobian[:, 1, 1], jacobian[:, 1, 2] = K[1, 1] / z, -K[1, 1] * y / z**2
    away = picture.points - (local @ K.T)[:, :2] / z[:, None]
    counts = (facing * sight).sum(1) / size > _FACING
    return jacobian @ R * metres[:, None, None], away * metres[:, None], counts


def _ridge(design: Double, rows: Double, wanted: Double, prior: Double) -> tuple[Double, Double]:
    """Unknowns (1 + E + 5, 3) of one landmark, and what is left, metres."""
    A = np.einsum("nk,nij->nikj", design, rows).reshape(-1, len(prior))
    b = wanted.reshape(-1)
    solve = _of_rows if len(b) < len(prior) else _of_unknowns
    weight = np.ones(len(b))
    for _ in range(4):  # Huber's weights: a lost face must not bend a landmark.
        found = solve(A, b, weight / _NOISE**2, prior)
        residual = np.abs(A @ found - b)
        weight = np.minimum(1, 2 * _NOISE / np.maximum(residual, 1e-12))
    return found.reshape(-1, 3), residual


def _of_rows(A: Double, b: Double, certain: Double, prior: Double) -> Double:
    """The unknowns, in the space of what was observed: where that is the smaller one."""
    covariance = (A / prior) @ A.T
    solved: Double = A.T @ np.linalg.solve(covariance + np.diag(1 / certain), b) / prior
    return solved


def _of_unknowns(A: Double, b: Double, certain: Double, prior: Double) -> Double:
    """The same in their own space."""
    weighted = certain[:, None] * A
    solved: Double = np.linalg.solve(A.T @ weighted + np.diag(prior), weighted.T @ b)
    return solved
