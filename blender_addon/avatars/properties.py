# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatar that is bound to a head."""

from __future__ import annotations

import os
from pathlib import PurePath

import bpy

from ..heads.properties import DEFAULT_AVATAR, engine_name, is_head

_COMMON_NAMES = ("avatar", "point_cloud")
"""What trainings call every avatar, here and in GaussianAvatars."""


def _on_changed(avatar: GAUSSIANSPEECH_PG_avatar, _context: bpy.types.Context) -> None:
    """Hide the bald mesh where the avatar shows, and have viewports and composites notice."""
    obj = avatar.id_data
    shown = bool(avatar.source) and avatar.enabled and avatar.in_viewport
    if shown and not avatar.display_type:
        avatar.display_type, obj.display_type = obj.display_type, "BOUNDS"
    elif not shown and avatar.display_type:
        obj.display_type, avatar.display_type = avatar.display_type, ""
    obj.update_tag()


class GAUSSIANSPEECH_PG_avatar(bpy.types.PropertyGroup):
    """The avatar of one head object."""

    source: bpy.props.StringProperty(
        name="Avatar",
        description="The avatar that ships with the add-on ('default'), or an avatar file",
        update=_on_changed,
    )
    gaussians: bpy.props.IntProperty(name="Gaussians", description="Size of the avatar")
    enabled: bpy.props.BoolProperty(
        name="Show Avatar",
        description="Draw the avatar in renders and in viewports",
        default=True,
        update=_on_changed,
    )
    in_viewport: bpy.props.BoolProperty(
        name="Show in Viewport",
        description="Draw the avatar in every viewport; of its mesh the bounds are shown",
        update=_on_changed,
    )
    display_type: bpy.props.StringProperty(
        name="Display As",
        description="How the mesh was displayed before",
        options={"HIDDEN"},
    )


def bound_avatar(obj: bpy.types.Object) -> tuple[str, str] | None:
    """Avatar and head of an object that shows an avatar, as the engine names them."""
    avatar = obj.gaussianspeech_avatar
    if not is_head(obj) or not avatar.source or not avatar.enabled:
        return None
    return avatar_path(avatar.source), engine_name(obj)


def avatar_path(source: str) -> str:
    """What the engine calls an avatar: the default's name, or an absolute path."""
    return source if source == DEFAULT_AVATAR else bpy.path.abspath(source)


def shown_name(source: str) -> str:
    """A name for people: trainings call their avatars alike, and their folders by their person."""
    if source == DEFAULT_AVATAR:
        return "Default avatar"
    path = PurePath(source.replace("\\", "/"))
    return path.parent.name if path.stem in _COMMON_NAMES and path.parent.name else path.stem


def heads_using(path: str) -> list[bpy.types.Object]:
    """The heads of the .blend file that an avatar file is bound to."""
    return [
        obj
        for obj in bpy.data.objects
        if is_head(obj)
        and obj.gaussianspeech_avatar.source not in ("", DEFAULT_AVATAR)
        and _same(avatar_path(obj.gaussianspeech_avatar.source), path)
    ]


def _same(one: str, other: str) -> bool:
    # By name alone: whoever draws a panel cannot wait for a disk.
    return os.path.normcase(os.path.normpath(one)) == os.path.normcase(os.path.normpath(other))


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_PG_avatar,)


def register() -> None:
    """Attach the avatar to objects."""
    bpy.types.Object.gaussianspeech_avatar = bpy.props.PointerProperty(
        type=GAUSSIANSPEECH_PG_avatar
    )


def unregister() -> None:
    """Detach it."""
    del bpy.types.Object.gaussianspeech_avatar
