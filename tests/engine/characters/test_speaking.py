# SPDX-License-Identifier: GPL-3.0-or-later
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.characters import Part, load_mapping, open_character, proposed_mapping, speak
from engine.characters.speaking import SpeakingMapping
from engine.core.errors import BadInputError, GaussianSpeechError
from engine.motion.arkit import ARKIT_NAMES
from engine.motion.characters.conventions import Row
from engine.motion.characters.mapping_file import FORMAT, read_mapping, save_mapping
from engine.motion.interchange.face_curves import FaceCurves
from tests.engine.characters.bone_files import rigged_character
from tests.engine.gltf_files import ARKIT, animation_values, arkit_character, vrm_character


def performance(frames=4, fps=25.0, turn=0.0, **curves):
    weights = np.zeros((frames, len(ARKIT_NAMES)), np.float32)
    for name, values in curves.items():
        weights[:, ARKIT_NAMES.index(name)] = values
    return FaceCurves(fps, weights, np.tile(np.float32([0.0, turn, 0.0]), (frames, 1)))


@pytest.fixture
def arkit(tmp_path):
    return open_character(arkit_character().written(tmp_path / "arkit.glb"))


@pytest.fixture(params=[0, 1])
def vrm(request, tmp_path):
    return open_character(vrm_character(request.param).written(tmp_path / "vrm.vrm"))


OPEN = [0.0, 0.25, 0.5, 1.0]


def test_the_face_speaks_and_the_teeth_go_with_its_jaw(arkit, tmp_path):
    mapping = proposed_mapping(arkit)
    assert (mapping.source, arkit.parts[mapping.main].name) == ("ARKit", "Face")
    talk = performance(jawOpen=OPEN, mouthSmileLeft=0.5, browInnerUp=1.0)
    arkit.save(tmp_path / "out.glb", [speak(talk, mapping, "talk")])
    _, tracks = animation_values(tmp_path / "out.glb")
    face = tracks[0, "weights"]
    np.testing.assert_array_equal(face[:, ARKIT.index("jawOpen")], np.float32(OPEN))
    np.testing.assert_array_equal(face[:, ARKIT.index("mouthSmileLeft")], np.float32(0.5))
    assert not face[:, ARKIT.index("mouthPucker")].any()
    np.testing.assert_array_equal(tracks[1, "weights"][:, 0], face[:, 0])


def test_shape_keys_that_are_not_mapped_stay_where_the_artist_left_them(tmp_path):
    file = arkit_character()
    file.json["nodes"][0]["weights"] = [0.0] * 8 + [0.75]
    file.json["meshes"][0]["weights"] = [0.1] * 9
    character = open_character(file.written(tmp_path / "a.glb"))
    clip = speak(performance(jawOpen=OPEN), proposed_mapping(character), "talk")
    character.save(tmp_path / "out.glb", [clip])
    _, tracks = animation_values(tmp_path / "out.glb")
    np.testing.assert_array_equal(tracks[0, "weights"][:, 8], np.float32(0.75))


def test_a_mesh_that_two_nodes_show_moves_at_both(tmp_path):
    file = arkit_character()
    file.node({"mesh": 0, "name": "Twin"})
    character = open_character(file.written(tmp_path / "a.glb"))
    clip = speak(performance(jawOpen=OPEN), proposed_mapping(character), "talk")
    character.save(tmp_path / "out.glb", [clip])
    _, tracks = animation_values(tmp_path / "out.glb")
    np.testing.assert_array_equal(tracks[0, "weights"], tracks[2, "weights"])


def test_expressions_of_a_vrm_move_what_they_are_bound_to(vrm, tmp_path):
    mapping = proposed_mapping(vrm)
    assert vrm.parts[mapping.main].is_expressions
    assert list(mapping.tables) == [mapping.main]
    talk = performance(jawOpen=OPEN, eyeBlinkLeft=[0, 0.4, 0.6, 1], eyeBlinkRight=[0, 0.4, 0.6, 1])
    clip = speak(talk, mapping, "talk")
    aa = clip.values[mapping.main].values[:, 0]
    assert aa[3] > aa[2] > aa[1] > aa[0] == 0
    vrm.save(tmp_path / "out.vrm", [clip])
    _, tracks = animation_values(tmp_path / "out.vrm")
    np.testing.assert_allclose(tracks[0, "weights"][:, 0], 0.8 * aa, rtol=1e-6)
    np.testing.assert_allclose(tracks[1, "weights"][:, 0], 0.5 * aa, rtol=1e-6)
    # The blink is either off or on.
    np.testing.assert_allclose(tracks[0, "weights"][:, 5], np.float32([0, 0, 0.8, 0.8]))


