# SPDX-License-Identifier: GPL-3.0-or-later
"""Adam on rows of which a step sees a few: what of a capture is refined."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_BETAS = (0.9, 0.99)
_TINY = 1e-12


class RowAdam:
    """Adam (Kingma, Ba 2015) on (N, C) rows of which a step sees a few.

    Moments of rows without a gradient stay as they are: pictures of one timestep change the
    parameters of no other, and each row has its own count of steps.

    Args:
        rows: (N, C), requires gradients.
        rates: (C,) learning rates.
        least: (C,) gradients below which steps are shorter than the rates, so that what pictures
            hardly show is not moved by their noise; all steps are as long where ``None``.
    """

    def __init__(self, rows: Tensor, rates: Tensor, least: Tensor | None = None) -> None:
        self.rows, self._rates = rows, rates
        self._least = torch.full_like(rates, _TINY) if least is None else least
        self._first, self._second = torch.zeros_like(rows), torch.zeros_like(rows)
        self._steps = torch.zeros(len(rows), 1, device=rows.device)

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """Go a step along the gradients, at so much of the rates; and forget the gradients."""
        gradient = self.rows.grad
        if gradient is None:
            return
        seen = (gradient != 0).any(1, keepdim=True)
        self._steps += seen
        for moment, beta, value in (
            (self._first, _BETAS[0], gradient),
            (self._second, _BETAS[1], gradient.square()),
        ):
            moment.copy_(torch.where(seen, beta * moment + (1 - beta) * value, moment))
        count = self._steps.clamp(min=1.0)
        first = self._first / (1 - _BETAS[0] ** count)
        second = self._second / (1 - _BETAS[1] ** count)
        self.rows -= torch.where(
            seen,
            factor * self._rates * first / (second.sqrt() + self._least),
            torch.zeros_like(first),
        )
        self.rows.grad = None

    def state(self) -> list[Tensor]:
        """What :meth:`restore` continues from."""
        held = (self.rows, self._first, self._second, self._steps)
        return [tensor.detach().cpu().clone() for tensor in held]

    @torch.no_grad()
    def restore(self, state: Sequence[Tensor]) -> None:
        """Continue from a state."""
        held = (self.rows, self._first, self._second, self._steps)
        for tensor, value in zip(held, state, strict=True):
            tensor.copy_(value)
