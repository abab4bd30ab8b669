# SPDX-License-Identifier: GPL-3.0-or-later
"""The faces of a capture, as ARKit expressions.

Sided expressions are given by their common name where both halves move. Each list starts with what
an avatar needs most, for a capture may be short.
"""

from __future__ import annotations

from collections.abc import Mapping

Face = Mapping[str, float]

MOUTHS: tuple[tuple[str, Face], ...] = (
    ("neutral", {}),
    ("open wide", {"jawOpen": 0.95}),
    ("smile", {"mouthSmile": 0.95, "cheekSquint": 0.5}),
    ("pucker", {"mouthPucker": 0.95}),
    ("teeth", {"mouthUpperUp": 0.8, "mouthLowerDown": 0.8, "mouthStretch": 0.4, "jawOpen": 0.06}),
    ("funnel", {"mouthFunnel": 0.95, "jawOpen": 0.2}),
    ("pressed", {"mouthPress": 0.9, "mouthRollLower": 0.4, "mouthRollUpper": 0.4}),
    ("grin", {"mouthSmile": 0.9, "mouthUpperUp": 0.4, "jawOpen": 0.18, "cheekSquint": 0.6}),
    ("half open", {"jawOpen": 0.45}),
    (
        "smile with teeth",
        {
            "mouthSmile": 0.7,
            "mouthUpperUp": 0.35,
            "mouthLowerDown": 0.25,
            "cheekSquint": 0.6,
            "jawOpen": 0.1,
        },
    ),
    ("open smile", {"mouthSmile": 0.55, "cheekSquint": 0.4, "jawOpen": 0.3}),
    ("frown", {"mouthFrown": 0.95, "mouthShrugLower": 0.4}),
    ("stretch", {"mouthStretch": 0.95, "jawOpen": 0.1}),
    ("tongue", {"tongueOut": 0.9, "jawOpen": 0.45}),
    ("biting the lip", {"mouthRollLower": 0.9, "mouthUpperUp": 0.25, "jawOpen": 0.05}),
    ("tongue far out", {"tongueOut": 1.0, "jawOpen": 0.6}),
    ("tongue between the teeth", {"tongueOut": 0.45, "jawOpen": 0.18}),
    ("sealed over an open jaw", {"jawOpen": 0.4, "mouthClose": 0.4}),
    ("to the left", {"mouthLeft": 0.9}),
    ("to the right", {"mouthRight": 0.9}),
    ("jaw left", {"jawLeft": 0.9, "jawOpen": 0.15}),
    ("jaw right", {"jawRight": 0.9, "jawOpen": 0.15}),
    ("jaw forward", {"jawForward": 0.9}),
    ("shrug", {"mouthShrugUpper": 0.7, "mouthShrugLower": 0.8}),
    ("left smile", {"mouthSmileLeft": 0.9, "mouthDimpleLeft": 0.4, "cheekSquintLeft": 0.4}),
    ("right smile", {"mouthSmileRight": 0.9, "mouthDimpleRight": 0.4, "cheekSquintRight": 0.4}),
    ("puffed", {"cheekPuff": 0.9}),
    ("rounded", {"mouthFunnel": 0.5, "mouthPucker": 0.5, "jawOpen": 0.35}),
    ("smile on f", {"mouthSmile": 0.6, "mouthRollLower": 0.5, "mouthUpperUp": 0.2}),
    ("upper lip up", {"mouthUpperUp": 0.9, "noseSneer": 0.3}),
    ("lower lip down", {"mouthLowerDown": 0.9, "jawOpen": 0.1}),
    ("dimples", {"mouthDimple": 0.9}),
    ("rolled in", {"mouthRollLower": 0.8, "mouthRollUpper": 0.8}),
)
"""Mouth and jaw."""

EYES: tuple[tuple[str, Face], ...] = (
    ("blink", {"eyeBlink": 1.0}),
    ("brows up", {"browInnerUp": 1.0, "browOuterUp": 1.0, "eyeWide": 0.6}),
    ("brows down", {"browDown": 1.0, "eyeSquint": 0.4}),
    (
        "look left",
        {"eyeLookOutLeft": 0.8, "eyeLookInRight": 0.8},
    ),
    ("squint", {"eyeSquint": 1.0, "cheekSquint": 0.8}),
    ("look up", {"eyeLookUp": 0.8, "browInnerUp": 0.3}),
    ("look right", {"eyeLookOutRight": 0.8, "eyeLookInLeft": 0.8}),
    ("inner brows up", {"browInnerUp": 1.0}),
    ("look down", {"eyeLookDown": 0.8, "eyeBlink": 0.25}),
    ("sneer", {"noseSneer": 1.0, "browDown": 0.6}),
    ("wink left", {"eyeBlinkLeft": 1.0, "eyeSquintLeft": 0.6, "cheekSquintLeft": 0.6}),
    ("wink right", {"eyeBlinkRight": 1.0, "eyeSquintRight": 0.6, "cheekSquintRight": 0.6}),
    ("left brow up", {"browOuterUpLeft": 1.0, "browDownRight": 0.4}),
    ("half shut", {"eyeBlink": 0.5}),
    ("right brow up", {"browOuterUpRight": 1.0, "browDownLeft": 0.4}),
    ("wide", {"eyeWide": 1.0}),
)
"""Lids, gaze and brows: what wrinkles the forehead and the corners of the eyes."""

WHOLE: tuple[tuple[str, Face], ...] = (
    ("surprise", {"browInnerUp": 0.9, "browOuterUp": 0.9, "eyeWide": 0.8, "jawOpen": 0.6}),
    (
        "laugh",
        {"mouthSmile": 0.95, "jawOpen": 0.5, "cheekSquint": 0.9, "eyeSquint": 0.7, "eyeBlink": 0.3},
    ),
    (
        "anger",
        {"browDown": 0.95, "noseSneer": 0.5, "mouthPress": 0.6, "eyeSquint": 0.5, "jawOpen": 0.03},
    ),
    ("sadness", {"browInnerUp": 0.9, "mouthFrown": 0.8, "eyeLookDown": 0.4, "eyeBlink": 0.2}),
    (
        "disgust",
        {
            "noseSneer": 0.9,
            "mouthUpperUp": 0.6,
            "browDown": 0.6,
            "mouthFrown": 0.4,
            "eyeSquint": 0.5,
        },
    ),
    ("shout", {"jawOpen": 0.8, "mouthStretch": 0.5, "browDown": 0.7, "mouthLowerDown": 0.5}),
    (
        "fear",
        {
            "browInnerUp": 0.9,
            "browOuterUp": 0.4,
            "eyeWide": 0.9,
            "mouthStretch": 0.7,
            "jawOpen": 0.2,
        },
    ),
    ("kiss", {"mouthPucker": 0.95, "eyeBlink": 1.0}),
)
"""Faces in which everything moves at once."""
