# SPDX-License-Identifier: GPL-3.0-or-later
"""Offsets of one head carried to another whose skin it was registered to.

The skin takes its offsets from the compatible closest point of the registered source, turned and
stretched by the registration's local Jacobian (deformation transfer to first order; Sumner and
Popović 2004); where no point is trustworthy, they are the harmonic continuation along the target's
own skin, which knows the mouth's slit. Parts inside are carried as what they are: teeth as rigid
bodies, eyeballs as turns about their joints, the tongue as flesh.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import diags
from scipy.spatial import cKDTree

from engine.core.arrays import Double, Float
from engine.core.progress import Progress, no_progress, subprogress
from engine.heads.anatomy import Anatomy
from engine.heads.head import Head
from engine.heads.registration import Registration
from engine.heads.surface import Closest, Surface
from engine.heads.symmetric import factorised

Indices = NDArray[np.intp]

_SPACING = 0.005
_NEIGHBOURS = 24
_SPREAD = 0.012
_THICKNESS = 0.008
"""Metres of an adult: distance of the places that the local Jacobian is fitted to, how many, how
far they count, and how deep skin is taken to be, so that its normal turns and stretches with it."""
_TRUSTED = 0.004
_SMOOTHING = 0.0006
"""Metres: distance beyond which a closest point has no weight, and the length below which
differences between neighbours on the target are evened out."""
_STILL = 2e-5
"""Metres; an expression moves no vertex by less."""

_PARTS: dict[str, tuple[str, ...]] = {
    "upper_teeth": ("upper_teeth", "upper_gum"),
    "lower_teeth": ("lower_teeth", "lower_gum"),
    "tongue": ("tongue",),
    "left_eyeball": ("left_eyeball",),
    "right_eyeball": ("right_eyeball",),
}


@dataclass(frozen=True, eq=False)
class Correspondence:
    """How each vertex of a target follows a source.

    Attributes:
        source: taken apart.
        target: taken apart.
        registration: of the two.
        closest: on the registered skin, for each vertex of the target's.
        trust: (N,) of each of them, 0 to 1.
        jacobians: (M, 3, 3) from offsets at each vertex of the source's skin to the target's.
        parts: target vertices off the skin by the name of the part they are.
    """

    source: Anatomy
    target: Anatomy
    registration: Registration
    closest: Closest
    trust: Double
    jacobians: Double
    parts: dict[str, Indices]

    def carry(self, offsets: Float, *, progress: Progress = no_progress) -> Float:
        """Offsets of the source as offsets of the target.

        Args:
            offsets: (K, Vs, 3) metres.
            progress: called with the share done; may raise to cancel.

        Returns:
            (K, Vt, 3) float32, metres.
        """
        skin = offsets[:, self.source.skin].astype(np.float64)
        turned = np.einsum("vij,kvj->kvi", self.jacobians, skin)
        carried = np.zeros((len(offsets), self.target.head.vertex_count, 3))
        carried[:, self.target.skin] = self._on_skin(turned, subprogress(progress, 0.0, 0.7))
        moving: dict[str, tuple[Double, Double]] = {}
        for number, (name, vertices) in enumerate(self.parts.items()):
            progress(0.7 + 0.3 * number / len(self.parts), "carrying teeth, tongue and eyes")
            if name == "skin":
                carried[:, vertices] = self._attached(vertices, carried)
                continue
            places, moves = moving.setdefault(name, self._part(name, offsets))
            if len(places):
                carried[:, vertices] = self._moved(name, vertices, places, moves)
        still = np.linalg.norm(carried, axis=2) < _STILL
        carried[still] = 0.0
        progress(1.0, "offsets are carried")
        return carried.astype(np.float32)

    def _on_skin(self, turned: Double, progress: Progress) -> Double:
        """(K, N, 3) of the target's skin: (C + μ·L)·u = C·d with C the trusted area."""
        surface = self.target.surface
        corners = self.registered.faces[self.closest.faces]
        area = np.maximum(surface.areas, 1e-12)
        kept = area * np.maximum(self.trust, 1e-6)
        smoothing = (_SMOOTHING * self.target.scale) ** 2
        solver = factorised(diags(kept) + smoothing * surface.laplacian)
        result = np.empty((len(turned), len(surface.vertices), 3))
        for row, values in enumerate(turned):
            progress(row / len(turned), "carrying the expressions")
            wanted = np.einsum("nc,ncd->nd", self.closest.weights, values[corners])
            result[row] = solver.solve(kept[:, None] * wanted)
        return result

    @property
    def registered(self) -> Surface:
        """The source's skin on the target's."""
        return Surface(
            self.registration.vertices[self.source.skin],
            self.source.surface.faces,
            self.source.surface.sides,
        )

    def _attached(self, vertices: Indices, carried: Double) -> Double:
        """Lashes, brows and the like follow the nearest skin."""
        skin = self.target.skin
        template = self.target.head.template
        distance, near = cKDTree(template[skin]).query(template[vertices], k=6)
        weights = 1 / np.maximum(distance, 1e-6)
        weights /= weights.sum(1, keepdims=True)
        moved: Double = np.einsum("nk,vnkd->vnd", weights, carried[:, skin[near]])
        return moved

    def _part(self, name: str, offsets: Float) -> tuple[Double, Double]:
        """(N, 3) places of a part of the source on the target, and their (K, N, 3) offsets."""
        vertices = part_of(self.source.head, name)
        places = self.registration.vertices[vertices]
        if name.endswith("eyeball"):
            return places, offsets[:, vertices].astype(np.float64)
        jacobian = self._jaw_jacobian() if name == "lower_teeth" else self._near_jacobian(places)
        return places, np.einsum("ij,kvj->kvi", jacobian, offsets[:, vertices].astype(np.float64))

    def _jaw_jacobian(self) -> Double:
        """Of the chin, so that the lower teeth go with the skin of the jaw."""
        chin = self.source.head.landmarks.get("chin", self.source.skin[:0])
        if not len(chin):
            return self._near_jacobian(self.registration.vertices)
        return self._near_jacobian(self.registration.vertices[chin])

    def _near_jacobian(self, places: Double) -> Double:
        _, near = cKDTree(self.registered.vertices).query(places.mean(axis=0), k=64)
        mean: Double = self.jacobians[near].mean(axis=0)
        return mean

    def _moved(self, name: str, vertices: Indices, places: Double, moves: Double) -> Double:
        points = self.target.head.template[vertices].astype(np.float64)
        if name == "tongue":
            distance, near = cKDTree(places).query(points, k=min(6, len(places)))
            weights = 1 / np.maximum(distance, 1e-6)
            weights /= weights.sum(1, keepdims=True)
            flesh: Double = np.einsum("nk,vnkd->vnd", weights, moves[:, near])
            return flesh
        result = np.zeros((len(moves), len(vertices), 3))
        eye = name.removesuffix("ball")
        for row, offsets in enumerate(moves):
            if not offsets.any():
                continue
            if name.endswith("eyeball"):
                # The turn comes from the source as it is; only its centre is the target's.
                own = part_of(self.source.head, name)
                rest = self.source.head.template[own].astype(np.float64)
                rotation, _ = rigid(rest, rest + offsets)
                centre = self.target.points.get(eye, points.mean(axis=0))
                result[row] = (points - centre) @ (rotation.T - np.eye(3))
            else:
                rotation, shift = rigid(places, places + offsets)
                result[row] = points @ rotation.T + shift - points
        return result


