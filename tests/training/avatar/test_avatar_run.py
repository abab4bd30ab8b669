# SPDX-License-Identifier: GPL-3.0-or-later
import errno
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image as Picture

from engine.avatar import load_avatar
from engine.avatar.with_head import load_with_head
from engine.core.errors import BadInputError, CancelledError, GaussianSpeechError
from engine.heads import load_head
from engine.jobs import folder as jobs
from engine.jobs.command import JobCommand
from engine.jobs.results import summarize
from engine.jobs.status import State
from engine.jobs.worker import JobHandle
from tests.engine.heads.flame_files import flame_arrays
from tests.training.avatar.conftest import SMALL
from tests.training.data.flame_capture import TEETH, as_flame_capture, param
from training.avatar import run
from training.avatar.config import Tuning
from training.avatar.trainer import AvatarTrainer
from training.data.capture_light import save_light
from training.data.multiview import MultiViewCapture
from training.run import loop
from training.run.checkpoints import load_checkpoint, save_checkpoint

SHORT = replace(SMALL, steps=6, preview_every=3, checkpoint_every=3, evaluate_every=3)


def work(folder, data, settings=SHORT, head=None, *, report=False):
    jobs.adopt_job(folder, JobCommand("train avatar"), config=settings.to_dict())
    with JobHandle(folder) as job:
        run.train(data, settings, folder, job, head=head, report=report)
    return jobs.show(folder)


@pytest.fixture(scope="module")
def finished(small_capture, tmp_path_factory):
    folder = tmp_path_factory.mktemp("jobs") / "whole"
    return work(folder, small_capture)


def losses(folder):
    state = torch.load(folder / "checkpoints" / "last.pt", weights_only=True)
    return [row["total"] for row in state["record"]["recent"]], state["step"]


def test_a_job_leaves_an_avatar_that_the_engine_renders(finished, head):
    avatar = load_avatar(finished.folder / "avatar.safetensors", head)
    scores = json.loads((finished.folder / "scores.json").read_text())
    assert finished.status.state is State.FINISHED
    assert (finished.status.step, finished.status.total) == (6, 6)
    assert avatar.count == scores["gaussians"]
    assert avatar.provenance["seed"] == "0"
    assert scores["test PSNR (dB)"] > 15
    assert f"{avatar.count:,} Gaussians" in finished.status.message
    # A capture that says nothing of its light has it fitted from the pictures.
    assert avatar.light.shape == (head.vertex_count, 3)
    assert avatar.provenance["light"] == "fitted to 9 pictures"


def test_the_light_that_a_capture_says_is_the_avatars(small_capture, tmp_path, head):
    data = shutil.copytree(small_capture, tmp_path / "capture")
    light = np.linspace(0.1, 1, 3 * head.vertex_count).reshape(-1, 3).astype(np.float32)
    save_light(light, data)
    done = work(tmp_path / "job", data, replace(SHORT, steps=1))
    avatar = load_avatar(done.folder / "avatar.safetensors", head)
    np.testing.assert_allclose(avatar.light, light, rtol=1e-3)
    assert avatar.provenance["light"] == "the capture's own"


def test_a_light_of_another_head_is_refused_before_anything_is_made(small_capture, tmp_path):
    data = shutil.copytree(small_capture, tmp_path / "capture")
    save_light(np.ones((5, 3), np.float32), data)
    with pytest.raises(BadInputError, match=r"light\.npz") as caught:
        run.train(data, SHORT, tmp_path / "job", None)
    assert "fitted" in caught.value.hint


def test_a_capture_tracked_with_flame_is_trained_on_with_the_users_model(small_capture, tmp_path):
    model = tmp_path / "flame.npz"
    np.savez(model, **flame_arrays())
    data = as_flame_capture(small_capture, tmp_path / "capture")
    settings = replace(SHORT, steps=2, tuning=Tuning(tune_tracking=False))
    done = work(tmp_path / "job", data, settings, head=str(model), report=True)
    avatar, own = load_with_head(done.folder / "avatar.safetensors")
    assert avatar.count > 10_000
    assert own.vertex_count == 5143
    assert np.array_equal(own.source.shape, param(TEETH).shape)
    low, high = avatar.identity.expression_range
    psi = own.expression_names.index("jawOpen")
    assert low[psi] < high[psi] == pytest.approx(0.25 / 0.3)
    with pytest.raises(BadInputError, match="its neutral face is another"):
        load_avatar(done.folder / "avatar.safetensors", load_head(str(model)))
    assert (done.folder / "report.html").is_file()
    with pytest.raises(BadInputError, match="FLAME"):
        work(tmp_path / "other", data, settings)


