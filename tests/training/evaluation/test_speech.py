# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from engine.audio.loading import load_speech
from engine.core.errors import BadInputError, CancelledError
from engine.heads import load_head
from engine.motion.model.live import Frames
from engine.motion.model.loaded import LoadedModel
from tests.engine.motion.known_phones import perform
from tests.engine.recognition.text_grids import short_form
from training.data.speech import find_speech, load_aligned_speech
from training.evaluation.speech import Wanted, evaluate
from training.metrics.film import mouth_curve

LOOK = 0.25
"""Seconds that pass from one look at the clock to the next."""


@pytest.fixture(scope="module")
def report(recordings, tmp_path_factory):
    out, looks = tmp_path_factory.mktemp("report"), itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: LOOK * next(looks))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.evaluation.speech.time", clock)
        return evaluate([recordings], out, load_head("default"), Wanted("starter")), out


def test_the_rules_articulate_known_sounds_rightly(report):
    sync = report[0].every_total()["aligned", "rules"].lip_sync
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
    assert with_text.recognition.right > without.recognition.right
    assert with_text.lip_sync.closed >= without.lip_sync.closed


def test_the_report_is_written_as_it_was_returned(report):
    made, out = report
    written = json.loads((out / "report.json").read_text())
    assert written == json.loads(json.dumps(made.as_json()))
    assert {(total["mode"], total["model"]) for total in written["totals"]} == {
        (mode, model)
        for mode in ("aligned", "without_transcript", "with_transcript")
        for model in ("starter", "rules")
    }
    assert written["head"] == "default"


def test_known_sounds_drive_the_model_that_was_chosen(report):
    totals = report[0].every_total()
    ours, rules = totals["aligned", "starter"].lip_sync, totals["aligned", "rules"].lip_sync
    assert ours.closure_rate == 1.0
    assert ours.jitter != rules.jitter
    assert report[0].totals()["aligned"].lip_sync.jitter == ours.jitter


def test_what_the_model_closes_by_itself_is_beside_what_contact_closes(report, capsys):
    for (_, model), total in report[0].every_total().items():
        clips = [clip for clip in report[0].clips if (clip.mode, clip.model) == (total.mode, model)]
        if model == "rules":
            assert {clip.closed_before_contact for clip in (*clips, total)} == {None}
        else:
            assert total.closed_before_contact == sum(clip.closed_before_contact for clip in clips)
            assert 0 < total.closed_before_contact <= total.lip_sync.bilabials
    assert "before lip contact" in (report[1] / "report.html").read_text()
    report[0].show()
    assert "lip contact" in capsys.readouterr().out


def test_lips_that_contact_alone_closes_are_not_closed_by_the_model(recordings, monkeypatch):
    head = load_head("default")
    lowered = [head.expression_names.index(f"mouthLowerDown{side}") for side in ("Left", "Right")]
    motion = LoadedModel.motion

    def ajar(*given):
        frames = motion(*given)
        weights = frames.weights.copy()
        weights[:, lowered] += 0.5
        return Frames(weights, frames.expression)

    monkeypatch.setattr(LoadedModel, "motion", ajar)
    clip = find_speech([recordings])[0]
    made = evaluate([clip], None, head, Wanted("starter", with_text=True)).totals()["aligned"]
    assert made.lip_sync.closed == made.lip_sync.bilabials > 0
    assert made.closed_before_contact == 0


def test_the_page_needs_nothing_beside_it(report, recordings):
    clips = [path.stem for path in find_speech([recordings])]
    page = (report[1] / "report.html").read_text()
    # Bars of measures and classes, faces, and a plot of each clip.
    assert page.count("<img ") == 3 + len(clips)
    assert page.count('src="data:image/') == page.count("src=")
    for words in (*clips, "total, starter", "total, rules"):
        assert words in page


def test_faces_are_shown_of_model_and_rules_at_every_kind_of_sound(report):
    with Image.open(report[1] / "faces.png") as sheet:
        faces = np.asarray(sheet.convert("RGB"), np.float32)
    rows, columns = faces.shape[0] // 240, faces.shape[1] // 240
    assert (rows, columns) == (2, 10)
    tiles = faces[-480:, -2400:].reshape(2, 240, 10, 240, 3).swapaxes(1, 2)
    assert (tiles.std(axis=(2, 3, 4)) > 10).all()
    closed, open_ = tiles[:, 0], tiles[:, 6]
    assert (np.abs(closed - open_).mean(axis=(1, 2, 3)) > 1).all()


def test_the_table_names_every_clip_and_no_other_recordings(report, recordings, capsys):
    report[0].show()
    shown = capsys.readouterr().out
    for name in (*(path.stem for path in find_speech([recordings])), "total"):
        assert name in shown
    assert "Rhubarb" not in shown


