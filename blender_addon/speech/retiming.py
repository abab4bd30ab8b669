# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines stay in sync when a scene's rate changes: their strips are placed and scaled anew.

Where a strip lies follows from its sound and the rate alone, so that undo and redo of the change
come to the same.
"""

from __future__ import annotations

import bpy
from bpy.app.handlers import persistent

from ..engine_link.background import redraw_sidebars
from . import lines, nla
from .scene_time import time_remapping
from .sound import scene_fps

_rates: dict[str, tuple[float, float]] = {}
"""Frames per second and time remapping of each scene, as the lines were placed for last."""


def place_line(context: bpy.types.Context, line: bpy.types.PropertyGroup) -> None:
    """Move a predicted line, with what an artist has edited in it, to where its sound plays."""
    span = lines.span_of(context, line)
    for datablock in lines.datablocks_of(line.id_data):
        for mark in (nla.LINE, nla.EDITS):
            action = nla.line_action(datablock, line.id, mark)
            if action is not None:
                nla.place(datablock, action, span, line.name)


def place_lines(context: bpy.types.Context) -> None:
    """Move all predicted lines to where their sounds play."""
    for obj in bpy.data.objects:
        for line in obj.gaussianspeech_lines:
            if line.predicted and lines.line_action(obj, line) is not None:
                place_line(context, line)


def _now() -> dict[str, tuple[float, float]]:
    return {scene.name: (scene_fps(scene), time_remapping(scene)) for scene in bpy.data.scenes}


@persistent
def _on_update(_scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
    global _rates  # noqa: PLW0603 - one file per Blender
    if depsgraph.id_type_updated("SCENE"):
        # A strip may have been moved or trimmed: the list of lines shows what is out of date.
        redraw_sidebars(bpy.context)
    now = _now()
    if now == _rates:
        return
    # A new or renamed scene has no rate before this one.
    changed = any(_rates.get(name, rate) != rate for name, rate in now.items())
    _rates = now
    if changed:
        place_lines(bpy.context)


@persistent
def _on_load(_file: str) -> None:
    global _rates  # noqa: PLW0603 - one file per Blender
    _rates = _now()


def register() -> None:
    """Watch the frame rates."""
    bpy.app.handlers.depsgraph_update_post.append(_on_update)
    bpy.app.handlers.load_post.append(_on_load)


def unregister() -> None:
    """Watch them no more."""
    bpy.app.handlers.load_post.remove(_on_load)
    bpy.app.handlers.depsgraph_update_post.remove(_on_update)
