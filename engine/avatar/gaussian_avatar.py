# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Gaussian avatar is, and its splats for one frame."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from engine.avatar.binding import bind_to_triangles, transformed
from engine.avatar.color import ColorModel
from engine.avatar.expression import softly_clamped
from engine.core.errors import BadInputError
from engine.heads.identity import Identity
from engine.splatting.backend import Splats

_TENSORS = ("faces", "binding", "positions", "log_scales", "quats", "opacity_logits")


class Activated(NamedTuple):
    """What of an avatar's attributes does not change from frame to frame.

    Attributes:
        faces: (F, 3) of the type that indexes quickest on the avatar's device.
        binding: (G,) likewise.
        quats: (G, 4) of length one.
        scales: (G, 3) after the exponential.
        opacities: (G,) in [0, 1].
    """

    faces: torch.Tensor
    binding: torch.Tensor
    quats: torch.Tensor
    scales: torch.Tensor
    opacities: torch.Tensor


_LARGEST = 1e6
"""Of every attribute: products of two of them stay within float32, and so within finite numbers."""
_LARGEST_LOG_SCALE = 30.0


def _check_values(what: str, tensor: torch.Tensor) -> None:
    if tensor.is_floating_point() and not bool((tensor.abs() <= _LARGEST).all()):
        raise BadInputError(f"{what} hold NaN, infinite or far too large values.")


