# SPDX-License-Identifier: GPL-3.0-or-later
"""Training's commands as Blender runs them: answers, errors, other machines, breaking off."""

from __future__ import annotations

import os
import sys
import threading
import time

import pytest

from blender_addon.standalone import addon_module

pytest.importorskip("bpy", reason="Blender's Python module (bpy) is not installed")
command = addon_module("jobs.command")
places = addon_module("jobs.place")
future = addon_module("engine_link.future")
errors = sys.modules["gaussianspeech.engine.core.errors"]


def saying(code: str):
    """Commands of a program that does as told, whatever the arguments."""
    return command.Commands(
        [sys.executable, "-c", code], dict(os.environ), install_hint="Run: pip install everything"
    )


def test_what_a_command_prints_comes_back():
    told = saying('import sys, json; print(json.dumps({"words": sys.argv[1:]}))')
    assert told.run("train", "avatar", "a b") == {"words": ["train", "avatar", "a b"]}


def test_what_a_command_says_is_wrong_is_the_error():
    wrong = saying(
        'import sys; print("gaussianspeech: No face. Turn round.", file=sys.stderr); exit(2)'
    )
    with pytest.raises(errors.BadInputError, match=r"^No face\. Turn round\.$"):
        wrong.run("train")


def test_a_library_that_is_missing_is_named_with_the_remedy():
    with pytest.raises(errors.MissingDependencyError, match="a_library_that_nobody_has") as caught:
        saying("import a_library_that_nobody_has").run("train")
    assert "pip install everything" in caught.value.hint


def test_any_other_end_tells_the_last_words():
    with pytest.raises(errors.GaussianSpeechError, match="exit code 1") as caught:
        saying("1 / 0").run("train")
    assert "ZeroDivisionError" in caught.value.hint


def test_a_program_that_is_not_there_is_named():
    with pytest.raises(errors.MissingDependencyError, match="/no/such/python"):
        command.Commands(["/no/such/python"], {}).run("jobs")


def test_breaking_off_ends_the_process(tmp_path):
    marker = tmp_path / "lived"
    slow = saying(f"import time, pathlib; time.sleep(5); pathlib.Path({str(marker)!r}).touch()")
    work = future.ThreadFuture(lambda cancelled: slow.run("train", cancelled=cancelled), "Starting")
    time.sleep(0.3)
    assert not work.done
    work.cancel()
    with pytest.raises(errors.CancelledError):
        work.result(10)
    assert not marker.exists()


def test_a_failure_of_any_kind_ends_the_work_with_an_error():
    def fail(_cancelled: threading.Event) -> None:
        raise ZeroDivisionError("oh")

    with pytest.raises(errors.GaussianSpeechError, match=r"Reading failed.*oh"):
        future.ThreadFuture(fail, "Reading").result(10)


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ("ssh gpu gaussianspeech serve", ["ssh", "gpu", "gaussianspeech"]),
        (
            "ssh gpu /opt/py/bin/python -m engine serve",
            ["ssh", "gpu", "/opt/py/bin/python", "-m", "training"],
        ),
        (
            "docker exec -i box gaussianspeech serve",
            ["docker", "exec", "-i", "box", "gaussianspeech"],
        ),
        ("start-my-engine.sh", None),
        ("serve", None),
        ("ssh gpu 'gaussianspeech serve", None),
    ],
)
def test_the_engines_command_tells_how_to_reach_its_machine(engine, expected):
    assert command.remote_words(engine) == expected


def test_arguments_pass_the_shell_that_ssh_starts(tmp_path):
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\nshift\nexec sh -c "$*"\n')
    ssh.chmod(0o755)
    code = "import sys, json; print(json.dumps(sys.argv[1:]))"
    words = [str(ssh), "gpu", sys.executable, "-c", f"'{code}'"]
    told = command.Commands(words, dict(os.environ))
    assert told.run("--data", "my captures/$HOME") == ["--data", "my captures/$HOME"]


def test_an_order_puts_the_preset_last():
    order = places.Order(("train", "avatar"), ("--data", "D"), ("quick", "--steps", "9"))
    words = "train avatar --data D --out O --background --json quick --steps 9"
    assert order.words("O") == words.split()
