# SPDX-License-Identifier: GPL-3.0-or-later
"""LSE-D and LSE-C (Prajwal et al. 2020): how well mouth and sound agree, by SyncNet's embeddings.

Each window of pictures is compared with the sound at every offset within ±15 frames, and the
distances are averaged over the clip. LSE-D is the smallest mean distance, LSE-C how far it lies
under the median over the offsets; the offset of the smallest is that between mouth and sound.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import BadInputError

REACH = 15
"""Frames of offset looked at on both sides."""

_EPSILON = 1e-6
"""Added to differences, as torch's pairwise distance does."""


class SyncError(NamedTuple):
    """Agreement of mouth and sound.

    Attributes:
        distance: LSE-D; lower is better.
        confidence: LSE-C; higher is better.
        offset: frames at 25 per second by which the mouth is later than the sound.
    """

    distance: float
    confidence: float
    offset: float


def sync_error(mouth: NDArray[np.floating[Any]], sound: NDArray[np.floating[Any]]) -> SyncError:
    """Compare embeddings.

    Args:
        mouth: (N, D) of the pictures, a window at each frame.
        sound: (N, D) of the sound at the same frames.

    Raises:
        BadInputError: other shapes, or no windows.
    """
    if mouth.shape != sound.shape or mouth.ndim != 2 or len(mouth) == 0:
        raise BadInputError(
            f"Embeddings of shape {mouth.shape} and {sound.shape} cannot be compared.",
            "Both must be (N, D), a row for each window of pictures.",
        )
    video, audio = mouth.astype(np.float64), sound.astype(np.float64)
    # Beyond the clip there is silence, whose embedding the field takes for 0.
    wide = np.pad(audio, ((REACH, REACH), (0, 0)))
    means = [
        np.linalg.norm(video - wide[shift : shift + len(video)] + _EPSILON, axis=1).mean()
        for shift in range(2 * REACH + 1)
    ]
    best = int(np.argmin(means))
    return SyncError(
        distance=float(means[best]),
        confidence=float(np.median(means) - means[best]),
        offset=float(REACH - best),
    )
