# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures that a training looks at again and again: decoded once, scaled, on any backdrop."""

from __future__ import annotations

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
        memory: bytes of pictures that are kept. The first that fit stay: all are looked at equally
            often, so that dropping one for another would gain nothing.
        device: where they are kept and given.
    """

    def __init__(
        self,
        views: Sequence[View],
        factor: int,
        memory: float,
        device: torch.device | str = "cpu",
    ) -> None:
        self._views = views
        self._device = device
        self._factor = factor
        self._room = memory
        self._kept: dict[int, tuple[Tensor, View]] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._views)

    def __getitem__(self, index: int) -> View:
        """The view, its picture and alpha as float32.

        Raises:
            BadInputError: a file that became unreadable after the capture was opened.
        """
        found = self._kept.get(index)
        if found is None:
            view = reduced(self._views[index], self._factor)
            pixels = torch.cat([view.image, view.alpha[..., None]], -1)
            levels = pixels.mul(255).add_(0.5).clamp_(0, 255).to(torch.uint8)
            found = (levels.to(self._device), _on(view, self._device))
            with self._lock:
                if index not in self._kept and found[0].numel() <= self._room:
                    self._kept[index] = found
                    self._room -= found[0].numel()
        pixels = found[0].float().mul_(1 / 255)
        return replace(found[1], image=pixels[..., :3], alpha=pixels[..., 3])


def _on(view: View, device: torch.device | str) -> View:
    """A view on a device without its picture."""
    nothing = torch.empty(0)
    return replace(
        view,
        image=nothing,
        alpha=nothing,
        vertices=view.vertices.to(device),
        expression=view.expression.to(device),
        head_matrix=view.head_matrix.to(device),
    )


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


def own_share(everyone: Iterator[int], views: int, rank: int, processes: int) -> Iterator[int]:
    """Of all processes' indices those of one: ``views`` in a row of each step's."""
    for number, index in enumerate(everyone):
        if number // views % processes == rank:
            yield index
