# SPDX-License-Identifier: GPL-3.0-or-later
"""Eyeballs: spheres fitted to the source's helper eyes, with rings where iris and pupil end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from engine.core.arrays import Double, Ids
from engine.heads.eye_clearance import (
    CLEARANCE,
    LID_REACH,
    fitted_sphere,
    lids_at,
    push_out_of_eye,
)
from training.assets.head.mesh import Mesh
from training.assets.head.source import JOINTS, Source

SEGMENTS = 24
_PUPIL = 0.0020
_IRIS = 0.0062
"""Radii of pupil and iris in metres."""


@dataclass(frozen=True, eq=False)
class Eyeball:
    """One eyeball as a mesh, with the vertices of its iris (pupil excluded) and pupil."""

    mesh: Mesh
    iris: Ids
    pupil: Ids


def eyeball(source: Source, side: str) -> Eyeball:
    """Make the eyeball of a side.

    Args:
        source: the body; its helper eye gives centre, radius and how ``eyeLook*`` turns it.
        side: ``"left"`` or ``"right"``, the person's own.
    """
    helper = source.groups[f"helper-{side[0]}-eye"]
    centre, radius = _ball(source, side)
    rings = np.concatenate(
        [
            np.arcsin(np.array([0.55 * _PUPIL, _PUPIL]) / radius),
            np.arcsin(np.linspace(_PUPIL, _IRIS, 6)[1:] / radius),
            np.arcsin(_IRIS / radius) + np.radians([3.0, 8.0, 14.0, 21.0, 29.0, 38.0, 48.0, 60.0]),
            np.radians([98.0, 120.0, 150.0]),
        ]
    )
    unit, uv, faces = _disc_sphere(rings)
    vertices = centre + radius * unit
    deltas = np.zeros((len(source.names), len(vertices), 3))
    for index in range(len(source.names)):
        moved = source.deltas[index, helper]
        if np.abs(moved).max() > 1e-6:
            turn = _rotation(source.vertices[helper] - centre, moved)
            deltas[index] = turn.apply(vertices - centre) - (vertices - centre)
    weights = np.zeros((len(vertices), len(JOINTS)))
    weights[:, JOINTS.index(f"{side}_eye")] = 1
    mesh = Mesh(
        vertices=vertices,
        deltas=deltas,
        weights=weights,
        masks=np.zeros((len(vertices), len(source.masks))),
        origins=np.full(len(vertices), -1),
        faces=faces,
        uv=uv,
        uv_faces=faces,
    )
    return Eyeball(
        mesh=mesh,
        pupil=np.arange(1 + 2 * SEGMENTS),
        iris=1 + 2 * SEGMENTS + np.arange(5 * SEGMENTS),
    )


def clear_of_eyes(mesh: Mesh, source: Source) -> Mesh:
    """Push lids out of the eyeballs wherever an expression, or a usual mix, takes them in.

    Args:
        mesh: the skin, neutral and with the expressions of the source.
        source: its helper eyes give centre and radius.
    """
    deltas = mesh.deltas.copy()
    for side in ("left", "right"):
        ball = _ball(source, side)
        lids = lids_at(mesh.vertices, ball)
        push_out_of_eye(mesh.vertices, deltas, source.names, side, ball, lids)
    return mesh.with_deltas(deltas)


def ball_motion(source: Source, deltas: Double, side: str, points: Double) -> Double:
    """(K, N, 3) how points of an eyeball move when it is moved and scaled with the helper eye.

    Args:
        source: its helper eyes.
        deltas: (K, V, 3) displacements of the source's vertices.
        side: ``"left"`` or ``"right"``.
        points: (N, 3) metres.
    """
    helper = source.groups[f"helper-{side[0]}-eye"]
    middle = source.vertices[helper].mean(axis=0)
    arms = source.vertices[helper] - middle
    moved = deltas[:, helper]
    shift = moved.mean(axis=1)
    growth = np.einsum("kni,ni->k", moved, arms) / (arms**2).sum()
    return np.asarray(shift[:, None] + growth[:, None, None] * (points - middle))


def follow_eyes(mesh: Mesh, source: Source, deltas: Double, bodies: Double) -> Double:
    """Displacements of the skin in which lids keep their distance from the moved eyeballs.

    Only what leads to or from the eyeball is replaced, all of it at the ball and less of it with
    the distance; along the ball lids go where they went.

    Args:
        mesh: the skin.
        source: its helper eyes.
        deltas: (K, V, 3) displacements of the skin.
        bodies: (K, W, 3) the same of the source's vertices.
    """
    deltas = deltas.copy()
    for side in ("left", "right"):
        centre, radius = _ball(source, side)
        arm = mesh.vertices - centre
        distance = np.linalg.norm(arm, axis=1)
        height = (distance - radius) / LID_REACH
        near = np.nonzero((height < 1) & (arm[:, 2] > 0))[0]
        share = 1 - np.clip(height[near], 0, 1) ** 2
        out = arm[near] / distance[near, None]
        ball = ball_motion(source, bodies, side, mesh.vertices[near])
        apart = np.einsum("kni,ni->kn", deltas[:, near] - ball, out)
        deltas[:, near] -= (share * apart)[..., None] * out
    return deltas


def _ball(source: Source, side: str) -> tuple[Double, float]:
    """Centre and radius of an eyeball."""
    helper = source.groups[f"helper-{side[0]}-eye"]
    centre, radius = fitted_sphere(source.vertices[helper])
    return centre, radius - CLEARANCE


def _rotation(points: Double, moved: Double) -> Rotation:
    """The rotation about the centre that explains a displacement best."""
    return Rotation.align_vectors(points + moved, points)[0]


def _disc_sphere(rings: Double) -> tuple[Double, Double, Ids]:
    """Unit sphere from its front pole (+Z) over rings at polar angles to its back pole.

    Returns:
        (N, 3) vertices, (N, 2) texture coordinates in the unit disc, (F, 3) faces.
    """
    around = np.arange(SEGMENTS) * 2 * np.pi / SEGMENTS
    polar = np.concatenate([[0.0], np.repeat(rings, SEGMENTS), [np.pi]])
    azimuth = np.concatenate([[0.0], np.tile(around, len(rings)), [0.0]])
    unit = np.stack(
        [np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], axis=1
    )
    # The front gets most of the disc: that is what is seen.
    uv = ((polar / np.pi) ** 0.6)[:, None] * np.stack([np.cos(azimuth), np.sin(azimuth)], axis=1)
    grid = 1 + np.arange(len(rings) * SEGMENTS).reshape(len(rings), SEGMENTS)
    beside = np.roll(grid, -1, axis=1)
    back = np.full(SEGMENTS, len(unit) - 1)
    inner, outer = grid[:-1].ravel(), grid[1:].ravel()
    inner_beside, outer_beside = beside[:-1].ravel(), beside[1:].ravel()
    faces = np.concatenate(
        [
            np.stack([np.zeros(SEGMENTS, int), grid[0], beside[0]], axis=1),
            np.stack([inner, outer, outer_beside], axis=1),
            np.stack([inner, outer_beside, inner_beside], axis=1),
            np.stack([grid[-1], back, beside[-1]], axis=1),
        ]
    )
    return unit, uv, faces
