# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads of a composite, hidden from the main scene's camera as long as they show an avatar.

What a head was before is kept beside the composite, not on the head, which may be linked data.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import bpy


class GAUSSIANSPEECH_PG_hidden_head(bpy.types.PropertyGroup):
    """A head that the composite hides from camera rays."""

    head: bpy.props.PointerProperty(name="Head", type=bpy.types.Object)
    visible: bpy.props.BoolProperty(
        name="Visible", description="Whether the head was visible to cameras before"
    )


def hide_from_camera(composite: Any, heads: Collection[bpy.types.Object]) -> None:
    """Hide these heads and no others; those that need not be hidden any more are as before.

    Args:
        composite: the properties of the main scene.
        heads: that show an avatar in its avatar scene.
    """
    _adopt(composite)
    hidden = composite.hidden_heads
    for index in reversed(range(len(hidden))):
        head = hidden[index].head
        if head is None or head not in heads:
            # Somebody who has shown it meanwhile wants it so.
            if head is not None and hidden[index].visible and not head.visible_camera:
                head.visible_camera = True
            hidden.remove(index)
    known = [entry.head for entry in hidden]
    for head in heads:
        if head not in known:
            entry = hidden.add()
            entry.head, entry.visible = head, head.visible_camera
        if head.visible_camera:
            head.visible_camera = False


def _adopt(composite: Any) -> None:
    """Take over the heads that a file of 0.1.0 hides: it kept no note, and they were visible."""
    if composite.keeps_visibility:
        return
    composite.keeps_visibility = True
    objects = composite.avatar_scene.collection.objects if composite.avatar_scene else ()
    for obj in objects:
        if obj.type == "MESH" and not obj.visible_camera:
            entry = composite.hidden_heads.add()
            entry.head, entry.visible = obj, True
