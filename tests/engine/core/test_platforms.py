# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes, paths and command lines by each system's rules."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.core import platforms, windows_api
from tests.engine.core.windows_stand_in import windows  # noqa: F401 - a fixture
from tests.waiting import process_state, until

ROOT = Path(__file__).resolve().parents[3]
SLEEP = "import time; time.sleep(600)"
PARENT = (
    "import subprocess, sys\n"
    f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}])\n"
    "print(child.pid, flush=True)\n"
    "child.wait()\n"
)
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


# --- Processes ------------------------------------------------------------------------------------


@linux
def test_a_group_is_ended_with_all_that_it_has_started():
    command = [sys.executable, "-c", PARENT]
    with platforms.Child(command, group=True, stdout=subprocess.PIPE) as child:
        grandchild = int(child.stdout.readline())
        child.kill()
    until(lambda: not process_state(child.pid) + process_state(grandchild))


@linux
def test_of_another_child_only_the_process_itself_is_ended():
    with platforms.Child([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as child:
        grandchild = int(child.stdout.readline())
        child.kill()
    assert process_state(grandchild)
    os.kill(grandchild, signal.SIGKILL)


@linux
@pytest.mark.parametrize(
    "work", ["os.kill(os.getpid(), signal.SIGSTOP)", "ctypes.PyDLL(None).pause()"]
)
def test_on_linux_a_process_that_cannot_listen_ends_with_its_parent(work):
    """One that is stopped, and one whose library never gives the interpreter back."""
    child = (
        "import ctypes, os, signal\nfrom engine.core import platforms\n"
        "platforms.end_with_parent()\nprint(os.getpid(), flush=True)\n" + work
    )
    parent = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        "time.sleep(600)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", parent]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        pid = int(process.stdout.readline())
        process.kill()
    until(lambda: not process_state(pid))


@linux
def test_a_detached_process_survives_and_has_no_terminal_of_ours():
    with platforms.start_detached([sys.executable, "-c", SLEEP]) as process:
        assert os.getsid(process.pid) == process.pid
        process.kill()


def test_on_windows_a_child_has_no_console_and_ends_with_us(windows):  # noqa: F811
    child = platforms.Child(["engine", "serve"], stdin=subprocess.PIPE)
    ((command, options),) = windows.commands
    assert command == ["engine", "serve"]
    assert options["creationflags"] == 0x08000000
    name, job, kind, limits, size = windows.calls[1]
    assert (name, kind, size) == ("SetInformationJobObject", 9, 144)
    assert limits._obj.basic.flags == 0x2800  # Killed with its last handle; may break away.
    name, assigned, process = windows.calls[2]
    assert (name, assigned.value, process.value) == ("AssignProcessToJobObject", job.value, 77)
    child.kill()
    assert windows.called()[3] == "TerminateJobObject"
    del child
    gc.collect()
    assert windows.called()[-1] == "CloseHandle"


@pytest.mark.parametrize(
    "refused", ["CreateJobObjectW", "SetInformationJobObject", "AssignProcessToJobObject"]
)
def test_where_windows_refuses_a_job_object_there_is_a_child_without(windows, refused):  # noqa: F811
    windows.fails.add(refused)
    child = platforms.Child(["engine", "serve"])
    assert child._job is None
    gc.collect()
    assert ("CloseHandle" in windows.called()) == (refused != "CreateJobObjectW")


def test_the_structures_of_windows_have_its_sizes():
    assert ctypes.sizeof(windows_api._BasicLimits) == 64
    assert ctypes.sizeof(windows_api._Limits) == 144


@pytest.mark.parametrize("denied", [False, True])
def test_on_windows_a_training_leaves_the_job_object_where_it_may(windows, denied):  # noqa: F811
    if denied:
        windows.fails.add("breakaway")
    platforms.start_detached(["python", "-m", "training"])
    flags = [options["creationflags"] for _, options in windows.commands]
    assert flags == ([0x01000208, 0x208] if denied else [0x01000208])


def test_on_windows_a_short_program_has_no_console(windows, monkeypatch):  # noqa: F811
    monkeypatch.setattr(subprocess, "run", lambda command, **options: (command, options))
    command, options = platforms.run(["nvidia-smi"], timeout=20)
    assert command == ["nvidia-smi"]
    assert options == {"timeout": 20, "check": False, "creationflags": 0x08000000}


# --- Paths and command lines ----------------------------------------------------------------------

DEEP = "C:\\" + "folder\\" * 40 + "result.npz"
SHARE = "\\\\server\\" + "folder\\" * 40 + "result.npz"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("C:\\a\\b.npz", "C:\\a\\b.npz"),
        (DEEP, "\\\\?\\" + DEEP),
        (SHARE, "\\\\?\\UNC" + SHARE[1:]),
        ("\\\\?\\" + DEEP, "\\\\?\\" + DEEP),
    ],
)
def test_windows_takes_long_paths_with_their_prefix(windows, path, expected):  # noqa: F811
    assert str(platforms.long_path(Path(path))) == expected


