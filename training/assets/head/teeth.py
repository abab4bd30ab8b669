# SPDX-License-Identifier: GPL-3.0-or-later
"""Teeth and gums: crowns of average human size set along the dental arch of the source.

The source's teeth are two plain bands. Their arch, their height and their motion are kept; the
crowns are modelled here, because single teeth are what makes an open mouth read as a mouth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial import ConvexHull

from engine.core.arrays import Double, Ids
from training.assets.head.mesh import Mesh
from training.assets.head.source import JOINTS, Source


class Crown(NamedTuple):
    """Size of a crown in millimetres: across the arch, from gum to edge, and through it."""

    width: float
    height: float
    base: float
    edge: float
    point: float


# From the midline outwards. Widths and heights: means of R. C. Wheeler, "Dental Anatomy,
# Physiology and Occlusion"; `point` is how far the middle of the edge stands out.
_UPPER = (
    Crown(8.5, 10.5, 6.6, 1.8, 0.1),
    Crown(6.6, 9.2, 6.0, 1.6, 0.1),
    Crown(7.5, 10.2, 7.2, 2.4, 1.2),
    Crown(7.0, 8.5, 8.4, 5.5, 0.3),
    Crown(7.0, 8.2, 8.6, 6.5, -0.2),
    Crown(10.0, 7.5, 10.0, 8.5, -0.6),
)
_LOWER = (
    Crown(5.2, 9.0, 5.8, 1.6, 0.1),
    Crown(5.6, 9.3, 6.0, 1.6, 0.1),
    Crown(6.9, 10.4, 7.0, 2.4, 1.0),
    Crown(7.0, 8.5, 7.4, 5.0, 0.3),
    Crown(7.1, 8.0, 7.8, 6.2, -0.2),
    Crown(10.8, 7.6, 9.6, 8.2, -0.6),
)
_FRONT_TEETH = 3  # On each side: the incisors and the canine have the edge that shows.
_AROUND = 8
_LEVELS = np.array([0.0, 0.45, 0.82, 1.0])
_WIDTHS = np.array([0.80, 0.98, 1.0, 0.86])
_TEETH_SCALE = 1.06
# Neighbours overlap a little: rounded corners that only touch would leave dark gaps.
_PITCH = 0.95
# The source's arch is set back from the lips and broad; teeth carry the lips.
_FORWARD, _NARROWING = 0.0016, 0.91
_OCCLUSAL_SLOPE = 0.12
# How far the upper incisors hang below the source's band, such that two millimetres of them show
# under a relaxed upper lip, as people's do; and how far the lower ones stand behind and above that.
_UPPER_DROP, _OVERJET, _OVERBITE = 0.0033, 0.0026, 0.0012
_GUM_SECTION = 8
_GUM_HEIGHT, _GUM_DEPTH = 0.0042, 0.0038


class Shell(NamedTuple):
    """A closed surface: (N, 3) points, (F, 3) faces, (U, 2) texture coordinates, (F, 3) faces."""

    points: Double
    faces: Ids
    uv: Double
    uv_faces: Ids


@dataclass(frozen=True, eq=False)
class Dentition:
    """The teeth of one jaw.

    Attributes:
        mesh: crowns and gum.
        crowns: vertices of the crowns.
        gum: vertices of the gum.
        edge: labial vertices of the front teeth's incisal edges, right to left.
    """

    mesh: Mesh
    crowns: Ids
    gum: Ids
    edge: Ids


def dentition(source: Source, jaw: str) -> Dentition:
    """Model the teeth of a jaw.

    Args:
        source: its helper band gives the arch, the height of the bite and the motion.
        jaw: ``"upper"`` or ``"lower"``.
    """
    band = source.groups[f"helper-{jaw}-teeth"]
    arch = _Arch(source.vertices[source.groups["helper-upper-teeth"]], jaw)
    shells, edges = [], []
    count, reach = 0, 0.0
    for place, size in enumerate(_UPPER if jaw == "upper" else _LOWER):
        crown = Crown(*(np.array(size) * _TEETH_SCALE * 1e-3))
        for side in (-1, 1):
            shell, labial = _crown(arch, side * (reach + crown.width * _PITCH / 2), crown)
            if place < _FRONT_TEETH:
                edges.append(count + labial)
            shells.append(shell)
            count += len(shell.points)
        reach += crown.width * _PITCH
    shells.append(_gum(arch, reach))
    mesh = _joined(shells, source, band, "neck" if jaw == "upper" else "jaw")
    edge = np.concatenate(edges)
    return Dentition(
        mesh=mesh,
        crowns=np.arange(count),
        gum=np.arange(count, len(mesh.vertices)),
        edge=edge[np.argsort(mesh.vertices[edge, 0], kind="stable")],
    )


def _joined(shells: list[Shell], source: Source, band: Ids, joint: str) -> Mesh:
    """One mesh of closed shells, moved by a joint and by the source's expressions."""
    starts = np.cumsum([0, *(len(shell.points) for shell in shells)])
    uv_starts = np.cumsum([0, *(len(shell.uv) for shell in shells)])
    points = np.concatenate([shell.points for shell in shells])
    weights = np.zeros((len(points), len(JOINTS)))
    weights[:, JOINTS.index(joint)] = 1
    return Mesh(
        vertices=points,
        deltas=carried(source, band, points),
        weights=weights,
        masks=np.zeros((len(points), len(source.masks))),
        origins=np.full(len(points), -1),
        faces=np.concatenate([s.faces + k for s, k in zip(shells, starts, strict=False)]),
        uv=np.concatenate([shell.uv for shell in shells]),
        uv_faces=np.concatenate([s.uv_faces + k for s, k in zip(shells, uv_starts, strict=False)]),
    )


