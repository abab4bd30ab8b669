# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

from engine.batch import BatchLine, Failure, Outcome, run_batch


class Scripted:
    """An executor whose tasks end as a function says, one a call."""

    def __init__(self, ends, slots=2):
        self.slots, self._ends, self._running, self.seen = slots, ends, [], []

    def submit(self, task):
        assert len(self._running) < self.slots
        self._running.append(task)
        self.seen.append((task.line.name, task.stage, task.attempt))

    def wait(self, seconds):
        return [self._ends(self._running.pop(0))]

    def close(self):
        pass


def made(task):
    kinds = task.line.films if task.stage == "film" else task.line.spoken
    return Outcome(task, kinds, 1.0)


def line(number, **more):
    return BatchLine(number, f"l{number}", Path("a.wav"), **more)


def test_a_film_follows_its_line_before_the_next_lines():
    executor = Scripted(made, slots=1)
    report = run_batch([line(1, outputs=("mp4",)), line(2)], executor)
    stages = [(name, stage) for name, stage, _ in executor.seen]
    assert stages == [("l1", "speak"), ("l1", "film"), ("l2", "speak")]
    assert report.made == {"performance": 2, "mp4": 1}


def test_a_line_that_is_wrong_is_not_tried_again_and_stops_nothing_else():
    def ends(task):
        wrong = task.line.name == "l1"
        return Failure(task, "It is wrong.", bad_input=True) if wrong else made(task)

    executor = Scripted(ends)
    report = run_batch([line(1, outputs=("mp4",)), line(2)], executor)
    assert [failure.task.line.name for failure in report.failed] == ["l1"]
    assert (report.retried, report.made["performance"]) == (0, 1)
    assert ("l1", "film", 1) not in executor.seen


def test_what_failed_is_tried_again_on_other_nodes_and_given_up_in_the_end():
    avoided = []

    def ends(task):
        avoided.append(task.avoid)
        return Failure(task, "The node died.", node=f"n{task.attempt}")

    report = run_batch([line(2), line(1)], Scripted(ends, slots=1), retries=2)
    assert avoided.count(("n1", "n2")) == 2
    assert [failure.task.line.number for failure in report.failed] == [1, 2]
    assert report.retried == 4


def test_progress_says_how_many_are_done_and_how_long_the_rest_takes():
    said = []
    run_batch([line(n) for n in range(4)], Scripted(made), progress=lambda *now: said.append(now))
    fractions = [fraction for fraction, _ in said]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert "lines done: 2 of 4, 0:00:0" in said[1][1]
    assert said[1][1].endswith("left")


def test_lines_of_which_all_is_there_are_counted_as_there():
    report = run_batch([line(1)], Scripted(lambda task: Outcome(task, (), 0.1)))
    assert (report.there, sum(report.made.values())) == (1, 0)
