# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of the report on an avatar: beside the truth with an error map, and from all sides."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from torch import Tensor

from engine.avatar import GaussianAvatar
from engine.core.arrays import Float
from engine.core.progress import Progress, no_progress
from engine.heads.head import Head
from engine.rendering.frames import portrait_camera, render_frame, studio_backdrop
from engine.splatting.backend import Backend
from training.data.multiview import View
from training.metrics.image_regions import region_masks

Frame = NDArray[np.uint8]

ERROR_TOP = 0.25
"""Mean difference of the channels that the error map shows in its lightest colour."""
TURNTABLE_FPS = 25.0
REGION_COLOURS: Mapping[str, tuple[str, tuple[float, float, float]]] = {
    "skin": ("green", (0.2, 0.7, 0.3)),
    "wrinkles": ("white", (1.0, 1.0, 1.0)),
    "hair": ("yellow", (0.95, 0.75, 0.1)),
    "eyes": ("blue", (0.1, 0.4, 1.0)),
    "mouth interior": ("red", (1.0, 0.15, 0.1)),
}
"""Colours of the regions by name, in the order in which they are laid over each other."""
_SWING = 75.0
"""Degrees to either side: as far as the cameras of a capture stand round a face."""
_STRIP = (-70, -35, 0, 35, 70)


def comparison(ours: Tensor, true: Tensor) -> Frame:
    """(H, 3·W, 3) the truth, the avatar, and where they differ.

    Args:
        ours: (H, W, 3) sRGB in [0, 1].
        true: (H, W, 3).
    """
    pictures = [picture.clamp(0, 1).numpy() for picture in (true, ours)]
    error = np.abs(pictures[0] - pictures[1]).mean(axis=2) / ERROR_TOP
    heat = colormaps["inferno"](np.clip(error, 0, 1))[..., :3]
    sheet: Frame = (np.concatenate([*pictures, heat], axis=1) * 255 + 0.5).astype(np.uint8)
    return sheet


def regions_picture(view: View, head: Head) -> Frame:
    """(H, W, 3) the true picture, grey, with its regions in the colours of :data:`REGION_COLOURS`.

    Args:
        view: a test view.
        head: its regions.
    """
    masks = region_masks(
        head, view.vertices.numpy(), view.camera, view.alpha.numpy(), view.image.numpy()
    )
    grey = view.image.mean(dim=2, keepdim=True).expand(-1, -1, 3).numpy()
    picture = 0.6 * grey
    for name, (_, colour) in REGION_COLOURS.items():
        picture[masks[name]] = 0.5 * grey[masks[name]] + 0.5 * np.array(colour, np.float32)
    frame: Frame = (picture.clip(0, 1) * 255 + 0.5).astype(np.uint8)
    return frame


def turntable(
    avatar: GaussianAvatar,
    head: Head,
    backend: Backend,
    size: tuple[int, int],
    *,
    frames: int,
    progress: Progress = no_progress,
) -> Iterator[Frame]:
    """The neutral avatar swung from side to side and back, once, without a jump at the end.

    Args:
        avatar: the avatar.
        head: its head.
        backend: rasteriser.
        size: (width, height) pixels.
        frames: how many.
        progress: called before each frame.

    Yields:
        (H, W, 3) uint8.
    """
    backdrop = studio_backdrop(*size)
    for number in range(frames):
        progress(number / frames, "Turning the avatar")
        turn = _SWING * math.sin(2 * math.pi * number / frames)
        yield _still(avatar, head, backend, backdrop, turn)


def strip(avatar: GaussianAvatar, head: Head, backend: Backend, size: tuple[int, int]) -> Frame:
    """(H, 5·W, 3) the neutral avatar from five sides, for where no video plays."""
    backdrop = studio_backdrop(*size)
    stills = [_still(avatar, head, backend, backdrop, turn) for turn in _STRIP]
    return np.concatenate(stills, axis=1)


def _still(
    avatar: GaussianAvatar, head: Head, backend: Backend, backdrop: Float, turn: float
) -> Frame:
    height, width = backdrop.shape[:2]
    camera = portrait_camera(head, width, height, turn=turn)
    expression = np.zeros(len(head.expression_names), np.float32)
    return render_frame(head.template, expression, avatar, backend, camera, backdrop)
