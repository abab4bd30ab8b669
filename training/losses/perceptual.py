# SPDX-License-Identifier: GPL-3.0-or-later
"""The terms that compare what networks see (GaussianSpeech, section 4.1).

- :class:`FaceLoss`, L_global: content and style of the whole face in the eyes of face recognition.
- :class:`PatchLoss`, L_patch: VGG16's features of small patches, for pores, lashes, teeth.
- :class:`WrinkleLoss`, L_wrinkle: the furrows that a wrinkle detector finds.

Each network may have any number of layers.

Pictures are (H, W, 3) sRGB in [0, 1]; the true one is a constant. All return a scalar.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.splatting.camera import Camera
from training.losses.vgg import Vgg16Features

_INSIDE = 0.5
"""Alpha above which a pixel belongs to the head."""
_ROOM = 0.05
"""Around a face, in sides of its square."""
_MARGIN = 16
"""Pixels around the head that a wrinkle detector needs to see."""
_SMALLEST_FACE = 8
"""Pixels: of less there is nothing to recognise."""


def planes(picture: Tensor) -> Tensor:
    """(H, W, C) to (1, C, H, W)."""
    return picture.permute(2, 0, 1)[None]


def head_box(alpha: Tensor, margin: int = 0) -> tuple[int, int, int, int] | None:
    """Rows and columns (top, bottom, left, right) that hold the head; ``None`` without one.

    Args:
        alpha: (H, W).
        margin: pixels around it, as far as there are any.
    """
    inside = alpha > _INSIDE
    rows, columns = inside.any(1).nonzero()[:, 0], inside.any(0).nonzero()[:, 0]
    if not len(rows):
        return None
    height, width = alpha.shape
    return (
        max(0, int(rows[0]) - margin),
        min(height, int(rows[-1]) + 1 + margin),
        max(0, int(columns[0]) - margin),
        min(width, int(columns[-1]) + 1 + margin),
    )


def face_box(vertices: Tensor, camera: Camera) -> tuple[int, int, int, int] | None:
    """Rows and columns (top, bottom, left, right) of the square round a face, inside the picture.

    Args:
        vertices: (N, 3) of the face, in the camera's world.
        camera: a pinhole camera.

    Returns:
        ``None`` where the face lies behind the camera or next to nothing of it in the picture.
    """
    viewmat = torch.from_numpy(camera.viewmat).to(vertices)
    seen = vertices @ viewmat[:3, :3].T + viewmat[:3, 3]
    if not len(seen) or float(seen[:, 2].min()) < camera.near:
        return None
    pixels = (seen / seen[:, 2:]) @ torch.from_numpy(camera.K).to(vertices).T
    low, high = pixels[:, :2].amin(0), pixels[:, :2].amax(0)
    half = (0.5 + _ROOM) * float((high - low).max())
    x, y = (0.5 * (low + high)).tolist()
    left, right = max(0, round(x - half)), min(camera.width, round(x + half))
    top, bottom = max(0, round(y - half)), min(camera.height, round(y + half))
    if min(right - left, bottom - top) < _SMALLEST_FACE:
        return None
    return top, bottom, left, right


def gram(features: Tensor) -> Tensor:
    """(B, C, H, W) to (B, C, C): which features occur together (Gatys et al. 2016)."""
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


class FaceLoss(nn.Module):
    """L_global = Σₗ ‖φₗ(Î) − φₗ(I)‖₁ + style · Σₗ ‖G(φₗ(Î)) − G(φₗ(I))‖₁ over the stages' means.

    Both sums are relative to the size of the true features, so that layers of large values do not
    decide alone.

    Args:
        network: (B, 3, S, S) in [−1, 1] to the (B, C, H, W) features of each stage; (B, N), as an
            embedding is, have no style.
        size: S, pixels.
        style: weight of the Gram matrices.
    """

    def __init__(self, network: nn.Module, size: int, style: float) -> None:
        super().__init__()
        self.network, self.size, self.style = network, size, style

    def forward(self, ours: Tensor, true: Tensor, box: tuple[int, int, int, int]) -> Tensor:
        """Compare a part of the pictures.

        Args:
            ours: (H, W, 3).
            true: (H, W, 3).
            box: top, bottom, left, right of the part, as :func:`face_box` gives it.
        """
        with torch.no_grad():
            wanted = self.network(self._face(true, box))
        loss = ours.new_zeros(())
        for seen, goal in zip(self.network(self._face(ours, box)), wanted, strict=True):
            loss = loss + _relative(seen, goal)
            if self.style and seen.ndim == 4:
                loss = loss + self.style * _relative(gram(seen), gram(goal))
        return loss / len(wanted)

    def _face(self, picture: Tensor, box: tuple[int, int, int, int]) -> Tensor:
        """The part as a square, as large as the network wants it, in [−1, 1]; black beside it."""
        top, bottom, left, right = box
        part = planes(picture[top:bottom, left:right])
        height, width = part.shape[2:]
        side = max(height, width)
        down, across = side - height, side - width
        square = functional.pad(
            part, (across // 2, across - across // 2, down // 2, down - down // 2)
        )
        face = functional.interpolate(
            square, (self.size, self.size), mode="bilinear", antialias=True, align_corners=False
        )
        return 2 * face - 1


def _relative(seen: Tensor, goal: Tensor) -> Tensor:
    return (seen - goal).abs().mean() / goal.abs().mean().clamp(min=1e-8)


class PatchLoss(nn.Module):
    """L_patch: L1 between VGG16's features of patches that lie on the head.

    Args:
        network: VGG16, as far as its layers are compared.
        patches: how many.
        size: pixels of their sides; smaller pictures give smaller patches.
    """

    def __init__(self, network: Vgg16Features, patches: int, size: int) -> None:
        super().__init__()
        self.network, self.patches, self.size = network, patches, size

    def forward(self, ours: Tensor, true: Tensor, alpha: Tensor, chance: torch.Generator) -> Tensor:
        """Compare patches.

        Args:
            ours: (H, W, 3).
            true: (H, W, 3).
            alpha: (H, W) of the true picture; patches are centred where it is above one half.
            chance: draws the places, on the CPU.
        """
        corners = patch_corners(alpha, self.patches, self.size, chance)
        if not corners:
            return ours.new_zeros(())
        with torch.no_grad():
            wanted = self.network(self._cut(true, corners))
        pairs = zip(self.network(self._cut(ours, corners)), wanted, strict=True)
        return torch.stack([_relative(seen, goal) for seen, goal in pairs]).mean()

    def _cut(self, picture: Tensor, corners: list[tuple[int, int]]) -> Tensor:
        height, width = min(self.size, picture.shape[0]), min(self.size, picture.shape[1])
        cut = [picture[top : top + height, left : left + width] for top, left in corners]
        return torch.stack(cut).permute(0, 3, 1, 2)


def patch_corners(
    alpha: Tensor, count: int, size: int, chance: torch.Generator
) -> list[tuple[int, int]]:
    """Top left corners of patches centred on the head, moved inside the picture.

    Args:
        alpha: (H, W).
        count: how many; none where there is no head.
        size: pixels of the sides.
        chance: draws them, on the CPU: the same places on every device.
    """
    inside = (alpha > _INSIDE).flatten().nonzero()[:, 0]
    if not len(inside):
        return []
    height, width = alpha.shape
    drawn = torch.randint(len(inside), (count,), generator=chance)
    centres = inside[drawn.to(inside.device)].tolist()
    bottom, right = max(0, height - size), max(0, width - size)
    return [
        (
            min(max(place // width - size // 2, 0), bottom),
            min(max(place % width - size // 2, 0), right),
        )
        for place in centres
    ]


class WrinkleLoss(nn.Module):
    """L_wrinkle: L1 between what a wrinkle detector finds in both pictures, on the head.

    Each layer's L1 is a mean over its numbers; the layers are summed.

    Args:
        detector: (1, 3, H, W) to (1, N, h, w) maps, or (1, N) features, or several of them.
    """

    def __init__(self, detector: Callable[[Tensor], Tensor | Sequence[Tensor]]) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, ours: Tensor, true: Tensor, alpha: Tensor) -> Tensor:
        """Compare furrows.

        Args:
            ours: (H, W, 3).
            true: (H, W, 3).
            alpha: (H, W) of the true picture: furrows count as much as they are on the head.
        """
        box = head_box(alpha, _MARGIN)
        if box is None:
            return ours.new_zeros(())
        top, bottom, left, right = box
        with torch.no_grad():
            wanted = layers_of(self.detector(planes(true[top:bottom, left:right])))
        seen = layers_of(self.detector(planes(ours[top:bottom, left:right])))
        weight = alpha[None, None, top:bottom, left:right]
        pairs = zip(seen, wanted, strict=True)
        return torch.stack([_on_head((a - b).abs(), weight) for a, b in pairs]).sum()


def layers_of(found: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    """The layers that a network gives, be it one or several."""
    return [found] if isinstance(found, Tensor) else found


def _on_head(difference: Tensor, weight: Tensor) -> Tensor:
    """Mean of (1, N) features, or of (1, N, h, w) maps weighted by (1, 1, H, W)."""
    if difference.ndim != 4:
        return difference.mean()
    if weight.shape[2:] != difference.shape[2:]:
        weight = functional.interpolate(weight, difference.shape[2:], mode="area")
    return (difference * weight).sum() / (weight.sum() * difference.shape[1]).clamp(min=1.0)
