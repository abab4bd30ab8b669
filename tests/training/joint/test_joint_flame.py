# SPDX-License-Identifier: GPL-3.0-or-later
"""A FLAME capture of sequences through the speech and the joint stage, with no file by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.avatar import load_avatar, save_avatar
from engine.core.errors import BadInputError
from engine.heads.skinning import flame_vertices
from engine.jobs import folder as jobs
from engine.jobs.status import State
from engine.motion.model.checkpoint import load_model, save_model
from engine.motion.model.network import SpeechModel
from tests.training.data.flame_sequences import UNION
from tests.training.speech.recordings import tiny_config
from training.avatar.config import AvatarSettings
from training.avatar.model import SHAPE, from_avatar
from training.cli import main
from training.data.multiview import MultiViewCapture
from training.data.posed_flame import row_of
from training.data.recorded_motion import with_lips
from training.data.recordings import find_recordings
from training.joint.scoring import TEST
from training.joint.upper_face import UpperFace

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def filmed(flame_sequences):
    return flame_sequences


@pytest.fixture(scope="module")
def capture(filmed):
    return MultiViewCapture.open(filmed.data, head=filmed.model)


@pytest.fixture(scope="module")
def avatar(filmed, capture, tmp_path_factory):
    settings = replace(AvatarSettings(), latent=4, hidden=8)
    made = from_avatar(filmed.avatar, settings, capture.head).avatar()
    path = tmp_path_factory.mktemp("avatar") / "avatar.safetensors"
    save_avatar(made, path)
    return path


def test_the_sequences_beside_a_union_are_its_recordings(filmed):
    found = find_recordings(filmed.data)
    assert found.names == ["SEN-01", "SEN-02", "SEN-03"]
    assert found.named("SEN-02").timesteps == {0: 2, 29: 3}
    assert {recording.fps for recording in found.every} == {30.0}
    # Each of them by itself, and all in the folder round them, are recordings, too.
    assert find_recordings(filmed.data.parent / "SEN-01").names == ["SEN-01"]
    assert find_recordings(filmed.data.parent).names == found.names


def test_a_face_in_head_space_is_posed_as_it_was_filmed(filmed, capture):
    for view in capture.split("test"):
        row = row_of(filmed.truth, view.timestep)
        pose = torch.cat([torch.zeros(6), row["jaw_pose"], row["eyes_pose"]])
        face = flame_vertices(capture.flame.model, torch.zeros(0), row["expr"], pose)
        posed = capture.in_the_world(view.timestep, face)
        assert torch.allclose(posed, view.vertices, atol=2e-4)
        assert row["neck_pose"].abs().max() > 0.01


@pytest.fixture(scope="module")
def speech(filmed, avatar, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "speech"
    words = ["train", "speech", "--data", str(filmed.data), "--head", str(avatar)]
    words += ["--from", "none", "--preset", "starter", "--steps", "3", "--batch", "2"]
    words += ["--frames", "20", "--validate-every", "3", "--device", "cpu", "--out", str(out)]
    assert main(words) == 0
    return out / "speech_model.safetensors"


def test_the_part_that_no_stage_saw_is_tested_on(speech):
    scores = json.loads((speech.parent / "scores.json").read_text())
    assert scores["test recordings"] == ["SEN-03"]
    assert 0 < scores["test mean vertex error (mm)"] < scores["test LVE (mm)"]
    assert jobs.show(speech.parent).status.message.endswith(
        f"test LVE {scores['test LVE (mm)']:.3f} mm"
    )
    assert "SEN-03" in (speech.parent / "report.html").read_text()


def test_the_joint_stage_takes_what_the_speech_stage_takes(
    filmed, capture, avatar, speech, tmp_path
):
    words = ["train", "joint", "--data", str(filmed.data), "--avatar", str(avatar)]
    words += ["--head", str(filmed.model), "--speech-model", str(speech)]
    words += ["--out", str(tmp_path / "run"), "--rounds", "2", "--speech-steps", "2"]
    words += ["--color-steps", "4", "--batch", "2", "--frames", "20", "--threads", "1"]
    words += ["--device", "cpu", "--backend", "cpu", "--face", "0", "--patch", "0"]
    assert main([*words, "--network-rate", "0.01"]) == 0
    out = tmp_path / "run"
    assert jobs.show(out).status.state is State.FINISHED
    scores = json.loads((out / "scores.json").read_text())
    assert [row["views"] for row in scores["rows"]] == [2] * 5
    # Two held-out pictures of the sequence that no stage saw.
    assert scores["views"] == TEST
    assert scores["speech"]["test LVE (mm)"] > 0
    head = capture.head
    before, after = (load_avatar(path, head) for path in (avatar, out / "avatar.safetensors"))
    for name in SHAPE:
        a, b = getattr(before, name).float(), getattr(after, name).float()
        torch.testing.assert_close(a, b, atol=2e-2, rtol=2e-3)
    assert not torch.equal(before.color.first_weight, after.color.first_weight)
    assert np.array_equal(after.identity.source.shape, before.identity.source.shape)
    model = load_model(out / "speech_model.safetensors", load_head_of(out))
    assert model.head == head.id


def test_a_model_with_a_basis_of_its_own_is_refined_on_its_person(
    filmed, capture, avatar, tmp_path
):
    head = with_lips(capture.head)
    torch.manual_seed(0)
    config = tiny_config(head, learned_basis=True, components=5)
    model = SpeechModel(config)
    torch.nn.init.normal_(model.mapper.basis, std=1e-3)
    save_model(tmp_path / "own.safetensors", model, head, "own")
    words = ["train", "joint", "--data", str(filmed.data), "--avatar", str(avatar)]
    words += ["--head", str(filmed.model), "--speech-model", str(tmp_path / "own.safetensors")]
    words += ["--out", str(tmp_path / "run"), "--rounds", "1", "--speech-steps", "1"]
    words += ["--color-steps", "1", "--batch", "1", "--frames", "10", "--threads", "1"]
    words += ["--device", "cpu", "--backend", "cpu", "--face", "0", "--patch", "0"]
    assert main(words) == 0
    made = load_model(tmp_path / "run" / "speech_model.safetensors", head).model
    assert made.mapper.basis.shape == (5, head.vertex_count, 3)
    assert not torch.equal(made.mapper.basis, model.mapper.basis)


def load_head_of(out):
    from engine.avatar.with_head import load_with_head

    return load_with_head(out / "avatar.safetensors").head


def test_the_upper_face_is_the_captured_one_and_the_mouth_the_predicted_one(capture):
    head = with_lips(capture.head)
    upper = UpperFace.of(head)
    rng = np.random.default_rng(0)
    true, ours = (
        torch.from_numpy(np.pad(rng.normal(size=6), (0, 97)).astype(np.float32)) for _ in range(2)
    )
    faces = [torch.from_numpy(head.deform(e.numpy())) for e in (true, ours)]
    vertices, expression = upper.taken_from(faces[0], true, faces[1], ours)
    eyes, lips = head.regions["eyeballs"], head.regions["lips"]
    assert torch.equal(vertices[eyes], faces[0][eyes])
    assert torch.equal(vertices[lips], faces[1][lips])
    # The expressions say what the vertices show, as well as expressions of a whole face can.
    off = torch.from_numpy(head.deform(expression.numpy())) - vertices
    assert off.norm() < 0.8 * min((face - vertices).norm() for face in faces)


def test_of_arkits_expressions_lids_and_brows_are_the_captured_ones():
    from engine.heads import load_head

    head = load_head("default")
    names = head.expression_names
    true, ours = torch.full((len(names),), 0.5), torch.full((len(names),), 0.25)
    upper = UpperFace.of(head)
    zero = torch.zeros(head.vertex_count, 3)
    _, expression = upper.taken_from(zero, true, zero, ours)
    taken = {name for name, value in zip(names, expression.tolist(), strict=True) if value == 0.5}
    assert {"eyeBlinkLeft", "browInnerUp", "eyeLookUpRight"} <= taken
    assert not {"jawOpen", "mouthSmileLeft"} & taken


def test_sequences_without_sound_are_no_recordings(filmed, avatar, speech, tmp_path, capsys):
    import shutil

    shutil.copytree(filmed.data.parent, tmp_path / "306")
    for sound in (tmp_path / "306").glob("*/recording.wav"):
        sound.unlink()
    words = ["train", "joint", "--data", str(tmp_path / "306" / UNION), "--avatar", str(avatar)]
    words += ["--head", str(filmed.model), "--speech-model", str(speech)]
    assert main([*words, "--out", str(tmp_path / "run")]) == 2
    assert "holds 0 recordings" in capsys.readouterr().err


def test_a_sequence_with_two_sounds_is_refused(filmed, tmp_path):
    import shutil

    shutil.copytree(filmed.data.parent / "SEN-01", tmp_path / "SEN-01")
    shutil.copy(tmp_path / "SEN-01" / "recording.wav", tmp_path / "SEN-01" / "other.wav")
    with pytest.raises(BadInputError, match="several sounds"):
        find_recordings(tmp_path)
