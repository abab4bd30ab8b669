# SPDX-License-Identifier: GPL-3.0-or-later
"""The entries of File > Export, File > Import and of the Head section."""

from __future__ import annotations

import bpy

from ..heads.panel import GAUSSIANSPEECH_PT_head
from ..heads.properties import active_head
from .formats import FORMATS
from .import_ops import (
    GAUSSIANSPEECH_OT_import_motion,
    GAUSSIANSPEECH_OT_import_poses,
    GAUSSIANSPEECH_OT_load_poses,
    has_poses,
)
from .ops import GAUSSIANSPEECH_OT_export


def _draw_export(self: bpy.types.Menu, _context: bpy.types.Context) -> None:
    suffixes = sorted({form.suffix.rpartition(".")[2] for form in FORMATS.values()})
    shown = "/".join(f".{suffix}" for suffix in suffixes)
    self.layout.operator(GAUSSIANSPEECH_OT_export.bl_idname, text=f"Speech Animation ({shown})")


def _draw_import(self: bpy.types.Menu, _context: bpy.types.Context) -> None:
    text = "Face Motion (.csv/.json/.npz)"
    self.layout.operator(GAUSSIANSPEECH_OT_import_motion.bl_idname, text=text)
    sound = "gaussianspeech.import_sound"
    self.layout.operator(sound, text="Sound to Speak (.wav/.flac/.mp3…)")


def _draw_in_head(self: bpy.types.Panel, context: bpy.types.Context) -> None:
    head = active_head(context)
    if head is None or not head.gaussianspeech_head.id.startswith("flame-"):
        return
    own = has_poses(head)
    row = self.layout.row(align=True)
    if own:
        row.operator(GAUSSIANSPEECH_OT_load_poses.bl_idname, icon="POSE_HLT")
    text = "" if own else "Import Poses…"
    row.operator(GAUSSIANSPEECH_OT_import_poses.bl_idname, text=text, icon="FILE_FOLDER")


_ENTRIES = (("TOPBAR_MT_file_export", _draw_export), ("TOPBAR_MT_file_import", _draw_import))


def register() -> None:
    """Add the entries."""
    for menu, draw in _ENTRIES:
        getattr(bpy.types, menu).append(draw)
    GAUSSIANSPEECH_PT_head.append(_draw_in_head)


def unregister() -> None:
    """Remove them."""
    GAUSSIANSPEECH_PT_head.remove(_draw_in_head)
    for menu, draw in _ENTRIES:
        getattr(bpy.types, menu).remove(draw)