def test_two_expressions_on_one_morph_target_add_up(tmp_path):
    file = vrm_character(0)
    groups = file.json["extensions"]["VRM"]["blendShapeMaster"]["blendShapeGroups"]
    groups[4]["binds"] = [{"mesh": 0, "index": 0, "weight": 30}]
    file.json["nodes"][0]["weights"] = [0.9, *[0.0] * 5, 0.25]
    character = open_character(file.written(tmp_path / "a.vrm"))
    mapping = proposed_mapping(character)
    clip = speak(performance(jawOpen=OPEN, mouthFunnel=0.5), mapping, "talk")
    values = clip.values[mapping.main]
    character.save(tmp_path / "out.vrm", [clip])
    _, tracks = animation_values(tmp_path / "out.vrm")
    expected = 0.8 * values.values[:, 0] + 0.3 * values.values[:, 4]
    np.testing.assert_allclose(tracks[0, "weights"][:, 0], expected, atol=1e-6)
    np.testing.assert_array_equal(tracks[0, "weights"][:, 6], np.float32(0.25))


def test_the_head_of_a_vrm_turns_and_other_files_say_that_they_cannot(vrm, arkit, tmp_path):
    talk = performance(jawOpen=OPEN, turn=0.2)
    assert vrm.save(tmp_path / "a.vrm", [speak(talk, proposed_mapping(vrm), "talk")]) == ()
    _, tracks = animation_values(tmp_path / "a.vrm")
    # About the vertical, whichever way the character looks and however its hips are turned.
    half = np.float32([0, np.sin(0.1), 0, np.cos(0.1)])
    np.testing.assert_allclose(np.abs(tracks[3, "rotation"]), np.tile(half, (4, 1)), atol=1e-6)
    (left_out,) = arkit.save(tmp_path / "b.glb", [speak(talk, proposed_mapping(arkit), "talk")])
    assert "arkit.glb has no bone for its head" in left_out


def test_nods_of_a_character_that_looks_backwards_are_forward(tmp_path):
    turns = []
    for version in (0, 1):
        character = open_character(vrm_character(version).written(tmp_path / f"{version}.vrm"))
        talk = performance(jawOpen=OPEN)
        talk.head_rotation[:, 0] = 0.2
        out = tmp_path / f"out{version}.vrm"
        character.save(out, [speak(talk, proposed_mapping(character), "nod")])
        turns.append(animation_values(out)[1][3, "rotation"])
    np.testing.assert_allclose(turns[0][:, :3], -turns[1][:, :3], atol=1e-7)


def test_arkit_names_of_meshes_win_over_fewer_expressions(tmp_path):
    file = vrm_character(1)
    file.json["meshes"][0]["extras"]["targetNames"] = ["a", "i", *ARKIT[:5]]
    file.json["meshes"][1]["extras"]["targetNames"] = ["jawOpen"]
    assert proposed_mapping(open_character(file.written(tmp_path / "few.vrm"))).source == "VRM 1"
    file.json["meshes"][0]["extras"]["targetNames"] = list(ARKIT[:7])
    mapping = proposed_mapping(open_character(file.written(tmp_path / "a.vrm")))
    assert mapping.source == "ARKit"
    assert set(mapping.tables) == {0, 1}


def test_an_expression_of_what_no_mesh_has_is_named_when_it_speaks(tmp_path):
    file = vrm_character(0)
    groups = file.json["extensions"]["VRM"]["blendShapeMaster"]["blendShapeGroups"]
    groups.append({"presetName": "joy", "binds": [{"mesh": 7, "index": 0, "weight": 1}]})
    character = open_character(file.written(tmp_path / "a.vrm"))
    clip = speak(performance(jawOpen=OPEN), proposed_mapping(character), "talk")
    character.save(tmp_path / "out.vrm", [clip])
    groups[1]["binds"][0]["index"] = 9
    character = open_character(file.written(tmp_path / "b.vrm"))
    clip = speak(performance(jawOpen=OPEN), proposed_mapping(character), "talk")
    with pytest.raises(BadInputError, match=r"b\.vrm.*'i' moves a morph target"):
        character.save(tmp_path / "out2.vrm", [clip])
    assert not (tmp_path / "out2.vrm").exists()


def test_names_of_no_convention_lead_to_a_mapping_or_a_head(tmp_path):
    file = arkit_character()
    for mesh in file.json["meshes"]:
        mesh["extras"]["targetNames"] = [f"Key {i}" for i in range(9)]
    with pytest.raises(BadInputError, match="Key 0, Key 1") as caught:
        proposed_mapping(open_character(file.written(tmp_path / "odd.glb")))
    assert "--mapping" in caught.value.hint
    assert "--head" in caught.value.hint


