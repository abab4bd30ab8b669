# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the parts of any head are: skin, eyes, nose and the slit of the mouth.

They come from the head's regions and landmarks, else from its joints and skinning weights, else
from the geometry alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

from engine.core.arrays import Double
from engine.core.errors import BadInputError
from engine.heads.head import Head
from engine.heads.surface import Surface

Indices = NDArray[np.intp]

_TOUCHING = 0.065
"""Share of the eyes' distance within which the two lips count as touching: 4 mm of an adult."""
_APART = 0.13
"""Share of the eyes' distance that such points lie apart along the skin at least."""
_EYE_DISTANCE = 0.062
_LEAST_VERTICES = 200


@dataclass(frozen=True, eq=False)
class Slit:
    """Pairs of points that touch across the mouth.

    Attributes:
        upper: (P,) vertices of the upper lip, from the right corner to the left.
        lower: (P,) vertices of the lower lip opposite.
        corners: (2, 3) right and left end, metres.
    """

    upper: Indices
    lower: Indices
    corners: Double


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A head taken apart.

    Attributes:
        head: the head.
        component: (V,) connected component of each vertex.
        skin: the vertices of the skin (the largest component), sorted.
        surface: the skin's triangles on those vertices.
        points: named places, metres: ``left_eye``, ``right_eye``, ``nose``, ``mouth``,
            ``right_corner``, ``left_corner``, as far as they are known.
        slit: the mouth's, where it has one.
        scale: distance of the eyes against that of an adult.
    """

    head: Head
    component: Indices
    skin: Indices
    surface: Surface
    points: dict[str, Double] = field(default_factory=dict)
    slit: Slit | None = None
    scale: float = 1.0

    @property
    def vertex_to_skin(self) -> Indices:
        """(V,) number within the skin of each vertex of the head, −1 outside."""
        number = np.full(self.head.vertex_count, -1)
        number[self.skin] = np.arange(len(self.skin))
        return number


def anatomy(head: Head) -> Anatomy:
    """Take a head apart.

    Raises:
        BadInputError: the mesh is too small to have a face.
    """
    vertices = head.template.astype(np.float64)
    component, skin = _skin(head)
    if len(skin) < _LEAST_VERTICES:
        raise BadInputError(
            f"The head {head.id!r} has no face to move: its largest connected surface has "
            f"{len(skin)} vertices.",
            "Give the head as one connected mesh, with neck, eyes and teeth as it likes.",
        )
    points = _eyes(head)
    eyes = [points[name] for name in ("left_eye", "right_eye") if name in points]
    scale = 1.0
    if len(eyes) == 2:
        scale = float(np.linalg.norm(eyes[0] - eyes[1])) / _EYE_DISTANCE
    else:
        # Skin is 0.15 m wide at the cheeks of an adult.
        scale = float(np.ptp(np.percentile(vertices[skin, 0], [2, 98]))) / 0.15
    points["nose"] = _nose(head, vertices[skin], points, scale)
    number = np.full(head.vertex_count, -1, np.int32)
    number[skin] = np.arange(len(skin))
    faces = number[head.faces[(number[head.faces] >= 0).all(axis=1)]]
    skin_surface = Surface(vertices[skin], faces, np.zeros(len(skin)))
    slit, sides = _mouth(head, skin_surface, skin, points["nose"], scale)
    if slit is not None:
        points["right_corner"], points["left_corner"] = slit.corners
        middle = np.abs(skin_surface.vertices[slit.upper, 0] - points["nose"][0]).argmin()
        points["mouth"] = skin_surface.vertices[[slit.upper[middle], slit.lower[middle]]].mean(0)
    surface = Surface(skin_surface.vertices, faces, sides)
    return Anatomy(head, component, skin, surface, points, slit, scale)


def _skin(head: Head) -> tuple[Indices, Indices]:
    """Component of each vertex, and the vertices of the one with the largest surface."""
    a, b = head.faces[:, [0, 1]].ravel(), head.faces[:, [1, 2]].ravel()
    size = (head.vertex_count,) * 2
    _, component = connected_components(coo_matrix((np.ones(len(a)), (a, b)), size), directed=False)
    corners = head.template[head.faces].astype(np.float64)
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    total = np.bincount(component[head.faces[:, 0]], area, minlength=int(component.max()) + 1)
    return component.astype(np.intp), np.flatnonzero(component == total.argmax())


def _eyes(head: Head) -> dict[str, Double]:
    found = {}
    for side in ("left", "right"):
        ball = head.regions.get(f"{side}_eyeball")
        if f"{side}_eye" in head.skeleton.names:
            joint = head.skeleton.names.index(f"{side}_eye")
            found[f"{side}_eye"] = head.skeleton.positions[joint].astype(np.float64)
        elif ball is not None and len(ball):
            found[f"{side}_eye"] = head.template[ball].mean(0).astype(np.float64)
    return found


def _nose(head: Head, skin: Double, points: dict[str, Double], scale: float) -> Double:
    if len(head.landmarks.get("nose_tip", ())):
        marked: Double = head.template[head.landmarks["nose_tip"][0]].astype(np.float64)
        return marked
    eyes = [points[name] for name in ("left_eye", "right_eye") if name in points]
    if len(eyes) == 2:
        middle = np.mean(eyes, axis=0)
        near = np.abs(skin[:, 0] - middle[0]) < 0.2 * _EYE_DISTANCE * scale
        below = middle[1] - skin[:, 1]
        near &= (below > 0) & (below < 1.1 * _EYE_DISTANCE * scale)
    else:
        near = np.abs(skin[:, 0] - np.median(skin[:, 0])) < 0.015 * scale
    candidates = skin[near] if near.any() else skin
    tip: Double = candidates[candidates[:, 2].argmax()]
    return tip


def _mouth(
    head: Head, skin: Surface, own: Indices, nose: Double, scale: float
) -> tuple[Slit | None, Double]:
    """The slit, and (N,) sides of the mouth: +1 above, −1 below, 0 away from it."""
    reach = np.array([0.04, 0.03, 0.045]) * scale
    box = np.abs(skin.vertices - nose - np.array([0, -0.037, -0.02]) * scale) < reach
    near = np.flatnonzero(box.all(axis=1))
    lower, known = _lower(head, own)
    # Without knowledge of the lips the one faces down where they touch, the other up.
    up = skin.normals[near, 1]
    top = near[~lower[near] if known else up < -0.2]
    bottom = near[lower[near] if known else up > 0.2]
    none = np.zeros(len(own))
    if not len(top) or not len(bottom):
        return None, none
    across, partner = cKDTree(skin.vertices[bottom]).query(skin.vertices[top])
    close = across < _TOUCHING * _EYE_DISTANCE * scale
    top, partner = top[close], bottom[partner[close]]
    if not len(top):
        return None, none
    limit = _APART * _EYE_DISTANCE * scale
    along = dijkstra(skin.edges, indices=top, limit=limit)
    far = np.isinf(along[np.arange(len(top)), partner])
    top, partner = top[far], partner[far]
    if not known and len(top):
        # Nostrils have such pairs too: the mouth's is the widest row of them.
        heights = skin.vertices[top, 1]
        widths = [
            np.ptp(skin.vertices[top[np.abs(heights - y) < 0.006 * scale], 0]) for y in heights
        ]
        kept = np.abs(heights - heights[int(np.argmax(widths))]) < 0.008 * scale
        top, partner = top[kept], partner[kept]
    if len(top) < 4 or np.ptp(skin.vertices[top, 0]) < 0.02 * scale:
        return None, none
    order = np.argsort(skin.vertices[top, 0], kind="stable")
    top, partner = top[order], partner[order]
    ends = []
    for end, sign in ((top[0], 1), (top[-1], -1)):
        row = sign * (skin.vertices[top, 0] - skin.vertices[end, 0]) < 0.0015 * scale
        ends.append(skin.vertices[top[row][skin.vertices[top[row], 2].argmax()]])
    slit = Slit(top, partner, np.stack(ends))
    return slit, _sides(skin, slit, lower if known else None, near, scale)


def _lower(head: Head, own: Indices) -> tuple[NDArray[np.bool_], bool]:
    """(N,) what belongs to the lower jaw, and whether the head says so at all."""
    marked = np.zeros(head.vertex_count, bool)
    if "jaw" in head.skeleton.names:
        marked = head.skeleton.weights[:, head.skeleton.names.index("jaw")] > 0.5
    if not marked[own].any() and "jawOpen" in head.expression_names:
        drop = -head.expression_basis[head.expression_index("jawOpen"), :, 1]
        marked = drop > 0.4 * drop[own].max()
    if not marked[own].any() and "lower_lip" not in head.regions:
        return np.zeros(len(own), bool), False
    marked[head.regions.get("lower_lip", [])] = True
    marked[head.regions.get("upper_lip", [])] = False
    return marked[own], True


def _sides(
    skin: Surface, slit: Slit, lower: NDArray[np.bool_] | None, near: Indices, scale: float
) -> Double:
    """Sides between the corners, where upper and lower must not be mixed up."""
    sides = np.zeros(len(skin.vertices))
    right, left = slit.corners[:, 0]
    between = near[
        (skin.vertices[near, 0] > right + 0.001 * scale)
        & (skin.vertices[near, 0] < left - 0.001 * scale)
    ]
    if lower is not None:
        sides[between] = np.where(lower[between], -1.0, 1.0)
        return sides
    reach = 0.012 * scale
    up = dijkstra(skin.edges, indices=np.unique(slit.upper), limit=reach, min_only=True)
    down = dijkstra(skin.edges, indices=np.unique(slit.lower), limit=reach, min_only=True)
    known = between[np.isfinite(up[between]) | np.isfinite(down[between])]
    sides[known] = np.where(up[known] < down[known], 1.0, -1.0)
    return sides
