# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from engine.motion.arkit import ARKIT_NAMES
from engine.motion.characters.conventions import CONVENTIONS, plain, propose
from engine.motion.characters.poses import pose, pose_names

ARKIT_SHORT = ("jawOpen", "mouthClose", "mouthFunnel", "mouthSmileLeft", "mouthSmileRight",
               "eyeBlinkLeft", "browInnerUp")  # fmt: skip

METAHUMAN = ("jawOpen", "eyeBlinkL", "mouthCornerPullL", "mouthCornerPullR", "browDownL",
             "mouthUpperLipRaiseL")  # fmt: skip


def spelled(style):
    for name in ARKIT_SHORT:
        stem, side = name.removesuffix("Left").removesuffix("Right"), ""
        if stem != name:
            side = name[len(stem) :]
        yield style(stem, side)


def snake(text):
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in text)


@pytest.mark.parametrize(
    "style",
    [
        lambda stem, side: stem + side,
        lambda stem, side: stem[0].upper() + stem[1:] + side,
        lambda stem, side: snake(stem) + (f"_{side.lower()}" if side else ""),
        lambda stem, side: stem + (f"_{side[0]}" if side else ""),
        lambda stem, side: stem + (f".{side[0]}" if side else ""),
        lambda stem, side: f"blendShape1.{stem}{side}",
        lambda stem, side: f"Face_{stem}{side}",
    ],
    ids=["plain", "capital", "snake", "letter", "dot", "maya", "prefix"],
)
def test_arkit_is_known_in_its_usual_spellings(style):
    proposal = propose([*spelled(style), "Key 1"])
    assert proposal.convention.name == "ARKit"
    assert tuple(row.pose for row in proposal.rows) == ARKIT_SHORT


@pytest.mark.parametrize(
    ("convention", "keys", "poses"),
    [
        ("Oculus, Ready Player Me", "viseme_PP viseme_FF viseme_aa viseme_E viseme_I viseme_O sil",
         "PP FF aa E ih oh"),
        ("VRoid", "Fcl_ALL_Joy Fcl_MTH_A Fcl_MTH_I Fcl_MTH_U Fcl_MTH_E Fcl_MTH_O", "aa ih ou E oh"),
        ("VRM 1", "happy aa ih ou ee oh", "aa ih ou E oh"),
        ("Vowels", "A I U E O Joy", "aa ih ou E oh"),
        ("MMD", "あ い う え お 笑い", "aa ih ou E oh"),
        ("Rhubarb", "mouth_A mouth_B mouth_C mouth_D mouth_E mouth_F mouth_X", "PP SS E aa oh ou"),
        ("Reallusion", "V_Open V_Explosive V_Dental_Lip V_Tight_O V_Wide", "aa PP FF ou ih"),
        ("MetaHuman", " ".join(f"CTRL_expressions_{name}" for name in METAHUMAN),
         "jawOpen eyeBlinkLeft mouthSmileLeft mouthSmileRight browDownLeft mouthUpperUpLeft"),
    ],
)  # fmt: skip
def test_other_conventions_are_known_by_their_names(convention, keys, poses):
    proposal = propose(keys.split())
    assert proposal.convention.name == convention
    assert [row.pose for row in proposal.rows] == poses.split()


@pytest.mark.parametrize(
    ("convention", "keys", "poses"),
    [
        ("Oculus, Ready Player Me", "vrc.v_sil vrc.v_pp vrc.v_ff vrc.v_aa vrc.v_e vrc.v_ou",
         "PP FF aa E ou"),
        ("Reallusion", "Mouth_Open V_Open V_Explosive V_Dental_Lip V_Tight_O V_Lip_Open",
         "jawOpen aa PP FF ou lips apart"),
        ("VRoid", " ".join(f"Face.M_F00_000_00_Fcl_{name}" for name in (
            "MTH_A", "MTH_I", "MTH_U", "EYE_Close_L")), "aa ih ou blink left"),
    ],
)  # fmt: skip
def test_variants_of_the_names_are_known(convention, keys, poses):
    proposal = propose(keys.split())
    assert proposal.convention.name == convention
    assert " ".join(row.pose for row in proposal.rows) == poses


