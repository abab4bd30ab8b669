# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frame of a performance stands for the whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.heads.head import Head
from engine.motion.performance import Performance

_EYES_OPEN = 0.15
"""Largest blink weight of a frame that may be chosen."""


def poster_frame(performance: Performance, head: Head) -> int:
    """The frame with the widest open mouth among those with open eyes.

    Args:
        performance: what the head does.
        head: the head it was made for; its inner-lip landmarks measure the mouth.

    Returns:
        Index of a frame; the middle one where the head has no landmarks.
    """
    upper, lower = (head.landmarks.get(f"inner_lip_{side}") for side in ("upper", "lower"))
    if upper is None or lower is None or not len(upper):
        return performance.frames // 2
    gaps = np.concatenate(
        [
            np.linalg.norm(
                (head.template[upper] + chunk[:, upper]) - (head.template[lower] + chunk[:, lower]),
                axis=-1,
            ).mean(-1)
            for _, chunk in performance.offset_chunks()
        ]
    )
    return int(np.argmax(np.where(_blinks(performance) < _EYES_OPEN, gaps, -1.0)))


def _blinks(performance: Performance) -> NDArray[np.float32]:
    columns = [i for i, name in enumerate(performance.expression_names) if "Blink" in name]
    if not columns:
        return np.zeros(performance.frames, np.float32)
    largest: NDArray[np.float32] = performance.expression[:, columns].max(-1)
    return largest
