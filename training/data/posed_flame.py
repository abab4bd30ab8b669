# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's FLAME head in the world, differentiable in what a tracker says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from engine.heads.flame import JAW_DIRECTIONS
from engine.heads.flame_model import SHAPES, FlameModel
from engine.heads.flame_param import MOVING, FlameParam
from engine.heads.skinning import flame_vertices, rotation_matrices, skin

_TURNED = ("rotation", "neck_pose", "jaw_pose", "eyes_pose")


class Posed(NamedTuple):
    """A head at one timestep.

    Attributes:
        vertices: (V, 3) world, metres.
        expression: (E,) in the order of the head's: FLAME's, then the jaw as the head's
            ARKit-named directions have it.
        head_matrix: (4, 4) head space to world.
    """

    vertices: Tensor
    expression: Tensor
    head_matrix: Tensor


def row_of(param: FlameParam, frame: int = 0) -> dict[str, Tensor]:
    """What moves at one frame: :data:`engine.heads.flame_param.MOVING` by name."""
    return {name: torch.from_numpy(getattr(param, name)[frame].copy()) for name in MOVING}


def posed(model: FlameModel, row: Mapping[str, Tensor], dynamic: Tensor | None = None) -> Posed:
    """The head as parameters describe it.

    Args:
        model: its template is the person's neutral face.
        row: of :func:`row_of`.
        dynamic: (V, 3) offsets of this frame, metres.
    """
    if dynamic is not None:
        model = replace(model, v_template=model.v_template + dynamic.numpy())
    expr = row["expr"]
    pose = torch.cat([row[name] for name in _TURNED])
    vertices = flame_vertices(model, expr.new_zeros(0), expr, pose, row["translation"])
    turn = rotation_matrices(row["rotation"])
    root = _joints(model, expr)[0]
    matrix = torch.eye(4, dtype=expr.dtype, device=expr.device)
    matrix = torch.cat(
        [
            torch.cat([turn, (root - turn @ root + row["translation"])[:, None]], 1),
            matrix[3:],
        ]
    )
    return Posed(vertices, expression_of(expr, row["jaw_pose"]), matrix)


def expression_of(expr: Tensor, jaw_pose: Tensor) -> Tensor:
    """(E,) as :func:`engine.heads.flame.expression_weights`, differentiable."""
    amounts = []
    for name, direction in JAW_DIRECTIONS.items():
        along = torch.tensor(direction, dtype=expr.dtype, device=expr.device)
        amount = jaw_pose @ along / (along @ along)
        amounts.append(amount if name == "jawOpen" else torch.relu(amount))
    return torch.cat([expr, torch.stack(amounts)])


def in_the_world(model: FlameModel, row: Mapping[str, Tensor], vertices: Tensor) -> Tensor:
    """Another face in the pose of a timestep: root, neck and translation of its parameters.

    What jaw and eyes do is in the vertices already; they hang from the neck, so its turn carries
    them along.

    Args:
        model: its template is the person's neutral face.
        row: of :func:`row_of`.
        vertices: (V, 3) in head space, metres.

    Returns:
        (V, 3) world, metres.
    """
    turns = rotation_matrices(torch.stack([row["rotation"], row["neck_pose"]]))
    still = torch.eye(3, dtype=vertices.dtype, device=vertices.device).expand(3, 3, 3)
    rotations = torch.cat([turns, still])
    correctives = torch.as_tensor(model.posedirs[..., :9]).to(vertices)
    bent = (rotations[1] - still[0]).flatten()
    parents = tuple(int(parent) for parent in model.parents)
    weights = torch.as_tensor(model.weights).to(vertices)
    moved = skin(
        vertices + correctives @ bent, _joints(model, row["expr"]), rotations, parents, weights
    )
    return moved + row["translation"]


def _joints(model: FlameModel, expr: Tensor) -> Tensor:
    """(5, 3) joints of the unposed face."""
    regressor = torch.as_tensor(model.J_regressor).to(expr)
    directions = torch.as_tensor(model.shapedirs[..., SHAPES : SHAPES + len(expr)]).to(expr)
    return regressor @ (torch.as_tensor(model.v_template).to(expr) + directions @ expr)
