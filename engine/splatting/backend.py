# SPDX-License-Identifier: GPL-3.0-or-later
"""The protocol every rasteriser follows, and the semantics they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch

from engine.progress import Progress, silent
from engine.splatting.camera import Camera, look_at


@dataclass(frozen=True)
class Semantics:
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
        colors: (G, 3) display-referred sRGB.
    """

    means: torch.Tensor
    quats: torch.Tensor
    scales: torch.Tensor
    opacities: torch.Tensor
    colors: torch.Tensor


class Image(NamedTuple):
    """One rendered view.

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
    """A rasteriser: differentiable with respect to every attribute of the splats."""

    name: str
    semantics: Semantics

    def render(
        self, splats: Splats, camera: Camera, background: torch.Tensor | None = None
    ) -> Image:
        """Render one view; ``background`` is (3,) display-referred sRGB, default black."""
        ...

    def warm_up(self, progress: Progress = silent) -> None:
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
