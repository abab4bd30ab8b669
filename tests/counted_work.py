# SPDX-License-Identifier: GPL-3.0-or-later
"""How much work something is, in calls of functions: the same on every machine, however busy."""

from __future__ import annotations

import math
import sys


def calls_of(work, most=math.inf):
    """The number of calls, of Python's functions and of C's, that some work makes in this thread.

    Args:
        work: called.
        most: calls with which it is broken off, and the test fails.
    """
    count = 0

    def note(_frame, event, _function):
        nonlocal count
        count += event in ("call", "c_call")
        assert count <= most, f"more than {most:,.0f} calls"

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    assert count <= most, f"more than {most:,.0f} calls"  # Where the work caught the first.
    return count