CC4 = """Jaw_Open Jaw_Forward Jaw_L Jaw_R Mouth_Close Mouth_Smile_L Mouth_Smile_R Mouth_Frown_L
Mouth_Frown_R Mouth_Stretch_L Mouth_Stretch_R Mouth_L Mouth_R Mouth_Funnel_Up_L Mouth_Funnel_Up_R
Mouth_Funnel_Down_L Mouth_Funnel_Down_R Mouth_Pucker_Up_L Mouth_Pucker_Up_R Mouth_Pucker_Down_L
Mouth_Pucker_Down_R Mouth_Roll_In_Upper_L Mouth_Roll_In_Upper_R Mouth_Up_Upper_L Mouth_Up_Upper_R
Mouth_Down_Lower_L Mouth_Down_Lower_R Eye_Blink_L Eye_Blink_R Eye_L_Look_L Eye_L_Look_Up
Brow_Raise_Inner_L Brow_Raise_Inner_R Tongue_Out V_Open V_Explosive V_Wide V_Tight_O
V_Tight""".split()  # noqa: SIM905 - as a list it is a page


def test_character_creator_4_is_known_with_the_quarters_of_its_mouth():
    proposal = propose(CC4)
    assert proposal.convention.name == "Reallusion CC4"
    poses = {row.key: row.pose for row in proposal.rows}
    assert [key for key in CC4 if key not in poses] == [
        "V_Open", "V_Explosive", "V_Wide", "V_Tight_O", "V_Tight",
    ]  # fmt: skip
    assert [key for key, pose in poses.items() if pose == "mouthFunnel"] == CC4[13:17]
    assert poses["Jaw_L"] == "jawLeft"
    assert poses["Eye_L_Look_L"] == "eyeLookOutLeft"
    assert poses["Brow_Raise_Inner_R"] == "browInnerUp"


def test_a_metahuman_is_known_with_the_quarters_of_its_mouth():
    keys = ["jawOpen", "eyeBlinkL", "eyeBlinkR", "eyeLookLeftR", "browRaiseInL", "mouthLipsPressL"]
    keys += [f"mouth{name}{one}" for name in ("Funnel", "LipsPurse", "LipsTogether")
             for one in ("UL", "UR", "DL", "DR")]  # fmt: skip
    proposal = propose([f"CTRL_expressions_{key}" for key in keys])
    assert proposal.convention.name == "MetaHuman"
    poses = [row.pose for row in proposal.rows]
    assert poses[:4] == ["jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookInRight"]
    assert poses[4:] == ["browInnerUp", "mouthPressLeft", *["mouthFunnel"] * 4,
                         *["mouthPucker"] * 4, *["mouthClose"] * 4]  # fmt: skip


def test_names_that_follow_no_convention_are_not_guessed():
    assert propose(["Key 1", "Key 2", "smile_big"]) is None
    assert propose([]) is None


def test_teeth_follow_the_convention_of_the_face_with_few_keys():
    arkit = next(one for one in CONVENTIONS if one.name == "ARKit")
    assert propose(["jawOpen"]) is None
    assert [row.key for row in propose(["jawOpen", "open"], arkit).rows] == ["jawOpen"]
    assert propose(["open"], arkit) is None


def test_of_two_keys_of_one_name_the_first_is_taken():
    proposal = propose(["A", "I", "U", "E", "O", "a"])
    assert [row.key for row in proposal.rows] == ["A", "I", "U", "E", "O"]


def test_every_pose_that_a_convention_names_is_made_of_arkit():
    for convention in CONVENTIONS:
        for name in convention.poses.values():
            assert name in pose_names()
            assert set(pose(name)) <= set(ARKIT_NAMES)
    assert all(0 < weight <= 1 for name in pose_names() for weight in pose(name).values())


