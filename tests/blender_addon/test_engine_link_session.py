# SPDX-License-Identifier: GPL-3.0-or-later
"""The one engine of a Blender: which program starts it, and that nobody waits for its end."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.blender_addon.waits import waits_of_this_thread
from tests.waiting import PATIENCE

STAND_IN = Path(__file__).with_name("stand_in_engine.py")
REPOSITORY = STAND_IN.parents[2]


@pytest.fixture
def session(engine_aside):
    """The module, without an engine before and after."""
    return engine_aside


@pytest.fixture
def preferences(blender, addon):
    found = addon("settings").get_preferences(blender.context)
    kept = {name: getattr(found, name) for name in ("engine_python", "engine_command", "device")}
    yield found
    for name, value in kept.items():
        setattr(found, name, value)


@pytest.fixture
def stubborn(preferences, monkeypatch):
    """An engine that ignores every request to end."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    preferences.engine_command = f"'{sys.executable}' '{STAND_IN}' 'ignores shutdown'"


@pytest.fixture
def waits(monkeypatch):
    """Waits of Blender's main thread for the end of a process."""
    return waits_of_this_thread(monkeypatch, (subprocess.Popen, "wait"))


def test_two_threads_that_ask_at_once_get_one_engine(blender, session, monkeypatch):
    made = []

    def make(*_settings):
        time.sleep(0.2)
        made.append(SimpleNamespace(start=lambda: None, shutdown=lambda **_options: None))
        return made[-1]

    monkeypatch.setattr(session, "_make_engine", make)
    got = []
    threads = [
        threading.Thread(target=lambda: got.append(session.get_engine(blender.context)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert got == made * 4


@pytest.mark.one_blender
def test_restart_does_not_wait_for_the_old_engine_to_end(blender, session, stubborn, waits):
    first = session.get_engine(blender.context).wait_ready(PATIENCE)["pid"]
    blender.ops.gaussianspeech.restart_engine()
    assert waits == []
    assert session.current_engine().wait_ready(PATIENCE)["pid"] != first


def test_a_change_of_the_preferences_does_not_wait_for_the_old_engine(
    blender, session, preferences, stubborn, waits
):
    first = session.get_engine(blender.context)
    first.wait_ready(PATIENCE)
    preferences.device = "CPU"
    assert session.get_engine(blender.context) is not first
    assert waits == []


def test_a_python_beside_the_open_file_is_never_started(blender, session, preferences, tmp_path):
    evil, mark = tmp_path / "python", tmp_path / "started"
    evil.write_text(f"#!/bin/sh\ntouch '{mark}'\n")
    evil.chmod(0o755)
    # Without an open file the path cannot be made absolute, and is kept as it is.
    preferences.engine_python = "//python"
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert preferences.engine_python == "//python"
    with pytest.raises(Exception, match="not an absolute path") as caught:
        session.get_engine(blender.context)
    assert caught.value.hint
    assert not mark.exists()


def test_a_python_that_is_chosen_relative_to_the_file_is_kept_by_its_absolute_path(
    blender, preferences, tmp_path
):
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    preferences.engine_python = "//env/bin/python"
    assert preferences.engine_python == str(tmp_path / "env" / "bin" / "python")
    preferences.engine_python = ""
    assert preferences.engine_python == ""


def test_a_dialog_that_is_closed_has_nothing_to_cancel(blender, addon):
    task = addon("engine_link.tasks").EngineTask
    assert task.cancel(type("Dialog", (), {"_future": task._future})(), blender.context) is None