@dataclass(frozen=True, eq=False)
class GaussianAvatar:
    """G Gaussians bound to the triangles of a head; attributes before activation.

    Attributes:
        identity: the head it is bound to.
        faces: (F, 3) int32, the head's triangles.
        binding: (G,) int32, the triangle of each Gaussian.
        positions: (G, 3) float32 in the triangle's frame, in units of the triangle's size.
        log_scales: (G, 3) natural logarithm of the standard deviations, same units.
        quats: (G, 4) wxyz in the triangle's frame, any norm.
        opacity_logits: (G,).
        color: the colour model.
        provenance: how it was made, its licence.
        light: (V, 3) scene-linear radiance of a white diffuse surface in the light of the capture,
            at the vertices of the neutral face; ``None`` where it is unknown.
        warnings: what the user should know of how it was loaded, one sentence each; not saved.
    """

    identity: Identity
    faces: torch.Tensor
    binding: torch.Tensor
    positions: torch.Tensor
    log_scales: torch.Tensor
    quats: torch.Tensor
    opacity_logits: torch.Tensor
    color: ColorModel
    provenance: Mapping[str, str] = field(default_factory=dict)
    light: torch.Tensor | None = None
    warnings: tuple[str, ...] = ()

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
            _check_values(f"The avatar's {name}", tensor)
        if G and float(self.log_scales.detach().max()) > _LARGEST_LOG_SCALE:
            raise BadInputError("The avatar's Gaussians are larger than any head.")
        for name, tensor in self.color.tensors().items():
            _check_values(f"The {name} of the avatar's colours", tensor)
        if self.light is not None:
            if tuple(self.light.shape) != (self.vertex_count, 3):
                raise BadInputError(
                    f"The avatar's light has shape {tuple(self.light.shape)}, expected "
                    f"{(self.vertex_count, 3)}."
                )
            _check_values("The avatar's light", self.light)
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
    def head(self) -> str:
        """Id of the head it is bound to."""
        return self.identity.id

    @property
    def vertex_count(self) -> int:
        """V of the head."""
        return self.identity.vertex_count

    @property
    def count(self) -> int:
        """G."""
        return len(self.binding)

    @property
    def device(self) -> torch.device:
        """Where its tensors lie."""
        return self.positions.device

    def to(self, device: torch.device | str) -> GaussianAvatar:
        """The avatar on another device."""
        # Not a new avatar: its tensors have been checked, and to check them again is to wait.
        moved = copy.copy(self)
        for name in _TENSORS:
            object.__setattr__(moved, name, getattr(self, name).to(device))
        object.__setattr__(moved, "color", self.color.to(device))
        object.__setattr__(moved, "_activated", None)
        object.__setattr__(moved, "_range", None)
        return moved

    def trained_range(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Lowest and highest ψ that its colours were trained on, (E,) each, on its device.

        ``None`` where they are unknown.
        """
        values = self.identity.expression_range
        if values is None:
            return None
        kept: tuple[torch.Tensor, torch.Tensor] | None = getattr(self, "_range", None)
        if kept is None:
            with torch.inference_mode(mode=False):
                low, high = torch.from_numpy(values.copy()).to(self.device).unbind()
            kept = low, high
            object.__setattr__(self, "_range", kept)
        return kept

    def activated(self) -> Activated:
        """What frames need of the attributes; worked out once where nothing of them trains."""
        kept: Activated | None = getattr(self, "_activated", None)
        if kept is not None:
            return kept
        trains = any(getattr(self, name).requires_grad for name in _TENSORS)
        if trains:
            return self._activate()
        # Not inference tensors, whatever asks first: autograd would refuse them later.
        with torch.inference_mode(mode=False):
            value = self._activate()
        object.__setattr__(self, "_activated", value)
        return value

    def _activate(self) -> Activated:
        index = torch.int32 if self.device.type == "cpu" else torch.int64
        return Activated(
            self.faces.to(index),
            self.binding.to(index),
            torch.nn.functional.normalize(self.quats, dim=-1),
            torch.exp(self.log_scales),
            torch.sigmoid(self.opacity_logits),
        )


def splats(
    avatar: GaussianAvatar,
    vertices: torch.Tensor,
    expression: torch.Tensor | None = None,
    matrix: torch.Tensor | None = None,
    camera_position: torch.Tensor | None = None,
) -> Splats:
    """An avatar's splats on the head's vertices of one frame, differentiable.

    Args:
        avatar: the avatar; its splats are made on its device, and ``matrix`` and
            ``camera_position`` are copied there.
        vertices: (V, 3) the head's vertices of the frame, head space, metres.
        expression: (E,) expression weights ψ for the colours; ``None`` for neutral.
        matrix: (4, 4) head space to world; applied to the vertices first, so that a non-uniform
            scale stretches the mesh and the splats follow its triangles. ``None`` is the identity.
        camera_position: (3,) world space, for view-dependent colours, or (C, 3) for several
            cameras; ``None`` leaves them out. For a parallel projection a point far behind the
            camera (``Camera.viewpoint``).

    Returns:
        Splats in world space.

    Raises:
        BadInputError: another number of vertices than the avatar's head has, or a matrix that
            flattens space.
    """
    check_mesh(avatar, tuple(vertices.shape))
    frame = Frame(vertices, expression)
    if matrix is not None:
        frame = frame._replace(matrix=matrix.to(vertices))
        if camera_position is not None:
            frame = frame._replace(to_head=into_head(matrix).to(vertices))
    if camera_position is not None:
        frame = frame._replace(eye=camera_position.to(vertices))
    return splats_of(avatar, frame)


def check_mesh(avatar: GaussianAvatar, shape: tuple[int, ...]) -> None:
    """See that vertices are those of the avatar's head.

    Raises:
        BadInputError: they have another shape than (V, 3).
    """
    if tuple(shape) != (avatar.vertex_count, 3):
        raise BadInputError(
            f"The mesh has {shape[0]} vertices, the avatar's head '{avatar.head}' has "
            f"{avatar.vertex_count}.",
            "Use the mesh of the avatar's own head, without modifiers that change its topology.",
        )


class Frame(NamedTuple):
    """What changes from frame to frame; all on the avatar's device.

    Attributes:
        vertices: (V, 3) the head's vertices, head space, metres.
        expression: (E,) ψ, or ``None`` for neutral.
        matrix: (4, 4) head space to world, or ``None`` for the identity.
        to_head: (3, 3) of :func:`into_head`; goes with ``matrix`` and ``eye``.
        eye: (3,) or (C, 3) where the rays come from, world space, or ``None`` for colours without
            their view-dependent part.
    """

    vertices: torch.Tensor
    expression: torch.Tensor | None = None
    matrix: torch.Tensor | None = None
    to_head: torch.Tensor | None = None
    eye: torch.Tensor | None = None


def splats_of(avatar: GaussianAvatar, frame: Frame) -> Splats:
    """What :func:`splats` makes, from tensors that lie on the avatar's device already.

    On a GPU nothing here waits for the device or copies to or from it, and every size follows from
    the avatar's: it can be captured as a CUDA graph, see :mod:`engine.avatar.pipeline`.
    """
    vertices, expression, matrix, to_head, eye = frame
    world = vertices if matrix is None else transformed(vertices, matrix)
    fixed = avatar.activated()
    means, quats, scales = bind_to_triangles(
        world, fixed.faces, fixed.binding, avatar.positions, fixed.quats, fixed.scales
    )
    directions = None
    if eye is not None:
        rays = means - eye[..., None, :]
        if to_head is not None:
            rays = rays @ to_head.T
        directions = torch.nn.functional.normalize(rays, dim=-1)
    trained = avatar.trained_range()
    if expression is not None and trained is not None and expression.shape == trained[0].shape:
        expression = softly_clamped(expression, *trained)
    colors = avatar.color.colors(expression, directions)
    return Splats(means, quats, scales, fixed.opacities, colors)


def into_head(matrix: torch.Tensor) -> torch.Tensor:
    """(3, 3) that turns directions in the world into the head's own frame.

    Args:
        matrix: (4, 4) head space to world.

    Raises:
        BadInputError: it is singular. A matrix on a GPU is not checked: reading it would wait for
            the device.
    """
    linear = matrix[:3, :3]
    if matrix.device.type == "cpu" and not abs(float(torch.linalg.det(linear.detach()))) > 1e-18:
        raise BadInputError(
            "The object's matrix flattens the head.", "Give the object a scale other than 0."
        )
    inverse: torch.Tensor = torch.linalg.inv_ex(linear).inverse
    return inverse
