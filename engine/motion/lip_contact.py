# SPDX-License-Identifier: GPL-3.0-or-later
"""Lips that meet exactly: closures fitted to the head at hand.

The rules shut the lips with ``mouthClose`` as large as ``jawOpen``. What else the face does at that
moment (a pucker, a smile, the press itself) still moves the lips a millimetre apart or into each
other, differently on each head. Offsets are linear in the weights, so the weight of ``mouthClose``
at which the lips just touch has a closed form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.motion.arkit import ARKIT_NAMES, COLUMN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from engine.heads.head import Head
    from engine.motion.rules.coarticulation import Array

_MOST = 0.15
"""Largest correction of mouthClose; a head that needs more closes its lips some other way."""
_LEAST_GAIN = 0.002
"""Metres by which mouthClose must close a part of the slit to have a say there."""


def sealed(curves: NDArray[np.float32], shut: Array, head: Head) -> NDArray[np.float32]:
    """Curves whose closures neither gape nor let the lips sink into each other.

    In a complete closure no pair of the inner lips stays apart and at least one just touches;
    elsewhere the correction fades with the closure.

    Args:
        curves: (T, 52) columns as :data:`engine.motion.arkit.ARKIT_NAMES`.
        shut: (T,) how far the lips are meant to be shut, 0 to 1.
        head: who speaks; without the landmarks of the inner lips or without ``mouthClose`` the
            curves come back as they are.
    """
    gains = _gains(head)
    if gains is None:
        return curves
    closing = -gains[COLUMN["mouthClose"]]
    pairs = closing > _LEAST_GAIN
    frames = np.flatnonzero(shut > 0.0)
    if not pairs.any() or len(frames) == 0:
        return curves
    weights = curves[frames].astype(np.float64)
    weights[:, COLUMN["mouthClose"]] = weights[:, COLUMN["jawOpen"]]
    apart = weights @ gains[:, pairs]
    more = np.clip((apart / closing[pairs]).max(axis=1), -_MOST, _MOST) * shut[frames] ** 2
    result = curves.copy()
    column = result[:, COLUMN["mouthClose"]]
    column[frames] = np.clip(column[frames] + more, 0.0, 1.0)
    return result


def _gains(head: Head) -> Array | None:
    """(52, P) metres by which each expression parts the inner lips."""
    upper = head.landmarks.get("inner_lip_upper")
    lower = head.landmarks.get("inner_lip_lower")
    if upper is None or lower is None or "mouthClose" not in head.expression_names:
        return None
    gains = np.zeros((len(ARKIT_NAMES), len(upper)))
    for row, name in enumerate(ARKIT_NAMES):
        if name in head.expression_names:
            offsets = head.expression_basis[head.expression_index(name)]
            gains[row] = offsets[upper, 1].astype(np.float64) - offsets[lower, 1]
    return gains
