# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers and texts that come from outside: checked once, and named when they are wrong."""

from __future__ import annotations

import contextlib
import math
import reprlib
from typing import Any

from .errors import BadInputError

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother, _SHORT.maxlong = 2, 60, 60, 30


def shown(value: Any) -> str:
    """A value from outside for an error message: at most about 60 characters, on one line."""
    text = _SHORT.repr(value)
    return text if len(text) <= 63 else f"{text[:60]}…"


def check_range(
    name: str, value: Any, low: float = -math.inf, high: float = math.inf, hint: str = ""
) -> float:
    """A finite number within ``[low, high]`` as float.

    Args:
        name: what it is, as the message starts.
        value: anything.
        low: the lowest that is allowed.
        high: the highest that is allowed.
        hint: the remedy.

    Raises:
        BadInputError: no number, NaN, infinite, or outside; names it and the range.
    """
    bounded = math.isfinite(low) or math.isfinite(high)
    expected = f"a number from {low:g} to {high:g}" if bounded else "a finite number"
    number = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            number = float(value)
    if not (math.isfinite(number) and low <= number <= high):
        raise BadInputError(f"{name} must be {expected}, not {shown(value)}.", hint)
    return number