# Below half a millimetre the source only has stray numbers on its teeth.
_STRAY = 5e-4


def carried(source: Source, band: Ids, points: Double, stray: float = _STRAY) -> Double:
    """(E, N, 3) offsets of points that move with a rigid part of the source.

    The part's offsets are affine in position, so the affine map fitted to them carries anything.
    Those that nowhere exceed ``stray`` metres are taken for zero.
    """
    corners = np.concatenate([source.vertices[band], np.ones((len(band), 1))], axis=1)
    targets = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    deltas = np.zeros((len(source.deltas), len(points), 3))
    for index, delta in enumerate(source.deltas[:, band]):
        if np.abs(delta).max() > stray:
            deltas[index] = targets @ np.linalg.lstsq(corners, delta, rcond=None)[0]
    return deltas


class _Arch:
    """The outer outline of a dental arch, seen from above, by signed arc length."""

    def __init__(self, band: Double, jaw: str) -> None:
        flat = band[:, [0, 2]]
        outline = flat[ConvexHull(flat).vertices]
        outline = outline[outline[:, 0] >= -1e-6]
        outline = outline[np.argsort(-outline[:, 1])]
        outline = outline[outline[:, 0] >= np.maximum.accumulate(outline[:, 0]) - 1e-9]
        outline = outline * [_NARROWING, 1] + [0, _FORWARD]
        if jaw == "lower":
            outline = outline - [0, _OVERJET]
            outline[:, 0] *= 1 - _OVERJET / outline[:, 0].max()
        both = np.concatenate([outline[:0:-1] * [-1, 1], outline])
        both[len(outline) - 1, 0] = 0
        length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(both, axis=0), axis=1))])
        self._curve = CubicSpline(length - length[len(outline) - 1], both)
        self._front = float(both[:, 1].max())
        low = float(band[:, 1].min()) - _UPPER_DROP
        self._towards_edge = -1.0 if jaw == "upper" else 1.0
        self._height = low + (_OVERBITE if jaw == "lower" else 0.0)

    def frame(self, length: float) -> tuple[Double, Double, Double]:
        """Point on the outline, direction along it and outward, each (2,) as x and z."""
        along = self._curve(length, 1)
        along = along / np.linalg.norm(along)
        return self._curve(length), along, np.array([-along[1], along[0]])

    def at_bite(self, z: Double, height: Double) -> Double:
        """Vertical coordinate of points at a height over the incisal edges (negative: gum).

        The chewing surfaces rise towards the back.
        """
        bite = self._height + _OCCLUSAL_SLOPE * (self._front - z)
        return np.asarray(bite + self._towards_edge * height)


