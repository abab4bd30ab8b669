# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures: a head before a bright wall, and a bar before the head."""

from __future__ import annotations

import pytest

from tests.blender_addon.rendering.disc_engine import DiscEngine


@pytest.fixture
def blurred(blender):
    """The scene's parts; they need Blender."""
    from tests.blender_addon.rendering import blurred_scene

    return blurred_scene


@pytest.fixture
def rendered(blurred):
    """Render a scene."""
    return blurred.rendered


@pytest.fixture
def scene(blender, addon, blurred, monkeypatch):
    """A head before a bright wall."""
    monkeypatch.setattr(addon("rendering.engine"), "get_engine", lambda _context: DiscEngine())
    blurred.build(blender.context.scene)
    return blender.context.scene


@pytest.fixture
def bar(scene, blurred):
    """A dark bar before the face."""
    return blurred.add_bar()
