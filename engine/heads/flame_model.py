# SPDX-License-Identifier: GPL-3.0-or-later
"""The arrays of a FLAME model, as its file holds them."""

from __future__ import annotations

from dataclasses import dataclass

from engine.core.arrays import Float, Index

JOINTS = ("root", "neck", "jaw", "left_eye", "right_eye")
"""FLAME's joints in the order of its kinematic tree; left is the person's left, +X."""

SHAPES = 300
EXPRESSIONS = 100

COEFFICIENT = "expr_"
"""Start of the names of FLAME's expression directions on a head: ``expr_000`` …."""

COEFFICIENT_RANGE = 4.0
"""Those directions count standard deviations of the training scans; none goes farther."""


@dataclass(frozen=True, eq=False)
class FlameModel:
    """A FLAME model (Li et al. 2017, "Learning a model of facial shape and expression").

    Attributes:
        v_template: (V, 3) float32 mean head, metres, +Y up, +Z forward; V is 5,023 in the file,
            5,143 with teeth.
        f: (F, 3) int32 triangles.
        shapedirs: (V, 3, 400) float32; 300 identity directions, then 100 expression directions.
        posedirs: (V, 3, 36) float32 pose correctives, four joints of nine rotation entries each.
        J_regressor: (5, V) float32, joints from vertices.
        parents: (5,) int32, −1 for the root.
        weights: (V, 5) float32 skinning weights, rows sum to one.
        uv: (U, 2) float32 texture coordinates, where the file has them.
        uv_faces: (F, 3) int32 indices into ``uv``.
    """

    v_template: Float
    f: Index
    shapedirs: Float
    posedirs: Float
    J_regressor: Float
    parents: Index
    weights: Float
    uv: Float | None = None
    uv_faces: Index | None = None

    def joints(self, vertices: Float) -> Float:
        """(5, 3) joint positions of unposed vertices (V, 3), metres."""
        return self.J_regressor @ vertices

    def shaped(self, shape: Float) -> Float:
        """(V, 3) the neutral head of an identity: template + Σ βᵢ·Sᵢ; ``shape`` is (≤ 300,)."""
        return self.v_template + self.shapedirs[..., : len(shape)] @ shape
