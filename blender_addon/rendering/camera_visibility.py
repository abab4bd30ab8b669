# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads of a composite, hidden from the main scene's camera while it is rendered, and only then.

Composites of earlier versions hid them for good and kept a note of how they were before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import bpy

_hidden: list[bpy.types.Object] = []
"""Heads that the render under way hides and that were visible before."""


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
            _hidden.append(head)


def is_hidden_by_artist(head: bpy.types.Object) -> bool:
    """Whether cameras do not see a head when no render hides it."""
    return not head.visible_camera and head not in _hidden


def show() -> None:
    """Let cameras see again what :func:`hide` hid."""
    while _hidden:
        head = _hidden.pop()
        try:
            head.visible_camera = True
        except ReferenceError:  # Removed meanwhile.
            continue


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
