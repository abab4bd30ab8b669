# SPDX-License-Identifier: GPL-3.0-or-later
"""How well an avatar looks under predicted faces: held-out views of filmed speech."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from engine.core.errors import BadInputError
from engine.splatting.backend import Backend
from training.avatar.model import TrainableAvatar
from training.avatar.preview import rendered
from training.data.layout import Split
from training.data.multiview import MultiViewCapture, View, Views
from training.joint.predicted import Predictions
from training.metrics.image import psnr, ssim
from training.metrics.image_lpips import Lpips

_WINDOW = 11


@dataclass(frozen=True)
class Row:
    """Means over the held-out views that show speech.

    Attributes:
        what: which faces and which colours.
        psnr: decibels, whole pictures on black.
        ssim: 0 to 1; NaN where pictures are smaller than its window.
        views: how many.
        lpips: mean; ``None`` where it was not asked for.
    """

    what: str
    psnr: float
    ssim: float
    views: int
    lpips: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


TEST = "held-out views of the test recordings"
HELD_OUT = "held-out views of speech"
SEEN = "training views of speech (none are held out)"


def spoken_views(capture: MultiViewCapture, split: Split, timesteps: Iterable[int]) -> Views:
    """The views of a split whose timestep shows speech; there may be none."""
    shown = set(timesteps)
    return Views(capture, [f for f in capture.split(split).frames if f.timestep in shown])


def judged_views(
    capture: MultiViewCapture, timesteps: Iterable[int], test: Collection[int] = ()
) -> tuple[Views, str]:
    """The views that scores are taken on, and what to call them.

    Those of the held-out camera that show speech: of the test part, where that was filmed, so that
    neither faces nor words were seen; where a small capture has none, those that training sees.

    Args:
        capture: the pictures.
        timesteps: that show speech.
        test: those of them that are of the test part.

    Raises:
        BadInputError: no picture shows speech.
    """
    steps = list(timesteps)
    kept = [
        *spoken_views(capture, "test", steps).frames,
        *spoken_views(capture, "val", steps).frames,
    ]
    # A capture may list the same pictures for both.
    frames = list({frame.image: frame for frame in kept}.values())
    if tested := [frame for frame in frames if frame.timestep in test]:
        return Views(capture, tested), TEST
    if frames:
        return Views(capture, frames), HELD_OUT
    seen = spoken_views(capture, "train", steps)
    if not len(seen):
        raise BadInputError(
            f"No picture of {capture.folder} shows speech.",
            "Capture more timesteps, or more of them with speech.",
        )
    return seen, SEEN


@torch.no_grad()
def scored(
    what: str,
    avatar: TrainableAvatar,
    views: Sequence[View],
    backend: Backend,
    predictions: Predictions | None,
    lpips: Lpips | None = None,
) -> Row:
    """Compare an avatar with true pictures.

    Args:
        what: name of the row.
        avatar: the avatar.
        views: composited on black.
        backend: rasteriser.
        predictions: the faces to show; the tracked ones without.
        lpips: measures LPIPS too.
    """
    noise, structure, distance = [], [], []
    for view in views:
        shown = view if predictions is None else predictions.shown(view)
        ours = rendered(avatar, shown, backend)
        noise.append(psnr(ours, view.image))
        if min(ours.shape[:2]) >= _WINDOW:
            structure.append(ssim(ours, view.image))
        if lpips is not None:
            distance.append(lpips(ours.cpu(), view.image))
    means = (float(np.mean(noise)), float(np.mean(structure or [np.nan])))
    return Row(what, *means, len(noise), float(np.mean(distance)) if distance else None)


def table(rows: Sequence[Row], title: str = HELD_OUT) -> str:
    """The rows for people."""
    width = max(len(title), *(len(row.what) for row in rows))
    lines = [f"{title:<{width}}  PSNR dB   SSIM    views"]
    lines += [f"{r.what:<{width}}  {r.psnr:7.2f}  {r.ssim:6.4f}  {r.views:5d}" for r in rows]
    return "\n".join(lines)
