# SPDX-License-Identifier: GPL-3.0-or-later
"""Values held softly near a range; numpy alone, for Blender imports it."""

from __future__ import annotations

import numpy as np

from .arrays import Float

MARGIN = 0.25
"""How far beyond a range a value may go, in parts of that range."""


def softly_clamped(values: Float, low: Float, high: Float) -> Float:
    """Values as they are inside a range, and held near it outside.

    Beyond a bound they follow m·tanh(x / m), whose slope begins at 1 and which ends m beyond it,
    m being :data:`MARGIN` of the range. The same as
    :func:`engine.avatar.expression.softly_clamped`, which takes tensors.

    Args:
        values: (..., E).
        low: (E,) lowest.
        high: (E,) highest.
    """
    margin = np.maximum(MARGIN * (high - low), np.finfo(np.float32).tiny)
    inside = np.clip(values, low, high)
    with np.errstate(over="ignore"):
        beyond = np.tanh((values - inside) / margin)
    return np.asarray(inside + margin * beyond, np.float32)
