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


@pytest.fixture
def renderer(blender, addon):
    """The add-on's ``rendering.splats.renderer``; from 5.2 on Blender has a GPU context for it."""
    import gpu

    if not hasattr(gpu, "init"):
        pytest.skip("This Blender has no GPU context in the background")
    try:
        gpu.init()
        gpu.types.GPUOffScreen(8, 8)
    except Exception as error:  # noqa: BLE001 - whatever it lacks
        pytest.skip(f"No GPU context: {error}")
    return addon("rendering.splats.renderer")
