# SPDX-License-Identifier: GPL-3.0-or-later
import json

import numpy as np
import pytest
import soundfile

from engine.characters import load_mapping, open_character
from engine.motion.arkit import ARKIT_NAMES
from engine.motion.characters.conventions import Row
from engine.motion.interchange.curve_files import write_curves
from engine.motion.interchange.face_curves import FaceCurves
from engine.motion.performance import Performance
from tests.engine.characters.bone_files import rigged_character
from tests.engine.gltf_files import (
    ARKIT,
    animation_values,
    arkit_character,
    glb_parts,
    vrm_character,
)
from training.cli import main

JAW = ARKIT.index("jawOpen")


@pytest.fixture
def voice(sample_voice, tmp_path):
    speech, text = sample_voice
    soundfile.write(tmp_path / "voice.wav", speech.samples, 16000)
    return [str(tmp_path / "voice.wav"), "--text", text]


def run(capsys, *arguments):
    code = main([*map(str, arguments), "--json"])
    printed = capsys.readouterr()
    return code, [json.loads(line) for line in printed.out.splitlines()], printed.err


def test_a_recording_becomes_an_animation_of_the_character(voice, tmp_path, capsys):
    path = arkit_character().written(tmp_path / "anna.glb")
    out = tmp_path / "speaking.glb"
    command = ["animate", *voice, "--character", path, "--out", out, "--fps", "23.976"]
    code, (spoken, made), _ = run(capsys, *command)
    assert code == 0
    assert "performance" not in spoken
    assert made == {
        "character": str(out),
        "mapping": "ARKit",
        "objects": {"Face": 8, "Teeth": 1},
        "animations": ["voice"],
    }
    seconds, tracks = animation_values(out)
    np.testing.assert_array_equal(
        seconds, (np.arange(spoken["frames"]) / 23.976).astype(np.float32)
    )
    jaw = tracks[0, "weights"][:, JAW]
    assert jaw.max() > 0.15
    np.testing.assert_array_equal(tracks[1, "weights"][:, 0], jaw)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["anna.glb", "speaking.glb", "voice.wav"]


def test_a_folder_gets_the_performances_and_the_character_that_plays_them(voice, tmp_path, capsys):
    path = vrm_character(1).written(tmp_path / "anna.vrm")
    soundfile.write(tmp_path / "hum.wav", np.zeros(8000), 16000)
    audio = [voice[0], tmp_path / "hum.wav"]
    out = tmp_path / "out"
    command = ["animate", *audio, "--character", path, "--out", out, "--head-motion", "1"]
    code, results, _ = run(capsys, *command)
    assert code == 0
    assert results[-1]["animations"] == ["voice", "hum"]
    _, tracks = animation_values(out / "anna.vrm")
    assert np.ptp(tracks[3, "rotation"], axis=0).max() > 0.005
    # The performances play the same by themselves.
    again = tmp_path / "again.vrm"
    saved = [result["performance"] for result in results[:-1]]
    code, _, _ = run(capsys, "export", "character", *saved, "--character", path, "--out", again)
    assert code == 0
    assert again.read_bytes() == (out / "anna.vrm").read_bytes()


def test_a_mapping_is_written_edited_and_followed(voice, tmp_path, capsys):
    path = arkit_character().written(tmp_path / "anna.glb")
    table = tmp_path / "mapping.json"
    code, (made,), _ = run(capsys, "export", "mapping", path, "--out", table)
    assert code == 0
    assert made["main"] == "Face"
    values = json.loads(table.read_text())
    assert [row[0] for row in values["objects"]["Face"]] == list(ARKIT)
    assert values["unmapped"] == {"Face": ["artist's own"], "Teeth": []}
    assert {"jawOpen", "aa", "PP"} <= set(values["poses"])
    values["objects"] = {"Face": [["artist's own", "jawOpen", 0.5]]}
    table.write_text(json.dumps(values))
    out = tmp_path / "out.glb"
    command = ["animate", *voice, "--character", path, "--mapping", table, "--out", out]
    code, (_, made), _ = run(capsys, *command)
    assert (code, made["objects"]) == (0, {"Face": 1})
    _, tracks = animation_values(out)
    assert tracks[0, "weights"][:, 8].max() > 0.07
    assert not tracks[0, "weights"][:, :8].any()