def test_plain_names_keep_sides_apart():
    assert plain("mouthLeft") != plain("mouthRight")
    assert plain("eyeBlink_L") == plain("EyeBlinkLeft") == plain("eye_blink.left")
    assert plain("mouthFunnel") == "mouthfunnel"  # Its last letter is no side.


DAZ_PHONES = "AA EE EH ER F IH IY K L M OW S SH T TH UW W".split()  # noqa: SIM905 - as a list it is a page
DAZ_POSES = "aa ih E RR FF kk nn PP oh SS CH DD TH ou mouthPucker".split()  # noqa: SIM905


@pytest.mark.parametrize(
    "prefix",
    ["eCTRLv", "head__eCTRLv", "Genesis3Female__eCTRLv", "head.eCTRLv", "facs_ctrl_v",
     "Genesis8_1Male__facs_ctrl_v", "CTRLVSM", "Genesis2Female__VSM"],
)  # fmt: skip
def test_the_visemes_of_daz_figures_are_known(prefix):
    proposal = propose([f"{prefix}{phone}" for phone in DAZ_PHONES])
    assert proposal.convention.name == "Daz visemes"
    assert [row.pose for row in proposal.rows] == DAZ_POSES


def test_of_daz_visemes_that_look_alike_one_is_taken():
    def spread(*phones):
        keys = [f"eCTRLv{phone}" for phone in ("AA", "OW", "UW", "M", *phones)]
        return [row.key for row in propose(keys).rows if row.pose == "ih"]

    assert spread("IH", "IY", "EE") == ["eCTRLvEE"]
    assert spread("IH", "IY") == ["eCTRLvIY"]


def test_the_eyes_of_a_daz_figure_with_visemes_blink():
    keys = [f"Genesis8Female__eCTRLv{phone}" for phone in DAZ_PHONES]
    keys += [f"Genesis8Female__eCTRL{name}" for name in (
        "EyesClosed", "EyesClosedL", "EyesClosedR", "BrowInnerUp-Down", "Angry")]  # fmt: skip
    poses = {row.key.partition("eCTRL")[2]: row.pose for row in propose(keys).rows}
    assert poses["EyesClosedL"] == "eyeBlinkLeft"
    assert poses["EyesClosedR"] == "eyeBlinkRight"
    assert poses["BrowInnerUp-Down"] == "browInnerUp"
    # The two halves close both eyes.
    assert not {"EyesClosed", "Angry"} & poses.keys()


GENESIS_81 = """facs_jnt_JawOpen facs_jnt_EyeBlinkLeft facs_jnt_EyesWideLeft
facs_bs_MouthFunnel_div2 facs_bs_MouthPucker_div2 facs_bs_MouthClose_div2
facs_bs_MouthSmileLeft_div2 facs_bs_MouthSmileRight_div2 facs_ctrl_CheekPuff
facs_BrowDownLeft facs_cbs_EyeBlinkLeft_div2
facs_ctrl_MouthSmile""".split()  # noqa: SIM905 - as a list it is a page


@pytest.mark.parametrize("prefix", ["", "Genesis8_1Female__", "head__"])
def test_genesis_8_1_is_known_by_its_joints_and_shapes(prefix):
    proposal = propose([f"{prefix}{key}" for key in GENESIS_81])
    assert proposal.convention.name == "Daz Genesis 8.1 and 9"
    # Without the correction of a blink, and the smile of both sides that its halves show.
    assert [row.pose for row in proposal.rows] == [
        "jawOpen", "eyeBlinkLeft", "eyeWideLeft", "mouthFunnel", "mouthPucker", "mouthClose",
        "mouthSmileLeft", "mouthSmileRight", "cheekPuff", "browDownLeft",
    ]  # fmt: skip


def quarters(name):
    return [
        f"facs_bs_{name}{row}{side}" for row in ("Upper", "Lower") for side in ("Left", "Right")
    ]


