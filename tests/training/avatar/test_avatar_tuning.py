# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a capture learns together with the avatar: tracking that is out, cameras that differ."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.avatar.flame_motion import load_motion
from engine.avatar.with_head import load_with_head
from engine.core.errors import BadInputError
from engine.heads.flame_param import MOVING
from engine.jobs import folder as jobs
from engine.jobs.command import JobCommand
from engine.jobs.worker import JobHandle
from engine.splatting.cpu.backend import CpuBackend
from tests.training.avatar.conftest import ALONE, SMALL
from tests.training.data.flame_sequences import parameters, write_flame_sequences
from training.avatar.config import Tuning
from training.avatar.preview import measured
from training.avatar.row_adam import RowAdam
from training.avatar.run import train, use_threads
from training.avatar.start import seeded_avatar
from training.avatar.trainer import AvatarTrainer
from training.avatar.tuning import RefinedViews
from training.data.flame_tracking import load_tracking
from training.data.multiview import MultiViewCapture
from training.data.posed_flame import posed, row_of
from training.data.recorded_motion import read_motion
from training.data.recordings import find_recordings
from training.losses.avatar import AvatarLoss
from training.synthetic.small_capture import Size

STEPS = 150
QUICK = replace(SMALL, steps=STEPS, density=replace(SMALL.density, rounds=0, resets=0))
GAINS = {"left": (1.15, 1.0, 0.9), "right": (0.85, 1.0, 1.1), "low": (1.0, 1.0, 1.0)}


def perturbed(true, number):
    """±2 mm, ±1°, noise on the expressions, of each frame by itself."""
    random = np.random.default_rng(100 + number)

    def within(size, amount):
        return random.uniform(-amount, amount, (true.frames, size)).astype(np.float32)

    noise = np.zeros_like(true.expr)
    noise[:, :6] = random.normal(0, 0.3, (true.frames, 6))
    return replace(
        true,
        expr=true.expr + noise,
        rotation=true.rotation + within(3, np.deg2rad(1)),
        jaw_pose=true.jaw_pose + within(3, np.deg2rad(1)),
        translation=true.translation + within(3, 2e-3),
    )


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    return write_flame_sequences(
        tmp_path_factory.mktemp("perturbed") / "306",
        names=("SEN-01",),
        size=Size(66, 96),
        perturbed=perturbed,
        gains=GAINS,
    )


@pytest.fixture(scope="module")
def capture(filmed):
    return MultiViewCapture.open(filmed.data, head=filmed.model)


def trained(capture, settings, steps=None):
    use_threads(1)
    backend = CpuBackend()
    avatar = seeded_avatar(capture, settings, backend)
    trainer = AvatarTrainer(capture, avatar, settings, backend, ALONE, AvatarLoss(settings.losses))
    for _ in range(settings.steps if steps is None else steps):
        trainer.advance()
    return trainer


@pytest.fixture(scope="module")
def refined(capture):
    return trained(capture, QUICK)


def millimetres_off(trainer, truth):
    """Mean distance of the vertices that are trained on from the true ones."""
    model, off = trainer.capture.flame.model, []
    for view in RefinedViews(trainer.capture.split("test"), trainer.tuning):
        true = posed(model, row_of(truth, view.timestep)).vertices
        off.append(float((view.vertices - true).norm(dim=1).mean()))
    return 1000 * float(np.mean(off))


def test_a_tracking_that_is_out_is_pulled_back_with_fine_tuning_and_not_without(
    filmed, capture, refined
):
    still = trained(capture, replace(QUICK, tuning=Tuning(tune_tracking=False)))
    before, after = millimetres_off(still, filmed.truth), millimetres_off(refined, filmed.truth)
    assert before > 2.5
    assert after < 0.65 * before
    scores = [
        measured(t.avatar, RefinedViews(capture.split("test"), t.tuning), t.backend, 9).psnr
        for t in (still, refined)
    ]
    assert scores[1] > scores[0] + 1.5
    assert still.tuning.names == ["colours of the cameras"]


def test_cameras_that_differ_are_distinguished(refined):
    maps = {name: np.array(m)[:, :3] for name, m in refined.tuning.cameras.maps().items()}
    assert set(maps) == set(GAINS)
    # Red against blue, which is what the cameras differ in.
    tint = {name: found[0].sum() - found[2].sum() for name, found in maps.items()}
    assert tint["left"] > tint["low"] + 0.05 > tint["right"] + 0.1
    assert np.allclose(np.mean([*maps.values()], axis=0), np.eye(3), atol=1e-5)


def test_the_held_out_camera_is_measured_as_it_is_and_under_its_best_map(filmed, job):
    """No training can know its colours: both figures stand beside each other."""
    scores = json.loads((job / "scores.json").read_text())
    plain, corrected = scores["test PSNR (dB)"], scores["test PSNR, colours corrected (dB)"]
    assert corrected > plain
    report = json.loads((job / "report.json").read_text())
    assert report["psnr_corrected"] == pytest.approx(corrected, abs=0.3)
    assert any(note.startswith("Colours corrected") for note in report["notes"])


