# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's presets, read as data."""

from pathlib import Path

import pytest

from engine.core.assignments import read_assignments
from engine.core.errors import BadInputError

REPOSITORY = Path(__file__).resolve().parents[3]
NAMES = ("jaw", "mode", "loop", "gain")
PREAMBLE = "import bpy\n\ncontrols = bpy.context.gaussianspeech_controls\n\n"


def read(path, text):
    path.write_text(text)
    return read_assignments(path, "controls", NAMES)


def test_values_of_every_kind_are_read(tmp_path):
    values = {"jaw": -0.5, "mode": "FAST", "loop": True, "gain": (1, 2.5)}
    lines = "".join(f"controls.{name} = {value!r}\n" for name, value in values.items())
    found = read(tmp_path / "a.py", PREAMBLE + lines)
    assert found == values


@pytest.mark.parametrize(
    "line",
    [
        "print(1)",
        "import os",
        "import bpy as controls",
        "controls.jaw = open('x', 'w')",
        "controls.jaw = 1 if open('x', 'w') else 2",
        "controls.jaw = [1]",
        "controls.jaw += 1",
        "controls.other = 1",
        "controls.jaw.x = 1",
        "controls = bpy.app.handlers",
        "controls = open('x', 'w')",
        "other.jaw = 1",
        "controls.jaw = other.jaw = 1",
        "controls.jaw: int = 1",
        "def f(): pass",
        "controls.jaw = f'{open(1)}'",
        "controls.jaw = 1j",
    ],
)
def test_a_line_that_does_anything_else_is_named_and_never_run(tmp_path, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInputError, match=r"a\.py, line 5"):
        read(tmp_path / "a.py", PREAMBLE + line + "\n")
    assert [path.name for path in tmp_path.iterdir()] == ["a.py"]


@pytest.mark.parametrize(
    "text",
    ["controls.jaw = ", "\0", "(" * 10_000, "-" * 60_000 + "1", "controls.jaw=" + "9" * 5000],
)
def test_what_is_no_python_is_refused_in_a_line(tmp_path, text):
    with pytest.raises(BadInputError, match=r"a\.py"):
        read(tmp_path / "a.py", text)


def test_a_file_that_is_too_large_or_missing_is_named(tmp_path):
    with pytest.raises(BadInputError, match="over 64 kB"):
        read(tmp_path / "a.py", "#" * 70_000)
    with pytest.raises(BadInputError, match="No such file"):
        read_assignments(tmp_path / "b.py", "controls", NAMES)


def test_the_presets_that_ship_are_such_files():
    folder = REPOSITORY / "blender_addon" / "presets" / "gaussianspeech" / "controls"
    for path in folder.glob("*.py"):
        names = [line.split(".")[1].split()[0] for line in path.read_text().splitlines()[5:]]
        assert list(read_assignments(path, "controls", names)) == names
