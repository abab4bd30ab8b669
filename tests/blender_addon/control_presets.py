# SPDX-License-Identifier: GPL-3.0-or-later
"""The presets of the controls."""

from __future__ import annotations

from pathlib import Path


def preset_paths(blender):
    folders = blender.utils.preset_paths("gaussianspeech/controls")
    return {path.stem: path for folder in folders for path in Path(folder).glob("*.py")}
