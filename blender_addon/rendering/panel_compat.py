# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's own panels that make sense for this engine: camera, output, film and others."""

from __future__ import annotations

import bpy

_ENGINE = "GAUSSIANSPEECH"

_EXCLUDED = frozenset(
    {
        "RENDER_PT_simplify",
        "RENDER_PT_gpencil",
        "RENDER_PT_grease_pencil",
        "RENDER_PT_freestyle",
        "VIEWLAYER_PT_filter",
        "VIEWLAYER_PT_layer_passes",
        "DATA_PT_EEVEE_light",
    }
)


def show_panels() -> None:
    """Let Blender's general panels show for this engine."""
    for panel in _general_panels():
        panel.COMPAT_ENGINES.add(_ENGINE)


def hide_panels() -> None:
    """Undo :func:`show_panels`."""
    for panel in bpy.types.Panel.__subclasses__():
        if hasattr(panel, "COMPAT_ENGINES"):
            panel.COMPAT_ENGINES.discard(_ENGINE)


def _general_panels() -> list[type]:
    # Blender's documentation names this rule: what the built-in engine shows, an engine may show.
    return [
        panel
        for panel in bpy.types.Panel.__subclasses__()
        if "BLENDER_RENDER" in getattr(panel, "COMPAT_ENGINES", ())
        and panel.__name__ not in _EXCLUDED
    ]
