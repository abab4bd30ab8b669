# SPDX-License-Identifier: GPL-3.0-or-later
"""Breaking a render off, in a whole Blender: as a Python module it has no Esc."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.waiting import PATIENCE

BLENDER, PYTHON = "GAUSSIANSPEECH_BLENDER", "GAUSSIANSPEECH_PYTHON"
SCRIPT = Path(__file__).with_name("cancel_render.py")


@pytest.mark.skipif(os.name == "nt", reason="an interrupt stands for Esc on POSIX systems alone")
def test_breaking_a_render_off_ends_the_request_and_the_next_render_works():
    blender, python = os.environ.get(BLENDER), os.environ.get(PYTHON)
    if not (blender and python):
        pytest.skip(f"{BLENDER} (command line of a Blender program) or {PYTHON} is not set")
    command = [*shlex.split(blender), "-b", "--factory-startup", "--python", str(SCRIPT), "--"]
    done = subprocess.run(
        [*command, python],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    results = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert results, done.stdout + done.stderr
    assert json.loads(results[0].removeprefix("RESULT ")) == {
        "before": "FINISHED",
        "broken": "CANCELLED",
        "ends": ["CancelledError"],
        "after": "FINISHED",
    }