def _crown(arch: _Arch, length: float, size: Crown) -> tuple[Shell, Ids]:
    """A closed crown, and the labial vertices of its edge."""
    centre, along, outward = arch.frame(length)
    angle = (np.arange(_AROUND) + 0.5) * 2 * np.pi / _AROUND
    # A superellipse: flat faces with rounded corners.
    across = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.6
    through = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** 0.6
    rings = []
    for level, width in zip(_LEVELS, _WIDTHS, strict=True):
        depth = size.base + (size.edge - size.base) * level**1.3
        bulge = 0.0007 * np.sin(np.pi * min(level * 1.15, 1.0)) - 0.0007
        flat = centre + np.outer(across * size.width * width / 2, along)
        flat += np.outer(bulge + depth * (through - 1) / 2, outward)
        height = -(1 - level) * size.height - 0.0006 * level**4 * across**4
        height += size.point * level**4 * (1 - np.abs(across))
        rings.append(np.stack([flat[:, 0], arch.at_bite(flat[:, 1], height), flat[:, 1]], axis=1))
    last = (len(_LEVELS) - 1) * _AROUND
    return _tube(np.array(rings)), last + np.nonzero(through > 0)[0]


def _gum(arch: _Arch, reach: float) -> Shell:
    """The gum: a rounded band along the roots of the crowns."""
    angle = np.arange(_GUM_SECTION) * 2 * np.pi / _GUM_SECTION
    rings = []
    for station in np.linspace(-reach, reach, 25):
        centre, _, outward = arch.frame(float(station))
        line = float(np.interp(abs(station) / reach, [0, 0.4, 1], [0.0098, 0.0095, 0.0078]))
        flat = centre + np.outer(_GUM_DEPTH * (np.cos(angle) - 1) - 0.0001, outward)
        height = -line - _GUM_HEIGHT * (0.86 + np.sin(angle))
        rings.append(np.stack([flat[:, 0], arch.at_bite(flat[:, 1], height), flat[:, 1]], axis=1))
    return _tube(np.array(rings))


def _tube(rings: Double) -> Shell:
    """A tube over (R, N, 3) rings, closed by a fan at each end, unrolled in texture space."""
    rows, count = rings.shape[:2]
    points = np.concatenate([rings.reshape(-1, 3), rings[[0, -1]].mean(axis=1)])
    row, column = np.mgrid[: rows - 1, :count].reshape(2, -1)
    end = np.arange(count)
    zeros, last = np.zeros_like(end), np.full_like(end, rows - 1)
    # Corners as (row, column); the row before the first and after the last are the ends' centres.
    rows_of, columns_of = np.concatenate(
        [
            np.array([[row, row, row + 1], [column, column + 1, column + 1]]),
            np.array([[row, row + 1, row + 1], [column, column + 1, column]]),
            np.array([[zeros, zeros, zeros - 1], [end + 1, end, end]]),
            np.array([[last, last, last + 1], [end, end + 1, end]]),
        ],
        axis=2,
    ).transpose(0, 2, 1)
    inside = (rows_of >= 0) & (rows_of < rows)
    faces = np.where(inside, rows_of * count + columns_of % count, rows * count + (rows_of >= rows))
    width, height = _extent(rings)
    grid_row, grid_column = np.mgrid[-1 : rows + 1, : count + 1].reshape(2, -1)
    offset = np.where((grid_row < 0) | (grid_row >= rows), 0.5, 0.0)
    uv = np.stack([(grid_column + offset) / count * width, grid_row / (rows - 1) * height], axis=1)
    uv_faces = (rows_of + 1) * (count + 1) + columns_of
    corner_points = points[faces] - points.mean(axis=0)
    normals = np.cross(corner_points[:, 1], corner_points[:, 2])
    if np.einsum("fi,fi->", corner_points[:, 0], normals) < 0:
        faces, uv_faces = faces[:, ::-1], uv_faces[:, ::-1]
    return Shell(points, faces, uv, uv_faces)


def _extent(rings: Double) -> tuple[float, float]:
    """Mean girth and mean length of a tube, for texture coordinates in proportion."""
    girth = np.linalg.norm(rings - np.roll(rings, 1, axis=1), axis=2).sum(axis=1).mean()
    length = np.linalg.norm(np.diff(rings, axis=0), axis=2).sum(axis=0).mean()
    return float(girth), float(length)
