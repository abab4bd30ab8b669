# SPDX-License-Identifier: GPL-3.0-or-later
"""The entries of File > Export and File > Import."""

from __future__ import annotations

import bpy

from .formats import FORMATS
from .import_ops import GAUSSIANSPEECH_OT_import_motion
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


_ENTRIES = (("TOPBAR_MT_file_export", _draw_export), ("TOPBAR_MT_file_import", _draw_import))


def register() -> None:
    """Add the entries."""
    for menu, draw in _ENTRIES:
        getattr(bpy.types, menu).append(draw)


def unregister() -> None:
    """Remove them."""
    for menu, draw in _ENTRIES:
        getattr(bpy.types, menu).remove(draw)