def correspondence(source: Anatomy, target: Anatomy, registration: Registration) -> Correspondence:
    """Find which point of a registered source each vertex of the target follows."""
    surface = target.surface
    registered = Surface(
        registration.vertices[source.skin], source.surface.faces, source.surface.sides
    )
    closest = registered.closest(
        surface.vertices, normals=surface.normals, sides=surface.sides, least_cosine=0.2
    )
    trust = np.exp(-np.square(closest.distance / (_TRUSTED * target.scale)))
    trust[~closest.fits] = 0.0
    return Correspondence(
        source,
        target,
        registration,
        closest,
        trust,
        _jacobians(source, registered),
        _parts(source, target, registration),
    )


def part_of(head: Head, name: str) -> Indices:
    """Vertices of one of the inner parts, as far as the head's regions know them."""
    sets = [head.regions[region] for region in _PARTS[name] if region in head.regions]
    return np.concatenate(sets).astype(np.intp) if sets else np.zeros(0, np.intp)


def rigid(start: Double, end: Double, weights: Double | None = None) -> tuple[Double, Double]:
    """Rotation (3, 3) and shift (3,) that take points (N, 3) best to others (Kabsch 1976).

    Args:
        start: (N, 3).
        end: (N, 3).
        weights: (N,) of the squared distances; all alike by default.
    """
    middles = np.average(start, 0, weights), np.average(end, 0, weights)
    share = 1.0 if weights is None else weights[:, None]
    u, _, v = np.linalg.svd((share * (end - middles[1])).T @ (start - middles[0]))
    rotation = u * np.array([1, 1, np.sign(np.linalg.det(u @ v))]) @ v
    return rotation, middles[1] - rotation @ middles[0]


