# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars in Blender: F12, viewport and compositing over a main scene."""

from __future__ import annotations

from .engine import GaussianSpeechRenderEngine
from .panel_compat import hide_panels, show_panels

CLASSES: tuple[type, ...] = (GaussianSpeechRenderEngine,)


def register() -> None:
    """Let Blender's camera and output panels show for this engine."""
    show_panels()


def unregister() -> None:
    """Take the engine from Blender's panels again."""
    hide_panels()
