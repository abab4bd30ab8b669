# SPDX-License-Identifier: GPL-3.0-or-later
"""The controls of speech: how strongly a face speaks, where it looks, what it feels."""

from __future__ import annotations

from typing import Any

import bpy

from .. import compat
from .rebake import rebake_controls


def _on_adjusted(self: Controls, context: bpy.types.Context) -> None:
    rebake_controls(self, context)


def _emotion(name: str, shown: str) -> Any:
    return bpy.props.FloatProperty(
        name=name,
        description=f"{shown}; lips that close still do",
        default=0.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=_on_adjusted,
    )


class Controls:
    """The controls' fields; they count for a character, or for one line of it."""

    strength: bpy.props.FloatProperty(
        name="Strength",
        description="How much the whole face moves",
        default=1.0,
        min=0.0,
        max=2.0,
        subtype="FACTOR",
        update=_on_adjusted,
    )
    articulation: bpy.props.FloatProperty(
        name="Articulation",
        description="How strongly jaw, lips and tongue speak, on heads with ARKit expressions; "
        "lips that close still do",
        default=1.0,
        min=0.0,
        max=2.0,
        subtype="FACTOR",
        update=_on_adjusted,
    )
    jaw: bpy.props.FloatProperty(
        name="Jaw",
        description="How far the jaw moves, on heads with ARKit expressions; "
        "lips that close still do",
        default=1.0,
        min=0.0,
        max=2.0,
        subtype="FACTOR",
        update=_on_adjusted,
    )
    lips: bpy.props.FloatProperty(
        name="Lips",
        description="How much the lips round, spread and rise, on heads with ARKit expressions; "
        "lips that close still do",
        default=1.0,
        min=0.0,
        max=2.0,
        subtype="FACTOR",
        update=_on_adjusted,
    )
    smile: bpy.props.FloatProperty(
        name="Smile",
        description="From a frown to a smile, on heads with ARKit expressions; "
        "lips that close still do",
        default=0.0,
        min=-1.0,
        max=1.0,
        subtype="FACTOR",
        update=_on_adjusted,
    )
    rest: bpy.props.FloatProperty(
        name="Rest",
        description="How closed the mouth is in long silences, on heads with ARKit expressions: "
        "half open at 0, lips touching at 1",
        default=1.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=_on_adjusted,
    )
    smoothing: bpy.props.FloatProperty(
        name="Smoothing",
        description="Blur in time, in milliseconds; more is calmer. Lips that close still do",
        default=0.0,
        min=0.0,
        max=200.0,
        precision=0,
        step=100,
        update=_on_adjusted,
    )
    lip_closure: bpy.props.FloatProperty(
        name="Lip Closure",
        description="How firmly the lips close, on heads with ARKit expressions; "
        "below 1 they do not close all the way",
        default=1.0,
        min=0.0,
        max=2.0,
        subtype="FACTOR",
        update=_on_adjusted,
    )
    upper_face: bpy.props.FloatProperty(
        name="Upper Face",
        description="How much brows, eyes and nose move, on heads with ARKit expressions",
        default=1.0,
        min=0.0,
        max=2.0,
        subtype="FACTOR",
        update=_on_adjusted,
    )
    blinks: bpy.props.FloatProperty(
        name="Blinks",
        description="How far blinks shut the lids, on heads with ARKit expressions; "
        "0 leaves the eyes open",
        default=1.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=_on_adjusted,
    )
    gaze: bpy.props.FloatProperty(
        name="Gaze",
        description="How much the eyes look about and away, where eyeLook keys or bones turn them; "
        "0 leaves them still, 1 is an ordinary speaker",
        default=0.0,
        min=0.0,
        max=2.0,
        subtype="FACTOR",
        update=_on_adjusted,
    )
    look_at: bpy.props.PointerProperty(
        type=bpy.types.Object,
        name="Look At",
        description="What the eyes come back to, such as the camera, where it stands when you "
        "bake; straight ahead without",
        update=_on_adjusted,
    )
    head_motion: bpy.props.FloatProperty(
        name="Head Motion",
        description="How much the head nods on stressed words and sways, by an object of its own "
        "that a constraint follows; 0 removes it",
        default=0.0,
        min=0.0,
        max=2.0,
        subtype="FACTOR",
        update=_on_adjusted,
    )
    seed: bpy.props.IntProperty(
        name="Seed",
        description="Another number is another take of gaze and head motion",
        default=0,
        min=0,
        options=set(),  # One number cannot fade into another.
        update=_on_adjusted,
    )
    emotion_from_voice: bpy.props.FloatProperty(
        name="From Voice",
        description="How much emotion follows loudness, pitch and tempo of the voice",
        default=0.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=_on_adjusted,
    )
    joy: _emotion("Joy", "Raised cheeks and corners of the mouth")
    anger: _emotion("Anger", "Lowered brows, tight lids and lips")
    sadness: _emotion("Sadness", "Raised inner brows, lowered corners of the mouth")
    fear: _emotion("Fear", "Raised and drawn brows, wide eyes, stretched lips")
    disgust: _emotion("Disgust", "Wrinkled nose, raised upper lip")
    surprise: _emotion("Surprise", "Raised brows, wide eyes, dropped jaw")
    offset: bpy.props.IntProperty(
        name="Offset",
        description="Frames by which the animation comes later than the sound",
        default=0,
        soft_min=-50,
        soft_max=50,
        update=_on_adjusted,
    )


@compat.overridable
class GAUSSIANSPEECH_PG_controls(Controls, bpy.types.PropertyGroup):
    """The controls of one line, where it has controls of its own."""


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_PG_controls,)
