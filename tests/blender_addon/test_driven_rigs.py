# SPDX-License-Identifier: GPL-3.0-or-later
"""Control rigs whose drivers move the shape keys of a face: what drives a key speaks for it."""

from __future__ import annotations

import pytest

from tests.blender_addon.rig_faces import make_armature, make_mesh, select
from tests.blender_addon.sample_voice import VOICE, over, speak

__all__ = ["speak"]

KEYS = ("jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthSmileLeft", "mouthSmileRight")


@pytest.fixture
def face(blender):
    return make_mesh(blender, "Face", KEYS)


@pytest.fixture
def rig(blender):
    """An armature none of whose bones is called as one of a face."""
    bones = {"root": ((0, 0, 0), (0, 0, 1)), "panel": ((0, -1, 1), (0, -1, 2), "root")}
    bones |= {f"slide {key}": ((0, -1, 1), (0, -1, 1.1), "panel") for key in KEYS}
    return make_armature(blender, "Controls", bones)


def driver_of(datablock, path, expression="var"):
    curve = datablock.driver_add(path)
    curve.driver.expression = expression
    return curve.driver


def reads(driver, datablock, path, *, id_type="OBJECT", name="var"):
    variable = driver.variables.new()
    variable.name = name
    variable.targets[0].id_type = id_type
    variable.targets[0].id, variable.targets[0].data_path = datablock, path


def key_driver(face, key, expression="var"):
    return driver_of(face.data.shape_keys.key_blocks[key], "value", expression)


def reads_slide(driver, rig, key, transform="LOC_Y"):
    variable = driver.variables.new()
    variable.name, variable.type = "var", "TRANSFORMS"
    target = variable.targets[0]
    target.id, target.bone_target = rig, f"slide {key}"
    target.transform_type, target.transform_space = transform, "LOCAL_SPACE"


def by_object_properties(face, rig):
    for key in KEYS:
        rig[key] = 0.0
        reads(key_driver(face, key), rig, f'["{key}"]')
    rig.update_tag()


def by_bone_properties(face, rig):
    for key in KEYS:
        rig.pose.bones["panel"][key] = 0.0
        reads(key_driver(face, key, "var / 10"), rig, f'pose.bones["panel"]["{key}"]')
    rig.update_tag()


def by_sliding_bones(face, rig):
    for key in KEYS:
        reads_slide(key_driver(face, key, "min(max(-var * 20, 0), 1)"), rig, key)


def by_turned_bones(face, rig):
    for key in KEYS:
        bone = f"slide {key}"
        rig.pose.bones[bone].rotation_mode = "XYZ"
        reads(key_driver(face, key, "var * 2"), rig, f'pose.bones["{bone}"].rotation_euler[2]')


def by_what_the_armature_hands_on(face, rig):
    """As importers do it that add up several properties: they drive one that drives the key."""
    for key in KEYS:
        rig[key] = 0.0
        rig.data[f"{key}(fin)"] = 0.0
        reads(driver_of(rig.data, f'["{key}(fin)"]', "var * 0.5"), rig, f'["{key}"]')
        reads(key_driver(face, key), rig.data, f'["{key}(fin)"]', id_type="ARMATURE")
    rig.update_tag()
    rig.data.update_tag()


def by_properties_of_the_armature_s_data(face, rig):
    for key in KEYS:
        rig.data[key] = 0.0
        reads(key_driver(face, key, "var / 4"), rig.data, f'["{key}"]', id_type="ARMATURE")
    rig.data.update_tag()


def by_properties_of_the_data_seen_from_the_object(face, rig):
    for key in KEYS:
        rig.data[key] = 0.0
        reads(key_driver(face, key, "var / 4"), rig, f'data["{key}"]')
    rig.data.update_tag()


def table(rig):
    rows = [tuple(row.read()) for row in rig.gaussianspeech_character.rows]
    return {pose: (bone, channel, pytest.approx(value, rel=1e-3))
            for bone, channel, pose, value in rows}  # fmt: skip


