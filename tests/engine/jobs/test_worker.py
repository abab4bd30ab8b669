# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's side: reports, progress, cancelling."""

from pathlib import Path

import pytest

from engine.core.errors import BadInputError, CancelledError
from engine.jobs.command import ENVIRONMENT, JobCommand
from engine.jobs.folder import adopt_job, show
from engine.jobs.status import State, read_status
from engine.jobs.worker import JobHandle
from tests.engine.small_jobs import ended


@pytest.fixture
def handle(worker):
    """A handle in this process on a job whose own worker has ended."""
    return JobHandle(ended(worker()).folder, total=10)


def test_a_preview_is_written_at_once_relative_to_the_job(handle):
    with handle:
        handle.update(1, preview=handle.folder / "previews" / "0001.png")
        assert read_status(handle.folder).preview == "previews/0001.png"
        handle.update(2, preview="previews/0002.png")
        assert read_status(handle.folder).preview == "previews/0002.png"


def test_a_preview_of_a_folder_given_relative_to_the_current_one(handle, monkeypatch):
    monkeypatch.chdir(handle.folder.parent)
    handle.update(1, preview=Path(handle.folder.name, "one.png"))
    assert read_status(handle.folder).preview == "one.png"


def test_a_preview_outside_the_job_is_refused(handle, tmp_path):
    with pytest.raises(BadInputError, match="not in the job's folder"):
        handle.update(1, preview=tmp_path.parent / "picture.png")


def test_updates_are_written_at_most_twice_a_second_and_at_the_end(handle, monkeypatch):
    written = []
    monkeypatch.setattr(
        "engine.jobs.worker.write_status", lambda _f, status: written.append(status)
    )
    with handle:
        for step in range(10_000):
            handle.update(step)
    assert written[-1].step == 9999
    assert len(written) < 100


@pytest.mark.parametrize("error", [OSError, BadInputError])
def test_a_status_that_cannot_be_written_does_not_end_the_work(handle, monkeypatch, error):
    def full(_folder, _status):
        raise error("no space left")

    with handle:
        with monkeypatch.context() as broken:
            broken.setattr("engine.jobs.worker.write_status", full)
            handle.update(1, preview="one.png")
        handle.update(2, preview="two.png")
    assert read_status(handle.folder).preview == "two.png"


def test_progress_raises_when_the_user_has_cancelled(handle):
    with handle:
        handle.progress(0.5, "halfway")
        assert handle.status.step == 5
        (handle.folder / "cancel").touch()
        with pytest.raises(CancelledError):
            handle.progress(0.6, "further")


def test_a_process_that_is_no_job_says_so(monkeypatch):
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    with pytest.raises(BadInputError, match="not started as a job"):
        JobHandle.current()


def test_a_last_status_that_cannot_be_written_does_not_hide_why_the_work_ended(
    handle, monkeypatch, capsys
):
    def full(_folder, _status):
        raise OSError("no space left")

    with pytest.raises(BadInputError, match="no masks"), handle:
        monkeypatch.setattr("engine.jobs.worker.write_status", full)
        raise BadInputError("There are no masks.")
    assert "no space left" in capsys.readouterr().err


def test_the_number_of_steps_may_become_known_later(tmp_path):
    adopt_job(tmp_path / "late", JobCommand("train avatar"))
    with JobHandle(tmp_path / "late") as handle:
        handle.update(1, total=4)
        handle.update(2)
    status = show(tmp_path / "late").status
    assert (status.step, status.total, status.state) == (2, 4, State.FINISHED)


def test_preparation_says_nothing_of_the_pace_of_a_resumed_run(handle, monkeypatch):
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("engine.jobs.worker.time.monotonic", lambda: float(next(clock)))
    resumed = JobHandle(handle.folder)
    resumed.update(0, message="reading the data")
    resumed.update(1000, total=2000)
    assert resumed.status.eta is None
    resumed.update(1010)
    # Ten steps in ten seconds, or twenty with a look at the clock for a write; 990 to go.
    assert 990 <= resumed.status.eta <= 1980


def test_people_are_shown_how_far_it_is_and_how_long_it_takes(handle, monkeypatch):
    seconds, shown = [100.0], []
    monkeypatch.setattr("engine.jobs.worker.time.monotonic", lambda: seconds[0])
    handle.shown_by(lambda fraction, message: shown.append((fraction, message)))
    handle.update(0, message="Reading")
    handle.update(0, total=10, message="Training")
    seconds[0] += 120.0
    handle.part(0, 5, "avatar").update(2, total=5, message="40 Gaussians")
    assert shown == [
        (0.0, "Reading"),
        (0.0, "Training"),
        (0.2, "avatar: 40 Gaussians, 8 min left"),
    ]
