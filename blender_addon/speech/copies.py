# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of heads and characters: each gets lines, Actions and head motion of its own.

Blender copies an object with its lines and NLA strips, but the strips of both play the same Actions
and the lines have the same ids: what is baked on one would change the other. Objects that are
copied together, or appended, point at each other for parts (:mod:`..characters.properties`); here
the later one gets new ids, and copies of the Actions.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping

import bpy
from bpy.app.handlers import persistent

from .. import compat
from ..characters.properties import BEFORE_USE, character_objects
from ..characters.targets import animated_datablock
from ..heads.properties import is_head
from ..heads.rig import take_own_rig
from . import nla
from .action import copy_bake
from .correctives import share_correctives
from .head_motion import NAME, empty_of

_count = -1
"""Number of objects when copies were looked for last."""


def separate_copies() -> list[bpy.types.Object]:
    """Give copies of heads and characters an identity of their own.

    Returns:
        The copies.
    """
    first: dict[str, bpy.types.Object] = {}
    copies = []
    speakers = [obj for obj in bpy.data.objects if obj.library is None and obj.gaussianspeech_lines]
    # What was there first has the smaller number, also through undo.
    for obj in sorted(speakers, key=lambda speaker: speaker.session_uid):
        ids = [line.id for line in obj.gaussianspeech_lines]
        original = next((first[known] for known in ids if known in first), None)
        if original is not None and is_head(obj) and obj.data != original.data:
            take_own_rig(obj)
        if original is not None and not _shares_keys(obj, original):
            _separate(obj)
            copies.append(obj)
        for line in obj.gaussianspeech_lines:
            first.setdefault(line.id, obj)
    return copies


def _shares_keys(obj: bpy.types.Object, original: bpy.types.Object) -> bool:
    """Whether a linked copy moves with the original, whatever it says: their mesh is one."""
    own = {animated_datablock(part) for part in character_objects(obj)}
    return bool(own & {animated_datablock(part) for part in character_objects(original)} - {None})


def _separate(obj: bpy.types.Object) -> None:
    ids = {}
    for line in obj.gaussianspeech_lines:
        ids[line.id] = line.id = uuid.uuid4().hex
    _own_empty(obj)
    datablocks = [animated_datablock(part) for part in character_objects(obj)]
    for datablock in (*datablocks, empty_of(obj)):
        if datablock is not None:
            _own_actions(datablock, ids)


def _own_empty(obj: bpy.types.Object) -> None:
    """Give a copied head an Empty of its own to turn by, where it follows that of the first."""
    empty = empty_of(obj)
    others = [other for other in bpy.data.objects if other != obj and empty_of(other) == empty]
    if empty is None or not others:
        return
    own = empty.copy()
    for collection in empty.users_collection:
        collection.objects.link(own)
    obj.constraints[NAME].target = own


def _own_actions(datablock: bpy.types.ID, ids: Mapping[str, str]) -> None:
    """Let a datablock play copies of the Actions of lines, under the lines' new ids."""
    nla.leave_tweak_mode(datablock)
    copies: dict[bpy.types.Action, bpy.types.Action] = {}
    for _, strip in nla.all_strips(datablock):
        action = strip.action
        if action is None or not (action.get(nla.LINE) in ids or nla.is_rest(action)):
            continue
        if action not in copies:
            copies[action] = copy_bake(action)
            if action.get(nla.LINE) in ids:
                copies[action][nla.LINE] = ids[action[nla.LINE]]
            if isinstance(datablock, bpy.types.Key):
                share_correctives(datablock, action, copies[action])
        compat.set_strip_action(strip, copies[action])
    for action in copies:
        if action.users == 0:
            bpy.data.actions.remove(action)


def look_for_copies(*_arguments: object) -> None:
    """Look for copies where there are other objects than when they were looked for last."""
    global _count  # noqa: PLW0603 - of this Blender
    if len(bpy.data.objects) != _count:
        separate_copies()
        _count = len(bpy.data.objects)  # A copied head may have got an Empty.


@persistent
def _on_update(*_arguments: object) -> None:
    look_for_copies()


@persistent
def _on_other_state(*_arguments: object) -> None:
    """Another file, or another state of it, may have copies that were not yet separated in it."""
    global _count  # noqa: PLW0603 - of this Blender
    _count = -1
    look_for_copies()


def _handlers() -> Iterator[tuple[list[Callable[..., None]], Callable[..., None]]]:
    known = bpy.app.handlers
    yield known.depsgraph_update_post, _on_update
    for states in (known.load_post, known.undo_post, known.redo_post):
        yield states, _on_other_state
    yield BEFORE_USE, look_for_copies


def register() -> None:
    """Watch for copies."""
    for listed, function in _handlers():
        listed.append(function)


def unregister() -> None:
    """Watch no more."""
    for listed, function in _handlers():
        listed.remove(function)