def test_a_file_without_shape_keys_is_offered_as_a_head(tmp_path):
    file = arkit_character()
    for mesh in file.json["meshes"]:
        del mesh["primitives"][0]["targets"]
    with pytest.raises(BadInputError, match=r"bare\.glb has no shape keys.*--head"):
        proposed_mapping(open_character(file.written(tmp_path / "bare.glb")))


def test_a_mapping_goes_to_a_file_and_back(arkit, tmp_path):
    rows = (Row("jawOpen", "aa", 0.5), Row("mouthPucker", "ou"))
    save_mapping(tmp_path / "m.json", "Face", {"Face": rows, "Teeth": rows[:1]})
    found = read_mapping(tmp_path / "m.json")
    assert found == ("Face", {"Face": rows, "Teeth": rows[:1]}, {})
    mapping = load_mapping(arkit, tmp_path / "m.json")
    assert mapping == SpeakingMapping(str(tmp_path / "m.json"), 0, {0: rows, 1: rows[:1]})


def test_a_mapping_fits_objects_of_other_names_by_their_shape_keys(arkit, tmp_path):
    rows = (Row("jawOpen", "aa"), Row("mouthPucker", "ou"), Row("nowhere", "oh"))
    save_mapping(tmp_path / "m.json", "Anna", {"Anna": rows, "Teeth": rows[:1]})
    mapping = load_mapping(arkit, tmp_path / "m.json")
    assert (mapping.main, mapping.tables) == (0, {0: rows[:2], 1: rows[:1]})


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ({}, "maps no object"),
        ({"Face": 3}, "no list"),
        ({"Face": [["jawOpen", "aa"]]}, "is no"),
        ({"Face": [["jawOpen", "aa", 1], ["jawOpen", "oh", 1]]}, "mapped twice"),
        ({"Face": [["jawOpen", "song", 1]]}, "'song'"),
        ({"Face": [["jawOpen", "aa", 0]]}, "amount 0"),
        ({"Face": [["other", "aa", 1]]}, "none of the shape keys"),
    ],
)
def test_a_mapping_that_cannot_be_used_says_why(arkit, tmp_path, objects, message):
    path = tmp_path / "m.json"
    path.write_text(json.dumps({"format": FORMAT, "main": "Face", "objects": objects}))
    with pytest.raises(BadInputError, match=message):
        load_mapping(arkit, path)


def edit(file, data):
    """Put something else for one value of the JSON."""
    parent, key = file.json, None
    while isinstance(parent, dict | list) and len(parent):
        keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(parent[key], dict | list) or data.draw(st.integers(0, 5)) == 0:
            break
        parent = parent[key]
    if len(parent):
        parent[key] = data.draw(OTHERS)


OTHERS = st.sampled_from([None, True, -1, 0, 3, 1e30, "x", [], [0, 0, 0, 0], {}, {"node": 0}])


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), kind=st.sampled_from(["arkit", "vrm 0", "vrm 1", "bones"]))
def test_odd_files_speak_or_say_what_is_wrong_with_them(tmp_path, data, kind):
    file = {"arkit": arkit_character, "bones": lambda: rigged_character()[0]}.get(
        kind, lambda: vrm_character(int(kind[-1]))
    )()
    edit(file, data)
    path = file.written(tmp_path / "odd.glb")

    def message():
        try:
            character = open_character(path)
            mapping = proposed_mapping(character)
            clip = speak(performance(jawOpen=OPEN, turn=0.1), mapping, "talk", character.rigs)
            character.save(tmp_path / "out.glb", [clip])
        except GaussianSpeechError as error:
            return error.message
        return "odd.glb"

    assert "odd.glb" in message()


def test_kinds_of_files_that_are_no_characters_are_named(tmp_path):
    (tmp_path / "a.obj").write_text("v 0 0 0")
    with pytest.raises(BadInputError, match=r"a\.obj.*\.vrm"):
        open_character(tmp_path / "a.obj")
    with pytest.raises(BadInputError, match=r"no file .*nobody\.glb"):
        open_character(tmp_path / "nobody.glb")


def test_parts_are_the_meshes_with_shape_keys(arkit, vrm):
    assert arkit.parts == (Part("Face", (*ARKIT, "artist's own")), Part("Teeth", ("jawOpen",)))
    assert [part.name for part in vrm.parts] == ["Face", "Brows", "VRM expressions"]