def test_a_mapping_of_unknown_names_is_written_to_be_filled(tmp_path, capsys):
    file = arkit_character()
    file.json["meshes"][0]["extras"]["targetNames"] = [f"Key {i}" for i in range(9)]
    file.json["meshes"][1]["extras"]["targetNames"] = ["Key 0"]
    path = file.written(tmp_path / "odd.glb")
    table = tmp_path / "odd.json"
    code, (made,), err = run(capsys, "export", "mapping", path, "--out", table)
    assert (code, made["main"]) == (0, "Face")
    assert "No name is known" in err
    values = json.loads(table.read_text())
    assert values["unmapped"]["Face"] == [f"Key {i}" for i in range(9)]
    values["objects"] = {"Face": [["Key 3", "jawOpen", 1.0]]}
    table.write_text(json.dumps(values))
    assert load_mapping(open_character(path), table).tables == {0: (Row("Key 3", "jawOpen", 1.0),)}
    for mesh in file.json["meshes"]:
        del mesh["primitives"][0]["targets"]
    bare = file.written(tmp_path / "bare.glb")
    code, _, err = run(capsys, "export", "mapping", bare, "--out", tmp_path / "bare.json")
    assert code == 2
    assert "bare.glb has no shape keys" in err
    assert not (tmp_path / "bare.json").exists()


def test_a_captured_face_moves_the_character(tmp_path, capsys):
    path = arkit_character().written(tmp_path / "anna.glb")
    weights = np.zeros((5, len(ARKIT_NAMES)), np.float32)
    weights[:, ARKIT_NAMES.index("jawOpen")] = [0, 0.25, 0.5, 0.75, 1]
    write_curves(FaceCurves(60.0, weights, np.zeros((5, 3), np.float32)), tmp_path / "take.csv")
    out = tmp_path / "out.glb"
    command = ["export", "character", tmp_path / "take.csv", "--character", path, "--out", out]
    code, (made,), _ = run(capsys, *command)
    assert (code, made["animations"]) == (0, ["take"])
    seconds, tracks = animation_values(out)
    np.testing.assert_allclose(seconds, np.arange(5) / 60, atol=1e-6)
    np.testing.assert_allclose(tracks[0, "weights"][:, JAW], [0, 0.25, 0.5, 0.75, 1], atol=1e-6)


def test_bones_speak_and_their_mapping_is_written_to_be_edited(tmp_path, capsys):
    file, nodes = rigged_character()
    path = file.written(tmp_path / "anna.glb")
    table = tmp_path / "mapping.json"
    code, (made,), _ = run(capsys, "export", "mapping", path, "--out", table)
    assert (code, made["main"]) == (0, "Armature")
    values = json.loads(table.read_text())
    rows = values["objects"]["Armature"]
    assert sum(abs(row[3]) ** 2 for row in rows if row[:1] + row[2:3] == ["jaw", "jawOpen"]) > 400
    assert "jaw" in values["bones"]["Armature"]
    assert "rotation x" in values["channels"]
    values["objects"]["Armature"] = [["jaw", "rotation x", "jawOpen", 20.0]]
    table.write_text(json.dumps(values))
    weights = np.zeros((2, len(ARKIT_NAMES)), np.float32)
    weights[1, ARKIT_NAMES.index("jawOpen")] = 1.0
    write_curves(FaceCurves(60.0, weights, np.zeros((2, 3), np.float32)), tmp_path / "take.csv")
    command = ["export", "character", tmp_path / "take.csv", "--character", path]
    code, (made,), _ = run(capsys, *command, "--mapping", table, "--out", tmp_path / "out.glb")
    assert (code, made["objects"]) == (0, {"Armature": 1})
    first, last = animation_values(tmp_path / "out.glb")[1][nodes["jaw"], "rotation"]
    np.testing.assert_allclose(2 * np.degrees(np.arccos(first @ last)), 20, atol=1e-3)


