# SPDX-License-Identifier: GPL-3.0-or-later
"""Object > GaussianSpeech in the 3D view: everything by its verb, where F3 finds it."""

from __future__ import annotations

from typing import ClassVar

import bpy


class _Entries:
    """What the menus of a domain share: the operators that they list.

    Operators of other sub-packages are named, for those import this one.
    """

    operators: ClassVar[tuple[str, ...]]

    def draw(self, _context: bpy.types.Context) -> None:
        """Draw them."""
        # As their buttons do: what asks first, asks; a file dialog opens.
        self.layout.operator_context = "INVOKE_DEFAULT"
        for name in self.operators:
            self.layout.operator(f"gaussianspeech.{name}")


class GAUSSIANSPEECH_MT_characters(_Entries, bpy.types.Menu):
    """Heads and characters."""

    bl_idname = "GAUSSIANSPEECH_MT_characters"
    bl_label = "Character"
    operators = (
        *(
            "add_head",
            "open_head",
            "add_person",
            "open_person",
            "person_from_video",
            "use_character",
            "propose_mapping",
            "load_mapping",
        ),
        *("save_mapping", "add_mapping_preset", "forget_character"),
    )


class GAUSSIANSPEECH_MT_speech(_Entries, bpy.types.Menu):
    """Lines and what they say."""

    bl_idname = "GAUSSIANSPEECH_MT_speech"
    bl_label = "Speech"
    operators = (
        *("import_sound", "add_line", "predict", "update_line", "update_lines", "rebake"),
        *("edit_line", "duplicate_line", "remove_line", "recognize_again"),
        *("lines_from_strips", "open_folder", "texts_from_script"),
        *("show_words", "show_phones", "hide_timeline", "hold_closed", "phrase_strength"),
        *("remove_span", "live", "live_record", "live_stop"),
    )


class GAUSSIANSPEECH_MT_avatars(_Entries, bpy.types.Menu):
    """Avatars and how they are rendered."""

    bl_idname = "GAUSSIANSPEECH_MT_avatars"
    bl_label = "Avatar"
    operators = (
        *("bind_avatar", "open_avatar", "save_avatar", "unbind_avatar", "portrait_camera"),
        *("set_up_composite", "remove_composite", "render_avatars", "viewport_render"),
    )


class GAUSSIANSPEECH_MT_files(_Entries, bpy.types.Menu):
    """Motion out and in."""

    bl_idname = "GAUSSIANSPEECH_MT_files"
    bl_label = "Motion Files"
    operators = ("export", "import_motion", "load_poses", "import_poses")


class GAUSSIANSPEECH_MT_engine(_Entries, bpy.types.Menu):
    """The engine."""

    bl_idname = "GAUSSIANSPEECH_MT_engine"
    bl_label = "Engine"
    operators = (
        *("set_up_engine", "cancel_set_up", "remove_engine", "check_engine", "restart_engine"),
        *("doctor", "copy_report", "copy_install_command", "open_log", "open_set_up_log"),
        *("open_documentation", "report_problem", "cancel", "dismiss"),
    )


_SECTIONS = (
    GAUSSIANSPEECH_MT_characters,
    GAUSSIANSPEECH_MT_speech,
    GAUSSIANSPEECH_MT_avatars,
    GAUSSIANSPEECH_MT_files,
    GAUSSIANSPEECH_MT_engine,
)


class GAUSSIANSPEECH_MT_main(bpy.types.Menu):
    """Object > GaussianSpeech."""

    bl_idname = "GAUSSIANSPEECH_MT_main"
    bl_label = "GaussianSpeech"

    def draw(self, _context: bpy.types.Context) -> None:
        """Draw a menu for each domain."""
        for section in _SECTIONS:
            self.layout.menu(section.bl_idname)


CLASSES: tuple[type, ...] = (*_SECTIONS, GAUSSIANSPEECH_MT_main)

_MENUS = ("VIEW3D_MT_object", "VIEW3D_MT_pose")


def _draw_entry(self: bpy.types.Menu, _context: bpy.types.Context) -> None:
    self.layout.separator()
    self.layout.menu(GAUSSIANSPEECH_MT_main.bl_idname)


def register() -> None:
    """Add the entries."""
    for name in _MENUS:
        getattr(bpy.types, name).append(_draw_entry)


def unregister() -> None:
    """Remove them."""
    for name in _MENUS:
        getattr(bpy.types, name).remove(_draw_entry)
