# SPDX-License-Identifier: GPL-3.0-or-later
"""Linear blend skinning with pose correctives: FLAME's vertices for its parameters.

FLAME (Li et al. 2017, equations 1 to 6) and SMPL (Loper et al. 2015), on which it builds::

    M(β, θ, ψ) = W(T_P(β, θ, ψ), J(β), θ, 𝒲)                     skinning of the corrected template
    T_P = T̄ + B_S(β; 𝒮) + B_P(θ; 𝒫) + B_E(ψ; ℰ)                 identity, pose, expression offsets
    B_P = Σₙ (Rₙ(θ) − Rₙ(θ*)) · 𝒫ₙ                              over the joints but the root
    W: v′ = Σⱼ 𝒲ⱼ · (G_j(θ, J) · G_j(0, J)⁻¹) · v                G_j the chain of joint transforms

One deliberate difference: the joints are regressed from T̄ + B_S + B_E, not from T̄ + B_S alone. That
is what FLAME's published code computes, and with it GaussianAvatars and the trackers whose
parameters users bring.
"""

from __future__ import annotations

import torch

from engine.core.errors import BadInputError
from engine.heads.flame_model import EXPRESSIONS, JOINTS, SHAPES, FlameModel


def rotation_matrices(axis_angle: torch.Tensor) -> torch.Tensor:
    """Rodrigues' formula: R = I + a·[r]ₓ + b·[r]ₓ² with a = sin θ / θ, b = (1 − cos θ) / θ².

    Args:
        axis_angle: (..., 3) rotation vectors r, radians; θ = |r|. Zero has an exact gradient.

    Returns:
        (..., 3, 3) rotation matrices.
    """
    angle = torch.linalg.vector_norm(axis_angle, dim=-1)[..., None, None]
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1)
    cross = cross.reshape(*axis_angle.shape[:-1], 3, 3)
    a = torch.sinc(angle / torch.pi)
    b = 0.5 * torch.sinc(angle / (2 * torch.pi)) ** 2
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return identity + a * cross + b * (cross @ cross)


def skin(
    vertices: torch.Tensor,
    joints: torch.Tensor,
    rotations: torch.Tensor,
    parents: tuple[int, ...],
    weights: torch.Tensor,
) -> torch.Tensor:
    """Linear blend skinning W.

    Args:
        vertices: (..., V, 3) unposed, metres.
        joints: (..., J, 3) unposed joint positions, metres.
        rotations: (..., J, 3, 3) of each joint relative to its parent.
        parents: J parents; a parent stands before its children, −1 for the root.
        weights: (V, J), rows sum to one.

    Returns:
        (..., V, 3) posed vertices.
    """
    joints = joints + torch.zeros_like(rotations[..., 0])
    rotations = rotations + torch.zeros_like(joints[..., None])
    rotated: list[torch.Tensor] = []
    posed: list[torch.Tensor] = []
    for joint, parent in enumerate(parents):
        rotation, position = rotations[..., joint, :, :], joints[..., joint, :]
        if parent < 0:
            rotated.append(rotation)
            posed.append(position)
        else:
            step = position - joints[..., parent, :]
            rotated.append(rotated[parent] @ rotation)
            posed.append(posed[parent] + (rotated[parent] @ step[..., None])[..., 0])
    rotation = torch.stack(rotated, -3)
    # Where the origin goes, so that a joint's own rest position is taken out of its rotation.
    shift = torch.stack(posed, -2) - (rotation @ joints[..., None])[..., 0]
    blended = torch.einsum("vj,...jab->...vab", weights, rotation)
    return (blended @ vertices[..., None])[..., 0] + torch.einsum("vj,...ja->...va", weights, shift)


def flame_vertices(
    model: FlameModel,
    shape: torch.Tensor,
    expression: torch.Tensor,
    pose: torch.Tensor,
    translation: torch.Tensor | None = None,
) -> torch.Tensor:
    """FLAME's vertices for its parameters, differentiable in all of them.

    The leading sizes of the arguments broadcast; one identity (300,) with T frames of expression
    and pose is the usual call. The result has the dtype and device of ``expression``. Memory grows
    with the number of frames: give long clips in chunks.

    Args:
        model: the model, with or without teeth.
        shape: (..., ≤ 300) identity coefficients β.
        expression: (..., ≤ 100) expression coefficients ψ.
        pose: (..., 15) rotation vectors θ of root, neck, jaw, left eye and right eye, radians.
        translation: (..., 3) metres, after skinning.

    Returns:
        (..., V, 3) metres, head space.

    Raises:
        BadInputError: sizes that are not FLAME's.
    """
    if shape.shape[-1] > SHAPES or expression.shape[-1] > EXPRESSIONS or pose.shape[-1] != 15:
        raise BadInputError(
            f"FLAME takes up to {SHAPES} shape and {EXPRESSIONS} expression coefficients and 15 "
            f"pose numbers; here are {shape.shape[-1]}, {expression.shape[-1]} and "
            f"{pose.shape[-1]}.",
            "Use the parameters of a FLAME fit with a root, neck, jaw and two eyes.",
        )

    def tensor(array: object) -> torch.Tensor:
        return torch.as_tensor(array, dtype=expression.dtype, device=expression.device)

    shapedirs = tensor(model.shapedirs)
    unposed = (
        tensor(model.v_template)
        + _directed(shapedirs[..., : shape.shape[-1]], shape)
        + _directed(shapedirs[..., SHAPES : SHAPES + expression.shape[-1]], expression)
    )
    joints = tensor(model.J_regressor) @ unposed
    rotations = rotation_matrices(pose.reshape(*pose.shape[:-1], len(JOINTS), 3))
    bent = rotations[..., 1:, :, :] - torch.eye(3, dtype=pose.dtype, device=pose.device)
    corrected = unposed + _directed(tensor(model.posedirs), bent.flatten(-3))
    parents = tuple(int(parent) for parent in model.parents)
    vertices = skin(corrected, joints, rotations, parents, tensor(model.weights))
    return vertices if translation is None else vertices + translation[..., None, :]


def _directed(directions: torch.Tensor, coefficients: torch.Tensor) -> torch.Tensor:
    """Σₖ cₖ·Dₖ as one matrix product: (V, 3, K) and (..., K) to (..., V, 3)."""
    flat = coefficients @ directions.flatten(0, 1).T
    return flat.reshape(*flat.shape[:-1], directions.shape[0], 3)
