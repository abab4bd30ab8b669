# SPDX-License-Identifier: GPL-3.0-or-later
"""The expression ψ that an avatar's colours follow, in the order of its head."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from engine.core.arrays import Float
from engine.core.soft_range import MARGIN


def softly_clamped(psi: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """Expressions held near what was trained on; inside it they are what they are.

    Beyond a bound they follow m·tanh(x / m), whose slope begins at 1 and which ends m beyond it,
    m being :data:`engine.core.soft_range.MARGIN` of the range. What an avatar never saw it draws
    with holes, at the nose first.

    Args:
        psi: (..., E).
        low: (E,) lowest of the frames trained on.
        high: (E,) highest.
    """
    margin = (MARGIN * (high - low)).clamp(min=torch.finfo(psi.dtype).tiny)
    inside = torch.minimum(torch.maximum(psi, low), high)
    return inside + margin * torch.tanh((psi - inside) / margin)


def in_order(values: Float, names: Sequence[str], wanted: Sequence[str]) -> Float | None:
    """Expression weights by name, 0 for those that are not there.

    Args:
        values: (T, N).
        names: N names.
        wanted: the head's E names.

    Returns:
        (T, E), or ``None`` where not one of the names is the head's.
    """
    if tuple(names) == tuple(wanted):
        return values
    columns = {name: column for column, name in enumerate(names)}
    if columns.keys().isdisjoint(wanted):
        return None
    result = np.zeros((len(values), len(wanted)), np.float32)
    for index, name in enumerate(wanted):
        if name in columns:
            result[:, index] = values[:, columns[name]]
    return result
