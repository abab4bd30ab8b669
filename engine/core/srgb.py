# SPDX-License-Identifier: GPL-3.0-or-later
"""The transfer function of sRGB (IEC 61966-2-1), of numpy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def linear(color: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Scene-linear light of display-referred sRGB in [0, 1]."""
    return np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)


def displayed(light: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Display-referred sRGB of scene-linear light from 0 on."""
    high = 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, 12.92 * light, high)
