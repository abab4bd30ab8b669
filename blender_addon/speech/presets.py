# SPDX-License-Identifier: GPL-3.0-or-later
"""Presets of the controls, as Blender's own: files in ``presets/gaussianspeech/controls``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bl_operators.presets import AddPresetBase
from bl_ui.utils import PresetPanel

from ...engine.core.assignments import read_assignments
from ...engine.core.errors import BadInputError
from ..characters.polls import OfSpeaker
from ..characters.properties import require_speaker
from ..status import ReportMixin, is_scripted
from .keyed import CONTROLS
from .lines import active_line, controls_of
from .rebake import changed_together

SUBDIR = "gaussianspeech/controls"
_SHIPPED = str(Path(__file__).parents[1])
"""Folder of the ``presets`` that come with the add-on."""
_CONTROLS = "gaussianspeech_controls"
"""Member of the context that presets read and set."""
_IN_PRESETS = [name for name in CONTROLS if name != "offset"]


def _active_controls(context: bpy.types.Context) -> Any:
    """The controls that the panel shows.

    Raises:
        BadInputError: nobody who speaks is selected.
    """
    obj = require_speaker(context)
    line = active_line(obj)
    return obj.gaussianspeech_speech if line is None else controls_of(obj, line)


class GAUSSIANSPEECH_PT_controls_presets(PresetPanel, bpy.types.Panel):
    """Presets of the controls."""

    bl_idname = "GAUSSIANSPEECH_PT_controls_presets"
    bl_space_type = "VIEW_3D"
    bl_region_type = "HEADER"
    bl_label = "Speech Presets"
    preset_subdir = SUBDIR
    preset_operator = "gaussianspeech.apply_preset"
    preset_add_operator = "gaussianspeech.add_preset"


class GAUSSIANSPEECH_OT_add_preset(OfSpeaker, AddPresetBase, bpy.types.Operator):
    """Save the controls of speech as a preset, or remove one of your own."""

    bl_idname = "gaussianspeech.add_preset"
    bl_label = "Add Speech Preset"
    bl_description = "Save the controls of speech as a preset, or remove one of your own"
    bl_options = {"REGISTER"}
    preset_menu = GAUSSIANSPEECH_PT_controls_presets.bl_idname
    preset_subdir = SUBDIR
    preset_defines = (f"controls = bpy.context.{_CONTROLS}",)
    preset_values = tuple(f"controls.{name}" for name in _IN_PRESETS)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Save or remove."""
        panel = GAUSSIANSPEECH_PT_controls_presets
        label = panel.bl_label
        try:
            with context.temp_override(**{_CONTROLS: _active_controls(context)}):
                return super().execute(context)
        finally:
            panel.bl_label = label  # Blender's own presets name a menu after the last one.


class GAUSSIANSPEECH_OT_apply_preset(OfSpeaker, ReportMixin, bpy.types.Operator):
    """Set the controls of speech to a preset, and bake once."""

    bl_idname = "gaussianspeech.apply_preset"
    bl_label = "Apply Speech Preset"
    bl_description = "Set the controls of speech to a preset, and bake again"
    bl_options = {"REGISTER", "UNDO"}

    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    menu_idname: bpy.props.StringProperty(options={"SKIP_SAVE", "HIDDEN"})

    def run(self, context: bpy.types.Context) -> str:
        """Set what the preset's file says; nothing in it is run."""
        path = Path(self.filepath)
        if not path.is_file():
            raise BadInputError(f"There is no preset {path}.", "Choose another.")
        values = read_assignments(path, "controls", _IN_PRESETS)
        controls = _active_controls(context)
        with changed_together(controls, context, at_once=is_scripted(self)):
            for name, value in values.items():
                try:
                    setattr(controls, name, value)
                except (TypeError, ValueError, OverflowError) as error:
                    raise BadInputError(
                        f"The preset {path} cannot be used: {error}.",
                        "Save it again, or remove it.",
                    ) from error
        return f"Applied '{bpy.path.display_name(path.name, title_case=False)}'"


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_PT_controls_presets,
    GAUSSIANSPEECH_OT_add_preset,
    GAUSSIANSPEECH_OT_apply_preset,
)


def register() -> None:
    """Let Blender find the presets that come with the add-on."""
    bpy.utils.register_preset_path(_SHIPPED)


def unregister() -> None:
    """Leave them out again."""
    bpy.utils.unregister_preset_path(_SHIPPED)
