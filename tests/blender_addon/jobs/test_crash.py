# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender is killed while it predicts, exports and trains, and the file is opened again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.blender_addon.conftest import PACKAGE, REPOSITORY
from tests.blender_addon.jobs.job_folders import make_job
from tests.waiting import until

VOICE = REPOSITORY / "engine" / "assets" / "sample_voice.wav"
CRASHING = Path(__file__).with_name("crashing.py")


def parents():
    """Who started whom, of all processes that are no zombies."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            found[int(path.parent.name)] = int(parent)
    return found


@pytest.mark.one_blender
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_was_under_way_when_blender_was_killed(engine_ready, jobs, listed, tmp_path):
    bpy = engine_ready
    bpy.ops.gaussianspeech.add_head(with_avatar=False)
    bpy.ops.gaussianspeech.import_sound(filepath=str(VOICE))
    file = tmp_path / "file.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(file))
    saved = file.read_bytes()
    job = make_job(jobs, "anna", "failed")
    command = [sys.executable, str(CRASHING), PACKAGE, str(file), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as blender:
        said = next((line for line in blender.stdout if line.startswith("at work")), None)
        assert said, "it ended by itself"
        training = json.loads((job / "job.json").read_text())["process"]["pid"]
        started = {pid for pid, parent in parents().items() if parent == blender.pid}
        assert int(said.split()[-1]) in started
        assert len(started) == 2  # The engine, and the Blender that exports.
        assert training not in started
        blender.kill()
    until(lambda: not started & set(parents()))
    assert file.read_bytes() == saved
    assert not (tmp_path / "head.abc").exists()
    # The training has come to its own end: its options lack the data.
    until(lambda: training not in parents())
    assert "--data" in (job / "log.txt").read_text()

    bpy.ops.wm.open_mainfile(filepath=str(file))
    assert listed() == ["anna"]
    halves = list(tmp_path.glob(".head*"))
    scene = bpy.context.scene
    scene.frame_end = 3
    path = str(tmp_path / "head.abc")
    assert bpy.ops.gaussianspeech.export(filepath=path, format="ABC", frames="SCENE") == {
        "FINISHED"
    }
    assert halves
    assert not any(os.path.lexists(half) for half in halves if half.is_file())