def test_a_job_shows_how_it_goes(finished):
    with Picture.open(finished.folder / finished.status.preview) as picture:
        assert picture.size == (3 * 44, 2 * 64)
    assert (finished.folder / "losses.png").stat().st_size > 1000
    assert (finished.folder / "losses.csv").read_text().startswith("step,")
    assert any((finished.folder / "tensorboard").iterdir())
    config = json.loads((finished.folder / "config.json").read_text())
    assert (config["steps"], config["seed"]) == (6, 0)


def test_what_is_in_force_is_said_everywhere(small_capture, tmp_path, head, monkeypatch):
    monkeypatch.setenv("GAUSSIANSPEECH_WEIGHTS", str(tmp_path / "none"))
    losses = replace(SHORT.losses, face=0.1, patch=0.05)
    settings = replace(SHORT, steps=1, losses=losses)
    job = work(tmp_path / "job", small_capture, settings, report=True)
    lacks = "global (ArcFace), patch (VGG16)"
    status = json.loads((job.folder / "status.json").read_text())
    (note,) = status["notes"]
    assert note.startswith(f"Perceptual losses off: {lacks}: weights not found.")
    assert str(tmp_path / "none") in note
    assert job.status.message.endswith(f"; without {lacks}")
    assert summarize(job).notes == (note,)
    config = json.loads((job.folder / "config.json").read_text())
    assert config["terms"]["patch"] == 0
    assert "vgg16" in config["terms_off"]["patch"]
    avatar = load_avatar(job.folder / "avatar.safetensors", head)
    assert avatar.provenance["losses off"] == lacks
    assert f"Trained without the perceptual losses {lacks}" in (
        job.folder / "report.html"
    ).read_text("utf-8")


@pytest.mark.parametrize("step", [4, SHORT.steps])
def test_a_cancelled_job_goes_on_where_it_stopped(
    finished, small_capture, tmp_path, head, monkeypatch, step
):
    folder = tmp_path / "broken"
    advance = AvatarTrainer.advance

    def asked_to_stop(trainer):
        terms = advance(trainer)
        if trainer.step == step:
            jobs.cancel(folder)
        return terms

    monkeypatch.setattr(AvatarTrainer, "advance", asked_to_stop)
    stopped = work(folder, small_capture)
    assert (stopped.status.state, stopped.status.step) == (State.CANCELLED, step)
    assert load_avatar(folder / "avatar.safetensors", head).count > 0
    monkeypatch.setattr(AvatarTrainer, "advance", advance)
    resumed = work(folder, small_capture)
    assert (resumed.status.state, resumed.runs) == (State.FINISHED, 2)
    assert losses(folder) == losses(finished.folder)
    ours, whole = (
        json.loads((job.folder / "scores.json").read_text()) for job in (resumed, finished)
    )
    assert ours | {"seconds": 0} == whole | {"seconds": 0}


def test_another_runs_checkpoint_is_refused(finished):
    path = finished.folder / "checkpoints" / "last.pt"
    with pytest.raises(BadInputError, match=r"other settings: steps, seed"):
        load_checkpoint(path, replace(SHORT, steps=7, seed=3).to_dict())
    elsewhere = replace(SHORT, threads=2, memory=0.5, device="cpu", preview_every=1)
    assert load_checkpoint(path, elsewhere.to_dict())["step"] == SHORT.steps


