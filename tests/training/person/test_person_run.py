# SPDX-License-Identifier: GPL-3.0-or-later
"""One capture to one folder: avatar, speech model, both for each other."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from engine.avatar.with_head import load_with_head
from engine.core.errors import BadInputError
from engine.jobs import folder as jobs
from engine.jobs.command import JobCommand
from engine.jobs.status import State
from engine.jobs.worker import JobHandle
from engine.motion.performance import Performance
from engine.persons import load_person
from tests.engine.heads.flame_people import TEETH, identity, write_model
from tests.training.data.flame_capture import as_flame_capture
from training.avatar.trainer import AvatarTrainer
from training.cli import main
from training.person.capture_stages import PersonTraining
from training.person.config import PersonSettings
from training.person.run import train

QUICK = PersonSettings(
    preset="quick",
    avatar_steps=4,
    speech_steps=4,
    joint_rounds=1,
    scale=1.0,
    backend="cpu",
    device="cpu",
    threads=1,
)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def capture(speaking_capture, tmp_path_factory):
    return shutil.copytree(speaking_capture, tmp_path_factory.mktemp("captures") / "ada")


def work(capture, out, settings=QUICK, **options):
    jobs.adopt_job(out, JobCommand("train person"), config=settings.to_dict())
    with JobHandle(out) as job:
        train(PersonTraining(capture, out, "Ada", settings=settings, **options), job)
    return jobs.show(out)


@pytest.fixture(scope="module")
def done(capture, tmp_path_factory):
    return work(capture, tmp_path_factory.mktemp("jobs") / "ada", licence="CC0")


def test_a_capture_becomes_a_person(done):
    assert (done.status.state, done.status.step) == (State.FINISHED, 4 + 4 + 5)
    person = load_person(done.folder)
    assert person.name == "Ada"
    assert person.licences["capture"] == "CC0"
    assert set(person.trained_on) == {"avatar", "speech", "joint"}
    assert person.scores["avatar: test PSNR (dB)"] > 10
    assert person.scores["speech: validation LVE after (mm)"] > 0
    avatar, head = load_with_head(done.folder)
    assert (head.id, avatar.provenance["made by"]) == ("default", "gaussianspeech train joint")
    assert avatar.identity.expression_range is not None


def test_a_person_speaks_with_their_own_model_on_their_own_head(done, capture, tmp_path, capsys):
    sound = str(capture / "speech" / "c0.wav")
    command = ["animate", sound, "--out", str(tmp_path), "--person", str(done.folder), "--json"]
    assert main([*command, "--recognizer", "phones"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "Ada"
    assert Performance.load(tmp_path / "c0.performance.npz").head == "default"
    assert main([*command, "--recognizer", "phones", "--speech-model", "rules"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "rules"


def test_a_job_that_stopped_resumes_in_the_stage_it_stopped_in(
    capture, done, tmp_path, monkeypatch
):
    out = tmp_path / "broken"
    from training.speech.trainer import SpeechTrainer

    advance = SpeechTrainer.advance

    def stop(trainer):
        jobs.cancel(out)
        return advance(trainer)

    monkeypatch.setattr(SpeechTrainer, "advance", stop)
    stopped = work(capture, out)
    assert stopped.status.state is State.CANCELLED
    assert 4 <= stopped.status.step < 8
    # What is done is a person already.
    first = load_person(out)
    assert first.speech_model == ""
    assert load_with_head(out).avatar.count > 0
    monkeypatch.setattr(SpeechTrainer, "advance", advance)

    def again(_trainer):
        raise AssertionError

    monkeypatch.setattr(AvatarTrainer, "advance", again)
    resumed = work(capture, out)
    assert (resumed.status.state, resumed.runs) == (State.FINISHED, 2)
    assert load_person(out).scores == pytest.approx(load_person(done.folder).scores, abs=1e-3)


def test_a_tracked_flame_face_without_sound_is_a_person_with_a_head(small_capture, tmp_path):
    model = write_model(tmp_path / "flame2023.npz")
    data = as_flame_capture(small_capture, tmp_path / "306")
    shape, static = identity()
    from engine.heads.flame_param import load_flame_param, save_flame_param

    for path in [*data.glob("flame_param/*.npz")]:
        param = replace(load_flame_param(path), shape=shape, static_offset=static)
        save_flame_param(param, path)
    (data / "canonical_flame_param.npz").unlink()
    job = work(data, tmp_path / "person", head=str(model))
    person = load_person(job.folder)
    assert person.trained_on["speech"].startswith("not trained: ")
    assert "no recordings" in person.trained_on["speech"]
    head = load_with_head(job.folder).head
    assert head.vertex_count == TEETH
    assert np.array_equal(head.source.static_offset, static[0])
    assert "FLAME" in person.licences["head"]


def test_a_flame_capture_of_sequences_becomes_a_person_in_all_three_stages(
    flame_sequences, tmp_path, capsys
):
    filmed = flame_sequences
    job = work(filmed.data, tmp_path / "person", head=str(filmed.model))
    assert (job.status.state, job.status.step) == (State.FINISHED, 4 + 4 + 5)
    person = load_person(job.folder)
    assert set(person.trained_on) == {"avatar", "speech", "joint"}
    assert "3 recordings" in person.trained_on["speech"]
    assert person.scores["speech: test LVE (mm)"] > 0
    # What the first stage refined is what the others learned from.
    refined = job.folder / "flame_param.npz"
    assert refined.read_bytes() == (job.folder / "stages/avatar/flame_param.npz").read_bytes()
    config = json.loads((job.folder / "stages/joint/config.json").read_text())
    plan = json.loads((job.folder / "stages/speech/training.json").read_text())["plan"]
    assert (
        config["tracking"]
        == plan["tracking"]
        == str((job.folder / "stages/avatar/flame_param.npz").resolve())
    )
    sound = str(filmed.data.parent / "SEN-03" / "recording.wav")
    command = ["animate", sound, "--out", str(tmp_path), "--person", str(job.folder), "--json"]
    capsys.readouterr()
    assert main([*command, "--recognizer", "phones"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "Ada"
    head = load_with_head(job.folder).head
    assert Performance.load(tmp_path / "recording.performance.npz").head == head.id


@pytest.mark.parametrize("rounds", [0, 1, 2])
def test_whether_a_capture_is_refined_goes_to_the_avatars_stage(rounds):
    tuning = replace(QUICK, refine=rounds).avatar.tuning
    assert (tuning.tune_tracking, tuning.tune_cameras) == (rounds > 0, rounds > 0)


def test_a_person_without_a_speech_model_speaks_by_the_default(capture, tmp_path, capsys):
    out = tmp_path / "quiet"
    work(capture, out, replace(QUICK, speech_steps=0))
    assert load_person(out).trained_on["speech"] == "not trained: --speech-steps is 0"
    capsys.readouterr()
    sound = str(capture / "speech" / "c0.wav")
    command = ["animate", sound, "--out", str(tmp_path), "--person", str(out), "--json"]
    assert main([*command, "--recognizer", "phones"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "corrected"


def test_the_command_is_a_job_like_any_other(capture, tmp_path, capsys):
    command = ["train", "person", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "a")]
    assert main(command) == 2
    assert "none" in capsys.readouterr().err
    command = ["train", "person", "--data", str(capture), "--out", str(tmp_path / "b")]
    assert main([*command, "--scale", "2"]) == 2
    assert "--scale" in capsys.readouterr().err
    assert main([*command, "--start", "starter", "--encoder-source", "some/weights"]) == 2
    assert "--encoder-source is of a new speech model" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "gaussianspeech-person-9"}, "expected 'gaussianspeech-person-1'"),
        ({"avatar": "gone.safetensors"}, "gone.safetensors"),
        ({"avatar": "a" * 5000}, "which is missing"),
        ({"avatar": "a\0b"}, "which is missing"),
        ({"speech_model": "model.pt"}, "no .safetensors file"),
        ({"scores": {"PSNR": "high"}}, "PSNR"),
        ({"name": 5}, "name"),
    ],
)
def test_a_damaged_person_is_refused_in_a_line(done, tmp_path, change, said):
    folder = tmp_path / "person"
    folder.mkdir()
    shutil.copy(done.folder / "avatar.safetensors", folder)
    content = json.loads((done.folder / "person.json").read_text()) | {"speech_model": ""} | change
    (folder / "person.json").write_text(json.dumps(content))
    with pytest.raises(BadInputError) as caught:
        load_person(folder)
    assert said in caught.value.message
    assert "\n" not in str(caught.value)


def test_a_persons_files_stay_in_their_folder(done, tmp_path):
    folder = tmp_path / "person"
    folder.mkdir()
    content = json.loads((done.folder / "person.json").read_text())
    content |= {"avatar": "../../secret/avatar.safetensors", "speech_model": ""}
    (folder / "person.json").write_text(json.dumps(content))
    with pytest.raises(BadInputError, match="missing"):
        load_person(folder)


def test_the_person_that_ships_is_one_too(tmp_path, capsys, capture):
    assert load_with_head(load_person("default").avatar).head.id == "default"
    sound = str(capture / "speech" / "c0.wav")
    command = ["animate", sound, "--out", str(tmp_path), "--person", "default", "--json"]
    assert main([*command, "--recognizer", "phones"]) == 0
    assert json.loads(capsys.readouterr().out)["head"] == "default"
