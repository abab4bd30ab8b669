# SPDX-License-Identifier: GPL-3.0-or-later
"""What a head is: template mesh, expressions, joints, regions and landmarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from engine.core.arrays import Float, Index


@dataclass(frozen=True, eq=False)
class Skeleton:
    """Joints with linear blend skinning (FLAME's layout).

    Attributes:
        names: J joint names; ``root`` first.
        parents: (J,) int32, parent joint, −1 for the root.
        positions: (J, 3) rest positions in head space, metres.
        weights: (V, J) skinning weights, rows sum to one.
        pose_basis: (9·(J − 1), V, 3) metres: FLAME's pose correctives, the offsets for each entry
            of R − I, row by row, of each joint but the root; (0, 0, 3) for heads without.
    """

    names: tuple[str, ...]
    parents: Index
    positions: Float
    weights: Float
    pose_basis: Float = field(default_factory=lambda: np.zeros((0, 0, 3), np.float32))


@dataclass(frozen=True, eq=False)
class HeadSource:
    """What a head can be made from again.

    Attributes:
        kind: ``"default"``, the head that ships, with an identity or without; ``"flame"``, a FLAME
            model and an identity; ``"file"``, a head file or a mesh; ``"made"``, by a program, so
            that nothing is known.
        file: name of the file, without its folder.
        digest: SHA-256 of the FLAME model's arrays, so that a pickle and an npz are the same, or of
            the bytes of another file.
        shape: (≤ K,) identity coefficients, FLAME's or the default head's
            (:class:`engine.heads.shape_basis.ShapeBasis`); empty for FLAME's mean head and for the
            default one.
        static_offset: (V, 3) metres, added to the neutral head; (0, 3) for none.
    """

    kind: Literal["default", "flame", "file", "made"] = "made"
    file: str = ""
    digest: str = ""
    shape: Float = field(default_factory=lambda: np.zeros(0, np.float32))
    static_offset: Float = field(default_factory=lambda: np.zeros((0, 3), np.float32))


@dataclass(frozen=True, eq=False)
class Head:
    """A head in its neutral pose, head space (+Y up, +Z forward), metres.

    Attributes:
        id: what performances and avatars refer to, e.g. ``"default"`` or ``"flame2023"``.
        template: (V, 3) float32 neutral vertices; lips touch.
        faces: (F, 3) int32 triangles, counter-clockwise seen from outside.
        uv: (U, 2) float32 texture coordinates.
        uv_faces: (F, 3) int32 indices into ``uv``, one per face corner.
        expression_basis: (E, V, 3) float32 offsets of each expression at weight 1.
        expression_names: E names; the ARKit names on heads that have them (``jawOpen`` …).
        skeleton: joints and skinning weights.
        regions: vertex sets by name, int32, sorted: ``lips``, ``inner_lips``, ``upper_lip``,
            ``lower_lip``, ``teeth``, ``upper_teeth``, ``lower_teeth``, ``tongue``,
            ``mouth_interior``, ``eyeballs``, ``left_eyeball``, ``right_eyeball``, ``eyelids``,
            ``brows``, ``forehead``, ``nose``, ``cheeks``, ``ears``, ``face``, ``scalp``, ``neck``.
        landmarks: vertex index arrays by name, int32, in a defined order:
            ``inner_lip_upper`` and ``inner_lip_lower`` (P,) pairs across the mouth slit, from the
            right corner to the left; ``mouth_corners`` (2,) right, left; ``upper_teeth_edge`` and
            ``lower_teeth_edge`` the incisal edges; ``nose_tip``, ``chin`` (1,).
        provenance: how the head was made, its licence and the version of its source.
        source: what it can be made from again.
    """

    id: str
    template: Float
    faces: Index
    uv: Float
    uv_faces: Index
    expression_basis: Float
    expression_names: tuple[str, ...]
    skeleton: Skeleton
    regions: Mapping[str, Index] = field(default_factory=dict)
    landmarks: Mapping[str, Index] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    source: HeadSource = field(default_factory=HeadSource)

    @property
    def vertex_count(self) -> int:
        """V."""
        return int(self.template.shape[0])

    @property
    def neck(self) -> Float:
        """(3,) the point about which the whole head turns, head space, metres.

        The joint of the neck; on a head without one, the middle of the mesh a third up from below.
        """
        if "neck" in self.skeleton.names:
            return np.asarray(self.skeleton.positions[self.skeleton.names.index("neck")])
        low, high = self.template.min(axis=0), self.template.max(axis=0)
        shares = np.array([0.5, 1 / 3, 0.5], np.float32)
        return np.asarray(low + shares * (high - low), np.float32)

    @property
    def eyes(self) -> Float:
        """(3,) the point between the eyes, from which the head looks, head space, metres.

        The middle of the eyeballs; on a head without such a region, the middle of the mesh's front
        two thirds up.
        """
        if len(eyeballs := self.regions.get("eyeballs", ())):
            return np.asarray(self.template[eyeballs].mean(axis=0))
        low, high = self.template.min(axis=0), self.template.max(axis=0)
        return np.asarray(low + np.array([0.5, 2 / 3, 1.0], np.float32) * (high - low), np.float32)

    def expression_index(self, name: str) -> int:
        """Position of an expression in the basis.

        Raises:
            KeyError: the head has no expression of that name.
        """
        try:
            return self.expression_names.index(name)
        except ValueError:
            raise KeyError(name) from None

    def deform(self, expression: Float) -> Float:
        """Vertices for expression weights: template + Σ wᵢ·Bᵢ.

        Args:
            expression: (..., E) weights.

        Returns:
            (..., V, 3) float32 in head space, metres.
        """
        flat = self.expression_basis.reshape(len(self.expression_names), -1)
        offsets: Float = np.asarray(expression, np.float32) @ flat
        vertices: Float = self.template + offsets.reshape(*offsets.shape[:-1], -1, 3)
        return vertices
