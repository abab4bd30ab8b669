# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands as jobs: what is left when they fail, and resuming them with other options."""

import json
import sys

import pytest

from engine.core.errors import BadInputError, CancelledError, MissingDependencyError
from engine.jobs.command import ENVIRONMENT, JobCommand
from engine.jobs.folder import adopt_job, show
from engine.jobs.status import State
from training.cli import main
from training.commands.job_run import run_as_job

CONFIG = {"kind": "avatar", "data": "/data", "steps": 100, "threads": 1, "rates": {"a": 0.1}}


def fail(_job):
    raise BadInputError("There are no masks.")


def stop(job):
    (job.checkpoints / "last.pt").write_bytes(b"state")
    raise CancelledError


def crash_after_a_checkpoint(job):
    (job.checkpoints / "last.pt").write_bytes(b"state")
    raise BadInputError("A picture has vanished.")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "run"


def test_bad_input_in_the_foreground_leaves_no_folder(out):
    with pytest.raises(BadInputError, match="no masks"):
        run_as_job(out, CONFIG, fail)
    assert not out.exists()


def test_a_missing_library_in_the_foreground_leaves_no_folder(out):
    def need(_job):
        raise MissingDependencyError("bpy is not installed.")

    with pytest.raises(MissingDependencyError):
        run_as_job(out, CONFIG, need)
    assert not out.exists()


def test_steps_that_were_done_are_kept(out):
    def film(job):
        (out / "picture.jpg").write_bytes(b"a picture")
        job.update(1, total=9)
        fail(job)

    with pytest.raises(BadInputError, match="no masks"):
        run_as_job(out, CONFIG, film)
    assert (out / "picture.jpg").is_file()


def test_an_empty_folder_stays_empty(out):
    out.mkdir()
    with pytest.raises(BadInputError, match="no masks"):
        run_as_job(out, CONFIG, fail)
    assert list(out.iterdir()) == []


def test_what_was_trained_before_the_failure_is_kept(out):
    with pytest.raises(BadInputError):
        run_as_job(out, CONFIG, crash_after_a_checkpoint)
    assert show(out).status.state is State.FAILED
    with pytest.raises(BadInputError, match="no masks"):
        run_as_job(out, CONFIG, fail)
    assert (out / "checkpoints" / "last.pt").is_file()


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 200}, r"steps 100 \(now 200\)"),
        ({"data": "/other"}, r"data '/data' \(now '/other'\)"),
        ({"rates": {"a": 0.2}}, r"rates.a 0.1 \(now 0.2\)"),
    ],
)
def test_other_options_do_not_resume_a_checkpoint_and_are_named(
    out, monkeypatch, background, changes, message
):
    monkeypatch.setattr(sys, "argv", ["gaussianspeech", "train", "avatar"])
    run_as_job(out, CONFIG, stop)
    before = (out / "job.json").read_bytes()
    with pytest.raises(BadInputError, match=message):
        run_as_job(out, CONFIG | changes, stop, changeable={"threads"}, background=background)
    assert (out / "job.json").read_bytes() == before


def test_options_of_the_machine_may_change_and_are_kept(out, monkeypatch):
    run_as_job(out, CONFIG, stop)
    monkeypatch.setattr(sys, "argv", ["g", "train", "avatar", "--threads", "2"])
    run_as_job(out, CONFIG | {"threads": 2}, stop, changeable={"threads"})
    job = show(out)
    assert (job.config["threads"], job.runs) == (2, 2)
    assert job.command == JobCommand("train avatar", ("--threads", "2"))


def test_without_a_checkpoint_any_option_may_change(out, monkeypatch):
    def interrupt(_job):
        raise CancelledError

    run_as_job(out, CONFIG, interrupt)
    run_as_job(out, CONFIG | {"steps": 7}, interrupt)
    assert show(out).config["steps"] == 7


