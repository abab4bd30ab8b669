# SPDX-License-Identifier: GPL-3.0-or-later
"""Which scene holds the avatars of a main scene."""

from __future__ import annotations

import bpy


class GAUSSIANSPEECH_PG_composite(bpy.types.PropertyGroup):
    """A main scene's composite."""

    avatar_scene: bpy.props.PointerProperty(
        name="Avatar Scene",
        description="The scene that renders this scene's avatars",
        type=bpy.types.Scene,
    )


def composite_of(scene: bpy.types.Scene) -> GAUSSIANSPEECH_PG_composite:
    """The composite's properties of a scene."""
    return scene.gaussianspeech_composite


def is_avatar_scene(scene: bpy.types.Scene) -> bool:
    """Whether a scene is rendered for the composite of another."""
    return any(composite_of(other).avatar_scene == scene for other in bpy.data.scenes)


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_PG_composite,)


def register() -> None:
    """Attach the properties to scenes."""
    bpy.types.Scene.gaussianspeech_composite = bpy.props.PointerProperty(
        type=GAUSSIANSPEECH_PG_composite
    )


def unregister() -> None:
    """Detach them."""
    del bpy.types.Scene.gaussianspeech_composite
