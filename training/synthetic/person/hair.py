# SPDX-License-Identifier: GPL-3.0-or-later
"""Short hair: swept back from the forehead, cropped at the sides and the nape."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from engine.core.arrays import Double
from engine.heads.head import Head
from training.synthetic.person.patterns import noise, step
from training.synthetic.person.strands import Field, Index, Roots, scattered
from training.synthetic.person.surface import vertex_normals

POINTS = 6
"""Points a strand."""
_RADIUS = 0.000085
_CLUMPS = 2200


def scalp_hair(
    head: Head, skin: Index, random: np.random.Generator, count: int, *, hair_length: float = 1.0
) -> Field:
    """Hair on the skull.

    Args:
        head: the head, neutral.
        skin: (N,) vertices of the skin.
        random: source of the differences between hairs.
        count: about how many.
        hair_length: beside that of the usual cut.
    """
    roots = _roots(head, skin, random, count)
    clumps = _roots(head, skin, random, _CLUMPS)
    guides = _grown(head, skin, clumps, random, stray=0.13, hair_length=hair_length)
    points = _grown(head, skin, roots, random, stray=0.08, hair_length=hair_length)
    distance, near = cKDTree(clumps.points).query(roots.points, k=2)
    # Hairs keep to a strand the more the nearer the tip; a few go their own way.
    along = np.linspace(0, 1, POINTS)
    hold = np.where(
        random.uniform(0, 1, len(points)) < 0.13, 0.1, random.uniform(0.5, 0.9, len(points))
    )
    share = 1 / (distance + 0.0005) ** 3
    share /= share.sum(1, keepdims=True)
    shape = np.einsum("nk,nkpc->npc", share, guides[near] - clumps.points[near][:, :, None])
    lead = (
        shape
        + roots.points[:, None]
        + 0.35 * (clumps.points[near[:, 0]] - roots.points)[:, None] * along[:, None]
    )
    amount = hold[:, None, None] * along[None, :, None] ** 0.8
    points = points + (lead - points) * amount
    points = _outside(head, skin, points)
    edge = step(0.15, 0.9, hair_cover(roots.points))
    thick = _RADIUS * random.uniform(0.75, 1.25, len(points)) * (0.45 + 0.55 * edge)
    return Field(roots, points, thick[:, None] * (1 - 0.75 * along**2)[None])


def hair_cover(points: Double) -> Double:
    """(N,) how thick hair grows, from 0 to 1, fading over two centimetres along the hairline."""
    total = np.zeros(len(points))
    x, y, z = points.T
    for turn in np.radians([-6.0, 0.0, 6.0]):
        turned = x * np.cos(turn) + z * np.sin(turn), z * np.cos(turn) - x * np.sin(turn)
        for shift in (-0.008, 0.0, 0.008):
            total += _grows(np.stack([turned[0], y + shift, turned[1]], 1))
    return total / 9


def _grows(points: Double) -> Double:
    """(N,) 1 where hair grows on the skull, 0 on bare skin, with an uneven line between.

    The hairline is a height by the angle round the head: high over the forehead with receding
    corners, down in front of the ear as a sideburn, round the ear, and low at the nape.
    """
    x, y, z = points.T
    angle = np.degrees(np.arctan2(np.abs(x), z - 0.002))
    knots = [0, 18, 30, 42, 56, 66, 74, 80, 88, 102, 116, 132, 150, 180]
    heights = [84, 86, 90, 78, 54, 22, 2, 4, 31, 33, 14, -18, -34, -38]
    line = np.interp(angle, knots, np.array(heights) * 1e-3)
    ragged = 0.0022 * noise(points, 0.006, 11) + 0.0016 * noise(points, 0.0022, 12)
    return step(-0.0075, 0.0060, y - line + ragged)


def _roots(head: Head, skin: Index, random: np.random.Generator, count: int) -> Roots:
    own = np.zeros(head.vertex_count, bool)
    own[skin] = True
    own[head.regions["ears"]] = False
    own[head.regions["mouth_interior"]] = False
    template = head.template.astype(np.float64)
    near = hair_cover(template) > 0.02
    faces = np.flatnonzero(own[head.faces].all(1) & near[head.faces].any(1))
    roots = scattered(head, faces, count, random)
    cover = step(0.05, 0.80, hair_cover(roots.points))
    return roots.chosen(cover > random.uniform(0.0, 1.0, count))


def _length(points: Double, mask: Double) -> Double:
    """(N,) metres: a full top, sides that get shorter downwards."""
    _, y, z = points.T
    top = step(0.050, 0.105, y)
    front = step(0.02, 0.075, z) * step(0.070, 0.095, y)
    nape = step(0.01, -0.03, y)
    full: Double = 0.010 + 0.024 * top + 0.008 * front - 0.005 * nape
    return full * (0.30 + 0.70 * mask)


def _flow(points: Double, normals: Double) -> Double:
    """(N, 3) where hair wants to lie: back and aside on top, down and back at the sides."""
    x, y, z = points.T
    top = step(0.050, 0.105, y)
    sides = np.stack([np.zeros_like(x), np.full_like(x, -1.0), -0.55 * step(-0.05, 0.02, z)], 1)
    above = np.stack([0.42 + 4.0 * x, -0.10 + 0 * x, -1.0 + 0.8 * step(-0.02, -0.07, z)], 1)
    above[:, 1] -= 0.9 * step(-0.02, -0.07, z)
    swept = sides + (above - sides) * top[:, None]
    swept += 0.30 * np.stack([noise(points, 0.02, seed) for seed in (501, 502, 503)], 1)
    flat = swept - (swept * normals).sum(1, keepdims=True) * normals
    unit: Double = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    return unit


def _grown(
    head: Head,
    skin: Index,
    roots: Roots,
    random: np.random.Generator,
    *,
    stray: float,
    hair_length: float,
) -> Double:
    """(N, P, 3) each hair step by step: up from the skin, then with the flow."""
    skull = _Skull(head, skin)
    mask = step(0.1, 0.8, hair_cover(roots.points))
    count = len(roots.points)
    length = hair_length * _length(roots.points, mask) * random.uniform(0.7, 1.15, count)
    _, y, z = roots.points.T
    top = step(0.055, 0.105, y)
    front = step(0.045, 0.085, z) * step(0.066, 0.085, y)
    rise = 0.22 + 0.24 * top + 0.75 * front
    direction = _flow(roots.points, roots.normals) + rise[:, None] * roots.normals
    direction += stray * random.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    points = [roots.points - 0.0006 * roots.normals]
    for _ in range(POINTS - 1):
        place = points[-1] + (length / (POINTS - 1))[:, None] * direction
        height, normal = skull.height(place)
        points.append(place)
        lying = (
            _flow(place, normal)
            + (0.10 - 6.0 * (height - 0.010).clip(-0.01, 0.05))[:, None] * normal
        )
        direction = direction + 0.62 * lying + 0.4 * stray * random.normal(size=(count, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return np.stack(points, 1)


def _outside(head: Head, skin: Index, points: Double) -> Double:
    """(N, P, 3) with all but the roots pushed out of the skin."""
    skull = _Skull(head, skin)
    free = points[:, 1:].reshape(-1, 3)
    height, normal = skull.height(free)
    least = 0.0005
    free = free + (least - height).clip(0, None)[:, None] * normal
    return np.concatenate([points[:, :1], free.reshape(len(points), -1, 3)], 1)


class _Skull:
    """Height above the skin, by the plane of the nearest of many points on it."""

    def __init__(self, head: Head, skin: Index) -> None:
        template = head.template.astype(np.float64)
        own = np.zeros(head.vertex_count, bool)
        own[skin] = True
        own[head.regions["ears"]] = False
        own[head.regions["mouth_interior"]] = False
        faces = head.faces[own[head.faces].all(1)]
        faces = faces[(template[faces][:, :, 1] > -0.08).all(1)]
        normals = vertex_normals(template, head.faces)
        corners = np.array([[1, 1, 1], [4, 1, 1], [1, 4, 1], [1, 1, 4], [2, 2, 0.2]], np.float64)
        weights = corners / corners.sum(1, keepdims=True)
        self._points = np.einsum("wk,fkc->fwc", weights, template[faces]).reshape(-1, 3)
        self._normals = np.einsum("wk,fkc->fwc", weights, normals[faces]).reshape(-1, 3)
        self._normals /= np.linalg.norm(self._normals, axis=1, keepdims=True)
        self._tree = cKDTree(self._points)

    def height(self, places: Double) -> tuple[Double, Double]:
        """(N,) signed metres above the skin, and (N, 3) its normals."""
        near = self._tree.query(places)[1]
        normal = self._normals[near]
        return ((places - self._points[near]) * normal).sum(1), normal
