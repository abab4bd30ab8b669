# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads of a composite, hidden from the main scene's camera while it is rendered, and only then.

Composites of earlier versions hid them for good and kept a note of how they were before. A file
that is saved while it renders has them hidden, and so have those into which they are appended.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import bpy
from bpy.app.handlers import persistent

from ..heads.properties import is_head

_hidden: list[bpy.types.Object] = []
"""Heads that the render under way hides and that were visible before."""
_known = SimpleNamespace(objects=0)
"""How many objects the file had when it was last looked through."""


class GAUSSIANSPEECH_PG_hidden_head(bpy.types.PropertyGroup):
    """A head that a composite of an earlier version hides from camera rays."""

    head: bpy.props.PointerProperty(name="Head", type=bpy.types.Object)
    visible: bpy.props.BoolProperty(
        name="Visible", description="Whether the head was visible to cameras before"
    )


def hide(heads: Iterable[bpy.types.Object]) -> None:
    """Hide heads from camera rays until :func:`show`; shadows and reflections stay."""
    for head in heads:
        if head.visible_camera:
            head.visible_camera = False
            head.gaussianspeech_head.camera_visibility = "RENDER"
            _hidden.append(head)


def is_hidden_by_artist(head: bpy.types.Object) -> bool:
    """Whether cameras do not see a head when no render hides it."""
    return not head.visible_camera and head not in _hidden


def show() -> None:
    """Let cameras see again what :func:`hide` hid."""
    while _hidden:
        head = _hidden.pop()
        try:
            _show(head)
        except ReferenceError:  # Removed meanwhile.
            continue


def show_left_hidden(*, opened: bool) -> None:
    """Show the heads that a composite has left hidden in the file that they are from.

    A linked head is as its file has it; an override of it is shown.

    Args:
        opened: whether the file was opened this moment: what a composite of 0.1.0 hid in it,
            :func:`show_hidden_before` has shown, and the artist hid the others.
    """
    _known.objects = len(bpy.data.objects)
    for obj in bpy.data.objects:
        if obj.type != "MESH" or obj.library is not None or not is_head(obj):
            continue
        chosen_by = obj.gaussianspeech_head.camera_visibility
        if chosen_by == "UNKNOWN" and opened and obj.override_library is None:
            obj.gaussianspeech_head.camera_visibility = "ARTIST"
        elif chosen_by == "UNKNOWN" or (chosen_by == "RENDER" and obj not in _hidden):
            _show(obj)


def show_arrived() -> None:
    """:func:`show_left_hidden` where there are other objects than when it was last called."""
    if len(bpy.data.objects) != _known.objects:
        show_left_hidden(opened=False)


@persistent
def show_restored(*_args: object) -> None:
    """:func:`show_left_hidden` after undo and redo, which restore heads as they were appended."""
    show_left_hidden(opened=False)


def _show(head: bpy.types.Object) -> None:
    head.visible_camera = True
    head.gaussianspeech_head.camera_visibility = "ARTIST"


def show_hidden_before(composite: Any) -> None:
    """Show the heads that an earlier version's composite hid; 0.1.0 kept no note of them.

    Args:
        composite: the properties of the main scene.
    """
    for entry in composite.hidden_heads:
        if entry.head is not None and entry.visible:
            entry.head.visible_camera = True
    composite.hidden_heads.clear()
    if composite.keeps_visibility:
        return
    composite.keeps_visibility = True
    objects = composite.avatar_scene.collection.objects if composite.avatar_scene else ()
    for obj in objects:
        if obj.type == "MESH":
            obj.visible_camera = True
