# SPDX-License-Identifier: GPL-3.0-or-later
"""Works timed by turns, without what other programs took of the processor."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

Figure = tuple[str, str, float, str, str, float]
"""Name, what, value, unit, reference, value of the reference."""


def in_turn(works: list[Callable[[], object]], runs: int) -> list[float]:
    """Least milliseconds of each of some works, after one run of each for nothing."""
    least = [float("inf")] * len(works)
    for run in range(runs + 1):
        for index, work in enumerate(works):
            start, before = time.perf_counter(), waited()
            work()
            # Read before the clock: what is waited for between the two is not taken off.
            lost = waited() - before
            taken = 1e3 * (time.perf_counter() - start - lost)
            if run:
                least[index] = min(least[index], taken)
    return least


def waited() -> float:
    """Seconds for which this thread was ready and had no processor; 0 where nothing says so."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text("ascii").split()[1]) / 1e9
    except OSError:  # Linux alone has it, and not every kernel.
        return 0.0