def test_a_performance_without_arkit_weights_is_refused(tmp_path, capsys):
    path = arkit_character().written(tmp_path / "anna.glb")
    names = ("expr_000",)
    weights, basis = np.zeros((2, 1), np.float32), np.zeros((1, 3, 3), np.float32)
    saved = tmp_path / "a.performance.npz"
    Performance(25.0, weights, basis, weights, names, "flame2023").save(saved)
    command = ["export", "character", saved, "--character", path, "--out", tmp_path / "out.glb"]
    code, _, err = run(capsys, *command)
    assert code == 2
    assert "'flame2023' has no ARKit weights" in err


def test_one_bad_recording_does_not_keep_the_others_from_the_character(voice, tmp_path, capsys):
    path = arkit_character().written(tmp_path / "anna.glb")
    (tmp_path / "bad.wav").write_bytes(b"RIFF but no audio")
    command = ["animate", tmp_path / "bad.wav", *voice, "--character", path]
    code, results, err = run(capsys, *command, "--out", tmp_path / "out.glb")
    assert code == 2
    assert "bad.wav" in err
    assert results[-1]["animations"] == ["voice"]
    code, results, _ = run(
        capsys, "animate", tmp_path / "bad.wav", "--character", path, "--out", tmp_path / "none.glb"
    )
    assert (code, results) == (2, [])
    assert not (tmp_path / "none.glb").exists()


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--character", "nobody.glb", "--out", "o.glb"], "nobody.glb"),
        (["--character", "a.glb", "--out", "a.glb"], "a.glb is the character itself"),
        (["--character", "a.glb", "--out", "."], "a.glb is the character itself"),
        (["--character", "a.glb", "--out", "o.fbx"], "o.fbx. End it in .glb, .vrm"),
        (["--character", "a.glb", "--out", "o.glb", "--dense"], "o.glb holds no offsets"),
        (["--character", "a.glb", "--out", "o.csv"], "o.csv holds no character"),
        (["--mapping", "m.json", "--out", "o"], "--character"),
        (["--character", "a.glb", "--mapping", "m.json", "--out", "o.glb"], "m.json"),
        (["--character", "odd.glb", "--out", "o.glb"], "odd.glb"),
        (["--character", "a.obj", "--out", "o.glb"], "a.obj"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_left(tmp_path, monkeypatch, capsys, arguments, names):
    arkit_character().written(tmp_path / "a.glb")
    odd = arkit_character()
    odd.json["meshes"] = [{"name": "no primitives"}] * 2
    odd.written(tmp_path / "odd.glb")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert main(["animate", "voice.wav", *arguments]) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("gaussianspeech: ")
    assert names in message
    assert sorted(tmp_path.iterdir()) == before


def test_a_retargeted_performance_keeps_the_shape_keys_of_a_mesh_among_others(tmp_path, capsys):
    from tests.engine.gltf_files import own_face

    path = own_face().written(tmp_path / "own.glb")
    weights = np.zeros((3, len(ARKIT_NAMES)), np.float32)
    weights[:, ARKIT_NAMES.index("jawOpen")] = [0, 0.5, 1]
    from engine.heads import load_head

    head = load_head("default")
    order = [ARKIT_NAMES.index(name) for name in head.expression_names]
    played = Performance(
        25.0,
        weights[:, order],
        head.expression_basis,
        weights[:, order],
        head.expression_names,
        "default",
    )
    played.save(tmp_path / "talk.performance.npz")
    out = tmp_path / "own.performance.npz"
    command = ["retarget", tmp_path / "talk.performance.npz", "--head", path, "--out", out]
    code, (made,), _ = run(capsys, *command)
    assert (code, made["mesh"]) == (0, "Face")
    carried = Performance.load(out)
    assert "mouth_smirk" in carried.expression_names
    face = load_head(path)
    jaw = face.expression_basis[face.expression_index("jawOpen")]
    np.testing.assert_allclose(carried.offsets()[1], 0.5 * jaw, atol=1e-7)
    values, _ = glb_parts(path)
    assert len(values["meshes"]) == 3
