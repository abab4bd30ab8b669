# SPDX-License-Identifier: GPL-3.0-or-later
"""How long tests of jobs wait."""

from __future__ import annotations

import time

PATIENCE = 240


def until(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