@pytest.mark.parametrize(
    ("drive", "bone", "channel", "value"),
    [
        (by_object_properties, "", "property {}", 1.0),
        (by_bone_properties, "panel", "property {}", 10.0),
        (by_sliding_bones, "slide {}", "location y", -0.05),
        (by_turned_bones, "slide {}", "rotation z", 0.5),
        (by_what_the_armature_hands_on, "", "property {}", 2.0),
        (by_properties_of_the_armature_s_data, "", "property {}", 4.0),
        (by_properties_of_the_data_seen_from_the_object, "", "property {}", 4.0),
    ],
)
def test_what_drives_a_key_shows_what_the_key_shows(
    blender, face, rig, drive, bone, channel, value
):
    drive(face, rig)
    select(blender, rig)
    assert blender.ops.gaussianspeech.use_character() == {"FINISHED"}
    assert table(rig) == {key: (bone.format(key), channel.format(key), value) for key in KEYS}
    # Nothing has moved for it.
    assert all(block.value == 0.0 for block in face.data.shape_keys.key_blocks[1:])
    assert not any(bone.location.length for bone in rig.pose.bones)


def test_a_face_whose_keys_are_driven_speaks_by_its_rig(engine_ready, face, rig, speak):
    by_object_properties(face, rig)
    ops = engine_ready.ops.gaussianspeech
    select(engine_ready, face)
    ops.use_character()
    ops.import_sound(filepath=str(VOICE))
    with pytest.raises(RuntimeError, match="Let 'Controls' speak instead"):
        ops.predict()
    select(engine_ready, face, rig)
    assert ops.use_character() == {"FINISHED"}
    select(engine_ready, rig)
    frames = speak(rig)
    block = face.data.shape_keys.key_blocks["jawOpen"]
    opened = over(engine_ready, frames, lambda: (block.value, rig["jawOpen"]))
    assert opened[:, 0].max() > 0.1
    assert opened[:, 0] == pytest.approx(opened[:, 1], abs=1e-5)
    engine_ready.context.scene.frame_set(frames.stop + 50)
    assert rig["jawOpen"] == pytest.approx(0.0, abs=1e-6)


def test_a_control_that_goes_both_ways_shows_two_keys(blender, rig):
    face = make_mesh(blender, "Face", [*KEYS, "mouthLeft", "mouthRight"])
    for key, expression in (("mouthLeft", "max(var, 0)"), ("mouthRight", "max(-var, 0)")):
        reads_slide(key_driver(face, key, expression), rig, "jawOpen", "LOC_X")
    select(blender, rig)
    blender.ops.gaussianspeech.use_character()
    bone = "slide jawOpen"
    assert table(rig) == {
        "mouthLeft": (bone, "location x", 1.0),
        "mouthRight": (bone, "location x", -1.0),
    }


def test_of_several_controls_of_a_key_the_first_that_moves_it_speaks(blender, face, rig):
    rig["strength"], rig["open"] = 1.0, 0.0
    driver = key_driver(face, "jawOpen", "strength * open")
    for name in ("strength", "open"):
        reads(driver, rig, f'["{name}"]', name=name)
    rig.id_properties_ui("strength").update(default=1.0)
    rig.update_tag()
    select(blender, rig)
    blender.ops.gaussianspeech.use_character()
    assert table(rig) == {"jawOpen": ("", "property open", 1.0)}
    assert (rig["strength"], rig["open"]) == (1.0, 0.0)


def test_a_switch_shows_its_key_when_it_is_on(blender, face, rig):
    rig["smile"] = 0
    for key in ("mouthSmileLeft", "mouthSmileRight"):
        reads(key_driver(face, key), rig, '["smile"]')
    rig.update_tag()
    select(blender, rig)
    blender.ops.gaussianspeech.use_character()
    assert set(table(rig)) == {"mouthSmileLeft", "mouthSmileRight"}
    assert table(rig)["mouthSmileLeft"] == ("", "property smile", 1.0)


def test_properties_say_what_keys_show_whose_names_do_not(blender, rig):
    keys = [f"shape {number}" for number in range(len(KEYS))]
    face = make_mesh(blender, "Face", keys)
    for key, name in zip(keys, KEYS, strict=True):
        rig[name] = 0.0
        reads(key_driver(face, key), rig, f'["{name}"]')
    rig.update_tag()
    select(blender, rig)
    blender.ops.gaussianspeech.use_character()
    assert table(rig) == {name: ("", f"property {name}", 1.0) for name in KEYS}


