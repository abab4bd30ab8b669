# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark's part inside Blender, started as ``gaussianspeech bench`` starts it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.blender_addon.conftest import REPOSITORY


def test_it_can_be_started():
    pytest.importorskip("bpy")
    # Its modules are imported before --help is answered.
    done = subprocess.run(
        [sys.executable, "-P", "-m", "blender_addon.bench", "--help"],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "--quick" in done.stdout
