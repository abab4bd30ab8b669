# SPDX-License-Identifier: GPL-3.0-or-later
"""How shape keys are called: in Daz Studio, Reallusion's, MetaHuman's and others' characters.

Each table has the pose by the name of the key; of several names of one pose the best comes first.
Those of ``PARTS`` show one expression together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..arkit import ARKIT_NAMES
from .poses import SPLIT


def _sides(names: Mapping[str, str]) -> dict[str, str]:
    """Names with a letter for the side, of expressions that ARKit names in full."""
    return {
        name.format(side[0]): pose.format(side)
        for name, pose in names.items()
        for side in ("Left", "Right")
    }


_CONSONANTS = ("PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR")

OCULUS = {
    **{f"viseme_{name}": name for name in _CONSONANTS},
    "viseme_aa": "aa",
    "viseme_E": "E",
    "viseme_I": "ih",
    "viseme_O": "oh",
    "viseme_U": "ou",
    "viseme_ih": "ih",
    "viseme_oh": "oh",
    "viseme_ou": "ou",
    # VRChat's names of the same, as in "vrc.v_aa".
    **{f"v_{name}": name for name in (*_CONSONANTS, "aa", "E", "ih", "oh", "ou")},
    # As the library itself calls them.
    **{name: name for name in (*_CONSONANTS, "aa", "E", "ih", "oh", "ou")},
    "I": "ih",
    "O": "oh",
    "U": "ou",
}
VROID = {
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
VRM1 = {
    "aa": "aa",
    "ih": "ih",
    "ou": "ou",
    "ee": "E",
    "oh": "oh",
    "blink": "blink",
    "blinkLeft": "blink left",
    "blinkRight": "blink right",
}
_BLINKS = {"Blink": "blink", "Blink_L": "blink left", "Blink_R": "blink right"}

VOWELS = {"A": "aa", "I": "ih", "U": "ou", "E": "E", "O": "oh", **_BLINKS}
MMD = {"あ": "aa", "い": "ih", "う": "ou", "え": "E", "お": "oh", "ん": "PP", "まばたき": "blink"}
RHUBARB = {
    "A": "PP",
    "B": "SS",
    "C": "E",
    "D": "aa",
    "E": "oh",
    "F": "ou",
    "G": "FF",
    "H": "nn",
}
REALLUSION = {
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

_QUARTERS = ("UL", "UR", "DL", "DR")
"""Upper and lower lip, left and right: four keys that together show one expression."""

METAHUMAN = {
    "jawOpen": "jawOpen",
    "jawLeft": "jawLeft",
    "jawRight": "jawRight",
    "jawFwd": "jawForward",
    "mouthLeft": "mouthLeft",
    "mouthRight": "mouthRight",
    "tongueOut": "tongueOut",
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
METAHUMAN_PARTS = {
    **{f"mouthFunnel{quarter}": "mouthFunnel" for quarter in _QUARTERS},
    **{f"mouthLipsPurse{quarter}": "mouthPucker" for quarter in _QUARTERS},
    **{f"mouthLipsTogether{quarter}": "mouthClose" for quarter in _QUARTERS},
    **{f"mouthUpperLipRollIn{side}": "mouthRollUpper" for side in "LR"},
    **{f"mouthLowerLipRollIn{side}": "mouthRollLower" for side in "LR"},
    **{f"jawChinRaiseU{side}": "mouthShrugUpper" for side in "LR"},
    **{f"jawChinRaiseD{side}": "mouthShrugLower" for side in "LR"},
    **{f"mouthCheekBlow{side}": "cheekPuff" for side in "LR"},
    **{f"browRaiseIn{side}": "browInnerUp" for side in "LR"},
}

CC4 = {
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
CC4_PARTS = {
    **{f"Mouth_Funnel_{row}_{side}": "mouthFunnel" for row in ("Up", "Down") for side in "LR"},
    **{f"Mouth_Pucker_{row}_{side}": "mouthPucker" for row in ("Up", "Down") for side in "LR"},
    **{f"Mouth_Roll_In_Upper_{side}": "mouthRollUpper" for side in "LR"},
    **{f"Mouth_Roll_In_Lower_{side}": "mouthRollLower" for side in "LR"},
    **{f"Brow_Raise_Inner_{side}": "browInnerUp" for side in "LR"},
    **{f"Cheek_Puff_{side}": "cheekPuff" for side in "LR"},
}

_DAZ_PHONES = {
    "AA": "aa", "EH": "E", "EE": "ih", "IY": "ih", "IH": "ih", "OW": "oh", "UW": "ou",
    "W": "mouthPucker", "M": "PP", "F": "FF", "TH": "TH", "T": "DD", "K": "kk", "SH": "CH",
    "S": "SS", "L": "nn", "ER": "RR",
}  # fmt: skip
_DAZ_EYES_AND_BROWS = {
    "EyesClosed": "eyeBlink",
    **_sides(
        {
            "EyesClosed{}": "eyeBlink{}",
            "EyesSquint{}": "eyeSquint{}",
            "BrowOuterUp-Down{}": "browOuterUp{}",
        }
    ),
    "BrowInnerUp-Down": "browInnerUp",
    "NoseWrinkle": "noseSneer",
    "CheeksBalloon": "cheekPuff",
    "CheeksBalloonPucker": "cheekPuff",
}


def _facs(names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What Genesis 8.1 and 9 call ARKit's expressions: by joints, by shape, by control."""
    for name, pose in names.items():
        for kind in ("facs_jnt_", "facs_bs_", "facs_ctrl_", "facs_"):
            yield f"{kind}{name}", pose
            yield f"{kind}{name}_div2", pose


