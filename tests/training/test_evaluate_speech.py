# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.errors import CancelledError
from engine.heads import load_head
from engine.speech.performance import Phone
from training.evaluate_speech import evaluate, phones_right

HUMAN = Path(__file__).parents[3] / "shared" / "audio"
human = pytest.mark.skipif(
    not HUMAN.is_dir(), reason="the human recordings in ../shared/audio are absent"
)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    if not HUMAN.is_dir():
        pytest.skip("the human recordings in ../shared/audio are absent")
    out = tmp_path_factory.mktemp("report")
    return evaluate([HUMAN], out, load_head("default")), out


def test_the_rules_articulate_known_sounds_rightly(report):
    sync = report[0].totals()["aligned"].lip_sync
    assert sync.closure_rate == 1.0
    assert sync.false_closure_rate == 0.0
    assert sync.contact_rate == 1.0
    assert sync.rounding_contrast > 5.0
    assert abs(sync.lag_ms) < 20
    assert sync.silence_motion < 0.05
    assert sync.overlap < 1.5


def test_a_transcript_helps(report):
    totals = report[0].totals()
    with_text, without = totals["with_transcript"], totals["without_transcript"]
    assert with_text.phones_right > without.phones_right
    assert with_text.lip_sync.closed >= without.lip_sync.closed


def test_the_report_is_written_as_it_was_returned(report):
    made, out = report
    written = json.loads((out / "report.json").read_text())
    assert written == json.loads(json.dumps(made.as_json()))
    assert {total["mode"] for total in written["totals"]} == {
        "aligned", "without_transcript", "with_transcript"
    }  # fmt: skip
    assert written["head"] == "default"


def test_the_table_names_every_clip_and_the_reference(report, capsys):
    report[0].show()
    shown = capsys.readouterr().out
    for name in ("austen-0870", "austen-0880", "austen-0890", "total", "Rhubarb"):
        assert name in shown


@human
def test_a_cancelled_evaluation_leaves_no_report(tmp_path):
    def cancel(fraction, _message):
        if fraction > 0.1:
            raise CancelledError

    with pytest.raises(CancelledError):
        evaluate([HUMAN], tmp_path, load_head("default"), progress=cancel)
    assert list(tmp_path.iterdir()) == []


def test_sounds_right_is_a_part_of_time():
    true = [Phone("AA", 0.0, 0.5), Phone("M", 0.5, 1.0)]
    used = [Phone("AA", 0.0, 0.25), Phone("M", 0.25, 1.0)]
    assert phones_right(true, true, 1.0) == 1.0
    assert phones_right(used, true, 1.0) == pytest.approx(0.75)
    assert phones_right([], true, 1.0) == 0.0
