# SPDX-License-Identifier: GPL-3.0-or-later
"""Library overrides: what of this add-on they keep, and what of a linked mesh they may animate.

Blender 5.2 keeps no group of properties of an override whose linked object never had one, whatever
its properties say, and mixes up items of a list that have the same name; a text of the object
itself it keeps. So when the file is saved the groups that are not the linked object's are kept as
JSON, and set to that where they are otherwise when it is opened.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bpy
from bpy.app.handlers import persistent

_GROUPS = ("gaussianspeech_character", "gaussianspeech_speech", "gaussianspeech_head")
_SKIPPED = {"rna_type", "name"}


_in_work = False


def is_restoring() -> bool:
    """Whether properties are set to what they were, not changed."""
    return _in_work


@contextmanager
def _restoring() -> Iterator[None]:
    global _in_work  # noqa: PLW0603 - update functions of properties get no word of why
    _in_work = True
    try:
        yield
    finally:
        _in_work = False


def make_editable(obj: bpy.types.Object) -> None:
    """Let an override be animated: a mesh with shape keys needs an override of its own."""
    if obj.override_library is None:
        return
    if obj.override_library.is_system_override:
        obj.override_library.is_system_override = False
    if obj.type == "MESH" and obj.data.library is not None and obj.data.shape_keys is not None:
        obj.data.override_create(remap_local_usages=True)


def takes_new_keys(obj: bpy.types.Object) -> bool:
    """Whether shape keys that are added to a mesh stay: those of an override do not."""
    return obj.data.library is None and obj.data.override_library is None


def _overrides() -> list[bpy.types.Object]:
    return [obj for obj in bpy.data.objects if obj.override_library is not None]


@persistent
def keep(_file: str = "") -> None:
    """Keep what overrides have of their own, before the file is saved."""
    for obj in _overrides():
        linked = obj.override_library.reference
        groups = {name: _dump(getattr(obj, name)) for name in _GROUPS}
        own = {
            name: group for name, group in groups.items() if group != _dump(getattr(linked, name))
        }
        text = json.dumps(own) if own else ""
        if obj.gaussianspeech_kept != text:
            obj.gaussianspeech_kept = text


@persistent
def restore(_file: str = "") -> None:
    """Set the groups of overrides to what was kept."""
    for obj in _overrides():
        for name, values in _kept(obj.gaussianspeech_kept).items():
            group = getattr(obj, name)
            if _dump(group) != values:
                # What a damaged file holds for a property is not taken, and hides no other object.
                with _restoring(), contextlib.suppress(TypeError, ValueError, AttributeError):
                    _load(group, values)


def _kept(text: str) -> dict[str, Any]:
    """The groups of a kept text; of one that :func:`keep` did not write, none."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return {name: found[name] for name in _GROUPS if isinstance(found, dict) and name in found}


def _dump(group: bpy.types.PropertyGroup) -> dict[str, Any]:
    """What is set in a group, without defaults."""
    values = {}
    for known in group.bl_rna.properties:
        name = known.identifier
        if name in _SKIPPED or not group.is_property_set(name):
            continue
        value = getattr(group, name)
        if known.type == "COLLECTION":
            values[name] = [{"name": item.name, **_dump(item)} for item in value]
        elif known.type == "POINTER":
            values[name] = value.name if isinstance(value, bpy.types.ID) else None
        elif not known.is_readonly:
            values[name] = list(value) if getattr(known, "is_array", False) else value
    return values


def _load(group: bpy.types.PropertyGroup, values: dict[str, Any]) -> None:
    """Set what :func:`_dump` has read."""
    for name, value in values.items():
        known = group.bl_rna.properties.get(name)
        if name == "name":
            group.name = value
        elif known is None:
            continue
        elif known.type == "COLLECTION":
            items = getattr(group, name)
            items.clear()
            for one in value:
                _load(items.add(), one)
        elif known.type == "POINTER":
            setattr(group, name, bpy.data.objects.get(value) if value else None)
        else:
            setattr(group, name, value)


def register() -> None:
    """Keep and read them with the file."""
    bpy.types.Object.gaussianspeech_kept = bpy.props.StringProperty(
        options={"HIDDEN"}, override={"LIBRARY_OVERRIDABLE"}
    )
    bpy.app.handlers.save_pre.append(keep)
    bpy.app.handlers.load_post.append(restore)


def unregister() -> None:
    """Leave files alone."""
    bpy.app.handlers.load_post.remove(restore)
    bpy.app.handlers.save_pre.remove(keep)
    del bpy.types.Object.gaussianspeech_kept
