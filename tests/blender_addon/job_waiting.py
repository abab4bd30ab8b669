# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of jobs wait for and ask."""

from __future__ import annotations

import time

import pytest

PATIENCE = 240


@pytest.fixture
def watcher(addon):
    return addon("jobs.session").watcher


def until(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
