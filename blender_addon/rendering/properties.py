# SPDX-License-Identifier: GPL-3.0-or-later
"""Which scene holds the avatars of a main scene."""

from __future__ import annotations

from collections.abc import Callable

import bpy

from .. import compat
from .camera_visibility import GAUSSIANSPEECH_PG_hidden_head
from .compositor import built_view, write_layers

changed: list[Callable[[], None]] = []
"""Called when an artist chooses another occlusion."""


def _on_layers_change(composite: GAUSSIANSPEECH_PG_composite, _context: bpy.types.Context) -> None:
    scene = composite.id_data
    if built_view(scene) is not None:
        write_layers(scene, composite.layers_path if composite.write_layers else None)


def _on_occlusion_change(
    _composite: GAUSSIANSPEECH_PG_composite, _context: bpy.types.Context
) -> None:
    for call in changed:
        call()


class GAUSSIANSPEECH_PG_composite(bpy.types.PropertyGroup):
    """A main scene's composite."""

    avatar_scene: bpy.props.PointerProperty(
        name="Avatar Scene",
        description="The scene that renders this scene's avatars",
        type=bpy.types.Scene,
    )
    main_scene: bpy.props.PointerProperty(
        name="Main Scene",
        description="The scene whose avatars this one renders",
        type=bpy.types.Scene,
    )
    light_scene: bpy.props.PointerProperty(
        name="Light Scene",
        description="The scene that renders the light on this scene's avatars",
        type=bpy.types.Scene,
    )
    foreground_scene: bpy.props.PointerProperty(
        name="Foreground Scene",
        description="The scene that renders what occludes this scene's avatars",
        type=bpy.types.Scene,
    )
    occlusion: bpy.props.EnumProperty(
        name="Occlusion",
        description="How to find what of the scene occludes an avatar",
        items=(
            (
                "AUTO",
                "Automatic",
                "Coverage in Cycles, and in EEVEE with motion blur, depth of field or holdouts",
            ),
            (
                "DEPTH",
                "Depth",
                "Compare one depth for each pixel: quick, and exact inside what is sharp",
            ),
            (
                "COVERAGE",
                "Coverage",
                "Render once more what occludes the avatars: exact for outlines and blur, too",
            ),
        ),
        default="AUTO",
        options=set(),
        update=_on_occlusion_change,
    )
    hulls: bpy.props.PointerProperty(
        name="Hair Shadows",
        description="What casts the shadows of the avatars' hair",
        type=bpy.types.Collection,
    )
    hidden_heads: bpy.props.CollectionProperty(type=GAUSSIANSPEECH_PG_hidden_head)
    keeps_visibility: bpy.props.BoolProperty(
        name="Keeps Visibility",
        description="Whether the composite notes what it hides; those of 0.1.0 did not",
    )
    write_layers: bpy.props.BoolProperty(
        name="Write Layers",
        description=(
            "With every render, also write an EXR file in which the avatar, with its alpha and "
            "depth, is a layer of its own beside the composite"
        ),
        update=_on_layers_change,
    )
    layers_path: bpy.props.StringProperty(
        name="Layers File",
        description="Where the EXR files go; # stands for a digit of the frame's number",
        default="//avatar-layers-####",
        subtype="FILE_PATH",
        options=compat.blend_relative(),
        update=_on_layers_change,
    )


def composite_of(scene: bpy.types.Scene) -> GAUSSIANSPEECH_PG_composite:
    """The composite's properties of a scene."""
    return scene.gaussianspeech_composite


def main_scene_of(scene: bpy.types.Scene) -> bpy.types.Scene | None:
    """The scene whose avatars another renders for its composite."""
    others = bpy.data.scenes
    return next((other for other in others if composite_of(other).avatar_scene == scene), None)


def is_avatar_scene(scene: bpy.types.Scene) -> bool:
    """Whether a scene is rendered for the composite of another."""
    return main_scene_of(scene) is not None


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_PG_hidden_head, GAUSSIANSPEECH_PG_composite)


def register() -> None:
    """Attach the properties to scenes."""
    bpy.types.Scene.gaussianspeech_composite = bpy.props.PointerProperty(
        type=GAUSSIANSPEECH_PG_composite
    )


def unregister() -> None:
    """Detach them."""
    del bpy.types.Scene.gaussianspeech_composite
