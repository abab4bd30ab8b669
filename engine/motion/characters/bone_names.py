# SPDX-License-Identifier: GPL-3.0-or-later
"""How the bones of faces are called: in Rigify, MakeHuman, Reallusion's and others' rigs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

_SEPARATORS = re.compile(r"[^0-9A-Za-z]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
SIDES = {"l": "left", "left": "left", "r": "right", "right": "right"}
_NOISE = frozenset((
    "mixamorig", "cc", "base", "facial", "c", "m", "x", "adj", "j", "bip", "def", "ctrl", "ctl",
    "control", "bn", "bone", "jnt", "joint", "anim",
))  # fmt: skip
"""Parts of names that say whose rig it is, or that a bone is one."""

MECHANISM = ("ORG-", "MCH-", "VIS_", "WGT-")
DEFORM = "DEF-"

JAW = ("jawmaster", "jaw", "jawroot", "jawbone", "lowerjaw", "mandible", "headjaw")
EYE = ("eye", "eyeball", "faceeye")
EYE_MASTER = ("mastereye", "eyemaster")
HEAD_BONE = ("head", "spine006")
NECK = ("neck", "neck01", "neck1", "necktwist01", "spine004")
LOWER_TEETH = ("teethb", "teethlower", "lowerteeth", "teethbottom", "teethbot")
UPPER_LID = ("lidt002", "orbicularis03")
LOWER_LID = ("lidb002", "orbicularis04")

POINT_BONES: Mapping[str, tuple[str, ...]] = {
    "tongue": ("tonguemaster", "tongue", "tongue01"),
    "upper lip": ("lipt", "lipupper", "upperlip", "lipuppermiddle", "liptop", "lipstop", "oris05"),
    "lower lip": ("lipb", "liplower", "lowerlip", "liplowermiddle", "lipbottom", "lipsbot",
                  "oris01"),
    "upper lip side": ("lipt001", "lipupper", "upperlip", "lipupperouter", "liptop", "oris03"),
    "lower lip side": ("lipb001", "liplower", "lowerlip", "liplowerouter", "lipbottom", "oris07"),
    "mouth corner": ("lips", "lipend001", "lipcorner", "mouthcorner", "mouth", "lipssmile"),
    "outer brow": ("browt001",),
    "middle brow": ("browt002",),
    "inner brow": ("browt003",),
}  # fmt: skip
"""Bones by the point they control, the more telling name first."""

AT_TAIL = re.compile(r"orbicularis0[34]")
"""Bones whose tail lies at the point, and which turn about their head: lids about the eye."""


class Follow(NamedTuple):
    """How the controls of a Rigify face follow each other, measured on the rigs it generates.

    Attributes:
        middle: how far the side of a lip follows its middle.
        corner: how far it follows the corner.
        jaw: how far points of the mouth follow the jaw.
    """

    middle: float
    corner: float
    jaw: Mapping[str, float]


FOLLOWS = {
    "lips": Follow(0.5, 0.25, {
        "lower lip": 1.0, "upper lip": 0.1, "lower lip side": 0.75, "upper lip side": 0.1,
        "mouth corner": 0.35, "tongue": 1.0,
    }),
    "lipend001": Follow(0.8, 0.5, {
        "lower lip": 1.0, "upper lip": 0.0, "lower lip side": 0.93, "upper lip side": 0.08,
        "mouth corner": 0.5, "tongue": 1.0,
    }),
}  # fmt: skip
"""By the bones of the corners in the older and the newer face."""


def stem_and_side(name: str) -> tuple[str, str]:
    """What a bone is called without case, separators and whose rig it is; and its side."""
    # "lEyeBall", as Daz Genesis has it.
    name = re.sub(r"^([lr])(?=[A-Z])", r"\1_", name.rpartition(":")[2])
    words = [word.lower() for word in _SEPARATORS.split(name) if word]
    sides = [SIDES[word] for word in words if word in SIDES]
    stem = "".join(word for word in words if word not in SIDES and word not in _NOISE)
    return stem, sides[0] if sides else ""
