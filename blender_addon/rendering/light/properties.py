# SPDX-License-Identifier: GPL-3.0-or-later
"""How the scene lights an avatar."""

from __future__ import annotations

from collections.abc import Callable

import bpy

from ... import compat

NEUTRAL_TEMPERATURE = 6500.0
"""Kelvin that leave the light's colour as it is."""

changed: list[Callable[[], None]] = []
"""Called when an artist switches a head's scene light on or off."""


def _on_switch(light: GAUSSIANSPEECH_PG_scene_light, _context: bpy.types.Context) -> None:
    light.id_data.update_tag()
    for call in changed:
        call()


@compat.overridable
class GAUSSIANSPEECH_PG_scene_light(bpy.types.PropertyGroup):
    """The scene's light on one head's avatar."""

    enabled: bpy.props.BoolProperty(
        name="Scene Light",
        description=(
            "In a composite, light the avatar by this scene's lights instead of those it was "
            "captured in. Takes a second, small render of each frame"
        ),
        options=set(),
        update=_on_switch,
    )
    amount: bpy.props.FloatProperty(
        name="Amount",
        description="0 keeps the light of the capture, 1 has the scene's alone",
        default=1.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=_on_switch,
    )
    temperature: bpy.props.FloatProperty(
        name="Temperature",
        description="Colour temperature of the light on the avatar in kelvins; 6500 leaves it",
        default=NEUTRAL_TEMPERATURE,
        min=1000.0,
        max=20000.0,
        step=10000,
        precision=0,
    )
    gain: bpy.props.FloatProperty(
        name="Gain",
        description="Factor of the light on the avatar",
        default=1.0,
        min=0.0,
        soft_max=4.0,
    )
    gamma: bpy.props.FloatProperty(
        name="Gamma",
        description="Contrast of the light on the avatar: below 1 is softer, above 1 harder",
        default=1.0,
        min=0.1,
        max=4.0,
    )


class GAUSSIANSPEECH_PG_light_proxy(bpy.types.PropertyGroup):
    """What a proxy of this add-on stands for; empty on other objects."""

    head: bpy.props.PointerProperty(name="Head", type=bpy.types.Object)


def is_lit(obj: bpy.types.Object) -> bool:
    """Whether the scene lights a head's avatar, now or in some frame."""
    light = obj.gaussianspeech_light
    return light.enabled and (light.amount > 0 or _is_animated(obj))


def _is_animated(obj: bpy.types.Object) -> bool:
    """Whether the amount may change from frame to frame."""
    animation, path = obj.animation_data, "gaussianspeech_light.amount"
    if animation is None:
        return False
    curves = [*compat.fcurves_of(obj), *animation.drivers]
    return len(animation.nla_tracks) > 0 or any(curve.data_path == path for curve in curves)


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_PG_scene_light, GAUSSIANSPEECH_PG_light_proxy)


def register() -> None:
    """Attach the properties to objects."""
    bpy.types.Object.gaussianspeech_light = bpy.props.PointerProperty(
        type=GAUSSIANSPEECH_PG_scene_light, override=compat.OVERRIDABLE
    )
    bpy.types.Object.gaussianspeech_light_proxy = bpy.props.PointerProperty(
        type=GAUSSIANSPEECH_PG_light_proxy
    )


def unregister() -> None:
    """Detach them."""
    del bpy.types.Object.gaussianspeech_light
    del bpy.types.Object.gaussianspeech_light_proxy
