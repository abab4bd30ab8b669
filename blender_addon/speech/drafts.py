# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions in the making: copies that nothing plays, which take the place of the first when whole.

A copy has all that an artist has put on the Action, such as markers and the colours of groups.
Nothing uses it until then, so that it is not saved, and undo may bring it back as it was at a step
of anything else: whatever is left of drafts is removed then.
"""

from __future__ import annotations

import bpy

from .. import compat
from . import nla

_DRAFT = "gaussianspeech_draft"
"""Custom property of an Action in the making."""
_NAME = ".GaussianSpeech Draft"
"""Blender's lists leave out names that begin with a dot."""
_MARKS = (nla.LINE, nla.EDITS)
"""Custom properties by which a line's Actions are known: a draft is none of them yet."""


def draft_of(
    action: bpy.types.Action | None, datablock: bpy.types.ID, *, in_place: bool
) -> bpy.types.Action:
    """An Action to fill in the place of another; new where there is none.

    Args:
        action: to be replaced.
        datablock: of a kind that it is for.
        in_place: give the Action itself: all of it is filled before anybody sees it.
    """
    if action is not None and in_place:
        return action
    draft = compat.new_action(_NAME, datablock) if action is None else action.copy()
    draft.name, draft[_DRAFT] = _NAME, True
    for mark in _MARKS:
        draft.pop(mark, None)
    return draft


def put(draft: bpy.types.Action, old: bpy.types.Action | None, name: str) -> bpy.types.Action:
    """Let everything that plays an Action play its draft, which then is that Action.

    Args:
        draft: of :func:`draft_of`.
        old: what it was made of.
        name: of a new one.
    """
    if draft == old:
        return draft
    draft.pop(_DRAFT, None)
    if old is None:
        draft.name = name
        return draft
    name = old.name
    draft.use_fake_user, old.use_fake_user = old.use_fake_user, False
    for mark in _MARKS:
        if mark in old:
            draft[mark] = old[mark]
    old.user_remap(draft)
    bpy.data.actions.remove(old)
    draft.name = name
    return draft


def is_draft(action: bpy.types.Action) -> bool:
    """Whether an Action is in the making."""
    return _DRAFT in action


def discard(draft: bpy.types.Action) -> None:
    """Remove a draft that is not needed any more."""
    try:
        unfinished = is_draft(draft)
    except ReferenceError:  # Somebody purged what nothing uses.
        return
    if unfinished:
        bpy.data.actions.remove(draft)


def discard_all() -> None:
    """Remove what is left of drafts."""
    for action in [action for action in bpy.data.actions if is_draft(action)]:
        bpy.data.actions.remove(action)
