# SPDX-License-Identifier: GPL-3.0-or-later
"""Which command lines can be jobs, and how they are run."""

import os
import sys
from pathlib import Path

import pytest

from engine.core.errors import BadInputError
from engine.jobs.command import COMMANDS, ENVIRONMENT, JobCommand, environment
from training.cli import main


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "train avatar --data D --out O quick --steps 9",
            ("train avatar", "--data D quick --steps 9"),
        ),
        ("train speech --background --json --data D", ("train speech", "--data D")),
        ("train joint --out=O --no-json --rounds 3", ("train joint", "--rounds 3")),
        ("capture --out", ("capture", "")),
    ],
)
def test_a_command_line_becomes_a_name_and_options(line, expected):
    command = JobCommand.parse(line.split())
    assert (command.name, " ".join(command.options)) == expected


@pytest.mark.parametrize(
    "line", ["", "train", "evaluate avatar", "jobs list", "avatar train", "-x"]
)
def test_other_command_lines_are_no_jobs(line):
    assert JobCommand.parse(line.split()) is None


def test_it_runs_in_this_interpreter_with_the_jobs_folder():
    argv = JobCommand("train avatar", ("--data", "D", "quick")).argv(Path("/jobs/a"), "--json")
    words = "-P -m training train avatar --out /jobs/a --json --data D quick"
    assert argv == [sys.executable, *words.split()]


def test_another_process_imports_this_very_code(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/mine")
    changed = environment(Path("/jobs/a"))
    assert changed["PYTHONPATH"].split(os.pathsep) == [str(Path(__file__).parents[3]), "/mine"]
    assert changed[ENVIRONMENT] == "/jobs/a"
    assert ENVIRONMENT not in environment()


@pytest.mark.parametrize("option", ["--out", "--out=x", "--json", "--background", "a\0b"])
def test_what_a_job_decides_is_no_option(option):
    with pytest.raises(BadInputError, match="cannot have the option"):
        JobCommand("capture", (option,))


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_exists(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*name.split(), "--help"])
    assert ended.value.code == 0
    assert "--out" in capsys.readouterr().out
