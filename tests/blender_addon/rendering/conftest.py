# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from tests.blender_addon.rendering.disc_engine import DiscEngine


@pytest.fixture
def disc(addon, monkeypatch):
    """The engine that F12 asks instead of a process."""
    engine = DiscEngine()
    monkeypatch.setattr(addon("rendering.engine"), "get_engine", lambda _context: engine)
    return engine
