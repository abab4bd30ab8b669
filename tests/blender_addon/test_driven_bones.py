# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces of bones that custom properties drive: Daz figures, and rigs with a slider for the jaw."""

from __future__ import annotations

import math

import pytest

from tests.blender_addon.rig_faces import face_bones, make_armature, make_mesh, select
from tests.blender_addon.sample_voice import VOICE, over, speak
from tests.blender_addon.test_driven_rigs import driver_of, key_driver, reads

__all__ = ["speak"]

VISEMES = ("AA", "EE", "OW", "UW", "M", "F")


def rows_of(rig):
    return [tuple(row.read()) for row in rig.gaussianspeech_character.rows]


def bones_of(rig, pose):
    return [bone for bone, _, shown, _ in rows_of(rig) if shown == pose]


@pytest.fixture
def rig(blender):
    """Neck, head, jaw and eyes; the jaw turns by Euler angles."""
    rig = make_armature(blender, "Rig", face_bones())
    rig.pose.bones["jaw"].rotation_mode = "XYZ"
    return rig


def use(blender, *objects):
    blender.context.view_layer.update()
    select(blender, *objects)
    assert blender.ops.gaussianspeech.use_character() == {"FINISHED"}


def jaw_opens_with(rig, name, expression="-var * 0.8"):
    """A property of the rig that turns its jaw."""
    rig[name] = 0.0
    rig.id_properties_ui(name).update(min=0.0, max=1.0)
    curve = rig.pose.bones["jaw"].driver_add("rotation_euler", 0)
    curve.driver.expression = expression
    reads(curve.driver, rig, f'["{name}"]')


def opening(rig):
    return abs(rig.pose.bones["jaw"].rotation_euler[0])


def test_what_turns_a_jaw_speaks_for_it(engine_ready, rig, speak):
    angle = {row.pose: row.value for row in named_rows(engine_ready, rig)}["jawOpen"]
    jaw_opens_with(rig, "Chin", f"var * {math.copysign(0.8, angle)}")
    use(engine_ready, rig)
    assert [row for row in rows_of(rig) if row[2] == "jawOpen"] == [
        ("", "property Chin", "jawOpen", pytest.approx(abs(angle) / 0.8, rel=1e-3))
    ]
    assert bones_of(rig, "eyeLookUpLeft") == ["eye.L"]
    engine_ready.ops.gaussianspeech.import_sound(filepath=str(VOICE))
    opened = over(engine_ready, speak(rig), lambda: (opening(rig), rig["Chin"] * 0.8))
    assert opened[:, 0].max() > 0.05
    assert opened[:, 0] == pytest.approx(opened[:, 1], abs=1e-4)


def named_rows(blender, rig):
    """What is proposed by the names of the bones alone."""
    use(blender, rig)
    rows = [row.read() for row in rig.gaussianspeech_character.rows]
    blender.ops.gaussianspeech.forget_character()
    return rows


def test_a_jaw_that_goes_with_a_driven_key_is_left_to_the_control(blender, rig):
    face = make_mesh(blender, "Face", ("jawOpen", "mouthPucker", "mouthFunnel", "mouthClose",
                                       "mouthSmileLeft", "mouthSmileRight"))  # fmt: skip
    jaw_opens_with(rig, "jawOpen")
    for key in ("jawOpen", "mouthPucker"):
        rig[key] = 0.0
        reads(key_driver(face, key), rig, f'["{key}"]')
    use(blender, rig)
    assert bones_of(rig, "jawOpen") == [""]
    assert bones_of(rig, "jawLeft") == []
    assert bones_of(rig, "mouthPucker") == [""]
    assert bones_of(rig, "head motion") == ["neck", "head"]


@pytest.fixture
def daz(blender):
    """A figure as it is imported from Daz Studio: visemes are properties, handed on by the data."""
    bones = face_bones("lowerJaw(drv)")
    bones["lowerJaw"] = (*bones["lowerJaw(drv)"][:2], "lowerJaw(drv)")
    rig = make_armature(blender, "Genesis 8 Female", bones)
    helper = rig.pose.bones["lowerJaw(drv)"]
    helper.rotation_mode = "XYZ"
    driver = helper.driver_add("rotation_euler", 0).driver
    driver.expression = "-0.4 * AA - 0.1 * OW - 0.05 * (EE + UW + F + M)"
    for phone in VISEMES:
        name = f"eCTRLv{phone}"
        rig[name] = 0.0
        rig.id_properties_ui(name).update(min=0.0, max=1.0)
        rig.data[f"{name}(fin)"] = 0.0
        reads(driver_of(rig.data, f'["{name}(fin)"]'), rig, f'["{name}"]')
        reads(driver, rig.data, f'["{name}(fin)"]', id_type="ARMATURE", name=phone)
    return rig


def test_a_daz_figure_speaks_by_its_visemes_and_not_by_its_jaw_beside(engine_ready, daz, speak):
    use(engine_ready, daz)
    shown = {pose: bone for bone, _, pose, _ in rows_of(daz)}
    assert {"aa": "", "ih": "", "oh": "", "ou": "", "PP": "", "FF": ""}.items() <= shown.items()
    assert "jawOpen" not in shown
    assert shown["eyeLookUpLeft"] == "eye.L"
    engine_ready.ops.gaussianspeech.import_sound(filepath=str(VOICE))
    values = over(engine_ready, speak(daz), lambda: [daz[f"eCTRLv{phone}"] for phone in VISEMES])
    assert values.max() > 0.2


def test_properties_that_drive_nothing_say_nothing(blender, rig):
    for phone in VISEMES:
        rig[f"eCTRLv{phone}"] = 0.0
    use(blender, rig)
    assert bones_of(rig, "jawOpen") == ["jaw"]


def test_a_jaw_whose_quaternion_is_driven_is_left_out(blender, rig):
    jaw = rig.pose.bones["jaw"]
    jaw.rotation_mode = "QUATERNION"
    rig["Chin"] = 0.0
    reads(jaw.driver_add("rotation_quaternion", 1).driver, rig, '["Chin"]')
    use(blender, rig)
    assert bones_of(rig, "jawOpen") == []