def test_a_value_stays_in_the_range_of_its_property(blender, face, rig):
    rig["open"] = 0.0
    rig.id_properties_ui("open").update(min=0.0, max=1.0)
    reads(key_driver(face, "jawOpen", "var * 0.5"), rig, '["open"]')
    rig.update_tag()
    select(blender, rig)
    blender.ops.gaussianspeech.use_character()
    assert table(rig) == {"jawOpen": ("", "property open", 1.0)}


def test_the_table_of_an_object_s_properties_is_saved_and_used_again(blender, face, rig, tmp_path):
    by_object_properties(face, rig)
    select(blender, rig)
    ops = blender.ops.gaussianspeech
    ops.use_character()
    rows = table(rig)
    ops.save_mapping(filepath=str(tmp_path / "controls.json"))
    ops.forget_character()
    ops.load_mapping(filepath=str(tmp_path / "controls.json"))
    assert table(rig) == rows


def test_a_property_that_is_gone_is_named(blender, face, rig):
    by_object_properties(face, rig)
    select(blender, rig)
    ops = blender.ops.gaussianspeech
    ops.use_character()
    ops.import_sound(filepath=str(VOICE))
    del rig["jawOpen"]
    with pytest.raises(RuntimeError, match="'Controls' has no custom property 'jawOpen'"):
        ops.predict()


def test_drivers_that_no_rig_can_speak_for_say_so(blender, face):
    scene = blender.context.scene
    scene["open"] = 0.0
    for key in KEYS:
        reads(key_driver(face, key), scene, '["open"]', id_type="SCENE")
    select(blender, face)
    ops = blender.ops.gaussianspeech
    ops.use_character()
    ops.import_sound(filepath=str(VOICE))
    with pytest.raises(RuntimeError, match="let them read bones, transforms or custom properties"):
        ops.predict()


def test_a_rig_that_drives_some_of_the_keys_is_named(engine_ready, predict, face, rig):
    reads_slide(key_driver(face, "jawOpen"), rig, "jawOpen")
    select(engine_ready, face)
    ops = engine_ready.ops.gaussianspeech
    ops.use_character()
    ops.import_sound(filepath=str(VOICE))
    predict()
    message = engine_ready.context.window_manager.gaussianspeech_status.message
    assert "control of 1 key, such as jawOpen; 'Controls' joins by Add Selected Objects" in message


def test_properties_of_an_armature_s_data_speak(engine_ready, face, rig, speak):
    by_properties_of_the_armature_s_data(face, rig)
    select(engine_ready, rig)
    engine_ready.ops.gaussianspeech.use_character()
    engine_ready.ops.gaussianspeech.import_sound(filepath=str(VOICE))
    frames = speak(rig)
    block = face.data.shape_keys.key_blocks["jawOpen"]
    opened = over(engine_ready, frames, lambda: (block.value, rig.data["jawOpen"] / 4))
    assert opened[:, 0].max() > 0.1
    assert opened[:, 0] == pytest.approx(opened[:, 1], abs=1e-5)


STANDS = (3.0, -2.0, 1.0)


@pytest.fixture
def knobs(blender, face):
    """Empties beside the face, one for each key, which drive it by their height above a shelf."""
    made = []
    for number, key in enumerate(KEYS):
        knob = blender.data.objects.new(f"Knob {key}", None)
        blender.context.collection.objects.link(knob)
        knob.location = STANDS
        expression = f"(var - {STANDS[2]}) * 5"
        if number % 2:
            reads(key_driver(face, key, expression), knob, "location.z")
        else:
            variable = key_driver(face, key, expression).variables.new()
            variable.name, variable.type = "var", "TRANSFORMS"
            variable.targets[0].id, variable.targets[0].transform_type = knob, "LOC_Z"
        made.append(knob)
    blender.context.view_layer.update()
    return made


def test_an_empty_shows_what_its_place_drives_from_where_it_stands(blender, face, knobs):
    select(blender, *knobs)
    assert blender.ops.gaussianspeech.use_character() == {"FINISHED"}
    for key, knob in zip(KEYS, knobs, strict=True):
        assert table(knob) == {key: ("", "location z", STANDS[2] + 0.2),
                               "rest": ("", "location z", STANDS[2])}  # fmt: skip
        assert tuple(knob.location) == STANDS
    # Once more while it is not at rest: that is known by now.
    knobs[0].location.z += 0.1
    select(blender, knobs[0])
    blender.ops.gaussianspeech.propose_mapping()
    assert table(knobs[0])["rest"][2] == STANDS[2]


