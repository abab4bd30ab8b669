# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's tables as one command: from nothing, after a kill, and what they say."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.core import platforms
from engine.core.errors import BadInputError, CancelledError, MissingDependencyError
from engine.heads import load_head
from tests.training.data.speaking_capture import write_speaking_capture
from tests.training.held import stop_after
from tests.training.speech.recordings import write_recordings, write_wav2vec2
from tests.waiting import until
from training.cli import main
from training.metrics.vertex import first_frames
from training.paper import speech
from training.paper.avatars import BASELINE, FULL
from training.paper.plan import QUICK, PaperPlan
from training.paper.published import TABLE_2, TABLE_3, TABLE_4, PaperRow
from training.paper.report import COLUMNS, TABLES_JSON, Report, TableRow, write
from training.paper.rows import RESULT, Result, store, stored
from training.paper.run import compared_videos, evaluate

TINY = replace(
    QUICK,
    speech_steps=4,
    batch=1,
    frames=8,
    dimension=8,
    validate_every=2,
    avatar_steps=3,
    views=1,
    rounds=1,
    round_speech=1,
    round_color=1,
    seconds=1.0,
)
SIZES = [
    *("--quick", "--speech-steps", "4", "--batch", "1", "--frames", "8", "--dimension", "8"),
    *("--avatar-steps", "3", "--views", "1", "--rounds", "1", "--threads", "1"),
]
SPLIT = {"training": ["c0"], "validation": ["c2"], "test": ["c1"]}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Three recordings without pictures, one of them to test on."""
    folder = tmp_path_factory.mktemp("recordings") / "data"
    write_recordings(folder, load_head("default"), clips=3)
    (folder / "split.json").write_text(json.dumps(SPLIT))
    return folder


@pytest.fixture
def plan(recordings, tmp_path):
    return PaperPlan(
        recordings, tmp_path / "out", tables=(3,), size=TINY, encoder="phonetic", threads=1
    )


def _rows(out, table):
    content = json.loads((out / TABLES_JSON).read_text())
    return {row["row"]: row for row in content["tables"][str(table)]}


@pytest.fixture(autouse=True)
def short_videos(monkeypatch):
    """Videos of six frames: each costs more than the training that it shows."""

    def six(motion, _frames):
        return first_frames(motion, 6)

    monkeypatch.setattr("training.paper.videos.first_frames", six)


def test_all_tables_of_a_filmed_capture(tmp_path):
    data = write_speaking_capture(tmp_path / "capture", clips=3)
    (data / "speech" / "split.json").write_text(json.dumps(SPLIT))
    out = tmp_path / "report"
    words = ["evaluate", "paper", "--data", str(data), "--out", str(out), "--backend", "cpu"]
    assert main([*words, *SIZES]) == 0
    text = (out / "paper.md").read_text()
    avatars, systems, parts = (_rows(out, number) for number in (2, 3, 4))
    for name in ("GaussianAvatars", "w/o mouth subdivision", "w/o colour MLP", "full"):
        assert avatars[name]["figures"]["PSNR (dB)"]["mean"] > 5
        assert avatars[name]["training seconds"][0] > 0
    assert avatars["w/o perceptual"]["figures"] == {}
    assert "26.53" in text
    for row in TABLE_3:
        assert systems[row.name]["figures"]["LVE (mm)"]["mean"] > 0
        assert ("PSNR (dB)" in systems[row.name]["figures"]) == (row.key != "rules")
        assert (systems[row.name]["parameters"] > 0) == (row.key != "rules")
        assert ("LVE, network alone (mm)" in systems[row.name]["figures"]) == (row.key != "rules")
        assert (out / "speech" / row.key / "seed-0" / "talk.mp4").stat().st_size > 1_000
    tuned, untuned = parts["full"], parts["w/o colour and latent fine-tuning"]
    assert tuned["figures"]["PSNR (dB)"] != untuned["figures"]["PSNR (dB)"]
    for name in ("LVE (mm)", "LVE, network alone (mm)"):  # The same model speaks in both.
        assert tuned["figures"][name] == untuned["figures"][name]
    assert parts["w/o alignment mask"]["figures"]["LVE (mm)"]["mean"] > 0
    for number in (2, 3, 4):
        for file in (f"table-{number}.png", f"table-{number}-curves.png"):
            with Image.open(out / file) as picture:
                assert min(picture.size) > 100
            assert file in text
    reasons = {
        row["what"]: row["why"] for row in json.loads((out / TABLES_JSON).read_text())["not run"]
    }
    assert "--candidate SyncTalk=VIDEO" in reasons["SyncTalk"]
    assert "vgg" in reasons["w/o perceptual"].lower()
    assert "nothing to tune" in reasons["w/o audio fine-tuning"]


def test_avatars_alone_need_no_recordings(tmp_path, monkeypatch):
    two = [row for row in TABLE_2 if row.key in (BASELINE, FULL)]
    for user in ("scope", "tables"):
        monkeypatch.setattr(f"training.paper.{user}.TABLE_2", two)
    data = write_speaking_capture(tmp_path / "capture", clips=3)
    shutil.rmtree(data / "speech")
    (data / "capture.json").unlink()
    out = tmp_path / "report"
    words = ["evaluate", "paper", "--data", str(data), "--out", str(out), "--backend", "cpu"]
    assert main([*words, *SIZES, "--tables", "2"]) == 0
    rows = _rows(out, 2)
    assert list(rows) == [row.name for row in two]
    assert rows["full"]["figures"]["PSNR (dB)"]["mean"] > 5
    assert "recordings" not in (out / "paper.md").read_text()


def test_table_2_of_recordings_alone_is_refused(recordings, tmp_path, capsys):
    words = ["evaluate", "paper", "--data", str(recordings), "--out", str(tmp_path / "out")]
    assert main([*words, "--tables", "2"]) == 2
    assert "no pictures" in capsys.readouterr().err


def test_a_killed_run_continues_and_finished_rows_stay(recordings, tmp_path, monkeypatch):
    out = tmp_path / "out"
    words = ["evaluate", "paper", "--data", str(recordings), "--out", str(out), *SIZES]
    words += ["--tables", "3"]
    first = out / "speech" / "faceformer" / "seed-0" / RESULT
    stopped = stop_after(first.relative_to(tmp_path), tmp_path / "start", monkeypatch)
    process = subprocess.Popen(
        [sys.executable, "-m", "training", *words],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: stopped.exists() or process.poll() is not None)
        assert process.returncode is None
    finally:
        process.kill()
        process.wait()
    assert not (out / "speech" / "rules" / "seed-0" / RESULT).is_file()
    before = first.stat().st_mtime_ns
    # Two of the rows show it: what is left of the first one's task, and the one after it.
    monkeypatch.setattr("training.paper.scope.TABLE_3", TABLE_3[:2])
    assert main(words) == 0
    assert first.stat().st_mtime_ns == before
    assert all(_rows(out, 3)[row.name]["seeds"] == 1 for row in TABLE_3[:2])


def test_a_training_that_broke_off_ends_as_one_that_did_not(plan, tmp_path, monkeypatch):
    only = {"faceformer"}
    monkeypatch.setattr("training.paper.scope.TABLE_3", [r for r in TABLE_3 if r.key in only])
    whole = replace(plan, out=tmp_path / "whole")
    evaluate(whole)

    def stop(_fraction, message):
        if "step 3" in message:
            raise CancelledError

    with pytest.raises(CancelledError):
        evaluate(plan, stop)
    evaluate(plan)
    ours, theirs = (
        _rows(folder, 3)["FaceFormer + G.A."]["figures"] for folder in (plan.out, whole.out)
    )
    ours.pop(speech.SPEED)
    theirs.pop(speech.SPEED)
    assert ours == theirs


def test_seeds_are_added_and_give_a_spread(plan, monkeypatch):
    monkeypatch.setattr("training.paper.scope.TABLE_3", [r for r in TABLE_3 if r.key == "personal"])
    evaluate(plan)
    trained = []
    train = speech.train_row
    monkeypatch.setattr(
        speech, "train_row", lambda *given: trained.append(given[1:3]) or train(*given)
    )
    evaluate(replace(plan, seeds=2))
    assert trained == [("personal", 1)]
    row = _rows(plan.out, 3)["ours, preset personal"]
    lve = row["figures"]["LVE (mm)"]
    assert len(lve["values"]) == 2
    assert lve["spread"] == pytest.approx(np.std(lve["values"], ddof=1))
    assert "±" in (plan.out / "paper.md").read_text()


def test_a_folder_is_not_continued_at_another_size(plan):
    plan.out.mkdir()
    (plan.out / "plan.json").write_text(json.dumps(plan.to_dict()))
    replace(
        plan, seeds=3, tables=(3, 4), candidates={"x": Path("a")}, truth=Path("b")
    ).check_folder()
    with pytest.raises(BadInputError, match=r"size.speech_steps 4 \(now 9\)"):
        replace(plan, size=replace(TINY, speech_steps=9)).check_folder()


def test_a_capture_without_a_test_part_is_refused(recordings, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(recordings, data)
    (data / "split.json").write_text(json.dumps(SPLIT | {"training": ["c0", "c1"], "test": []}))
    words = ["evaluate", "paper", "--data", str(data), "--out", str(tmp_path / "out"), "--quick"]
    assert main(words) == 2
    assert "no test part" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tables", "1"], "no Table 1"),
        (["--dimension", "9"], "multiple of 8"),
        (["--scale", "2"], "--scale must be"),
        (["--scale", "nan"], "--scale must be"),
        (["--avatar-steps", "0"], "--avatar-steps must be"),
        (["--seeds", "0"], "seeds"),
        (["--candidate", "SyncTalk=."], "--truth"),
        (["--weights", "no/where"], "There is no folder no/where"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(recordings, tmp_path, capsys, words, message):
    given = ["evaluate", "paper", "--data", str(recordings), "--out", str(tmp_path / "out")]
    assert main([*given, *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_encoder_without_weights_is_refused_before_anything_is_trained(plan, tmp_path):
    plan = replace(plan, encoder="wav2vec2", encoder_source=str(tmp_path / "none"))
    with pytest.raises(MissingDependencyError):
        evaluate(plan)
    assert not plan.out.exists()


def test_wav2vec2_adds_the_row_without_fine_tuning(plan, tmp_path, monkeypatch):
    rows = [row for row in TABLE_4 if row.name in ("w/o audio fine-tuning", "full")]
    monkeypatch.setattr("training.paper.scope.TABLE_4", rows)
    write_wav2vec2(tmp_path / "wav2vec2")
    plan = replace(plan, tables=(4,), encoder="wav2vec2", encoder_source=str(tmp_path / "wav2vec2"))
    evaluate(plan)
    rows = _rows(plan.out, 4)
    kept, tuned = rows["w/o audio fine-tuning"], rows["full"]
    assert kept["figures"]["LVE (mm)"] != tuned["figures"]["LVE (mm)"]
    folders = {
        name: plan.out / "speech" / name / "seed-0"
        for name in ("paper", "without_audio_finetuning")
    }
    assert list(folders["paper"].glob("*.wav2vec2"))
    assert not list(folders["without_audio_finetuning"].glob("*.wav2vec2"))


def test_videos_of_other_systems_are_rows(plan, tmp_path):
    for name, shift in (("truth", 0), ("result", 9)):
        (tmp_path / name).mkdir()
        for frame in range(3):
            picture = np.full((24, 32, 3), 0, np.uint8)
            picture[8:16, 8:24] = 150 + shift + frame
            Image.fromarray(picture).save(tmp_path / name / f"{frame}.png")
    given = {"synctalk": tmp_path / "result"}
    (row,) = compared_videos(replace(plan, candidates=given, truth=tmp_path / "truth"))
    assert (row.row.name, row.row.in_paper) == ("SyncTalk", True)
    share = 8 * 16 / (24 * 32)
    assert row.values("PSNR (dB)")[0] == pytest.approx(
        10 * np.log10(255**2 / (81 * share)), abs=0.01
    )


def test_pictures_are_drawn_where_a_table_has_changed(tmp_path):
    row = PaperRow("full", "full")
    first = TableRow(row, [Result({"PSNR (dB)": 30.0})], [[(0.0, 1.0), (1.0, 2.0)]])
    second = replace(first, curve=[[(0.0, 1.0), (1.0, 3.0)]])
    reports = [Report([], {2: rows}, {2: "PSNR"}, []) for rows in ([first], [first], [second])]
    picture, known = tmp_path / "table-2-curves.png", []
    for before, report in zip([None, *reports], reports, strict=False):
        write(report, tmp_path, before)
        known.append(picture.read_bytes())
        picture.write_bytes(b"kept")
    assert known[1] == b"kept"
    assert b"kept" not in (known[0], known[2])
    assert known[0] != known[2]


def test_the_paper_stands_beside_what_was_measured(tmp_path):
    row = PaperRow("full", "full", {"PSNR (dB)": 29.9})
    results = [Result({"PSNR (dB)": 30.0}, 5, 7.0), Result({"PSNR (dB)": 32.0}, 5, 9.0)]
    unknown = TableRow(PaperRow("w/o wrinkle", "x"), [Result({"PSNR (dB)": 31.0})])
    report = Report(["a line"], {2: [TableRow(row, results), unknown]}, {2: "PSNR"}, [("x", "y")])
    write(report, tmp_path)
    text = (tmp_path / "paper.md").read_text()
    assert "| full | 31.00 ± 1.41 | 29.90 | 5 | 8 ± 1 |" in text
    assert "| w/o wrinkle | 31.00 | – | – | – |" in text
    assert "- **x**: y" in text
    assert not any(name in text for name in COLUMNS[2] if name != "PSNR (dB)")


def test_a_name_with_a_bar_keeps_its_row(tmp_path):
    row = TableRow(PaperRow("mine|2", "x"), [Result({"PSNR (dB)": 31.0})])
    write(Report([], {2: [row]}, {2: "PSNR"}, []), tmp_path)
    assert "| mine\\|2 | 31.00 | – |" in (tmp_path / "paper.md").read_text()


def test_a_figure_that_is_no_number_is_none_and_does_not_stop_the_next_run(tmp_path):
    """Of a region that no test picture shows there is none."""
    result = Result({"PSNR (dB)": 31.0, "eyes (dB)": np.nan, "hair (dB)": np.inf}, 5, 7.0, ["so"])
    store(tmp_path, result)
    assert stored(tmp_path) == replace(result, figures={"PSNR (dB)": 31.0})
    (tmp_path / RESULT).write_text('{"figures": {"PSNR (dB)": "high"}}')
    with pytest.raises(BadInputError, match=r"row\.json.*PSNR"):
        stored(tmp_path)


def test_a_truth_without_candidates_is_refused(plan, tmp_path):
    with pytest.raises(BadInputError, match="nothing to compare"):
        replace(plan, truth=tmp_path)


def test_two_runs_do_not_work_in_one_folder(plan):
    plan.out.mkdir(parents=True)
    release = platforms.claim(plan.out / ".lock")
    try:
        with pytest.raises(BadInputError, match="Another evaluation is at work in"):
            evaluate(plan)
    finally:
        release()


def test_what_is_refused_leaves_no_folder(plan, tmp_path):
    """Not even of a video that cannot be compared, or of weights that are not there."""
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    out = tmp_path / "new" / "report"
    given = {"candidates": {"x": tmp_path / "bad.mp4"}, "truth": tmp_path / "bad.mp4"}
    with pytest.raises(BadInputError, match=r"bad\.mp4"):
        evaluate(replace(plan, out=out, **given))
    weights = {"encoder": "wav2vec2", "encoder_source": str(tmp_path)}
    with pytest.raises(MissingDependencyError):
        evaluate(replace(plan, out=out, **weights))
    assert not out.parent.exists()


def test_a_folder_that_cannot_be_made_is_named(plan, tmp_path):
    (tmp_path / "file").write_text("taken")
    with pytest.raises(BadInputError, match="file"):
        evaluate(replace(plan, out=tmp_path / "file" / "report"))
