# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import av
import psutil
import pytest

from engine.batch import BatchLine, Failure, Report, Settings, Task
from engine.batch.folder import Record, opened
from engine.batch.process_pool import ProcessPool
from engine.batch.work import perform
from engine.commands.batch import batch
from engine.core.errors import BadInputError
from engine.motion.performance import Performance
from tests.engine.gltf_files import animation_values, arkit_character
from tests.waiting import PATIENCE, until

ROOT = Path(__file__).resolve().parents[3]
OUTPUTS = ("csv", "json", "glb", "png")


@pytest.fixture
def settings(tmp_path):
    with opened(tmp_path / "out") as token:
        yield Settings(tmp_path / "out", token, recognizer="phones")


@pytest.fixture
def spoken(settings, short_sound):
    """A line of which everything is made, in this process."""
    line = BatchLine(1, "act/one", short_sound, outputs=OUTPUTS, size=(32, 32))
    outcomes = [perform(Task(line, stage), settings) for stage in ("speak", "film")]
    return line, outcomes


def made_in(out):
    return sorted(
        str(file.relative_to(out)) for file in out.rglob("*.*") if ".batch" not in file.parts
    )


def test_every_output_is_made_once_and_again_where_it_or_an_input_has_changed(
    spoken, settings, short_sound
):
    line, (speak, film) = spoken
    assert speak.made == ("performance", "csv", "json", "glb")
    assert film.made == ("png",)
    assert speak.speech == pytest.approx(0.7, abs=0.01)
    assert made_in(settings.out) == [
        "act/one.csv", "act/one.glb", "act/one.json", "act/one.performance.npz", "act/one.png",
    ]  # fmt: skip
    assert perform(Task(line, "speak"), settings).made == ()
    assert perform(Task(line, "film"), settings).made == ()

    csv = settings.out / "act" / "one.csv"
    whole = csv.read_bytes()
    csv.write_bytes(whole[:-100] + bytes(100))
    assert perform(Task(line, "speak"), settings).made == ("csv",)
    assert csv.read_bytes() == whole
    larger = replace(line, size=(48, 32))
    assert perform(Task(larger, "speak"), settings).made == ()
    assert perform(Task(larger, "film"), settings).made == ("png",)
    faster = replace(line, fps=30.0)
    assert perform(Task(faster, "speak"), settings).made == speak.made


def test_a_failure_says_what_is_wrong_and_whose_fault_it_is(settings, tmp_path, monkeypatch):
    line = BatchLine(1, "one", tmp_path / "none.wav")
    failure = perform(Task(line, "speak"), settings, node="here")
    assert isinstance(failure, Failure)
    assert "none.wav" in failure.message
    assert (failure.bad_input, failure.node) == (True, "here")
    elsewhere = replace(settings, token="another")
    unseen = perform(Task(line, "speak"), elsewhere)
    assert "does not see" in unseen.message
    assert not unseen.bad_input
    monkeypatch.setattr("engine.batch.work._todo", lambda *_: 1 / 0)
    assert perform(Task(line, "speak"), settings).message.startswith("ZeroDivisionError")


def test_a_character_speaks_in_a_file_of_its_own(spoken, settings, tmp_path):
    line, _ = spoken
    path = arkit_character().written(tmp_path / "anna.glb")
    hers = replace(line, character=path, outputs=("glb", "mp4"), size=(32, 32))
    assert perform(Task(hers, "speak"), settings).made == ("glb",)
    seconds, tracks = animation_values(settings.out / "act" / "one.glb")
    assert len(seconds) == round(0.7 * 25)
    assert any(values.any() for values in tracks.values())
    assert perform(Task(hers, "speak"), settings).made == ()
    assert perform(Task(hers, "film"), settings).made == ("mp4",)
    with av.open(str(settings.out / "act" / "one.mp4")) as film:
        kinds = [stream.type for stream in film.streams]
    assert kinds == ["video", "audio"]
    for kind, says in (("fbx", "cannot be written as fbx"), ("flame", "no FLAME parameters")):
        wrong = perform(Task(replace(hers, outputs=(kind,)), "speak"), settings)
        assert wrong.bad_input
        assert says in wrong.message


