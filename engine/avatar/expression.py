# SPDX-License-Identifier: GPL-3.0-or-later
"""The expression ψ that an avatar's colours follow, in the order of its head."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.core.arrays import Float


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