def test_the_same_file_by_a_relative_path_is_no_other_option(out, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    run_as_job(out, CONFIG | {"data": "captures/anna"}, stop)
    run_as_job(out, CONFIG | {"data": str(tmp_path / "captures" / "anna")}, stop)
    assert show(out).runs == 2


def test_a_new_folder_is_detached_with_its_options(out, monkeypatch, capsys):
    started = []
    monkeypatch.setattr(
        "engine.jobs.process.spawn",
        lambda argv, **_options: started.append(argv) or show_process(),
    )
    words = ["train", "avatar", "--out", str(out), "--background", "--json", "--data", "D"]
    monkeypatch.setattr(sys, "argv", ["gaussianspeech", *words])
    run_as_job(out, CONFIG, fail, background=True, json=True)
    assert json.loads(capsys.readouterr().out)["job"] == "run"
    assert started[0][4:] == ["train", "avatar", "--out", str(out), "--data", "D"]


def show_process():
    from engine.jobs.process import Process

    return Process(1, 0.0)


AVATAR = ["train", "avatar"]
SPEECH = ["train", "speech"]
JOINT = ["train", "joint", "--avatar", "default"]


@pytest.mark.parametrize(
    "words",
    [
        *(
            [*AVATAR, f"--{name}={value}"]
            for name, values in {
                "steps": (0, -1),
                "seed": (-1, 2**40),
                "scale": (0, -1, "nan", 2),
                "latent": (-1, 0),
                "hidden": (0,),
                "degree": (-1, 4),
                "views": (0,),
                "preview-every": (0, -5),
                "checkpoint-every": (0, -1),
                "evaluate-every": (0,),
                "memory": (0, -1, "nan", "inf"),
                "threads": (-1,),
                "positions": (-1, 0, "nan", "inf"),
                "network": ("nan",),
                "start": (-0.1, "nan"),
                "stop": (1.5, 0.01),
                "rounds": (-1,),
                "gradient": ("nan",),
                "budget": (-1,),
                "least-opacity": (2,),
                "resets": (-1,),
                "reset-to": (0, 1, "nan"),
                "grow": (-1, "nan"),
                "dssim": ("nan", 2),
                "patches": (0,),
                "face": (-1, "nan", "inf"),
                "wrinkle-detector": ("missing.pt",),
                "initial": ("missing.safetensors",),
                "head": ("missing.pkl",),
            }.items()
            for value in values
        ),
        [*AVATAR, "--coarse", "0.5", "0.1"],
        [*AVATAR, "--coarse", "nan", "nan"],
        *(
            [*SPEECH, f"--{name}={value}"]
            for name, values in {
                "steps": (0, -1),
                "batch": (0,),
                "frames": (0,),
                "learning-rate": (0, "nan", "inf"),
                "validate-every": (0,),
                "patience": (0,),
                "seed": (-1,),
                "from": ("missing.safetensors",),
                "head": ("missing.pkl",),
                "preset": ("huge",),
            }.items()
            for value in values
        ),
        *(
            [*JOINT, f"--{name}={value}"]
            for name, values in {
                "rounds": (0,),
                "speech-steps": (0,),
                "color-steps": (-1,),
                "tracked": ("nan", 2),
                "speech-rate": (0, "nan", "inf"),
                "batch": (0,),
                "frames": (0,),
                "seed": (-1,),
                "scale": (0, "nan"),
                "memory": ("inf",),
                "threads": (-1,),
                "avatar": ("missing.safetensors",),
                "speech-model": ("missing.safetensors",),
            }.items()
            for value in values
        ),
        *(
            ["capture", f"--{name}={value}"]
            for name, values in {
                "scale": (0, "nan", 5),
                "cameras": (1, 17),
                "behind": (-1,),
                "timesteps": (0,),
                "views-per-timestep": (1,),
                "samples": (0,),
                "turning": ("nan", -1),
                "seed": (-1,),
                "threads": (0, -1),
                "audio": ("missing.wav",),
            }.items()
            for value in values
        ),
    ],
    ids=lambda words: " ".join(words[-2:]),
)
@pytest.mark.parametrize("background", [False, True], ids=["here", "background"])
def test_an_option_that_cannot_be_is_one_line_and_makes_no_folder(
    words, background, tmp_path, monkeypatch, capsys
):
    data = tmp_path / "data"
    data.mkdir()
    (data / "transforms_train.json").write_text("{}")
    given = [] if words[0] == "capture" else ["--data", str(data)]
    name = 1 if words[0] == "capture" else 2
    line = [*words[:name], "--out", str(tmp_path / "run"), *given, *words[name:]]
    line = [*line, "--background"] if background else line
    monkeypatch.setattr(sys, "argv", ["gaussianspeech", *line])
    assert main(line) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("gaussianspeech: ")
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("options", [{}, {"many": True, "background": True}])
def test_what_many_processes_cannot_do_is_refused_in_each(out, monkeypatch, options):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(BadInputError, match="torchrun cannot start this"):
        run_as_job(out, CONFIG, fail, **options)
    assert not out.exists()


def train_a_little(job):
    job.update(0, total=4, message="12 Gaussians")
    job.update(1, total=4, message="345 Gaussians")


@pytest.mark.parametrize("detached", [False, True])
def test_how_far_it_is_stands_on_stderr_and_nothing_of_it_on_stdout(
    out, monkeypatch, capsys, detached
):
    if detached:
        adopt_job(out, None, config=CONFIG)
        monkeypatch.setenv(ENVIRONMENT, str(out))
    run_as_job(out, CONFIG, train_a_little)
    said = capsys.readouterr()
    assert "avatar  25 %  345 Gaussians" in said.err
    assert "%" not in said.out


def test_who_interrupts_is_told_how_to_go_on(out, capsys):
    def interrupt(job):
        (job.checkpoints / "last.pt").write_bytes(b"state")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_as_job(out, CONFIG, interrupt)
    assert "same command goes on" in capsys.readouterr().err
    assert show(out).status.state is State.CANCELLED
