# SPDX-License-Identifier: GPL-3.0-or-later
"""When the engine is asked for its jobs, and what becomes of its answers; without Blender."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from blender_addon.standalone import addon_module

pytest.importorskip("bpy", reason="Blender's Python module (bpy) is not installed")
watchers = addon_module("jobs.watcher")
clients = addon_module("jobs.client")
progress = addon_module("jobs.progress")
State = sys.modules["gaussianspeech.engine.jobs.status"].State
JobSummary = clients.JobSummary
Message, GaussianSpeechError = clients.Message, clients.GaussianSpeechError


class Answer:
    """A future that is done when its test says so."""

    def __init__(self, message=None, error=None):
        self.done, self.message, self.error = True, message, error

    def wait(self, _timeout):
        self.done = True

    def result(self, _timeout=None):
        if self.error is not None:
            raise self.error
        return self.message


class Engine:
    """Answers with its ``jobs``; ``asked`` holds the methods."""

    def __init__(self):
        self.jobs, self.asked, self.lines, self.error, self.slow = [], [], ["one"], None, False

    def request(self, method, params):
        self.asked.append(method)
        if self.error is not None:
            answer = Answer(error=self.error)
        elif method == "jobs.list":
            answer = Answer(Message("result", body={"jobs": [j.to_json() for j in self.jobs]}))
        elif method == "jobs.log":
            answer = Answer(Message("result", body={"lines": self.lines}))
        else:
            picture = np.frombuffer(params["job"].encode(), np.uint8)
            answer = Answer(Message("result", arrays={"picture": picture}))
        answer.done = not self.slow
        return answer


@pytest.fixture
def engine():
    return Engine()


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    now = [1000.0]
    monkeypatch.setattr(watchers.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def watcher(engine, clock, tmp_path):
    made = watchers.Watcher()
    made.pictures = tmp_path / "pictures"
    made.watch(clients.JobsClient(engine.request))
    return made


def job(name="anna", state=State.RUNNING, **values):
    return JobSummary(name, state=state, **values)


def ticks(watcher, clock, seconds):
    for _ in range(int(seconds / 0.5)):
        clock[0] += 0.5
        watcher.tick()


def test_the_engine_is_left_alone_while_nobody_looks(watcher, engine, clock):
    ticks(watcher, clock, 100)
    assert engine.asked == []
    watcher.drawn()
    watcher.tick()
    assert engine.asked == ["jobs.list"]


def test_it_is_asked_every_second_while_one_looks_and_a_job_runs(watcher, engine, clock):
    engine.jobs = [job()]
    for _ in range(20):
        watcher.drawn()
        ticks(watcher, clock, 1)
    assert 19 <= len(engine.asked) <= 21


def test_a_running_job_is_followed_to_its_end_though_nobody_looks(watcher, engine, clock):
    engine.jobs = [job()]
    watcher.read_now()
    ticks(watcher, clock, 40)
    assert 10 <= len(engine.asked) <= 12
    engine.jobs = [job(state=State.FINISHED)]
    ticks(watcher, clock, 5)
    assert [ended.id for ended in watcher.take_ended()] == ["anna"]
    assert watcher.take_ended() == []
    asked = len(engine.asked)
    ticks(watcher, clock, 200)
    assert len(engine.asked) == asked


def test_no_second_question_while_the_first_is_open(watcher, engine, clock):
    engine.slow = True
    watcher.drawn()
    ticks(watcher, clock, 30)
    assert engine.asked == ["jobs.list"]


def test_after_errors_the_engine_is_asked_ever_less(watcher, engine, clock):
    engine.jobs = [job()]
    watcher.read_now()
    engine.error = GaussianSpeechError("It is gone.")
    for _ in range(600):
        watcher.drawn()
        ticks(watcher, clock, 1)
    assert len(engine.asked) < 12
    assert watcher.job("anna") is not None
    assert watcher.snapshot.error.message == "It is gone."
    engine.error = None
    watcher.read_soon()
    ticks(watcher, clock, 1)
    assert watcher.snapshot.error is None


def test_an_engine_that_cannot_be_started_is_an_error_of_the_list(watcher, engine):
    def refuse(_method, _params):
        raise GaussianSpeechError("There is no Python.")

    watcher.watch(clients.JobsClient(refuse))
    watcher.read_now()
    assert watcher.snapshot.error.message == "There is no Python."


@pytest.mark.parametrize("body", [{}, {"jobs": 5}, {"jobs": [{}]}, {"jobs": [{"id": "x"}]}])
def test_an_answer_of_another_kind_is_an_error(watcher, engine, body):
    watcher.watch(clients.JobsClient(lambda _m, _p: Answer(Message("result", body=body))))
    watcher.read_now()
    assert "cannot be read" in watcher.snapshot.error.message


def test_the_log_is_asked_for_while_it_is_shown(watcher, engine):
    engine.jobs = [job()]
    watcher.read_now()
    assert watcher.snapshot.log == ()
    watcher.chosen, watcher.with_log = "anna", True
    watcher.read_now()
    assert watcher.snapshot.log == ("one",)


def test_the_chosen_jobs_picture_is_fetched_once(watcher, engine):
    engine.jobs = [job(preview=5), job("other", preview=6)]
    watcher.chosen = "anna"
    for _ in range(3):
        watcher.read_now()
    assert engine.asked.count("jobs.preview") == 1
    path, written = watcher.picture(engine.jobs[0])
    assert (path.read_bytes(), written) == (b"anna", 5)
    assert watcher.picture(engine.jobs[1]) is None
    engine.jobs = [job(preview=7)]
    watcher.read_now()
    assert watcher.picture(engine.jobs[0])[1] == 7


def test_another_client_brings_another_list(watcher, engine):
    engine.jobs = [job()]
    watcher.read_now()
    watcher.watch(clients.JobsClient(Engine().request))
    assert watcher.snapshot.jobs == ()
    watcher.read_now()
    assert watcher.snapshot.jobs == ()


def test_the_folder_of_the_preferences_is_sent_along():
    asked = []
    client = clients.JobsClient(lambda method, params: asked.append((method, params)), "/jobs")
    client.cancel("anna", at_once=True)
    client.start("anna", clients.JobSpec("capture", ("--scale", "1")))
    started = {"title": "anna", "command": "capture", "options": ["--scale", "1"]}
    assert asked == [
        ("jobs.cancel", {"job": "anna", "at_once": True, "folder": "/jobs"}),
        ("jobs.start", started | {"folder": "/jobs"}),
    ]


def test_the_remaining_time_stands_beside_the_steps():
    shown = job(step=1200, total=30000, eta=720)
    assert progress.progress_text(shown) == "1,200 of 30,000, 12 min left"
