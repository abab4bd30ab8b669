# SPDX-License-Identifier: GPL-3.0-or-later
"""Eyeballs: spheres fitted to the source's helper eyes, with rings where iris and pupil end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from engine.core.arrays import Double, Ids
from training.assets.head.mesh import Mesh
from training.assets.head.source import JOINTS, Source

SEGMENTS = 24
_PUPIL = 0.0020
_IRIS = 0.0062
"""Radii of pupil and iris in metres."""
# Lids are polygons: their sides cut into a ball that their corners just touch.
_CLEARANCE = 0.0004
_LID_REACH = 0.012
# Expressions that press on the eyes together, by side.
_TOGETHER = (("eyeSquint", "cheekSquint"), ("eyeSquint", "cheekSquint", "mouthSmile"))


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
    names = source.names
    for side in ("left", "right"):
        centre, radius = _ball(source, side)
        height = np.linalg.norm(mesh.vertices - centre, axis=1) - radius
        lids = (height > 0) & (height < _LID_REACH) & (mesh.vertices[:, 2] > centre[2])
        wanted = radius + np.minimum(height[lids], _CLEARANCE)
        mixes: list[tuple[str, ...]] = [(name,) for name in names]
        mixes += [tuple(f"{name}{side.title()}" for name in mix) for mix in _TOGETHER]
        for mix in mixes:
            members = [names.index(name) for name in mix]
            moved = mesh.vertices[lids] + deltas[members][:, lids].sum(axis=0) - centre
            distance = np.linalg.norm(moved, axis=1)
            push = moved * (np.maximum(wanted - distance, 0) / distance)[:, None]
            for member in members:
                deltas[member][lids] += push / len(members)
    return mesh.with_deltas(deltas)


def _ball(source: Source, side: str) -> tuple[Double, float]:
    """Centre and radius of an eyeball."""
    helper = source.groups[f"helper-{side[0]}-eye"]
    centre, radius = fitted_sphere(source.vertices[helper])
    return centre, radius - _CLEARANCE


def fitted_sphere(points: Double) -> tuple[Double, float]:
    """Centre and radius of the sphere through points, by linear least squares."""
    system = np.concatenate([2 * points, np.ones((len(points), 1))], axis=1)
    solution = np.linalg.lstsq(system, (points**2).sum(axis=1), rcond=None)[0]
    centre = solution[:3]
    return centre, float(np.sqrt(solution[3] + centre @ centre))


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
