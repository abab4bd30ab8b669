# SPDX-License-Identifier: GPL-3.0-or-later
"""One video to one folder: tracked, then all that a capture becomes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import engine.assets
from engine.avatar.avatar_file import load_avatar
from engine.avatar.with_head import load_with_head
from engine.jobs import folder as jobs
from engine.jobs.status import State
from engine.motion.performance import Performance
from engine.persons import load_person
from tests.training.tracking.filmed_head import film_head, substitute_detectors
from training.cli import main
from training.data.multiview import MultiViewCapture
from training.person.config import PersonSettings
from training.person.one_camera import for_one_camera, with_fine_pictures

pytestmark = pytest.mark.usefixtures("one_thread")

SAMPLE_VOICE = Path(engine.assets.__file__).with_name("sample_voice.wav")

OPTIONS = (
    *("--preset", "quick", "--avatar-steps", "6", "--speech-steps", "4", "--joint-rounds", "1"),
    *("--scale", "1", "--backend", "cpu", "--device", "cpu", "--threads", "1"),
)


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    return film_head(tmp_path_factory.mktemp("films") / "ada.mp4", SAMPLE_VOICE)


@pytest.fixture(autouse=True)
def detectors(filmed, monkeypatch):
    substitute_detectors(monkeypatch, filmed)


@pytest.fixture(scope="module")
def done(filmed, tmp_path_factory):
    out = tmp_path_factory.mktemp("jobs") / "person"
    with pytest.MonkeyPatch.context() as patch:
        substitute_detectors(patch, filmed)
        assert main(["train", "person", str(filmed.path), "--out", str(out), *OPTIONS]) == 0
    return jobs.show(out)


@pytest.mark.slow
def test_a_video_becomes_a_person(done):
    assert done.status.state is State.FINISHED
    person = load_person(done.folder)
    assert person.name == "ada"
    assert person.provenance["capture"] == "ada.mp4"
    assert set(person.trained_on) == {"tracking", "refinement-1", "avatar", "speech", "joint"}
    assert person.trained_on["tracking"] == "ada.mp4: 16 of 16 frames"
    assert person.scores["avatar: test PSNR (dB)"] > 20
    avatar, head = load_with_head(done.folder)
    assert head.source.kind == "default"
    assert avatar.count > 10_000


@pytest.mark.slow
def test_what_no_picture_shows_is_said(done):
    notes = [note for note in done.status.notes if "One camera filmed the head" in note]
    assert len(notes) == 1
    assert "the default avatar's" in notes[0]
    assert notes[0] in load_person(done.folder).trained_on["avatar"]


@pytest.mark.slow
def test_the_back_of_the_head_keeps_the_default_avatars_shape(done):
    head = load_with_head(done.folder).head
    given = load_avatar("default", head, other_identity=True)
    trained = load_with_head(done.folder).avatar
    low, high = head.template.min(0), head.template.max(0)
    nape = (head.template - low)[:, [1, 2]] < 0.3 * (high - low)[[1, 2]]
    behind = nape.all(axis=1)[head.faces].all(axis=1)
    ours, theirs = (a.positions[behind[a.binding.numpy()]].numpy() for a in (trained, given))
    assert len(theirs) > 100
    kept = {tuple(row) for row in ours.round(6).tolist()}
    same = [tuple(row) in kept for row in theirs.round(6).tolist()]
    assert np.mean(same) > 0.9


@pytest.mark.slow
def test_the_person_of_a_video_speaks(done, tmp_path, capsys):
    command = ["animate", str(SAMPLE_VOICE), "--out", str(tmp_path), "--json"]
    assert main([*command, "--person", str(done.folder), "--recognizer", "phones"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "ada"
    made = next(tmp_path.glob("*.performance.npz"))
    assert Performance.load(made).frames > 0


@pytest.mark.slow
def test_a_job_that_stopped_while_it_tracked_resumes(filmed, tmp_path, monkeypatch, capsys):
    from training.tracking import run

    out, write = tmp_path / "person", run.CaptureWriter.write_view
    command = ["train", "person", str(filmed.path), "--out", str(out), *OPTIONS]
    command += ["--avatar-steps", "2", "--joint-rounds", "0"]

    def stop(writer, frame, *rest):
        if frame == 8:
            jobs.cancel(out)
        return write(writer, frame, *rest)

    monkeypatch.setattr(run.CaptureWriter, "write_view", stop)
    assert main([*command, "--speech-steps", "0"]) == 0
    stopped = jobs.show(out)
    assert stopped.status.state is State.CANCELLED
    assert 0 < stopped.status.step < 16
    assert stopped.status.preview is not None
    assert not (out / "person.json").exists()
    monkeypatch.setattr(run.CaptureWriter, "write_view", write)
    capsys.readouterr()
    # What has a checkpoint resumes as what it was.
    assert main([*command, "--speech-steps", "0", "--largest", "200"]) == 2
    assert "largest" in capsys.readouterr().err
    assert main([*command, "--speech-steps", "0"]) == 0
    assert load_person(out).trained_on["speech"] == "not trained: --speech-steps is 0"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), "neither a video nor a capture"),
        (("ada.mp4", "--data", "capture"), "made of one of them"),
        (("--data", "capture", "--largest", "300"), "--largest"),
        (("gone.mp4",), "gone.mp4"),
        (("ada.mp4", "--text", "gone.txt"), "gone.txt"),
        (("ada.mp4", "--focal", "3"), "--focal"),
        (("ada.mp4", "--masks", "gone"), "--masks"),
    ],
)
def test_what_cannot_become_a_person_is_refused_in_a_line(filmed, tmp_path, capsys, given, said):
    words = [str(filmed.path) if word == "ada.mp4" else word for word in given]
    assert main(["train", "person", *words, "--out", str(tmp_path / "out")]) == 2
    message = capsys.readouterr().err
    assert said in message
    assert message.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_video_that_is_refused_while_it_is_tracked_leaves_nothing(
    filmed, tmp_path, monkeypatch, capsys
):
    substitute_detectors(monkeypatch, filmed, lambda _frame: [])
    out = tmp_path / "out"
    assert main(["train", "person", str(filmed.path), "--out", str(out), *OPTIONS]) == 2
    assert "ada.mp4 shows no face" in capsys.readouterr().err
    assert not out.exists()


def test_one_camera_holds_the_colours_more_than_many(small_capture):
    capture = MultiViewCapture.open(small_capture)
    settings = PersonSettings().avatar
    chosen = for_one_camera(settings, capture)
    assert chosen.steady > settings.steady
    assert chosen.density.budget > settings.density.budget
    assert chosen.finest > settings.finest
    assert chosen.initial is not None
    baseline = PersonSettings(preset="baseline").avatar
    assert for_one_camera(baseline, capture).density.budget == 0


def test_small_pictures_of_a_video_are_not_made_smaller(done, small_capture):
    video = MultiViewCapture.open(done.folder / "stages" / "tracking")
    quick = PersonSettings(preset="quick")
    assert quick.avatar.scale < 1
    assert with_fine_pictures(quick, video).avatar.scale == 1
    assert with_fine_pictures(quick, video).joint.scale == 1
    assert with_fine_pictures(replace(quick, scale=0.3), video).avatar.scale == 0.3
    assert with_fine_pictures(quick, MultiViewCapture.open(small_capture)) == quick