def _jacobians(source: Anatomy, registered: Surface) -> Double:
    """(M, 3, 3) local linear part of the registration at each vertex of the source's skin.

    Fitted to places about :data:`_SPACING` apart on and under the skin. Seen from both sides of
    the slit alike, so that lips which touch keep touching.
    """
    rest = source.surface
    scale = source.scale
    # Thickness grows like the skin around does.
    growth = np.sqrt(registered.areas.sum() / rest.areas.sum())
    cells = np.floor(rest.vertices / (_SPACING * scale)).astype(np.int64)
    _, picked = np.unique(cells, axis=0, return_index=True)
    depth = _THICKNESS * scale
    before = [rest.vertices[picked], rest.vertices[picked] - depth * rest.normals[picked]]
    after = [
        registered.vertices[picked],
        registered.vertices[picked] - growth * depth * registered.normals[picked],
    ]
    places, images = np.concatenate(before), np.concatenate(after)
    distance, near = cKDTree(places).query(rest.vertices, k=_NEIGHBOURS)
    spread = np.maximum(_SPREAD * scale, distance[:, -1:] / 2)
    weights = np.exp(-np.square(distance / spread) / 2)
    weights /= weights.sum(axis=1, keepdims=True)
    x, y = places[near], images[near]
    x = x - np.einsum("nk,nkd->nd", weights, x)[:, None]
    y = y - np.einsum("nk,nkd->nd", weights, y)[:, None]
    gram = np.einsum("nk,nki,nkj->nij", weights, x, x)
    cross = np.einsum("nk,nki,nkj->nij", weights, y, x)
    # A little of the similarity where the places hardly span space.
    ridge = 0.05 * np.trace(gram, axis1=1, axis2=2)[:, None, None] / 3
    middles = rest.vertices.mean(axis=0), registered.vertices.mean(axis=0)
    whole = np.linalg.lstsq(
        rest.vertices - middles[0], registered.vertices - middles[1], rcond=None
    )[0].T
    fitted: Double = (cross + ridge * whole) @ np.linalg.inv(gram + ridge * np.eye(3))
    return fitted


def _parts(source: Anatomy, target: Anatomy, registration: Registration) -> dict[str, Indices]:
    """Target vertices off the skin by part: as its regions say, else as the source's near them."""
    head = target.head
    left = np.setdiff1d(np.arange(head.vertex_count), target.skin)
    parts: dict[str, list[Indices]] = {}
    for name in _PARTS:
        known = np.intersect1d(part_of(head, name), left)
        if len(known):
            parts[name] = [known]
            left = np.setdiff1d(left, known)
    if len(left):
        named = [(name, part_of(source.head, name)) for name in _PARTS]
        named.append(("skin", source.skin))
        owner = np.concatenate([np.full(len(own), at) for at, (_, own) in enumerate(named)])
        places = registration.vertices[np.concatenate([own for _, own in named])]
        _, near = cKDTree(places).query(head.template[left])
        for component in np.unique(target.component[left]):
            inside = target.component[left] == component
            most = int(np.bincount(owner[near[inside]], minlength=len(named)).argmax())
            parts.setdefault(named[most][0], []).append(left[inside])
    return {name: np.concatenate(sets) for name, sets in parts.items()}
