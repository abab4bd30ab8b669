# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest


@pytest.fixture
def watcher(addon):
    """What asks the engine for its jobs."""
    return addon("jobs.session").watcher
