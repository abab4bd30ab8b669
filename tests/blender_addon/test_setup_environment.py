# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's environment, made by a real venv and pip from a folder of wheels."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from blender_addon.standalone import addon_module

process = addon_module("engine_link.process")
environment = addon_module("setup.environment")
programs = addon_module("setup.runner")
pip_errors = addon_module("setup.pip_errors")
requirements = addon_module("setup.requirements")
errors = sys.modules["gaussianspeech.engine.core.errors"]
FAKE_ENGINE = """
import sys, time
print("engine", *sys.argv[1:], flush=True)
import tiny
if sys.argv[1] == "warm-up":
    time.sleep({sleep})
"""


def ignore(_fraction, _message):
    pass


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """An engine that needs one tiny library; gives a function that says how long it compiles."""
    root = tmp_path / "extension"
    (root / "engine").mkdir(parents=True)
    (root / "engine" / "__init__.py").touch()
    monkeypatch.setattr(process, "ROOT", root)
    monkeypatch.setattr(environment, "requirements", lambda _parts: ["tiny>=1"])
    monkeypatch.setattr(environment, "constraints", lambda: None)

    def compiles(seconds):
        text = FAKE_ENGINE.format(sleep=seconds)
        (root / "engine" / "__main__.py").write_text(text)

    compiles(0)
    return compiles


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An environment with pip and nothing else; copied, for making one takes seconds."""
    folder = tmp_path_factory.mktemp("made") / "environment"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder


@pytest.fixture
def options(tmp_path):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    write_wheel(wheels / "tiny-1.0-py3-none-any.whl")
    return environment.SetupOptions(
        folder=tmp_path / "user" / "environment",
        build="cpu",
        parts=requirements.Parts(),
        log=tmp_path / "user" / "setup.log",
        cache=tmp_path / "user" / "cache",
        wheels=wheels,
        python=sys.executable,
    )


def write_wheel(path, needs=""):
    name = path.name.partition("-")[0]
    info = f"{name}-1.0.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    metadata += f"Requires-Dist: {needs}\n" if needs else ""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{info}/METADATA", metadata)
        wheel = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{info}/WHEEL", wheel)
        archive.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n")


@pytest.mark.one_blender
def test_an_environment_is_made_offline_and_recorded_last(engine, options):
    steps = []
    record = environment.set_up(options, threading.Event(), lambda *step: steps.append(step))
    assert environment.read_record(options.folder) == record
    assert record.requirements == ("tiny>=1",)
    assert process.installed_python(options.folder) is not None
    fractions = [fraction for fraction, _ in steps]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    log = options.log.read_text()
    assert "Successfully installed tiny-1.0" in log
    assert log.index("engine warm-up") < log.index("engine doctor --json")
    environment.remove(options.folder)
    assert not options.folder.exists()
    environment.remove(options.folder)  # Nothing is there, and nothing is wrong.


@pytest.mark.one_blender
def test_a_cancelled_set_up_ends_its_programs_and_is_continued_by_the_next(engine, options, made):
    shutil.copytree(made, options.folder, symlinks=True)
    engine(600)
    cancelled = threading.Event()

    def cancel_while_compiling(_fraction, message):
        if message == "Compiling kernels":
            threading.Timer(1.0, cancelled.set).start()

    with pytest.raises(errors.CancelledError):
        environment.set_up(options, cancelled, cancel_while_compiling)
    assert environment.read_record(options.folder) is None
    assert process.installed_python(options.folder) is None
    engine(0)
    python = sys.modules["gaussianspeech.engine.core.platforms"].environment_program(options.folder)
    made = python.lstat().st_mtime_ns
    environment.set_up(options, threading.Event(), ignore)
    assert python.lstat().st_mtime_ns == made  # What was there was used.


@pytest.mark.one_blender
def test_a_broken_environment_is_made_anew(engine, options):
    options.folder.mkdir(parents=True)
    (options.folder / environment.RECORD).write_text("{}")
    (options.folder / "left over").touch()
    environment.set_up(options, threading.Event(), ignore)
    assert environment.read_record(options.folder) is not None
    assert not (options.folder / "left over").exists()


@pytest.mark.one_blender
@pytest.mark.parametrize(
    ("wanted", "pins", "missing"),
    [
        (["absent>=3"], "", "absent>=3"),
        (["absent>=3"], "absent==3.1", "absent==3.1"),
        (["needy"], "", "absent>=3"),
        (["needy"], "absent==3.1", "absent==3.1"),
        (["tiny"], "tiny==2.0", "tiny==2.0"),
    ],
)
def test_a_wheel_that_is_not_in_the_folder_is_named_with_the_folder(
    engine, options, monkeypatch, made, wanted, pins, missing
):
    shutil.copytree(made, options.folder, symlinks=True)
    write_wheel(options.wheels / "needy-1.0-py3-none-any.whl", "absent>=3")
    constraints = options.wheels / "constraints.txt"
    constraints.write_text(pins)
    monkeypatch.setattr(environment, "requirements", lambda _parts: ["tiny>=1", *wanted])
    monkeypatch.setattr(environment, "constraints", lambda: constraints)
    with pytest.raises(errors.MissingDependencyError) as caught:
        environment.set_up(options, threading.Event(), ignore)
    error, version = caught.value, "{}.{}".format(*sys.version_info)
    assert f"the folder {options.wheels} has no wheel of {missing} for Python {version}" in str(
        error
    )
    assert ("but tiny-1.0-py3-none-any.whl." in error.message) == (missing.startswith("tiny"))
    assert error.hint.startswith("Put that wheel into the folder")
    assert str(options.log) in error.hint
    assert environment.read_record(options.folder) is None


def test_versions_that_conflict_though_their_wheels_are_there_are_not_called_missing(tmp_path):
    write_wheel(tmp_path / "tiny-1.0+cpu-py3-none-any.whl")
    words = "ERROR: Cannot install needy\nThe user requested (constraint) tiny==1.0\nERROR: No way"
    error = pip_errors.install_failure(
        "It failed", words.splitlines(), tmp_path / "log", tmp_path, tmp_path
    )
    assert error.message == "It failed: ERROR: No way"


def test_what_an_index_lacks_is_named_with_the_python_that_it_is_for(tmp_path):
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.12.4\n")
    words = ["ERROR: No matching distribution found for torch==9 (from needy)"]
    error = pip_errors.install_failure("It failed", words, tmp_path / "log", None, tmp_path)
    assert error.message.startswith("It failed: torch==9 for Python 3.12 on ")


@pytest.mark.one_blender
def test_an_engine_that_does_not_start_leaves_no_record(engine, options, made):
    shutil.copytree(made, options.folder, symlinks=True)
    (process.ROOT / "engine" / "__main__.py").write_text("raise SystemExit('no such kernel')")
    with pytest.raises(errors.MissingDependencyError, match="no such kernel"):
        environment.set_up(options, threading.Event(), ignore)
    assert environment.read_record(options.folder) is None


@pytest.mark.one_blender
def test_without_a_network_the_error_says_so(engine, options, monkeypatch, made):
    shutil.copytree(made, options.folder, symlinks=True)
    # A port where nothing listens; pip's own words are read.
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setattr(environment, "torch_index", lambda _build: None)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(errors.MissingDependencyError, match="cannot be reached"):
        environment.set_up(replace(options, wheels=None), threading.Event(), ignore)
    assert environment.read_record(options.folder) is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_log_that_cannot_be_written_says_that_the_disk_is_full(options):
    with pytest.raises(errors.BadInputError, match="cannot be set up: the disk is full"):
        environment.set_up(replace(options, log=Path("/dev/full")), threading.Event(), ignore)
    assert not options.folder.exists()


class FullAfterALine:
    """A log on a disk that fills up."""

    def __init__(self, folder):
        self.parent, self.written = folder, 0

    def open(self, _mode, encoding):
        assert encoding == "utf-8"
        return self

    def write(self, _text):
        self.written += 1
        if self.written > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def flush(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        pass


def test_a_disk_that_fills_up_is_the_error_and_the_program_is_not_kept_waiting(tmp_path):
    runner = programs.Runner(FullAfterALine(tmp_path), threading.Event())
    more_than_a_pipe_holds = "for number in range(40000): print('line', number)"
    with pytest.raises(OSError, match="No space left"):
        runner.run([sys.executable, "-c", more_than_a_pipe_holds], dict(os.environ), "It failed")


def test_a_missing_folder_of_wheels_is_named(options, tmp_path):
    with pytest.raises(errors.BadInputError, match="nowhere"):
        environment.set_up(replace(options, wheels=tmp_path / "nowhere"), threading.Event(), ignore)


def test_too_little_space_is_said_before_anything_is_written(options, monkeypatch):
    usage = type("usage", (), {"free": 1e9})
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _path: usage)
    with pytest.raises(errors.BadInputError, match=r"needs 2\.5 GB .* 1\.0 GB are free"):
        environment.set_up(options, threading.Event(), ignore)
    assert not options.folder.parent.exists()


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        ("OSError: [Errno 28] No space left on device", "BadInputError", "the disk is full"),
        (
            "WARNING: Retrying: NewConnectionError('Failed to establish a new connection')",
            "SetUpError",
            "cannot be reached",
        ),
        ("fine\nERROR: it broke\nmore words", "SetUpError", "ERROR: it broke"),
    ],
)
def test_what_pip_says_becomes_one_sentence(tmp_path, words, kind, message):
    error = programs.failure("It failed", words.splitlines(), tmp_path / "log")
    assert type(error).__name__ == kind
    assert message in error.message


@pytest.mark.parametrize(
    ("line", "wheel", "size"),
    [
        ("Downloading torch-2.13.0%2Bcpu-cp311-cp311-linux.whl (190.2 MB)", "torch", "(190.2 MB)"),
        ("  Using cached https://x/rich-15.0.0-py3-none-any.whl (1 kB)", "rich", "(1 kB)"),
        (r"Processing C:\wheels\tyro-0.9-py3-none-any.whl (from here)", "tyro", None),
    ],
)
def test_progress_names_the_library(line, wheel, size):
    assert environment._WHEEL.match(line).groups() == (wheel, size)


def test_a_damaged_record_counts_as_none(tmp_path):
    for text in ("", "[]", '{"build": "cpu"}', '{"build": 1, "requirements": 2, "parts": 3}'):
        (tmp_path / environment.RECORD).write_text(text)
        assert environment.read_record(tmp_path) is None


def test_another_set_of_libraries_makes_a_record_outdated():
    parts = requirements.Parts(training=True)
    current = environment.SetupRecord("cpu", tuple(requirements.requirements(parts)), parts)
    assert not current.outdated
    assert replace(current, requirements=("torch",)).outdated


def test_blenders_own_python_is_taken_and_else_one_of_the_path(tmp_path, monkeypatch):
    assert environment.base_python(sys.executable) == sys.executable
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(errors.MissingDependencyError, match=r"3\.11 to 3\.13"):
        environment.base_python(str(tmp_path / "blender"))


def test_training_is_an_extra_of_its_own():
    base = requirements.requirements(requirements.Parts(english=False))
    assert any(line.startswith("torch") for line in base)
    more = requirements.requirements(requirements.Parts(english=False, training=True))
    assert {line.partition(">")[0] for line in set(more) - set(base)} >= {"tensorboard", "jinja2"}
    assert not any(line.startswith(("tensorboard", "bpy", "pytest")) for line in base)


def test_the_install_command_quotes_what_a_shell_would_take_apart():
    command = requirements.pip_command("/a folder/python")
    assert command.startswith("'/a folder/python' -m pip install ")
    assert " 'torch>=" in command


@pytest.mark.parametrize(
    ("says", "build"),
    [
        ("| NVIDIA-SMI 580.65  Driver Version: 580.65  CUDA Version: 13.0 |", "cu130"),
        ("| NVIDIA-SMI 560.35  Driver Version: 560.35  CUDA Version: 12.6 |", "cu126"),
        ("| NVIDIA-SMI 470.82  Driver Version: 470.82  CUDA Version: 11.4 |", "cpu"),
        ("NVIDIA-SMI has failed", "cpu"),
        (None, "cpu"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for nvidia-smi is a script")
def test_the_build_of_torch_follows_the_driver(tmp_path, monkeypatch, says, build):
    if says is not None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\necho '{says}'\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert requirements.fitting_build() == build
