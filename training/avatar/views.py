# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures that a training looks at again and again: decoded once, scaled, on any backdrop."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from threading import Lock

import torch
from torch import Tensor

from training.data.multiview import View
from training.data.multiview_pictures import scaled_camera


class KeptViews:
    """Views of a split at a fraction of their size, kept in memory as bytes as far as that goes.

    Args:
        views: composited on black.
        factor: whole number that width and height are divided by.
        memory: bytes of pictures that are kept; the ones used longest ago go first.
    """

    def __init__(self, views: Sequence[View], factor: int, memory: float) -> None:
        self._views = views
        self._factor = factor
        self._room = memory
        self._kept: OrderedDict[int, tuple[Tensor, View]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._views)

    def __getitem__(self, index: int) -> View:
        """The view, its picture and alpha as float32.

        Raises:
            BadInputError: a file that became unreadable after the capture was opened.
        """
        with self._lock:
            found = self._kept.get(index)
            if found is not None:
                self._kept.move_to_end(index)
        if found is None:
            view = reduced(self._views[index], self._factor)
            pixels = torch.cat([view.image, view.alpha[..., None]], -1)
            found = (pixels.mul(255).add_(0.5).clamp_(0, 255).to(torch.uint8), _without(view))
            with self._lock:
                if index not in self._kept and found[0].numel() <= self._room:
                    self._kept[index] = found
                    self._room -= found[0].numel()
                    while self._room < 0:
                        _, (dropped, _) = self._kept.popitem(last=False)
                        self._room += dropped.numel()
        pixels = found[0].float().mul_(1 / 255)
        return replace(found[1], image=pixels[..., :3], alpha=pixels[..., 3])


def _without(view: View) -> View:
    nothing = torch.empty(0)
    return replace(view, image=nothing, alpha=nothing)


def reduced(view: View, factor: int) -> View:
    """A view at a whole fraction of its size, each pixel the mean of its area."""
    if factor == 1:
        return view
    camera = scaled_camera(view.camera, 1 / factor)
    pixels = torch.cat([view.image, view.alpha[..., None]], -1).permute(2, 0, 1)[None]
    small = torch.nn.functional.interpolate(
        pixels, size=(camera.height, camera.width), mode="area"
    )[0].permute(1, 2, 0)
    return replace(
        view, image=small[..., :3].contiguous(), alpha=small[..., 3].contiguous(), camera=camera
    )


def on_backdrop(view: View, backdrop: Tensor) -> View:
    """A view that was composited on black, before a (3,) colour."""
    if not bool(backdrop.any()):
        return view
    return replace(view, image=torch.addcmul(view.image, 1 - view.alpha[..., None], backdrop))


def shuffled(count: int, seed: int, first: int = 0) -> Iterator[int]:
    """Indices without end: every pass over all in an order of its own.

    Args:
        count: how many there are.
        seed: of the orders.
        first: how many were drawn before; the rest is as if they had been drawn here.
    """
    turn, skipped = divmod(first, count)
    while True:
        generator = torch.Generator().manual_seed(1_000_003 * seed + turn)
        order = torch.randperm(count, generator=generator).tolist()
        yield from order[skipped:]
        turn, skipped = turn + 1, 0
