# SPDX-License-Identifier: GPL-3.0-or-later
"""The rounds in which pictures refine a person's capture before the avatar is trained."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.jobs import folder as jobs
from engine.jobs.command import JobCommand
from engine.jobs.status import State
from engine.jobs.worker import JobHandle
from engine.persons import load_person
from tests.training.tracking.made_capture import made_capture, true_fit
from training.avatar.schedule import GEOMETRY
from training.avatar.trainer import AvatarTrainer
from training.cli import main
from training.person.capture_stages import PersonTraining, capture_stages
from training.person.config import PersonSettings
from training.person.run import train

pytestmark = pytest.mark.usefixtures("one_thread")

QUICK = {
    "preset": "quick",
    "avatar_steps": 4,
    "speech_steps": 0,
    "scale": 1.0,
    "backend": "cpu",
    "device": "cpu",
    "threads": 1,
}


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captures") / "ada"
    made_capture(folder, true_fit(8), true_fit(8), spoken=False)
    return folder


def plan(data, out, **settings):
    return PersonTraining(data, out, "Ada", settings=PersonSettings(**{**QUICK, **settings}))


def work(wanted):
    command = JobCommand("train person")
    jobs.adopt_job(wanted.out, command, config=wanted.settings.to_dict())
    with JobHandle(wanted.out) as job:
        train(wanted, job)
    return jobs.show(wanted.out)


def test_rounds_are_of_what_was_tracked_with_the_default_head(tracked, small_capture):
    def names(data, refine):
        return [stage.name for stage in capture_stages(plan(data, Path("out"), refine=refine))]

    assert names(tracked, 1) == ["refinement-1"]
    assert names(tracked, 2) == ["refinement-1", "refinement-2"]
    assert names(tracked, 0) == []
    # It says what was true.
    assert names(small_capture, 1) == []


def test_the_avatar_is_trained_on_the_refined_capture_and_a_stop_resumes(
    tracked, tmp_path, monkeypatch
):
    wanted = plan(tracked, tmp_path / "ada")
    advance, done, first = AvatarTrainer.advance, [], {}

    def stop(trainer):
        done.append(trainer)
        if len(done) == 1:
            first.update((name, rows.clone()) for name, rows in trainer.avatar.gaussians.items())
            jobs.cancel(wanted.out)
        return advance(trainer)

    monkeypatch.setattr(AvatarTrainer, "advance", stop)
    assert work(wanted).status.state is State.CANCELLED
    assert not (wanted.out / "stages/refinement-1/capture").exists()
    job = work(wanted)
    # Two steps of refining, four of the avatar, none twice.
    assert (job.status.state, job.status.step, len(done)) == (State.FINISHED, 6, 6)
    # The mesh moves in a refinement, and Gaussians stay on it.
    refining, avatar = done[1].avatar.gaussians, done[-1].avatar.gaussians
    assert {name for name, rows in first.items() if torch.equal(rows, refining[name])} == GEOMETRY
    assert not torch.equal(avatar["positions"], first["positions"])
    person = load_person(wanted.out)
    assert set(person.trained_on) == {"refinement-1", "avatar", "speech", "joint"}
    assert "moved the neutral face by" in person.trained_on["refinement-1"]
    assert any("moved the neutral face by" in note for note in job.status.notes)
    assert person.scores["refinement-1: poses turned (°)"] > 0
    assert person.provenance["capture"] == "ada"
    refined = wanted.out / "stages/refinement-1/capture"
    assert done[-1].capture.folder == refined
    assert np.array_equal(done[-1].capture.head.template, done[-1].avatar.head.template)


def test_rounds_are_refused_below_none(tracked, tmp_path, capsys):
    command = ["train", "person", "--data", str(tracked), "--out", str(tmp_path / "out")]
    assert main([*command, "--refine", "-1"]) == 2
    assert "--refine" in capsys.readouterr().err