_DAZ_EXPRESSIONS = {name: name for name in (*ARKIT_NAMES, *sorted(SPLIT))} | {
    f"eyesWide{side}": f"eyeWide{side}" for side in ("Left", "Right")
}
DAZ_FACS = dict(_facs(_DAZ_EXPRESSIONS))
DAZ_FACS_PARTS = dict(_facs({
    f"{name}{row}{side}": pose
    for names, rows in (
        ({"mouthClose": "mouthClose", "mouthFunnel": "mouthFunnel", "mouthPurse": "mouthPucker"},
         ("Upper", "Lower")),
        ({name: name for name in (
            "mouthRollUpper", "mouthRollLower", "mouthShrugUpper", "mouthShrugLower", "browInnerUp",
            "cheekPuff")}, ("",)),
    )
    for name, pose in names.items()
    for row in rows
    for side in ("Left", "Right")
} | {
    f"{name}{row}{side}": f"{pose}{side}"
    for name, pose in (("mouthPress", "mouthPress"), ("eyelidOpen", "eyeWide"))
    for row in ("Upper", "Lower")
    for side in ("Left", "Right")
}))  # fmt: skip
DAZ = {
    **{
        f"{prefix}{phone}": pose
        for phone, pose in _DAZ_PHONES.items()
        # Genesis 3 and 8, 8.1 and 9, 2, 1.
        for prefix in ("eCTRLv", "facs_ctrl_v", "CTRLVSM", "VSM")
    },
    "eCTRLMouthOpen": "jawOpen",
    "eCTRLJawOut-In": "jawForward",
    "eCTRLLipsPart": "lips apart",
    "eCTRLLipsPucker": "mouthPucker",
    **_sides({"eCTRLMouthSmileSimple{}": "mouthSmile{}"}),
    "eCTRLMouthSmile": "mouthSmile",
    "eCTRLMouthFrown": "mouthFrown",
    **{f"eCTRL{name}": pose for name, pose in _DAZ_EYES_AND_BROWS.items()},
    # Of the expressions those that no viseme has.
    **{
        name: pose
        for name, pose in DAZ_FACS.items()
        if pose.startswith(("eye", "brow", "nose", "cheek"))
    },
}
"""Daz Studio's visemes, and what its figures have for the rest of the face."""

CHART = {
    "AI": "aa", "IA": "aa", "AA": "aa", "AH": "aa", "A": "aa",
    "E": "E", "EH": "E",
    "EE": "ih", "IY": "ih", "I": "ih",
    "O": "oh", "OH": "oh", "OW": "oh",
    "U": "ou", "OO": "ou", "W-OO": "ou", "OO-W": "ou", "UW": "ou", "UH": "ou",
    "WQ": "mouthPucker", "QW": "mouthPucker", "W": "mouthPucker",
    **dict.fromkeys(("MBP", "MPB", "BMP", "BPM", "PBM", "PMB", "M", "B", "P"), "PP"),
    "FV": "FF", "VF": "FF", "F": "FF", "V": "FF",
    "L": "nn", "NLTDR": "nn", "N": "nn",
    "etc": "SS", "CDGKNRSThYZ": "SS", "CDG": "SS", "EHSZ": "SS", "S": "SS", "Z": "SS",
    "TH": "TH", "DH": "TH",
    "ChJSh": "CH", "ChShJ": "CH", "ChSh": "CH", "ShCh": "CH", "SH": "CH", "CH": "CH",
    "D": "DD", "T": "DD",
    "GK": "kk", "KG": "kk", "K": "kk", "G": "kk",
    "R": "RR", "ER": "RR",
    **_BLINKS,
}  # fmt: skip
"""Mouth charts: Preston Blair's, Fleming and Dobbs', Adobe's, and the sounds of ARPAbet."""
