# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests about jobs: answered while work runs, and only about jobs of the folder."""

import json
import os
import threading
from dataclasses import replace

import pytest

from engine.core import protocol
from engine.core.protocol import Message
from engine.jobs.command import JobCommand
from engine.jobs.folder import adopt_job, show, start_job
from engine.jobs.status import State, read_status, write_status
from engine.jobs.summary import JobSummary
from engine.jobs.worker import JobHandle
from engine.serving.jobs import job_methods
from engine.serving.request import Reply
from engine.serving.server import Server
from tests.waiting import PATIENCE, returned, until

AVATAR = JobCommand("train avatar")


class Engine:
    """Blender's end of a server in a thread; its method ``work`` works until it is released."""

    def __init__(self):
        read_request, write_request = os.pipe()
        read_answer, write_answer = os.pipe()
        self.stdin, self.stdout = os.fdopen(write_request, "wb"), os.fdopen(read_answer, "rb")
        self._ends = os.fdopen(read_request, "rb"), os.fdopen(write_answer, "wb")
        self.release, self._count = threading.Event(), 0
        server = Server(*self._ends, {"work": self._work}, job_methods())
        self._thread = threading.Thread(target=server.run, args=({},), daemon=True)
        self._thread.start()
        self.read()

    def _work(self, request):
        while not self.release.wait(0.01):
            request.progress(0.5, "working")
        return Reply({"done": True})

    def send(self, method, **params):
        self._count += 1
        body = {"method": method, "params": params}
        protocol.write(self.stdin, Message("request", self._count, body))
        return self._count

    def read(self):
        return returned(lambda: protocol.read(self.stdout))

    def answer(self, request_id):
        while True:
            message = self.read()
            if message.id == request_id and message.type in ("result", "error"):
                return message

    def ask(self, method, **params):
        return self.answer(self.send(method, **params))

    def close(self):
        self.release.set()
        self.stdin.close()
        self._thread.join(PATIENCE)
        for stream in (self.stdout, *self._ends):
            stream.close()


@pytest.fixture
def engine():
    engine = Engine()
    yield engine
    engine.close()


@pytest.fixture
def root(tmp_path):
    return tmp_path / "jobs"


def finished(root, name="anna", **config):
    """A finished job with a picture and an avatar."""
    adopt_job(root / name, AVATAR, config={"kind": "avatar", "data": "/data"} | config)
    with JobHandle(root / name, total=9) as handle:
        (root / name / "preview.png").write_bytes(b"a picture")
        (root / name / "avatar.safetensors").write_bytes(b"an avatar")
        (root / name / "log.txt").write_text("one\ntwo\n")
        handle.update(9, loss=0.5, preview="preview.png", message="38,000 Gaussians")
    return root / name


def test_jobs_are_listed_as_the_add_on_reads_them(engine, root):
    folder = finished(root)
    body = engine.ask("jobs.list", folder=str(root)).body
    (job,) = map(JobSummary.from_json, body["jobs"])
    assert body["folder"] == str(root)
    assert (job.id, job.kind, job.state) == ("anna", "avatar", "finished")
    assert (job.step, job.total, job.loss, job.message) == (9, 9, 0.5, "38,000 Gaussians")
    assert job.results == {"avatar": str(folder / "avatar.safetensors")}
    assert job.preview == (folder / "preview.png").stat().st_mtime_ns
    assert not job.resumable


@pytest.mark.parametrize("kind", ["avatar", "person"])
def test_of_what_still_runs_the_stages_of_a_person_can_be_used(engine, root, kind):
    adopt_job(root / "ada", None, config={"kind": kind})
    for name in ("avatar.safetensors", *(["person.json"] if kind == "person" else [])):
        (root / "ada" / name).write_bytes(b"{}")
    (job,) = map(JobSummary.from_json, engine.ask("jobs.list", folder=str(root)).body["jobs"])
    assert job.running
    assert job.results == ({"person": str(root / "ada")} if kind == "person" else {})


def test_without_a_folder_the_default_one_is_listed(engine, tmp_path, monkeypatch):
    monkeypatch.setattr("engine.serving.jobs.default_folder", lambda: tmp_path / "default")
    finished(tmp_path / "default")
    assert [job["id"] for job in engine.ask("jobs.list").body["jobs"]] == ["anna"]


def test_jobs_are_answered_while_other_work_runs(engine, root):
    for number in range(100):
        finished(root, f"job-{number}")
    work = engine.send("work")
    assert len(engine.ask("jobs.list", folder=str(root)).body["jobs"]) == 100
    assert engine.ask("jobs.log", folder=str(root), job="job-7").body["lines"] == ["one", "two"]
    assert not engine.release.is_set()
    engine.release.set()
    assert engine.answer(work).body == {"done": True}


def test_control_messages_do_not_wait_for_a_list_of_jobs(engine, root, monkeypatch):
    held = threading.Event()

    def slow(_root):
        assert held.wait(PATIENCE)
        return []

    monkeypatch.setattr("engine.jobs.folder.list_jobs", slow)
    listing, work = engine.send("jobs.list", folder=str(root)), engine.send("work")
    protocol.write(engine.stdin, Message("ping", 77))
    while engine.read().type != "pong":
        pass
    protocol.write(engine.stdin, Message("cancel", work))
    assert engine.answer(work).body["kind"] == "cancelled"
    held.set()
    assert engine.answer(listing).body["jobs"] == []