def test_other_systems_take_long_paths_as_they_are():
    assert str(platforms.long_path(Path("/" + "a/" * 300))) == "/" + "a/" * 299 + "a"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Anna", "Anna"),
        ("nul", "_nul"),
        ("COM1", "_COM1"),
        ("aux.performance", "_aux.performance"),
        ("console", "console"),
        ("Anna. .", "Anna"),
    ],
)
def test_names_are_those_that_windows_takes_too(name, expected):
    assert platforms.portable_name(name) == expected


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ssh gpu python -m engine serve", ["ssh", "gpu", "python", "-m", "engine", "serve"]),
        (r'"C:\my env\python.exe" -m engine', [r"C:\my env\python.exe", "-m", "engine"]),
        (r'C:\env\python.exe -c "a \"b\" c"', [r"C:\env\python.exe", "-c", 'a "b" c']),
        (r'a "b\\" "" c\\d', ["a", "b\\", "", "c\\\\d"]),
        (r'--folder="C:\a b\c"  x', [r"--folder=C:\a b\c", "x"]),
    ],
)
def test_on_windows_a_command_line_is_taken_apart_by_its_rules(windows, line, words):  # noqa: F811
    assert platforms.split_command(line) == words


def test_what_python_joins_for_windows_is_taken_apart_as_it_was(windows):  # noqa: F811
    words = ["C:\\a b\\c\\", 'say "hi"', "", "\\\\server\\x", 'x\\"y', "plain", "t\tb"]
    assert platforms.split_command(subprocess.list2cmdline(words)) == words


def test_a_quotation_that_does_not_end_is_an_error(windows):  # noqa: F811
    with pytest.raises(ValueError, match="quotation"):
        platforms.split_command('"C:\\env\\python.exe -m engine')


def test_a_command_to_paste_fits_the_systems_shells(monkeypatch):
    words = ["C:\\my env\\python.exe", "-m", "pip", "install", "torch>=2,<3", "numpy"]
    monkeypatch.setattr(platforms, "WINDOWS", True)
    quoted = '"C:\\my env\\python.exe" -m pip install "torch>=2,<3" numpy'
    assert platforms.join_command(words) == quoted
    # PowerShell starts no program whose path stands in quotes without need.
    assert platforms.join_command(["C:\\env\\python.exe"]) == "C:\\env\\python.exe"
    monkeypatch.setattr(platforms, "WINDOWS", False)
    assert platforms.split_command(platforms.join_command(words)) == words


def test_each_system_has_its_folders_and_programs(monkeypatch, tmp_path):
    folder = Path("/env")
    assert platforms.environment_program(folder) == folder / "bin/python"
    monkeypatch.setattr(platforms, "WINDOWS", True)
    assert platforms.environment_program(folder) == folder / "Scripts/python.exe"
    assert platforms.home({"USERPROFILE": "/users/anna", "HOME": "/other"}) == Path("/users/anna")
    program = tmp_path / "ssh.EXE"
    program.touch(0o755)
    environ = {"PATH": f".{os.pathsep}{tmp_path}", "PATHEXT": os.pathsep.join((".COM", ".EXE"))}
    assert platforms.find_program("ssh", environ) == str(program)
    assert platforms.find_program("ssh.EXE", environ) == str(program)
    assert platforms.find_program("scp", environ) is None


@pytest.mark.parametrize(
    ("system", "variables", "expected"),
    [
        ("WINDOWS", {"LOCALAPPDATA": "/data"}, "/data"),
        ("WINDOWS", {"USERPROFILE": "/users/anna"}, "/users/anna/AppData/Local"),
        ("MACOS", {"HOME": "/Users/anna"}, "/Users/anna/Library/Caches"),
        ("LINUX", {"HOME": "/home/anna", "XDG_CACHE_HOME": ""}, "/home/anna/.cache"),
        ("LINUX", {"XDG_CACHE_HOME": "/cache"}, "/cache"),
    ],
)
def test_every_system_has_its_cache_folder(monkeypatch, system, variables, expected):
    for name in ("WINDOWS", "MACOS", "LINUX"):
        monkeypatch.setattr(platforms, name, name == system)
    assert platforms.user_cache(variables) == Path(expected)


def test_a_library_of_c_gets_a_path_that_it_can_open(monkeypatch, tmp_path):
    assert platforms.ansi_path(str(tmp_path)) == os.fsencode(tmp_path)


def test_nothing_else_asks_which_system_it_runs_on():
    """Its rules stand in one module, where they are tested."""
    asks = re.compile(
        r"sys\.platform|os\.name [=!]=|^\s*import (?:fcntl|msvcrt|shlex)|os\.kill"
        r"|creationflags|start_new_session|win(dll|DLL)|WinDLL",
        re.MULTILINE,
    )
    ours = {"platforms.py", "windows_api.py"}
    paths = [
        path
        for package in ("engine", "training", "blender_addon")
        for path in (ROOT / package).rglob("*.py")
        if path.name not in ours
    ]
    assert len(paths) > 400
    found = {path.relative_to(ROOT): asks.findall(path.read_text("utf-8")) for path in paths}
    assert {path: words for path, words in found.items() if words} == {}
