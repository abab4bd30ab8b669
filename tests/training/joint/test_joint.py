# SPDX-License-Identifier: GPL-3.0-or-later
"""The joint stage: turns, what they may change, what they bring, and how they are resumed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.avatar import ShColor, load_avatar, save_avatar
from engine.core.errors import BadInputError
from engine.jobs import folder as jobs
from engine.jobs.command import JobCommand
from engine.jobs.status import State
from engine.jobs.worker import JobHandle
from engine.motion.model.checkpoint import load_model, save_model
from engine.motion.model.network import SpeechModel
from tests.training.speech.recordings import tiny_config
from training.avatar.config import AvatarSettings
from training.avatar.model import SHAPE, from_avatar
from training.cli import main
from training.data.multiview import MultiViewCapture
from training.joint.compare import Comparison, compare
from training.joint.config import JointSettings
from training.joint.predicted import Predictions, captured_clips
from training.joint.run import BEFORE, TUNED, UNTUNED, train
from training.joint.scoring import HELD_OUT, SEEN
from training.losses.config import AvatarLossConfig

PLAIN = AvatarLossConfig(position=0.0, scaling=0.0, face=0.0, patch=0.0, wrinkle=0.0)
QUICK = JointSettings(
    rounds=2,
    speech_steps=5,
    color_steps=12,
    tracked=0.0,
    speech_rate=5e-3,
    network_rate=3e-3,
    latent_rate=1e-2,
    batch=2,
    frames=20,
    losses=PLAIN,
    threads=1,
    device="cpu",
    backend="cpu",
)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def given(head, speaking_capture, tmp_path_factory):
    """A capture with speech, an avatar with a colour network, and a speech model."""
    folder = tmp_path_factory.mktemp("joint")
    shutil.copytree(speaking_capture, folder / "capture")
    settings = replace(AvatarSettings(), latent=8, hidden=16)
    avatar = from_avatar(load_avatar("default", head), settings, head).avatar()
    save_avatar(avatar, folder / "avatar.safetensors")
    torch.manual_seed(0)
    model = SpeechModel(tiny_config(head))
    save_model(folder / "speech.safetensors", model, head, "speech")
    return folder


def _job(folder):
    jobs.adopt_job(folder, JobCommand("train joint"))
    return JobHandle(folder)


def _train(given, out, settings=QUICK, **changes):
    files = {"data": "capture", "avatar": "avatar.safetensors"}
    where = {name: given / path for name, path in files.items()} | changes
    model = str(where.pop("speech_model", given / "speech.safetensors"))
    with _job(out) as job:
        return train(where["data"], where["avatar"], model, settings, out, job)


@pytest.fixture(scope="module")
def done(given, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "done"
    return out, {row.what: row for row in _train(given, out)}


def test_refined_colours_fit_the_predicted_faces_better_on_held_out_views(done):
    _, rows = done
    assert rows[TUNED].psnr > rows[UNTUNED].psnr + 0.3
    assert rows[TUNED].views == 6


def test_a_comparison_finds_the_scores_of_the_training_again(given, done):
    out, rows = done
    found, title = compare(
        Comparison(
            given / "capture",
            (given / "avatar.safetensors", out / "avatar.safetensors"),
            str(out / "speech_model.safetensors"),
            backend="cpu",
        )
    )
    assert title == HELD_OUT
    for row, name in ((found[1], UNTUNED), (found[3], TUNED), (found[2], "tracked faces, after")):
        assert row.psnr == pytest.approx(rows[name].psnr, abs=0.05)
        assert row.views == 6


def test_harmonics_are_compared_too(given):
    rows, _ = compare(Comparison(given / "capture", (Path("default"),), backend="cpu"))
    assert [row.views for row in rows] == [6, 6]


def test_the_scores_are_kept(done):
    out, rows = done
    scores = json.loads((out / "scores.json").read_text())
    assert [row["what"] for row in scores["rows"]] == list(rows)
    assert scores["rows"][1]["what"] == BEFORE
    assert scores["seed"] == 0
    assert (out / "losses.png").is_file()
    assert (out / "preview.png").is_file()


def test_only_the_colour_network_and_the_latents_change(head, given, done):
    out, _ = done
    before = load_avatar(given / "avatar.safetensors", head)
    after = load_avatar(out / "avatar.safetensors", head)
    for name in (*SHAPE, "binding"):
        ours, theirs = getattr(after, name), getattr(before, name)
        # Stored in half precision.
        torch.testing.assert_close(ours.float(), theirs.float(), atol=2e-2, rtol=2e-3)
    moved = {
        name: float((value - before.color.tensors()[name]).abs().max())
        for name, value in after.color.tensors().items()
    }
    assert moved["latents"] > 0.02
    assert moved["first_weight"] > 0.01


def test_the_speech_model_learns_from_vertices_alone(head, given, done, tmp_path):
    out, _ = done
    alone = tmp_path / "alone"
    _train(given, alone, replace(QUICK, color=False))
    ours = load_model(out / "speech_model.safetensors", head).model.state_dict()
    theirs = load_model(alone / "speech_model.safetensors", head).model.state_dict()
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], atol=0, rtol=0)
    start = load_model(given / "speech.safetensors", head).model.state_dict()
    assert any(not torch.equal(value, start[name]) for name, value in ours.items())


def test_without_colours_the_avatar_stays_and_table_4s_row_is_printed(given, tmp_path, capsys):
    rows = _train(given, tmp_path / "run", replace(QUICK, rounds=1, color=False))
    assert rows[-1].what == UNTUNED
    assert f"{UNTUNED}  " in capsys.readouterr().out


@pytest.fixture
def broken(cancelled, tmp_path):
    """The folder of a training that was cancelled in its second round."""
    return Path(shutil.copytree(cancelled, tmp_path / "broken"))


@pytest.fixture(scope="module")
def cancelled(given, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "broken"
    update = JobHandle.update

    def cancelling(self, step, **values):
        update(self, step, **values)
        if step == 24:
            (out / "cancel").touch()

    jobs.adopt_job(out, JobCommand("train joint"))
    with pytest.MonkeyPatch.context() as patch, JobHandle(out) as job:
        patch.setattr(JobHandle, "update", cancelling)
        train(given / "capture", given / "avatar.safetensors", _model(given), QUICK, out, job)
    assert jobs.show(out).status.state is State.CANCELLED
    return out


def test_a_broken_training_goes_on_to_the_same_results(given, done, broken):
    whole, rows = done
    out = broken
    again = {row.what: row for row in _train(given, out)}
    assert again == rows
    name = "avatar.safetensors"
    assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_a_broken_training_does_not_go_on_with_another_avatar(head, given, broken, tmp_path):
    ours = load_avatar(given / "avatar.safetensors", head)
    moved = replace(ours, positions=ours.positions + 0.1)
    save_avatar(moved, tmp_path / "moved.safetensors")
    with pytest.raises(BadInputError, match="other settings: avatar"):
        _train(given, broken, avatar=tmp_path / "moved.safetensors")


def _model(given):
    return str(given / "speech.safetensors")


def test_where_no_view_of_speech_is_held_out_training_views_are_judged_and_it_is_said(
    given, tmp_path, capsys
):
    shutil.copytree(given / "capture", tmp_path / "capture")
    for split in ("val", "test"):
        path = tmp_path / "capture" / f"transforms_{split}.json"
        listed = json.loads(path.read_text())
        listed["frames"] = [f for f in listed["frames"] if f["timestep_index"] == 2]
        path.write_text(json.dumps(listed))
    listing = tmp_path / "capture" / "capture.json"
    record = json.loads(listing.read_text())
    record["timesteps"] = [t for t in record["timesteps"] if t["timestep_index"] != 2]
    listing.write_text(json.dumps(record))
    quick = replace(QUICK, rounds=1, speech_steps=1, color_steps=1)
    rows = _train(given, tmp_path / "run", quick, data=tmp_path / "capture")
    assert rows[0].views == 15
    assert SEEN in capsys.readouterr().out


def test_predicted_faces_stand_where_the_filmed_ones_did(head, given):
    from engine.motion.encoders.phonetic import PhoneticEncoder
    from training.data.recordings import find_recordings

    capture = MultiViewCapture.open(given / "capture")
    filmed = find_recordings(given / "capture").require_filmed()
    clips = captured_clips(filmed, capture.captured_head())
    predictions = Predictions(clips, head, capture, PhoneticEncoder(), tuned=False)
    predictions.renew(load_model(_model(given), head).model, "x")
    assert sorted(predictions.faces) == list(range(6))
    view = capture.split("test")[3]
    shown = predictions.shown(view)
    # An untrained model rests, but for blinks.
    still = np.abs(head.deform(shown.expression.numpy()) - head.template).max()
    matrix = view.head_matrix.numpy()
    expected = head.template @ matrix[:3, :3].T + matrix[:3, 3]
    assert np.abs(shown.vertices.numpy() - expected).max() < still + 0.01
    assert not torch.equal(shown.vertices, view.vertices)


def test_frames_that_no_split_shows_are_not_predicted(head, given, tmp_path):
    """Of a recording of the test part, timesteps that the test camera did not film are left out."""
    from engine.motion.encoders.phonetic import PhoneticEncoder
    from training.data.recordings import find_recordings

    data = tmp_path / "capture"
    shutil.copytree(given / "capture", data)
    for path in data.glob("transforms_*.json"):
        listed = json.loads(path.read_text())
        listed["frames"] = [f for f in listed["frames"] if f["timestep_index"] != 3]
        path.write_text(json.dumps(listed))
    capture = MultiViewCapture.open(data)
    clips = captured_clips(find_recordings(data).require_filmed(), capture.captured_head())
    predictions = Predictions(clips, head, capture, PhoneticEncoder(), tuned=False)
    predictions.renew(load_model(_model(given), head).model, "x")
    assert sorted(predictions.faces) == sorted(capture.timesteps) == [0, 1, 2, 4, 5]


def test_the_command_trains_in_the_foreground(given, tmp_path, capsys):
    words = ["train", "joint", "--data", str(given / "capture")]
    words += ["--avatar", str(given / "avatar.safetensors"), "--speech-model", _model(given)]
    words += ["--out", str(tmp_path / "run"), "--rounds", "1", "--speech-steps", "2"]
    words += ["--color-steps", "2", "--batch", "1", "--frames", "10", "--threads", "1"]
    assert main([*words, "--face", "0", "--patch", "0"]) == 0
    assert TUNED in capsys.readouterr().out
    job = jobs.show(tmp_path / "run")
    assert job.status.state is State.FINISHED
    assert job.config["kind"] == "joint"
    assert (job.status.step, job.status.total) == (4, 4)


def test_the_command_refines_the_shipped_avatar_too(given, tmp_path):
    words = ["train", "joint", "--data", str(given / "capture"), "--avatar", "default"]
    words += ["--speech-model", _model(given), "--out", str(tmp_path / "run"), "--rounds", "1"]
    words += ["--speech-steps", "1", "--color-steps", "1", "--batch", "1", "--frames", "10"]
    assert main([*words, "--threads", "1", "--face", "0", "--patch", "0"]) == 0
    assert jobs.show(tmp_path / "run").config["avatar"] == "default"


def test_an_avatar_without_colour_network_is_refused(head, given, tmp_path):
    avatar = load_avatar("default", head)
    constant = replace(avatar, color=ShColor.constant(avatar.color.colors(None, None)))
    save_avatar(constant, tmp_path / "constant.safetensors")
    with pytest.raises(BadInputError, match="colours are of the kind 'sh'"):
        _train(given, tmp_path / "run", avatar=str(tmp_path / "constant.safetensors"))


def test_a_speech_model_of_other_expressions_is_refused(head, given, tmp_path):
    names = tuple(f"expr_{i:03d}" for i in range(6))
    other = replace(
        head, id="other", expression_names=names, expression_basis=head.expression_basis[:6]
    )
    path = tmp_path / "other.safetensors"
    save_model(path, SpeechModel(tiny_config(other)), other, "other")
    with pytest.raises(BadInputError, match=r"other\.safetensors is for the head 'other'"):
        _train(given, tmp_path / "run", speech_model=path)


def test_a_capture_without_speech_is_refused(given, tmp_path):
    shutil.copytree(given / "capture", tmp_path / "capture")
    (tmp_path / "capture" / "capture.json").unlink()
    with pytest.raises(BadInputError, match="Nothing is said in"):
        _train(given, tmp_path / "run", data=tmp_path / "capture")


def test_a_recording_without_sound_is_refused(given, tmp_path):
    shutil.copytree(given / "capture", tmp_path / "capture")
    (tmp_path / "capture" / "speech" / "c1.wav").unlink()
    with pytest.raises(BadInputError, match=r"c1\.performance\.npz has no sound"):
        _train(given, tmp_path / "run", data=tmp_path / "capture")


def test_l_photo_has_every_term_that_looks_at_pictures_and_no_other():
    losses = JointSettings().losses
    looks = (losses.dssim, losses.face, losses.face_style, losses.patch, losses.wrinkle)
    assert min(looks) > 0
    assert (losses.position, losses.scaling) == (0.0, 0.0)


@pytest.mark.parametrize(
    "change", [{"rounds": 0}, {"tracked": 1.1}, {"latent_rate": 0.0}, {"threads": -1}]
)
def test_impossible_settings_are_refused(change):
    with pytest.raises(BadInputError, match=next(iter(change)).replace("_", "-")):
        replace(QUICK, **change)
