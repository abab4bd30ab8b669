# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark's part inside Blender, started as ``gaussianspeech bench`` starts it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from blender_addon.bench import turns
from tests.blender_addon.conftest import REPOSITORY
from tests.waiting import PATIENCE


def test_it_can_be_started():
    pytest.importorskip("bpy")
    # Its modules are imported before --help is answered.
    done = subprocess.run(
        [sys.executable, "-P", "-m", "blender_addon.bench", "--help"],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "--quick" in done.stdout


def test_a_processor_that_is_taken_away_between_two_clocks_makes_no_work_faster(monkeypatch):
    passed, reads = 0.0, 0

    def waited():
        nonlocal passed, reads
        reads += 1
        passed += reads  # Seconds without the processor, just before this is read.
        return passed

    monkeypatch.setattr(turns, "waited", waited)
    monkeypatch.setattr(turns.time, "perf_counter", lambda: passed)
    assert min(turns.in_turn([lambda: None], 1)) >= 0
