# SPDX-License-Identifier: GPL-3.0-or-later
"""The person's colours before light falls on them, as display-referred sRGB."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engine.core.arrays import Double
from training.synthetic.person.patterns import noise, step

_SKIN = np.array([0.845, 0.650, 0.548])
_BLUSH = np.array([0.825, 0.515, 0.440])
_SHADOWED = np.array([0.660, 0.490, 0.440])
_LIPS = np.array([0.735, 0.425, 0.395])
_LIP_LINE = np.array([0.520, 0.250, 0.240])
_CAVITY = np.array([0.720, 0.400, 0.380])


def skin(points: Double, normals: Double, region: Mapping[str, Double]) -> Double:
    """(N, 3) skin with lips, at neutral positions in head space.

    Args:
        points: (N, 3).
        normals: (N, 3).
        region: (N,) softened membership by region name.
    """
    x, y, z = points.T
    color = np.broadcast_to(_SKIN, points.shape).copy()
    mottle = 0.5 * noise(points, 0.011, 1) + 0.3 * noise(points, 0.0045, 2)
    fine = 0.6 * noise(points, 0.0028, 3) + 0.4 * noise(points, 0.0016, 4)
    color *= 1 + (0.034 * mottle + 0.028 * fine)[:, None] * np.array([0.6, 1.0, 1.1])
    front = step(0.02, 0.07, z)
    cheek = np.exp(-(((np.abs(x) - 0.037) / 0.016) ** 2) - ((y + 0.009) / 0.017) ** 2) * front
    nose = np.exp(-((x / 0.013) ** 2) - ((y + 0.016) / 0.014) ** 2) * step(0.095, 0.115, z)
    chin = np.exp(-((x / 0.016) ** 2) - ((y + 0.076) / 0.012) ** 2) * front
    blush = 0.18 * cheek + 0.30 * nose + 0.14 * chin + 0.50 * region["ears"]
    color = _mix(color, _BLUSH, (blush * (1 + 0.25 * mottle)).clip(0, 1))
    forehead = step(0.04, 0.07, y) * front
    color = _mix(color, np.array([0.850, 0.690, 0.565]), 0.5 * forehead)
    jaw = step(-0.045, -0.075, y) * step(0.0, 0.03, z) * step(0.018, 0.04, np.hypot(x, y + 0.05))
    color = _mix(color, np.array([0.740, 0.585, 0.515]), 0.45 * jaw)
    eye_y = (y - 0.016) / 0.011
    hollow = np.exp(-(((np.abs(x) - 0.029) / 0.016) ** 2) - eye_y**2) * step(0.06, 0.08, z)
    color = _mix(color, _SHADOWED, 0.10 * hollow)
    color = _mix(color, np.array([0.740, 0.510, 0.450]), 0.30 * region["eyelids"])
    return _with_lips(color, points, normals, region, mottle)


def oil(points: Double) -> Double:
    """(N,) how much more than elsewhere skin shines: the middle of the forehead, nose, chin."""
    x, y, z = points.T
    forehead = np.exp(-((x / 0.030) ** 2) - ((y - 0.060) / 0.018) ** 2)
    nose = np.exp(-((x / 0.008) ** 2)) * step(0.104, 0.114, z) * step(-0.030, -0.022, y)
    chin = np.exp(-((x / 0.012) ** 2) - ((y + 0.075) / 0.010) ** 2)
    result: Double = (forehead + 1.6 * nose + 0.6 * chin) * step(0.05, 0.08, z)
    return result


def _with_lips(
    color: Double, points: Double, normals: Double, region: Mapping[str, Double], mottle: Double
) -> Double:
    x, y, _ = points.T
    lip = region["lips"]
    # The red fades into the skin, softest along the upper border, deeper in the middle.
    amount = step(0.22, 0.98, lip + 0.05 * mottle) ** 1.25
    crease = np.sin(2 * np.pi * x / 0.0021 + 1.6 * np.sin(x / 0.0031) + 0.9 * mottle)
    crease = crease * (0.6 + 0.4 * noise(points, 0.004, 6))
    middle = np.exp(-((x / 0.016) ** 2))
    upper = step(-0.0515, -0.0485, y)
    tone = _LIPS * (1 + (0.030 * crease + 0.05 * mottle - 0.05 * upper)[:, None])
    color = _mix(color, tone, (0.58 + 0.20 * middle) * amount)
    slit = step(0.35, 0.95, region["inner_lips"])
    color = _mix(color, _LIP_LINE, 0.70 * slit)
    corner = np.exp(-(((np.abs(x) - 0.0238) / 0.0030) ** 2) - ((y + 0.0506) / 0.0022) ** 2)
    color = _mix(
        color, np.array([0.58, 0.36, 0.32]), 0.75 * corner * step(0.08, 0.09, points[:, 2])
    )
    inward = step(0.1, -0.5, normals[:, 2]) * step(0.2, 0.6, region["inner_lips"])
    return _mix(color, _CAVITY, inward)


def mouth_interior(points: Double) -> Double:
    """(N, 3) the inside of cheeks, palate and throat: darker the farther back."""
    back = step(0.090, 0.050, points[:, 2])
    color = _mix(np.broadcast_to(_CAVITY, points.shape), _CAVITY * 0.05, back)
    return color * (1 + 0.05 * noise(points, 0.006, 5)[:, None])


def _mix(first: Double, second: Double, amount: Double) -> Double:
    """(N, 3) from ``first`` to ``second`` by ``amount`` (N,)."""
    result: Double = first + (second - first) * amount[:, None]
    return result
