# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes of pictures as they are written: ``WIDTHxHEIGHT``."""

from __future__ import annotations

from engine.core.errors import BadInputError


def picture_size(size: str) -> tuple[int, int]:
    """Width and height in pixels of a text such as ``720x720``.

    Raises:
        BadInputError: it is no size, or outside 16 to 8192 pixels.
    """
    width, cross, height = size.lower().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise BadInputError(f"The size {size!r} is not WIDTHxHEIGHT.", "For example 720x720.")
    if not (len(width + height) <= 8 and 16 <= int(width) <= 8192 and 16 <= int(height) <= 8192):
        raise BadInputError(
            f"The size {size} is outside 16 to 8192 pixels.", "Choose a usual size."
        )
    return int(width), int(height)
