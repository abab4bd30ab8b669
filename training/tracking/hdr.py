# SPDX-License-Identifier: GPL-3.0-or-later
"""HDR (PQ and HLG of ITU-R BT.2100) as an ordinary screen shows it."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.core.arrays import Float
from engine.core.srgb import displayed
from training.tracking.landmarks import Image

PQ, HLG = 16, 18
"""Codes of transfer functions (ITU-T H.273)."""
_WHITE = 203.0
"""Nits of diffuse white (ITU-R BT.2408)."""
_HLG_PEAK = 1000.0
_TO_BT709 = np.array(
    [
        [1.660491, -0.587641, -0.072850],
        [-0.124550, 1.132900, -0.008349],
        [-0.018151, -0.100579, 1.118730],
    ]
)
"""Linear BT.2020 to linear BT.709 (ITU-R BT.2087, inverted)."""


def ordinary(coded: Any, transfer: int) -> Image:
    """(H, W, 3) uint16 of BT.2100 as uint8 sRGB: highlights above white are rolled off."""
    value = coded.astype(np.float32) / 65535
    light = _pq(value) if transfer == PQ else _hlg(value)
    light = np.maximum(light @ _TO_BT709.T.astype(np.float32), 0)
    # A shoulder above 0.8 of white, so that skin in the sun keeps its shape.
    over = np.maximum(light - 0.8, 0)
    light = np.minimum(light, 0.8) + 0.2 * (1 - np.exp(-over / 0.2))
    return np.asarray(displayed(light).clip(0, 1) * 255 + 0.5, np.uint8)


def _pq(value: Float) -> Float:
    """SMPTE ST 2084: signal to light, 1 is diffuse white."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    power = value ** (1 / m2)
    nits = 10000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    return np.asarray(nits / _WHITE, np.float32)


def _hlg(value: Float) -> Float:
    """ITU-R BT.2100 HLG: signal to display light at 1,000 nits, 1 is diffuse white."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(value <= 0.5, value**2 / 3, (np.exp((value - c) / a) + b) / 12)
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593], np.float32)
    display = scene * np.maximum(luminance, 1e-6)[..., None] ** 0.2
    return np.asarray(display * _HLG_PEAK / _WHITE, np.float32)