def test_the_report_finds_the_face_of_a_flame_head_without_masks(job):
    regions = json.loads((job / "report.json").read_text())["regions_psnr"]
    assert {name for name, psnr in regions.items() if psnr is not None} >= {"skin", "wrinkles"}


def test_a_capture_that_says_what_was_true_is_left_as_it_is(small_capture):
    capture = MultiViewCapture.open(small_capture)
    assert trained(capture, SMALL, steps=1).tuning.names == []


def test_a_resumed_training_refines_on_as_if_it_had_not_stopped(capture):
    quick = replace(QUICK, steps=6)
    whole, first = trained(capture, quick), trained(capture, quick, steps=3)
    second = trained(capture, quick, steps=0)
    second.restore(first.state())
    for _ in range(3):
        second.advance()
    assert torch.equal(second.tuning.tracking.adam.rows, whole.tuning.tracking.adam.rows)
    assert torch.equal(second.tuning.cameras.adam.rows, whole.tuning.cameras.adam.rows)


def test_adam_by_rows_is_adam_where_every_row_is_seen():
    torch.manual_seed(0)
    start, rates = torch.randn(3, 2), torch.tensor([0.1, 0.01])
    ours = start.clone().requires_grad_()
    columns = [start[:, c].clone().requires_grad_() for c in range(2)]
    adam = RowAdam(ours, rates)
    theirs = torch.optim.Adam(
        [{"params": [c], "lr": float(rate)} for c, rate in zip(columns, rates, strict=True)],
        betas=(0.9, 0.99),
        eps=1e-12,
    )
    for _ in range(5):
        (ours.square() * torch.tensor([1.0, 3.0])).sum().backward()
        (columns[0].square() + 3 * columns[1].square()).sum().backward()
        adam.step(1.0)
        theirs.step()
        theirs.zero_grad()
    torch.testing.assert_close(ours, torch.stack(columns, 1))


def test_a_row_that_is_not_seen_stays():
    rows = torch.ones(2, 1, requires_grad=True)
    adam = RowAdam(rows, torch.tensor([0.1]))
    for _ in range(3):
        rows[0].sum().backward()
        adam.step(1.0)
    assert rows[1] == 1
    assert rows[0] < 0.8


@pytest.fixture(scope="module")
def job(filmed, tmp_path_factory):
    out = tmp_path_factory.mktemp("jobs") / "avatar"
    jobs.adopt_job(out, JobCommand("train avatar"))
    quick = replace(QUICK, steps=6, backend="cpu", device="cpu")
    with JobHandle(out) as handle:
        train(filmed.data, quick, out, handle, head=str(filmed.model))
    return out


def test_what_was_refined_is_written_and_is_read_in_place_of_the_capture(filmed, capture, job):
    file = job / "flame_param.npz"
    tracking = load_tracking(file)
    stored = capture.flame.stored(filmed.data / "../SEN-01/flame_param/00000.npz")
    assert sorted(tracking.row) == [0, 1, 2, 3]
    again = MultiViewCapture.open(filmed.data, head=filmed.model, tracking=file)
    view, before = again.split("test")[0], capture.split("test")[0]
    expected = posed(capture.flame.model, row_of(tracking.param, 0)).vertices
    assert torch.allclose(view.vertices, expected, atol=1e-6)
    assert not torch.allclose(view.vertices, before.vertices, atol=1e-6)
    for name in MOVING:
        assert np.abs(getattr(tracking.at(0, stored), name) - getattr(stored, name)).max() < 0.2
    assert set(json.loads((job / "camera_colors.json").read_text())) == set(GAINS)
    assert json.loads((job / "scores.json").read_text())["refined tracking, mean shift (mm)"] > 0
    assert load_with_head(job).avatar.provenance["refined"].startswith("tracking")


def test_refined_frames_are_those_of_the_recording(filmed, capture, job):
    (recording,) = find_recordings(filmed.data).every
    from engine.audio.loading import load_speech

    sound = load_speech(recording.audio)
    plain = read_motion(recording, capture.captured_head(), sound)
    ours = read_motion(
        recording, capture.captured_head(), sound, load_tracking(job / "flame_param.npz")
    )
    moved = np.abs(ours.expression - plain.expression).max(axis=1) > 0
    assert np.flatnonzero(moved).tolist() == sorted(recording.timesteps)


def test_the_refined_motion_plays_on_the_avatar(job):
    avatar, head = load_with_head(job)
    played = load_motion(job / "flame_param.npz", head, job, avatar.identity)
    assert (played.frames, played.fps) == (4, 30.0)


def test_refined_parameters_are_refused_for_a_head_that_is_not_flame(small_capture, job):
    with pytest.raises(BadInputError, match="no capture of a FLAME head"):
        MultiViewCapture.open(small_capture, tracking=job / "flame_param.npz")


def test_parameters_that_do_not_name_their_timesteps_are_refused(tmp_path):
    from engine.heads.flame_param import save_flame_param

    save_flame_param(parameters(2), tmp_path / "flame_param.npz")
    with pytest.raises(BadInputError, match="does not say which timesteps"):
        load_tracking(tmp_path / "flame_param.npz")
