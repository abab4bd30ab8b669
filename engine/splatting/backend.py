# SPDX-License-Identifier: GPL-3.0-or-later
"""The protocol every rasteriser follows, and the constants of blending that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch

from engine.core.errors import BadInputError
from engine.core.progress import Progress, no_progress
from engine.splatting.camera import Camera, look_at


@dataclass(frozen=True)
class BlendSettings:
    """The constants of the blending, as gsplat's classic mode.

    Attributes:
        eps2d: pixels² added to the diagonal of the projected covariance.
        alpha_max: upper bound of one Gaussian's alpha.
        alpha_min: contributions below are dropped.
        transmittance_min: a pixel is finished when the light left falls to this.
    """

    eps2d: float = 0.3
    alpha_max: float = 0.999
    alpha_min: float = 1.0 / 255.0
    transmittance_min: float = 1e-4


class Splats(NamedTuple):
    """G Gaussians in world space, after activation.

    Attributes:
        means: (G, 3) metres.
        quats: (G, 4) wxyz, any norm.
        scales: (G, 3) standard deviations, metres.
        opacities: (G,) in [0, 1].
        colors: (G, 3) display-referred sRGB; for several cameras also (C, G, 3), one set each.
    """

    means: torch.Tensor
    quats: torch.Tensor
    scales: torch.Tensor
    opacities: torch.Tensor
    colors: torch.Tensor


class Image(NamedTuple):
    """One rendered view, or C of them with C as the first size of each tensor.

    Attributes:
        rgb: (H, W, 3) float32: Σ colourᵢ·αᵢ·Tᵢ + background·T, that is premultiplied over the
            background (black unless given).
        alpha: (H, W) float32, 1 − T.
        depth: (H, W) float32 expected planar camera depth, metres: Σ zᵢ·αᵢ·Tᵢ / alpha
            (gsplat's ED); 0 where alpha is 0.
    """

    rgb: torch.Tensor
    alpha: torch.Tensor
    depth: torch.Tensor


class Backend(Protocol):
    """A rasteriser: differentiable with respect to every attribute of the splats.

    Attributes:
        name: as in :mod:`engine.splatting.registry`.
        blend_settings: the constants of its blending.
        device: where its images lie, and where splats are best made.
    """

    name: str
    blend_settings: BlendSettings
    device: torch.device

    def render(
        self, splats: Splats, camera: Camera, background: torch.Tensor | None = None
    ) -> Image:
        """Render one view; ``background`` is (3,) display-referred sRGB, default black."""
        ...

    def render_views(
        self, splats: Splats, cameras: Sequence[Camera], background: torch.Tensor | None = None
    ) -> Image:
        """Render the same splats for C cameras at once.

        Args:
            splats: with colours (G, 3), or (C, G, 3) where they depend on the view.
            cameras: one or more, alike in size, clip planes and kind of projection.
            background: (3,) display-referred sRGB, default black.

        Returns:
            rgb (C, H, W, 3), alpha and depth (C, H, W).

        Raises:
            BadInputError: no cameras, cameras that are not alike, or an empty image.
        """
        ...

    def warm_up(self, progress: Progress = no_progress) -> None:
        """Compile or load what the first frame needs; ``progress`` announces the wait."""
        ...


def one_splat() -> tuple[Splats, Camera]:
    """The smallest scene, for warming a backend up."""
    splats = Splats(
        torch.zeros(1, 3),
        torch.tensor([[1.0, 0, 0, 0]]),
        torch.full((1, 3), 0.1),
        torch.full((1,), 0.5),
        torch.full((1, 3), 0.5),
    )
    eye, target = np.array([0, 0, 1], np.float32), np.zeros(3, np.float32)
    return splats, look_at(eye, target, width=16, height=16, vertical_fov=0.5)


def check_alike(cameras: Sequence[Camera]) -> None:
    """See that cameras can share one call.

    Raises:
        BadInputError: no cameras, cameras of different sizes, clip planes or projections, or an
            image without pixels.
    """
    if not cameras:
        raise BadInputError("There is no camera to render for.")
    kinds = {(c.width, c.height, c.near, c.far, c.orthographic) for c in cameras}
    if len(kinds) > 1:
        raise BadInputError(
            "Cameras that are rendered together differ in size, clip planes or projection.",
            "Render each kind of camera in a call of its own.",
        )
    width, height = cameras[0].width, cameras[0].height
    if width < 1 or height < 1:
        raise BadInputError(f"An image of {width}×{height} pixels is empty.")


def check_shapes(splats: Splats, views: int | None = None) -> None:
    """See that the attributes of splats fit each other.

    Args:
        splats: the splats.
        views: C, where colours may be (C, G, 3) too.

    Raises:
        BadInputError: they do not; the message names the attribute.
    """
    count = len(splats.means)
    shapes = ((count, 3), (count, 4), (count, 3), (count,), (count, 3))
    for name, tensor, shape in zip(Splats._fields, splats, shapes, strict=True):
        per_view = name == "colors" and views is not None and tuple(tensor.shape) == (views, *shape)
        if tuple(tensor.shape) != shape and not per_view:
            raise BadInputError(
                f"The {name} of the splats have shape {tuple(tensor.shape)}, expected {shape}."
            )
