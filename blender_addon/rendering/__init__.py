# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars in Blender: F12, viewport and compositing over a main scene."""

from __future__ import annotations

from . import (
    avatar_scene,
    main_loop,
    ops,
    overlay,
    panel,
    panel_compat,
    pass_times,
    properties,
    viewport,
    viewport_render,
)
from .engine import GaussianSpeechRenderEngine
from .light import panel as light_panel
from .light import properties as light_properties

CLASSES: tuple[type, ...] = (
    *properties.CLASSES,
    *light_properties.CLASSES,
    GaussianSpeechRenderEngine,
    *ops.CLASSES,
    *viewport_render.CLASSES,
    *panel.CLASSES,
    *light_panel.CLASSES,
)


def register() -> None:
    """Attach properties and handlers, and let Blender's camera and output panels show."""
    properties.register()
    light_properties.register()
    avatar_scene.register()
    main_loop.register()
    pass_times.register()
    overlay.register()
    panel_compat.show_panels()


def unregister() -> None:
    """Undo :func:`register`."""
    overlay.unregister()
    viewport.unregister()
    panel_compat.hide_panels()
    pass_times.unregister()
    main_loop.unregister()
    avatar_scene.unregister()
    light_properties.unregister()
    properties.unregister()