def test_a_second_batch_in_the_same_folder_is_refused(settings):
    with pytest.raises(BadInputError, match="Another batch"), opened(settings.out):
        pass


def test_a_record_that_is_damaged_is_as_none(settings, spoken):
    line, _ = spoken
    (settings.out / ".batch" / "act" / "one.json").write_text("{", "ascii")
    assert not Record(settings.out, line.name).is_done("csv", line.file("csv"), "")
    assert perform(Task(line, "speak"), settings).made == line.spoken


@pytest.mark.parametrize("name", ["token/one", "lock/one"])
def test_a_line_of_any_name_has_a_record(settings, name):
    (settings.out / "one.csv").touch()
    Record(settings.out, name).add("csv", "one.csv", "inputs")
    assert Record(settings.out, name).is_done("csv", "one.csv", "inputs")


def test_files_of_the_command_line_start_from_the_current_folder_on_all_machines(
    tmp_path, monkeypatch
):
    (tmp_path / "m.csv").write_text("sound\na.wav\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    given = []

    def run_batch(lines, executor, **_options):
        given.extend((lines[0].person, lines[0].head, executor._settings.recognizer))
        return Report(len(lines))

    monkeypatch.setattr("engine.batch.run_batch", run_batch)
    batch(Path("m.csv"), Path("out"), person="anna", head="flame.pkl", recognizer="whisper")
    assert given == [str(tmp_path / name) for name in ("anna", "flame.pkl", "whisper")]


def test_a_killed_worker_costs_one_attempt(settings, short_sound):
    task = Task(BatchLine(1, "one", short_sound), "speak")
    pool = ProcessPool(settings, 1)
    try:
        pool.submit(task)
        # A process that has just been forked has its parent's command line still.
        (child,) = until(_spawned)
        child.kill()
        (failure,) = pool.wait(PATIENCE)
        assert (failure.task, failure.bad_input) == (task, False)
        assert sys.platform == "win32" or "SIGKILL" in failure.message
        pool.submit(task)
        assert pool._busy
    finally:
        pool.close()
    assert not _spawned()


def _spawned():
    return [one for one in psutil.Process().children() if "spawn_main" in " ".join(one.cmdline())]


def test_a_driver_that_is_killed_leaves_no_process_and_the_next_one_makes_the_rest(
    tmp_path, short_sound, capsys
):
    manifest, out = tmp_path / "m.csv", tmp_path / "out"
    names = [f"l{number}" for number in range(5)]
    rows = "".join(f"{name},{short_sound}\n" for name in names)
    manifest.write_text(f"name,sound\n{rows}broken,{__file__}\n", "utf-8")
    command = [sys.executable, "-m", "engine", "batch", manifest, "--out", out]
    command += ["--processes", "1", "--recognizer", "phones"]
    driver = subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL
    )
    records = out / ".batch"
    until(lambda: list(records.glob("l*.json")) or driver.poll() is not None)
    assert driver.returncode is None
    workers = psutil.Process(driver.pid).children(recursive=True)
    driver.kill()
    driver.wait()
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE)
    assert not alive
    before = {file: file.stat().st_mtime_ns for file in out.glob("*.performance.npz")}
    # The worker may have been killed between a result and its record: that one is made again.
    kept = {file for file in before if (records / f"{file.name.partition('.')[0]}.json").is_file()}

    assert batch(manifest, out, processes=1, recognizer="phones", json=True) == 2
    said = capsys.readouterr()
    result = json.loads(said.out)
    assert (result["lines"], result["failed"]) == (6, ["broken"])
    assert result["there"] == len(kept) >= 1
    assert result["made"]["performance"] == 5 - len(kept)
    assert f"{manifest}, line 7, broken: " in said.err
    assert all(file.stat().st_mtime_ns == before[file] for file in kept)
    assert {file.name for file in out.iterdir()} == {".batch"} | {
        f"{name}.performance.npz" for name in names
    }
    assert all(Performance.load(out / f"{name}.performance.npz").frames for name in names)
