# SPDX-License-Identifier: GPL-3.0-or-later
"""How shape keys are called by the makers of characters, and which of them a mesh follows.

Names are compared without case, separators, and what all names of a mesh begin with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..arkit import ARKIT_NAMES
from .poses import SPLIT


class Row(NamedTuple):
    """One shape key and what it stands for.

    Attributes:
        key: name of the shape key.
        pose: what it shows, see :func:`.poses.pose`.
        amount: value of the key at which it shows that.
    """

    key: str
    pose: str
    amount: float = 1.0


class Convention(NamedTuple):
    """Names that belong together.

    Attributes:
        name: for people.
        poses: pose by the plain name of the shape key (:func:`plain`).
        needed: so many of them a mesh has at the least.
    """

    name: str
    poses: Mapping[str, str]
    needed: int


_PATH = re.compile(r"[.:|](?=\w{3})(?!(?:left|right)$)", re.IGNORECASE)
_SEPARATOR = re.compile(r"[_. ]")
_TELLING = 5
"""Letters of a name that is known without what stands before it: "Face_jawOpen"."""
_SUFFIX = {"left": "left", "l": "left", "right": "right", "r": "right"}


def plain(name: str) -> str:
    """A name without case and separators; a side at its end is ``left`` or ``right``."""
    # What exporters put in front: "blendShape1.jawOpen", "Face|jawOpen".
    name = _PATH.split(name)[-1]
    apart = re.sub(r"[\s_.\-]+", "_", name.strip())
    match = re.search(r"_(left|right|l|r)$", apart, re.IGNORECASE)
    if match is None:
        match = re.search(r"(?<=[a-z])(Left|Right|L|R)$", apart)
    side = _SUFFIX[match.group(1).lower()] if match else ""
    stem = apart[: match.start()] if match else apart
    return re.sub(r"\W|_", "", stem).lower() + side


def _arkit() -> dict[str, str]:
    names = {plain(name): name for name in ARKIT_NAMES}
    return names | {plain(name): name for name in SPLIT}


def _named(poses: Mapping[str, str]) -> dict[str, str]:
    return {plain(key): pose for key, pose in poses.items()}


_OCULUS = {
    **{f"viseme_{name}": name for name in ("PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR")},
    "viseme_aa": "aa",
    "viseme_E": "E",
    "viseme_I": "ih",
    "viseme_O": "oh",
    "viseme_U": "ou",
    "viseme_ih": "ih",
    "viseme_oh": "oh",
    "viseme_ou": "ou",
    # VRChat's names of the same, as in "vrc.v_aa".
    **{f"v_{name}": name for name in ("PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR")},
    **{f"v_{name}": name for name in ("aa", "E", "ih", "oh", "ou")},
}
_VROID = {
    "Fcl_MTH_A": "aa",
    "Fcl_MTH_I": "ih",
    "Fcl_MTH_U": "ou",
    "Fcl_MTH_E": "E",
    "Fcl_MTH_O": "oh",
    "Fcl_EYE_Close": "blink",
    "Fcl_EYE_Close_L": "blink left",
    "Fcl_EYE_Close_R": "blink right",
    "Fcl_BRW_Surprised": "brows up",
}
_VRM1 = {
    "aa": "aa",
    "ih": "ih",
    "ou": "ou",
    "ee": "E",
    "oh": "oh",
    "blink": "blink",
    "blinkLeft": "blink left",
    "blinkRight": "blink right",
}
_VOWELS = {
    "A": "aa",
    "I": "ih",
    "U": "ou",
    "E": "E",
    "O": "oh",
    "Blink": "blink",
    "Blink_L": "blink left",
    "Blink_R": "blink right",
}
_MMD = {"あ": "aa", "い": "ih", "う": "ou", "え": "E", "お": "oh", "ん": "PP", "まばたき": "blink"}
_RHUBARB = {
    "A": "PP",
    "B": "SS",
    "C": "E",
    "D": "aa",
    "E": "oh",
    "F": "ou",
    "G": "FF",
    "H": "nn",
}
_REALLUSION = {
    "V_Open": "aa",
    "V_Explosive": "PP",
    "V_Dental_Lip": "FF",
    "V_Tight_O": "ou",
    "V_Tight": "RR",
    "V_Wide": "ih",
    "V_Affricate": "CH",
    "V_Lip_Open": "lips apart",
    "Mouth_Open": "jawOpen",
    "Mouth_Lips_Part": "lips apart",
    "Mouth_Smile": "mouthSmile",
    "Mouth_Smile_L": "mouthSmileLeft",
    "Mouth_Smile_R": "mouthSmileRight",
    "Eye_Blink_L": "blink left",
    "Eye_Blink_R": "blink right",
    "Eye_Blink": "blink",
}


def _sides(names: Mapping[str, str]) -> dict[str, str]:
    """Names with a letter for the side, of expressions that ARKit names in full."""
    return {
        name.format(side[0]): pose.format(side)
        for name, pose in names.items()
        for side in ("Left", "Right")
    }


_QUARTERS = ("UL", "UR", "DL", "DR")
"""Upper and lower lip, left and right: four keys that together show one expression."""

_METAHUMAN = {
    "jawOpen": "jawOpen",
    "jawLeft": "jawLeft",
    "jawRight": "jawRight",
    "jawFwd": "jawForward",
    "mouthLeft": "mouthLeft",
    "mouthRight": "mouthRight",
    "tongueOut": "tongueOut",
    **{f"mouthFunnel{quarter}": "mouthFunnel" for quarter in _QUARTERS},
    **{f"mouthLipsPurse{quarter}": "mouthPucker" for quarter in _QUARTERS},
    **{f"mouthLipsTogether{quarter}": "mouthClose" for quarter in _QUARTERS},
    **{f"mouthUpperLipRollIn{side}": "mouthRollUpper" for side in "LR"},
    **{f"mouthLowerLipRollIn{side}": "mouthRollLower" for side in "LR"},
    **{f"jawChinRaiseU{side}": "mouthShrugUpper" for side in "LR"},
    **{f"jawChinRaiseD{side}": "mouthShrugLower" for side in "LR"},
    **{f"mouthCheekBlow{side}": "cheekPuff" for side in "LR"},
    **{f"browRaiseIn{side}": "browInnerUp" for side in "LR"},
    **_sides({
        "mouthCornerPull{}": "mouthSmile{}",
        "mouthCornerDepress{}": "mouthFrown{}",
        "mouthStretch{}": "mouthStretch{}",
        "mouthDimple{}": "mouthDimple{}",
        "mouthLipsPress{}": "mouthPress{}",
        "mouthUpperLipRaise{}": "mouthUpperUp{}",
        "mouthLowerLipDepress{}": "mouthLowerDown{}",
        "eyeBlink{}": "eyeBlink{}",
        "eyeWiden{}": "eyeWide{}",
        "eyeSquintInner{}": "eyeSquint{}",
        "eyeLookUp{}": "eyeLookUp{}",
        "eyeLookDown{}": "eyeLookDown{}",
        "browDown{}": "browDown{}",
        "browRaiseOuter{}": "browOuterUp{}",
        "eyeCheekRaise{}": "cheekSquint{}",
        "noseWrinkle{}": "noseSneer{}",
    }),
    "eyeLookLeftL": "eyeLookOutLeft",
    "eyeLookRightL": "eyeLookInLeft",
    "eyeLookLeftR": "eyeLookInRight",
    "eyeLookRightR": "eyeLookOutRight",
}  # fmt: skip

_CC4 = {
    **{f"Mouth_Funnel_{row}_{side}": "mouthFunnel" for row in ("Up", "Down") for side in "LR"},
    **{f"Mouth_Pucker_{row}_{side}": "mouthPucker" for row in ("Up", "Down") for side in "LR"},
    **{f"Mouth_Roll_In_Upper_{side}": "mouthRollUpper" for side in "LR"},
    **{f"Mouth_Roll_In_Lower_{side}": "mouthRollLower" for side in "LR"},
    **{f"Brow_Raise_Inner_{side}": "browInnerUp" for side in "LR"},
    **{f"Cheek_Puff_{side}": "cheekPuff" for side in "LR"},
    **_sides({
        "Mouth_Up_Upper_{}": "mouthUpperUp{}",
        "Mouth_Down_Lower_{}": "mouthLowerDown{}",
        "Brow_Raise_Outer_{}": "browOuterUp{}",
        "Brow_Drop_{}": "browDown{}",
        "Cheek_Raise_{}": "cheekSquint{}",
        "Eye_{}_Look_Up": "eyeLookUp{}",
        "Eye_{}_Look_Down": "eyeLookDown{}",
    }),
    "Eye_L_Look_L": "eyeLookOutLeft",
    "Eye_L_Look_R": "eyeLookInLeft",
    "Eye_R_Look_L": "eyeLookInRight",
    "Eye_R_Look_R": "eyeLookOutRight",
}  # fmt: skip
"""What Character Creator 4 calls otherwise than ARKit, in its extended set."""

ARKIT = "ARKit"
CONVENTIONS = (
    Convention(ARKIT, _arkit(), 6),
    Convention("Oculus, Ready Player Me", _named(_OCULUS), 5),
    Convention("VRoid", _named(_VROID), 3),
    Convention("Reallusion CC4", _arkit() | _named(_CC4), 12),
    Convention("Reallusion", _named(_REALLUSION), 4),
    Convention("MetaHuman", _named(_METAHUMAN), 6),
    Convention("MMD", _named(_MMD), 3),
    # Before the vowels: E stands for another shape there.
    Convention("Rhubarb", _named(_RHUBARB), 6),
    Convention("VRM 1", _named(_VRM1), 4),
    Convention("Vowels", _named(_VOWELS), 4),
)
"""The conventions that are known, the more telling first."""


class Proposal(NamedTuple):
    """What a mesh's shape keys stand for.

    Attributes:
        convention: the one that fits best.
        rows: in the order of the mesh.
    """

    convention: Convention
    rows: tuple[Row, ...]


def propose(keys: Sequence[str], convention: Convention | None = None) -> Proposal | None:
    """Find out what shape keys stand for.

    Args:
        keys: their names, without the basis.
        convention: the one to follow, as for teeth that have few of the face's keys; else the one
            that most keys follow.

    Returns:
        ``None`` where too few follow any convention.
    """
    if convention is not None:
        rows = _rows(keys, convention)
        return Proposal(convention, rows) if rows else None
    found = [Proposal(known, _rows(keys, known)) for known in CONVENTIONS]
    fitting = [one for one in found if len(one.rows) >= one.convention.needed]
    return max(fitting, key=lambda one: len(one.rows), default=None)


def _common_prefix(keys: Sequence[str]) -> str:
    """What all names begin with, as far as a separator: "jawOpen" and "jawLeft" have none."""
    if len(keys) < 2:
        return ""
    first, last = min(keys), max(keys)
    same = next(
        (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b),
        min(len(first), len(last)),
    )
    return first[: max(first.rfind(separator, 0, same) for separator in "_. ") + 1]


def _rows(keys: Sequence[str], convention: Convention) -> tuple[Row, ...]:
    prefix = _common_prefix(keys)
    taken: set[str] = set()
    rows = []
    for key in keys:
        names = [plain(key), plain(key.removeprefix(prefix))]
        shorter = [plain(key[match.end() :]) for match in _SEPARATOR.finditer(key)]
        names += [short for short in shorter if len(short) >= _TELLING]
        known = next((name for name in names if name in convention.poses), None)
        if known is not None and known not in taken:
            taken.add(known)
            rows.append(Row(key, convention.poses[known]))
    return tuple(rows)
