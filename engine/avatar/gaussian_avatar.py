# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Gaussian avatar is, and its splats for one frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from engine.avatar.binding import quaternion_product, transformed, triangle_frames
from engine.avatar.color import ColorModel
from engine.avatar.compiled import placed
from engine.errors import BadInputError
from engine.splatting.backend import Splats
from engine.splatting.cpu.threads import compilable


@dataclass(frozen=True, eq=False)
class GaussianAvatar:
    """G Gaussians bound to the triangles of a head; attributes before activation.

    Attributes:
        head: id of the head it is bound to.
        faces: (F, 3) int32, the head's triangles.
        vertex_count: V of the head.
        binding: (G,) int32, the triangle of each Gaussian.
        positions: (G, 3) float32 in the triangle's frame, in units of the triangle's size.
        log_scales: (G, 3) natural logarithm of the standard deviations, same units.
        quats: (G, 4) wxyz in the triangle's frame, any norm.
        opacity_logits: (G,).
        color: the colour model.
        provenance: how it was made, its licence.
    """

    head: str
    faces: torch.Tensor
    vertex_count: int
    binding: torch.Tensor
    positions: torch.Tensor
    log_scales: torch.Tensor
    quats: torch.Tensor
    opacity_logits: torch.Tensor
    color: ColorModel
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the tensors fit each other and the head.

        Raises:
            BadInputError: they do not; the message names the tensor.
        """
        G = len(self.binding)
        expected = {
            "binding": (G,),
            "positions": (G, 3),
            "log_scales": (G, 3),
            "quats": (G, 4),
            "opacity_logits": (G,),
        }
        for name, shape in expected.items():
            tensor: torch.Tensor = getattr(self, name)
            if tuple(tensor.shape) != shape:
                raise BadInputError(
                    f"The avatar's {name} have shape {tuple(tensor.shape)}, expected {shape}."
                )
            if not torch.isfinite(tensor).all():
                raise BadInputError(f"The avatar's {name} hold NaN or infinite values.")
        if self.color.count != G:
            raise BadInputError(f"The avatar has {G} Gaussians and {self.color.count} colours.")
        corners = self.faces if self.faces.numel() else self.faces.new_zeros(1)
        if not 0 <= int(corners.min()) <= int(corners.max()) < self.vertex_count:
            raise BadInputError(
                f"The triangles of head '{self.head}' have corners beyond its "
                f"{self.vertex_count} vertices."
            )
        if G and not 0 <= int(self.binding.min()) <= int(self.binding.max()) < len(self.faces):
            raise BadInputError(
                f"The avatar is bound to triangles that head '{self.head}' does not have."
            )

    @property
    def count(self) -> int:
        """G."""
        return len(self.binding)


def splats(
    avatar: GaussianAvatar,
    vertices: torch.Tensor,
    expression: torch.Tensor | None = None,
    matrix: torch.Tensor | None = None,
    camera_position: torch.Tensor | None = None,
) -> Splats:
    """An avatar's splats on the head's vertices of one frame, differentiable.

    Args:
        avatar: the avatar.
        vertices: (V, 3) the head's vertices of the frame, head space, metres.
        expression: (E,) expression weights ψ for the colours; ``None`` for neutral.
        matrix: (4, 4) head space to world; applied to the vertices first, so that a non-uniform
            scale stretches the mesh and the splats follow its triangles. ``None`` is the identity.
        camera_position: (3,) world space, for view-dependent colours; ``None`` leaves them out.
            For a parallel projection a point far behind the camera (``Camera.viewpoint``).

    Returns:
        Splats in world space.

    Raises:
        BadInputError: another number of vertices than the avatar's head has, or a matrix that
            flattens space.
    """
    if tuple(vertices.shape) != (avatar.vertex_count, 3):
        raise BadInputError(
            f"The mesh has {vertices.shape[0]} vertices, the avatar's head '{avatar.head}' has "
            f"{avatar.vertex_count}.",
            "Use the mesh of the avatar's own head, without modifiers that change its topology.",
        )
    world = vertices if matrix is None else transformed(vertices, matrix)
    means, quats, scales = _placed(avatar, world)
    directions = None
    if camera_position is not None:
        directions = _directions(means, camera_position, matrix)
    return Splats(
        means,
        quats,
        scales,
        torch.sigmoid(avatar.opacity_logits),
        avatar.color.colors(expression, directions),
    )


def _placed(
    avatar: GaussianAvatar, world: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Means, quaternions and scales on the vertices in world space."""
    local = torch.nn.functional.normalize(avatar.quats, dim=-1)
    scales = torch.exp(avatar.log_scales)
    if compilable(world, avatar.positions, local, scales):
        return placed(world, avatar.faces, avatar.binding, avatar.positions, local, scales)
    frames = triangle_frames(world, avatar.faces)
    face = avatar.binding.long()
    size = frames.scales[face, None]
    turned = torch.einsum("gij,gj->gi", frames.rotations[face], avatar.positions)
    means = turned * size + frames.centers[face]
    return means, quaternion_product(frames.quats[face], local), size * scales


def _directions(
    means: torch.Tensor, camera_position: torch.Tensor, matrix: torch.Tensor | None
) -> torch.Tensor:
    """(G, 3) unit vectors from the camera to the means, in the head's own frame."""
    rays = means - camera_position
    if matrix is not None:
        linear = matrix[:3, :3]
        if not abs(float(torch.linalg.det(linear))) > 1e-18:
            raise BadInputError(
                "The object's matrix flattens the head.", "Give the object a scale other than 0."
            )
        rays = torch.linalg.solve(linear, rays.T).T
    return torch.nn.functional.normalize(rays, dim=-1)
