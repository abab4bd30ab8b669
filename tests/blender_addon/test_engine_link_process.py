# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Python the engine runs in, and its environment; without Blender."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from blender_addon.standalone import addon_module

process = addon_module("engine_link.process")

needs_posix = pytest.mark.skipif(os.name == "nt", reason="paths of POSIX environments")


@pytest.fixture
def python(tmp_path):
    """Make an environment's python in a folder and return its path."""

    def make(folder):
        path = tmp_path / folder / "bin" / "python"
        path.parent.mkdir(parents=True)
        path.touch(0o755)
        return str(path)

    return make


def environ(tmp_path, **variables):
    return {"HOME": str(tmp_path / "home"), "PATH": ""} | variables


@needs_posix
def test_the_preferences_come_first(python, tmp_path):
    chosen, other = python("chosen"), python("other")
    found = process.find_python(chosen, environ(tmp_path, GAUSSIANSPEECH_PYTHON=other))
    assert found == chosen


@needs_posix
def test_then_the_environment_variable(python, tmp_path):
    other = python("other")
    python("home/gaussianspeech")
    assert process.find_python("", environ(tmp_path, GAUSSIANSPEECH_PYTHON=other)) == other


@needs_posix
def test_then_an_active_environment_and_one_in_the_home_folder(python, tmp_path):
    active, home = python("active"), python("home/gaussianspeech")
    folder = str(tmp_path / "active")
    assert process.find_python("", environ(tmp_path, VIRTUAL_ENV=folder)) == active
    assert process.find_python("", environ(tmp_path)) == home


@needs_posix
def test_then_the_path(python, tmp_path):
    found = process.find_python("", environ(tmp_path, PATH=str(Path(python("usr")).parent)))
    assert found == str(tmp_path / "usr" / "bin" / "python")


def test_a_chosen_python_that_is_not_there_is_named(tmp_path):
    with pytest.raises(Exception, match="/no/python") as caught:
        process.find_python("/no/python", environ(tmp_path))
    assert caught.value.kind == "bad_input"


def test_no_python_at_all_says_what_to_do(tmp_path):
    with pytest.raises(Exception, match="No Python") as caught:
        process.find_python("", environ(tmp_path))
    assert "Set Up Engine" in caught.value.hint


def test_the_command_serves():
    assert process.engine_command("/usr/bin/python") == ["/usr/bin/python", "-m", "engine", "serve"]


@needs_posix
def test_a_command_of_ones_own_is_split_like_a_shell_does(tmp_path):
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.touch(0o755)
    command = process.engine_command(
        "", "ssh gpu 'my env/python' -m engine serve", environ(tmp_path, PATH=str(ssh.parent))
    )
    assert command == [str(ssh), "gpu", "my env/python", "-m", "engine", "serve"]


@needs_posix
def test_a_python_by_a_relative_path_is_refused(python, tmp_path, monkeypatch):
    python("env")
    monkeypatch.chdir(tmp_path)
    for path in ("env/bin/python", "//env/bin/python"):
        with pytest.raises(Exception, match="not an absolute path") as caught:
            process.find_python(path, environ(tmp_path))
        assert caught.value.kind == "bad_input"


@needs_posix
def test_no_program_of_the_current_folder_is_started(python, tmp_path, monkeypatch):
    folder = Path(python("here")).parent
    monkeypatch.chdir(folder)
    for path in ("", ".", f".{os.pathsep}"):
        with pytest.raises(Exception, match="No Python"):
            process.find_python("", environ(tmp_path, PATH=path))
        with pytest.raises(Exception, match="no program 'python' on the PATH"):
            process.engine_command("", "python serve", environ(tmp_path, PATH=path))
    with pytest.raises(Exception, match="not an absolute path"):
        process.engine_command("", "./python serve", environ(tmp_path))


@needs_posix
def test_unbalanced_quotes_are_named():
    with pytest.raises(Exception, match="Engine Command"):
        process.engine_command("", "ssh 'gpu")


def test_the_engine_sees_this_code_and_writes_nothing_beside_it(tmp_path):
    blenders = {"PYTHONHOME": "/blender", "PYTHONPATH": "/blender/lib", "PATH": "/bin", "LANG": "C"}
    env = process.engine_environment(tmp_path, "cpu", blenders)
    assert "PYTHONHOME" not in env
    assert env["PYTHONPATH"] == str(Path(__file__).resolve().parents[2])
    assert env["PATH"] == "/bin"
    assert env["GAUSSIANSPEECH_DEVICE"] == "cpu"
    assert env["OMP_WAIT_POLICY"] == "PASSIVE"
    assert env["OPENBLAS_NUM_THREADS"] == "1"
    for name in ("PYTHONPYCACHEPREFIX", "NUMBA_CACHE_DIR"):
        assert Path(env[name]).is_relative_to(tmp_path)


@pytest.mark.parametrize("name", ["PYTHONHOME", "PythonPath", "__PYVENV_LAUNCHER__"])
def test_what_is_for_blenders_own_python_reaches_no_other(name):
    env = process.of_another_python({name: "/blender", "PATH": "/bin"})
    assert name not in env
    assert env["PATH"] == "/bin"


def test_folders_for_compiled_code_that_the_user_has_set_stay(tmp_path):
    mine = {"PYTHONPYCACHEPREFIX": "/bytecode", "NUMBA_CACHE_DIR": "/kernels"}
    assert process.engine_environment(tmp_path, "cpu", mine).items() >= mine.items()


@needs_posix
def test_the_environment_that_was_set_up_comes_before_those_of_the_home_folder(python, tmp_path):
    python("home/gaussianspeech")
    installed = Path(python("set up"))
    folder = installed.parents[1]
    assert process.installed_python(folder) is None  # It is not whole yet.
    (folder / process.RECORD).touch()
    assert process.installed_python(folder) == installed
    found = process.find_python("", environ(tmp_path), installed)
    assert found == str(installed)
