# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames and seconds: the one place where a duration becomes a number of frames."""

from __future__ import annotations

from .errors import BadInputError

MIN_FPS = 12.0
MAX_FPS = 120.0


def frame_count(duration: float, fps: float) -> int:
    """Frames of a clip: ``round(duration · fps)``, at least one.

    Args:
        duration: seconds, > 0.
        fps: frames per second; non-integer rates such as 24000/1001 are exact to float64.

    Raises:
        BadInputError: ``fps`` outside 12 to 120, or a duration that is not positive.
    """
    if not MIN_FPS <= fps <= MAX_FPS:
        raise BadInputError(
            f"{fps:g} frames per second is outside {MIN_FPS:g} to {MAX_FPS:g}.",
            "Choose a frame rate in that range, for example 24, 25, 23.976 or 60.",
        )
    if not duration > 0:
        raise BadInputError(f"A clip of {duration:g} s has no frames.", "Give a longer clip.")
    return max(1, round(duration * fps))