def test_empties_speak_together_as_one_rig_does(engine_ready, face, knobs, rig, speak):
    ops = engine_ready.ops.gaussianspeech
    blocks = face.data.shape_keys.key_blocks

    def values():
        return [blocks[key].value for key in KEYS]

    select(engine_ready, *knobs)
    ops.use_character()
    ops.import_sound(filepath=str(VOICE))
    frames = speak(knobs[0])
    by_knobs = over(engine_ready, frames, values)
    for knob in knobs:
        assert tuple(knob.location)[:2] == STANDS[:2]
    engine_ready.context.scene.frame_set(frames.stop + 50)
    assert [knob.location.z for knob in knobs] == pytest.approx([STANDS[2]] * len(knobs))
    for key in KEYS:
        blocks[key].driver_remove("value")
    ops.forget_character()
    by_object_properties(face, rig)
    select(engine_ready, rig)
    ops.use_character()
    by_rig = over(engine_ready, speak(rig), values)
    assert by_knobs.max() > 0.1
    # Keys that the curve hardly needs are left out.
    assert by_knobs == pytest.approx(by_rig, abs=5e-3)


def test_an_empty_whose_line_is_removed_stands_where_it_stood(engine_ready, knobs, speak):
    ops = engine_ready.ops.gaussianspeech
    select(engine_ready, *knobs)
    ops.use_character()
    ops.import_sound(filepath=str(VOICE))
    engine_ready.context.scene.frame_set(speak(knobs[0]).start + 10)
    ops.remove_line()
    engine_ready.context.view_layer.update()
    assert [knob.location.z for knob in knobs] == pytest.approx([STANDS[2]] * len(knobs))


def test_custom_properties_of_an_empty_and_turns_of_a_curve_drive_keys(blender, face):
    board = blender.data.objects.new("Board", None)
    dial = blender.data.objects.new("Dial", blender.data.curves.new("Dial", "CURVE"))
    for obj in (board, dial):
        blender.context.collection.objects.link(obj)
    board["open"] = 0.0
    reads(key_driver(face, "jawOpen"), board, '["open"]')
    reads(key_driver(face, "mouthPucker", "var * 2"), dial, "rotation_euler[1]")
    select(blender, face, board, dial)
    blender.ops.gaussianspeech.use_character()
    assert table(board) == {"jawOpen": ("", "property open", 1.0)}
    assert table(dial) == {"mouthPucker": ("", "rotation y", 0.5)}


def test_objects_that_drive_nothing_are_no_part_of_a_character(blender, face):
    empty = blender.data.objects.new("Lamp target", None)
    blender.context.collection.objects.link(empty)
    select(blender, face, empty)
    blender.ops.gaussianspeech.use_character()
    assert not empty.gaussianspeech_character.id
    message = blender.context.window_manager.gaussianspeech_status.message
    assert "not known" not in message


def test_the_places_of_empties_are_saved_with_their_rest(blender, knobs, tmp_path):
    ops = blender.ops.gaussianspeech
    select(blender, *knobs)
    ops.use_character()
    rows = [table(knob) for knob in knobs]
    ops.save_mapping(filepath=str(tmp_path / "knobs.json"))
    ops.forget_character()
    ops.load_mapping(filepath=str(tmp_path / "knobs.json"))
    assert [table(knob) for knob in knobs] == rows


def test_an_empty_that_drives_what_drives_a_key_joins(blender, face, rig):
    by_object_properties(face, rig)
    knob = blender.data.objects.new("Knob", None)
    blender.context.collection.objects.link(knob)
    reads(driver_of(rig, '["jawOpen"]', "(var - 1) * 2"), knob, "scale.x")
    select(blender, rig, knob)
    blender.ops.gaussianspeech.use_character()
    assert "jawOpen" not in table(rig)
    assert table(knob) == {"jawOpen": ("", "scale x", 1.5)}
