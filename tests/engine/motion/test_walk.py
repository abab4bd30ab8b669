# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of docs/architecture.md is that of the code."""

import runpy
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "docs" / "architecture" / "walk.py"


def test_the_picture_of_a_recordings_walk_is_current():
    walk = runpy.run_path(str(SCRIPT))
    drawn = walk["drawing"]()
    assert "recognize" in drawn
    assert "fit_shape_keys" in drawn
    hint = "run python docs/architecture/walk.py"
    assert walk["PICTURE"].read_text(encoding="utf-8") == drawn, hint
