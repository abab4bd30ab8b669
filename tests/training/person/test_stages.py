# SPDX-License-Identifier: GPL-3.0-or-later
"""Stages of a person's training: done once, and what they had to say is kept."""

import json

from engine.jobs.folder import adopt_job, show
from engine.jobs.worker import JobHandle
from training.person.capture_stages import Stage


def test_notes_of_a_stage_that_has_finished_stay_when_the_job_resumes(tmp_path):
    worked = []

    def work(_folder, job):
        worked.append(job.status.step)
        job.update(3, total=3)
        job.note("The head hardly turns.")
        return {"frames": 3.0}

    stage = Stage(tmp_path, "tracking", 3, work)
    for _run in range(2):
        adopt_job(tmp_path, None)
        with JobHandle(tmp_path, total=9) as job:
            job.note("One camera.")
            stage.run(job, 0, "tracking")
        assert show(tmp_path).status.notes == ("One camera.", "The head hardly turns.")
        # As one that was stopped.
        status = tmp_path / "status.json"
        status.write_text(json.dumps(json.loads(status.read_text()) | {"state": "cancelled"}))
    assert worked == [0]
    assert stage.scores == {"frames": 3.0}


def test_what_an_earlier_version_finished_has_no_notes(tmp_path):
    adopt_job(tmp_path, None)
    stage = Stage(tmp_path, "tracking", 3, lambda *_: {})
    stage.folder.mkdir(parents=True)
    (stage.folder / "finished.json").write_text(json.dumps({"scores": {}}))
    with JobHandle(tmp_path) as job:
        stage.run(job, 0, "tracking")
    assert show(tmp_path).status.notes == ()
