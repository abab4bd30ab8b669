# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured on the recordings that no training saw."""

import json
from dataclasses import replace

import numpy as np
import pytest

from engine.audio.loading import load_speech
from engine.heads import load_head
from engine.motion.model.ids import STARTER_FILE
from engine.motion.model.loaded import loaded_model
from engine.motion.performance import Performance
from engine.recognition.recognizer import recognize
from tests.training.speech.recordings import write_recordings
from training.data.captured_motion import CapturedHead
from training.data.recordings import find_recordings
from training.evaluation import held_out
from training.evaluation.held_out import held_out_scores, write_held_out_scores

MILLIMETRE = 1e-3


@pytest.fixture
def found(tmp_path):
    return find_recordings(write_recordings(tmp_path / "data", load_head("default"), "performance"))


@pytest.fixture
def said(found, monkeypatch):
    """The names of what is predicted; predictions are the truth a millimetre aside."""
    names = []
    by_sound = {held_out.load_speech(r.audio).sha256: r for r in found.every}

    def shifted(speech, head, fps, **_):
        recording = by_sound[speech.sha256]
        names.append(recording.name)
        true = Performance.load(recording.motion)
        assert true.fps == fps
        aside = np.zeros((1, head.vertex_count, 3), np.float32)
        aside[..., 0] = MILLIMETRE
        one = np.ones((true.frames, 1), np.float32)
        return replace(
            true,
            weights=np.hstack([true.weights, one]),
            basis=np.concatenate([true.basis, aside]),
        )

    monkeypatch.setattr(held_out, "predict", shifted)
    return names


def test_errors_are_those_of_the_test_part_alone(found, said):
    scores = held_out_scores(found, CapturedHead.of(load_head("default")), None)
    assert said == list(scores.names) == ["c3"]
    figures = scores.figures()
    assert figures["test LVE (mm)"] == pytest.approx(1.0, abs=1e-4)
    assert figures["test LVE squared (mm²)"] == pytest.approx(1.0, abs=1e-4)
    assert figures["test mean vertex error (mm)"] == pytest.approx(1.0, abs=1e-4)
    assert figures["test opening, correlation"] == pytest.approx(1.0, abs=1e-4)
    assert figures["test lag (ms)"] == 0


def test_a_list_says_what_is_tested_on(found, said):
    split = {"training": ["c0"], "validation": ["c3"], "test": ["c1", "c2"]}
    (found.folder / "split.json").write_text(json.dumps(split))
    scores = held_out_scores(found, CapturedHead.of(load_head("default")), None)
    assert said == list(scores.names) == ["c1", "c2"]
    write_held_out_scores(found.folder, "mine", scores, {"validation LVE after (mm)": 2.0})
    written = json.loads((found.folder / "scores.json").read_text())
    assert written["test recordings"] == ["c1", "c2"]
    assert written["validation LVE after (mm)"] == 2.0
    assert "test LVE (mm)" in (found.folder / "report.html").read_text()


def test_a_network_alone_is_measured_without_what_is_added_to_it(found, monkeypatch):
    """A system that cannot close the lips is not helped by the sounds that are recognised here."""
    head = load_head("default")
    model = loaded_model(STARTER_FILE, head)

    def added(*_given, **_named):
        raise AssertionError("contacts and pauses are no part of the network")

    monkeypatch.setattr(held_out, "predict", added)
    scores = held_out_scores(found, CapturedHead.of(head), model, alone=True)
    recording = found.named("c3")
    speech, true = load_speech(recording.audio), Performance.load(recording.motion)
    made = model.motion(speech, recognize(speech), true.fps, held_out.SPOKEN).weights
    apart = (
        head.deform(made)[:, head.regions["lips"]]
        - head.deform(true.weights)[:, head.regions["lips"]]
    )
    expected = np.linalg.norm(apart, axis=2).max(axis=1).mean()
    assert scores.errors.lve == pytest.approx(expected, rel=1e-4)


def test_without_a_test_part_the_report_says_so(found, tmp_path):
    two = find_recordings(write_recordings(tmp_path / "two", load_head("default"), clips=2))
    assert held_out_scores(two, CapturedHead.of(load_head("default")), None) is None
    write_held_out_scores(two.folder, "mine", None, {})
    assert "no test part" in (two.folder / "report.html").read_text()


def test_three_hundred_and_fifty_and_fifty(found):
    many = replace(found, every=tuple(replace(found.every[0], name=f"{n:03d}") for n in range(400)))
    assert [len(names) for names in many.split().values()] == [300, 50, 50]