def test_a_weight_that_an_earlier_version_did_not_know_was_zero(tmp_path):
    path = tmp_path / "run" / "checkpoints" / "last.pt"
    path.parent.mkdir(parents=True)
    save_checkpoint(path, {"settings": {"steps": 3, "losses": {"lip": 0.3}}, "step": 2})
    now = {"steps": 3, "losses": {"lip": 0.3, "closure": 0.0}}
    assert load_checkpoint(path, now)["step"] == 2
    for losses in ({"lip": 0.3, "closure": 0.1}, {"closure": 0.0}):
        with pytest.raises(BadInputError, match=r"other settings: losses"):
            load_checkpoint(path, now | {"losses": losses})


def test_a_damaged_checkpoint_is_named(tmp_path):
    path = tmp_path / "last.pt"
    path.write_bytes(b"PK\x03\x04 not all of it")
    with pytest.raises(BadInputError, match=r"last\.pt cannot be read"):
        load_checkpoint(path, SHORT.to_dict())


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"step": 1})

    def full(state, file):
        file.write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(GaussianSpeechError, match=r"disk is full\. The last good"):
        save_checkpoint(path, {"step": 2})
    assert torch.load(path, weights_only=True) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
    ],
)
def test_out_of_memory_tells_what_to_lower(error):
    settings = replace(SHORT, views=4, memory=2.0)
    with (
        pytest.raises(GaussianSpeechError) as caught,
        run.memory_hint(settings),
    ):
        raise error
    assert "out of memory" in caught.value.message
    assert "--scale 0.5, --views 2, --memory 1" in caught.value.hint


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="shapes"), run.memory_hint(SHORT):
        raise RuntimeError("shapes do not fit")


def test_a_bad_capture_is_refused_before_anything_is_made(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInputError, match="no multi-view capture"):
        work(tmp_path / "job", tmp_path / "empty")
    job = jobs.show(tmp_path / "job")
    assert job.status.state is State.FAILED
    assert "no multi-view capture" in job.status.message
    assert not (tmp_path / "job" / "config.json").exists()


def test_a_bad_initial_avatar_is_refused_before_the_long_preparations(
    small_capture, tmp_path, monkeypatch
):
    def too_late(*_args, **_options):
        raise AssertionError

    monkeypatch.setattr(run, "warm_up", too_late)
    monkeypatch.setattr(run, "AvatarLoss", too_late)
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"no avatar")
    with pytest.raises(BadInputError, match=r"bad\.safetensors"):
        work(tmp_path / "job", small_capture, replace(SHORT, initial=bad))


def test_cancelling_while_a_checkpoint_cannot_be_written_says_so(
    small_capture, tmp_path, monkeypatch
):
    folder = tmp_path / "job"

    def full(path, state):
        raise GaussianSpeechError("The checkpoint cannot be written.", "Make room.")

    def stop(trainer):
        raise CancelledError

    monkeypatch.setattr(loop, "save_checkpoint", full)
    monkeypatch.setattr(AvatarTrainer, "advance", stop)
    with pytest.raises(GaussianSpeechError, match="checkpoint cannot be written"):
        work(folder, small_capture)
    assert jobs.show(folder).status.state is State.FAILED


def test_a_negative_number_of_threads_is_refused():
    with pytest.raises(BadInputError, match="--threads is -3"):
        run.use_threads(-3)


def test_an_avatar_of_a_flame_person_names_the_model_of_a_capture(small_capture, tmp_path):
    model = tmp_path / "flame.npz"
    np.savez(model, **flame_arrays())
    data = as_flame_capture(small_capture, tmp_path / "capture")
    first = work(tmp_path / "first", data, replace(SHORT, steps=1), head=str(model))
    opened = MultiViewCapture.open(data, head=first.folder / "avatar.safetensors")
    assert opened.head.vertex_count == TEETH


def test_processes_on_one_host_share_its_free_cores(monkeypatch, one_thread):
    monkeypatch.setattr(run.platforms, "usable_processors", lambda: 8)
    monkeypatch.setattr(run.os, "getloadavg", lambda: (2.0, 2.0, 2.0))
    monkeypatch.setattr(run.numba, "set_num_threads", lambda count: None)
    assert run.use_threads(0) == 6
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert run.use_threads(0) == 2
