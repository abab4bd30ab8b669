# SPDX-License-Identifier: GPL-3.0-or-later
"""Every difference between the Blender versions this add-on runs in, 4.2 to 5.2.

The rest of the add-on asks here instead of comparing versions. A section per area of Blender.
"""

from __future__ import annotations

from typing import Any

import bpy

# --- Build ---------------------------------------------------------------------------------------


def has_audio() -> bool:
    """Whether this Blender can load sounds (the PyPI module of 4.2 cannot)."""
    return bool(bpy.app.build_options.audaspace)


# --- Sequencer: "sequences" and frame_* before 5.0, "strips" and handles after --------------------


def sequencer_scene(context: bpy.types.Context) -> bpy.types.Scene:
    """The scene whose sequencer the user works in: from 5.0 it need not be the active scene."""
    return getattr(context, "sequencer_scene", None) or context.scene


def strips(editor: bpy.types.SequenceEditor) -> Any:
    """The top-level strips, to add to."""
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def all_strips(editor: bpy.types.SequenceEditor) -> Any:
    """All strips, inside meta strips too."""
    return editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all


def strip_content_start(strip: Any) -> float:
    """Scene frame at which the strip's untrimmed content would begin."""
    return float(strip.content_start if hasattr(strip, "content_start") else strip.frame_start)


def strip_range(strip: Any) -> tuple[int, int]:
    """First scene frame at which the strip plays, and the one after the last."""
    if hasattr(strip, "left_handle"):
        return int(strip.left_handle), int(strip.right_handle)
    return int(strip.frame_final_start), int(strip.frame_final_end)


def set_strip_handles(strip: Any, left: int, right: int) -> None:
    """Trim the strip to the scene frames ``left`` to ``right`` (exclusive)."""
    if hasattr(strip, "left_handle"):
        strip.left_handle, strip.right_handle = left, right
    else:
        strip.frame_final_start, strip.frame_final_end = left, right


# --- Actions: channels hang on the action in 4.2, on a slot from 4.4 ------------------------------


def assign_action(datablock: bpy.types.ID, action: bpy.types.Action) -> None:
    """Make ``action`` the active one of ``datablock``, in its own slot where there are slots."""
    animation = datablock.animation_data or datablock.animation_data_create()
    animation.action = action
    if hasattr(action, "slots") and animation.action_slot is None:
        animation.action_slot = action.slots.new(datablock.id_type, datablock.name)


def new_fcurve(
    action: bpy.types.Action, datablock: bpy.types.ID, data_path: str
) -> bpy.types.FCurve:
    """The channel of ``data_path`` in ``action``, made where there is none.

    The action must be assigned to ``datablock`` already.
    """
    if hasattr(action, "fcurve_ensure_for_datablock"):
        return action.fcurve_ensure_for_datablock(datablock, data_path)
    if hasattr(action, "fcurves"):
        return action.fcurves.find(data_path) or action.fcurves.new(data_path)
    raise AttributeError("This Blender has no known way to add a channel to an action.")


def fcurves(action: bpy.types.Action) -> list[bpy.types.FCurve]:
    """All channels of an action, of every slot."""
    if hasattr(action, "layers"):
        return [
            curve
            for layer in action.layers
            for strip in layer.strips
            for bag in strip.channelbags
            for curve in bag.fcurves
        ]
    return list(action.fcurves)


# --- Compositor ----------------------------------------------------------------------------------


# --- Render --------------------------------------------------------------------------------------