def test_the_picture_comes_as_its_file(engine, root):
    finished(root)
    answer = engine.ask("jobs.preview", folder=str(root), job="anna")
    assert answer.arrays["picture"].tobytes() == b"a picture"


def test_a_job_is_cancelled_ended_resumed_and_removed(engine, root, program):
    program("import time; time.sleep(600)")
    start_job(root / "anna", AVATAR)
    one = {"folder": str(root), "job": "anna"}
    assert engine.ask("jobs.show", **one).body["job"]["state"] == "starting"
    # One that has done a step is asked; the others are ended at once.
    running = replace(read_status(root / "anna"), state=State.RUNNING, step=1)
    write_status(root / "anna", running)
    assert engine.ask("jobs.cancel", **one).body["job"]["state"] == "cancelling"
    assert "is running" in engine.ask("jobs.remove", **one).body["message"]
    ended = engine.ask("jobs.cancel", **one, at_once=True).body["job"]
    assert (ended["state"], ended["resumable"]) == ("cancelled", True)
    assert engine.ask("jobs.resume", **one).body["job"]["state"] == "starting"
    engine.ask("jobs.cancel", **one, at_once=True)
    assert engine.ask("jobs.remove", **one).type == "result"
    assert not (root / "anna").exists()


COMMAND_LINE = """
import json, sys
from pathlib import Path
from engine.jobs.command import JobCommand
from engine.jobs.folder import start_job
from engine.jobs.worker import JobHandle

words = sys.argv[1:]
if "--background" not in words:
    with JobHandle.current():
        sys.exit(0)
if "--bad" in words:
    print("gaussianspeech: --bad is bad. Leave it out.", file=sys.stderr)
    sys.exit(2)
if "--crash" in words:
    sys.exit("Traceback: oh")
out = Path(words[words.index("--out") + 1])
start_job(out, JobCommand.parse(words), config={"kind": "avatar"})
print(json.dumps({"job": out.name, "folder": str(out), "state": "starting"}))
"""


def test_a_command_is_started_in_a_new_folder_named_by_its_title(engine, root, program):
    program("from engine.jobs import command\ncommand.PACKAGE = 'stand_in'\n" + COMMAND_LINE)
    asked = {"folder": str(root), "title": "Anna's face", "command": "train avatar"}
    job = engine.ask("jobs.start", **asked, options=["--data", "D"]).body["job"]
    assert (job["id"], job["kind"]) == ("Anna-s-face", "avatar")
    assert show(root / job["id"]).command == JobCommand("train avatar", ("--data", "D"))
    again = engine.ask("jobs.start", **asked, options=[]).body["job"]
    assert again["id"] == "Anna-s-face-2"
    until(lambda: all(not show(path).running for path in root.iterdir()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"options": ["--bad"]}, "--bad is bad"),
        ({"options": ["--crash"]}, "exit code 1"),
        ({"options": ["--out", "/elsewhere"]}, "cannot have the option '--out'"),
        ({"command": "serve"}, "no command that can be a job"),
        ({"options": "--data"}, "list of texts"),
        ({"argv": ["/bin/sh"]}, "argv"),
    ],
    ids=str,
)
def test_what_cannot_be_started_is_an_error_and_leaves_no_job(
    engine, root, program, changes, message
):
    program(COMMAND_LINE)
    asked = {"folder": str(root), "title": "anna", "command": "train avatar", "options": []}
    answer = engine.ask("jobs.start", **asked | changes)
    assert answer.type == "error"
    assert message in answer.body["message"]
    assert not root.exists()


def test_a_start_can_be_cancelled(engine, root, program, tmp_path):
    program(f"import pathlib, time; pathlib.Path({str(tmp_path / 'on')!r}).touch(); time.sleep(60)")
    request = engine.send("jobs.start", title="x", command="capture", options=[])
    until((tmp_path / "on").exists)
    protocol.write(engine.stdin, Message("cancel", request))
    assert engine.answer(request).body["kind"] == "cancelled"


@pytest.mark.parametrize("method", ["show", "cancel", "resume", "remove", "preview", "log"])
@pytest.mark.parametrize("job", ["../outside", "..", "", "nobody", 5], ids=str)
def test_a_job_outside_the_folder_is_no_job(engine, root, method, job):
    finished(root.parent, "outside")
    answer = engine.ask(f"jobs.{method}", folder=str(root), job=job)
    assert answer.body["kind"] == "bad_input"
    assert show(root.parent / "outside").status.state == "finished"


def test_a_damaged_job_hides_no_other(engine, root):
    finished(root)
    (finished(root, "damaged") / "status.json").write_text(
        json.dumps({"state": "running", "preview": -1})
    )
    jobs = engine.ask("jobs.list", folder=str(root)).body["jobs"]
    assert {job["id"]: job["state"] for job in jobs} == {"anna": "finished", "damaged": "damaged"}