def test_genesis_9_is_known_with_the_quarters_of_its_mouth():
    whole = ["facs_bs_JawOpen", "facs_bs_MouthSmileLeft", "facs_bs_EyeBlinkLeft"]
    keys = [*whole, *quarters("MouthFunnel"), *quarters("MouthPurse"), *quarters("MouthPress")]
    proposal = propose(keys)
    assert proposal.convention.name == "Daz Genesis 8.1 and 9"
    assert [row.pose for row in proposal.rows] == [
        "jawOpen", "mouthSmileLeft", "eyeBlinkLeft", *["mouthFunnel"] * 4, *["mouthPucker"] * 4,
        *["mouthPressLeft", "mouthPressRight"] * 2,
    ]  # fmt: skip


def test_a_key_of_the_whole_counts_alone_where_its_parts_are_there_too():
    keys = ["facs_bs_JawOpen", "facs_bs_TongueOut", "facs_bs_MouthLeft", "facs_bs_MouthRight",
            "facs_bs_MouthClose", *quarters("MouthFunnel"), "facs_ctrl_MouthFunnel"]  # fmt: skip
    funnels = [row.key for row in propose(keys).rows if row.pose == "mouthFunnel"]
    assert funnels == ["facs_ctrl_MouthFunnel"]


def test_a_key_of_both_sides_is_left_out_where_each_has_its_own():
    keys = ["mouthOpen", "mouthSmile", *ARKIT_SHORT]
    assert [row.key for row in propose(keys).rows] == list(ARKIT_SHORT)


BLAIR = "AI E O U etc FV L MBP WQ".split()  # noqa: SIM905
BLAIR_POSES = "aa E oh ou SS FF nn PP mouthPucker".split()  # noqa: SIM905


@pytest.mark.parametrize(
    "keys",
    [
        [*BLAIR, "rest"],
        ["A/I", "E", "O", "U", "C/D/G/K/N/R/S/Th/Y/Z", "F/V", "L", "M/B/P", "W/Q", "Rest"],
        ["A_I", "E", "O", "U", "CDGKNRSThYZ", "F_V", "L", "B_M_P", "W_Q"],
        [*(f"Mouth_{name}" for name in BLAIR), "Blush", "brow_up"],
        [*(f"phoneme.{name}" for name in BLAIR), "Blush", "brow_up"],
        [*(f"mouth{name[0].upper()}{name[1:]}" for name in BLAIR), "blush", "browUp"],
    ],
    ids=["Papagayo", "chart", "letters", "prefix", "dot", "camel"],
)
def test_preston_blairs_mouth_chart_is_known(keys):
    proposal = propose(keys)
    assert proposal.convention.name == "Preston Blair"
    assert [row.pose for row in proposal.rows] == BLAIR_POSES


@pytest.mark.parametrize(
    ("keys", "poses"),
    [
        # Fleming and Dobbs, as Papagayo has them.
        ("AA EHSZ FV GK IY MBP NLTDR O rest SH TH", "aa SS FF kk ih PP nn oh CH TH"),
        # Adobe Character Animator.
        ("Neutral Ah D Ee F L M Oh R S Uh W-Oo", "aa DD ih FF nn PP oh RR SS ou"),
        ("AA AE B D EH F IY K L M OW P R S SH TH UW V W",
         "aa DD E FF ih kk nn PP oh RR SS CH TH ou mouthPucker"),
    ],
    ids=["Fleming", "Adobe", "ARPAbet"],
)  # fmt: skip
def test_other_mouth_charts_are_known(keys, poses):
    proposal = propose(keys.split())
    assert proposal.convention.name == "Preston Blair"
    assert [row.pose for row in proposal.rows] == poses.split()


def test_mouths_are_known_behind_a_prefix_that_the_other_keys_have_not():
    keys = [*(f"mouth_{letter}" for letter in "ABCDEFX"), "blink_L", "smile"]
    proposal = propose(keys)
    assert proposal.convention.name == "Rhubarb"
    assert [row.key for row in proposal.rows] == keys[:6]


def test_letters_behind_a_prefix_that_names_no_mouth_are_not_guessed():
    assert propose([*(f"fix_{letter}" for letter in "ABCDEFG"), "muscle", "fat"]) is None