def test_the_tables_show_names_as_they_are(report, capsys):
    name = "[/x]a[b]"
    clips = [replace(clip, name=name) for clip in report[0].clips]
    replace(report[0], clips=clips, model=clips[0].model, head=name).show()
    assert capsys.readouterr().out.count(name) > len({clip.mode for clip in clips})


def test_captured_motion_gives_vertex_errors(recordings, tmp_path):
    head = load_head("default")
    clip = load_aligned_speech(find_speech([recordings])[0])
    spoken = perform(clip.phones, clip.speech, head, 25.0)
    spoken.save(tmp_path / f"{clip.path.stem}.performance.npz")
    wanted = Wanted("rules", with_text=True, truth=tmp_path)
    made = evaluate([clip.path], None, head, wanted)
    same, other = (made.totals()[mode].vertices for mode in ("aligned", "with_transcript"))
    assert same.lve == pytest.approx(0.0, abs=1e-9)
    assert same.fdd == pytest.approx(0.0, abs=1e-12)
    assert 0.0001 < other.lve < 0.01
    assert other.lve_squared >= other.lve**2
    with pytest.raises(BadInputError, match="25 frames per second") as caught:
        evaluate([clip.path], None, head, Wanted(fps=30.0, truth=tmp_path))
    assert "--fps 25" in caught.value.hint


def test_a_filmed_mouth_is_followed(recordings, tmp_path, capsys):
    head = load_head("default")
    clip = load_aligned_speech(find_speech([recordings])[0])
    audio = tmp_path / f"film{clip.path.suffix}"
    audio.write_bytes(clip.path.read_bytes())
    curve = mouth_curve(perform(clip.phones, clip.speech, head, 25.0), head)
    film = {
        "fps": curve.fps,
        "text": clip.transcript,
        "opening_mm": (curve.opening + 1.0).tolist(),
        "width_mm": curve.width.tolist(),
    }
    audio.with_name("film.mouth.json").write_text(json.dumps(film))
    made = evaluate([tmp_path], None, head, Wanted("rules", with_text=True))
    followed = made.totals()["with_transcript"].film
    assert followed.opening.correlation > 0.9
    assert 0.5 < followed.opening.difference < 2.0
    assert abs(followed.opening.lag_ms) <= 40
    assert followed.width.correlation > 0.9
    json.dumps(made.as_json())
    assert "opening" in capsys.readouterr().out
    assert {mean.label for mean in made.phones} >= {"AH", "T"}


def test_a_film_that_outlasts_its_sound_is_refused(recordings, tmp_path):
    audio = find_speech([recordings])[0]
    (tmp_path / audio.name).write_bytes(audio.read_bytes())
    long = {"fps": 25, "opening_mm": [1.0] * 1000, "width_mm": [50.0] * 1000}
    (tmp_path / f"{audio.stem}.mouth.json").write_text(json.dumps(long))
    with pytest.raises(BadInputError, match=rf"{audio.stem}\.mouth\.json ends at"):
        evaluate([tmp_path], None, load_head("default"))


def test_a_cancelled_evaluation_leaves_no_report(recordings, tmp_path):
    def cancel(fraction, _message):
        if fraction > 0.1:
            raise CancelledError

    with pytest.raises(CancelledError):
        evaluate([recordings], tmp_path, load_head("default"), progress=cancel)
    assert list(tmp_path.iterdir()) == []


def test_time_is_counted_for_every_clip_and_words_where_they_were_recognised(report, recordings):
    lengths = {path.stem: load_speech(path).duration for path in find_speech([recordings])}
    for result in report[0].clips:
        looks = 1 if result.mode == "aligned" else 2  # The motion, and the recognition before it.
        spent = result.seconds_per_second * lengths[result.name]
        assert spent == pytest.approx(LOOK * looks)
        assert result.recognition.word_steps > 0
        if result.mode != "without_transcript":
            assert result.recognition.word_errors is None
    aligned = report[0].totals()["aligned"]
    assert aligned.recognition.phones_right == 1.0
    assert aligned.recognition.silence_in_words == 0.0


def test_a_text_grid_measures_as_the_same_alignment_in_json(recordings, tmp_path):
    clip = load_aligned_speech(find_speech([recordings])[0])
    copy = tmp_path / f"copy{clip.path.suffix}"
    shutil.copy(clip.path, copy)
    tiers = [("words", clip.words), ("phones", clip.phones)]
    copy.with_suffix(".TextGrid").write_text(short_form(*tiers, end=clip.speech.duration))
    wanted = Wanted("rules", with_text=True)
    made = evaluate([clip.path, tmp_path], None, load_head("default"), wanted)
    first, second = (r for r in made.clips if r.mode == "aligned")
    assert second.lip_sync.shut_in_words == first.lip_sync.shut_in_words
    assert second.lip_sync.closed == first.lip_sync.closed > 0
    assert second.recognition == first.recognition
