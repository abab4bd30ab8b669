# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by Blender before it opens a scene: ``blender -b -P enable_extension.py SCENE.blend …``.

Where the extension is installed and enabled, nothing is to be done. Elsewhere it is taken from the
``gaussianspeech.zip`` beside this file, for this process alone: nothing is installed. The engine's
Python is that of ``GAUSSIANSPEECH_PYTHON`` where that is set.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

import bpy

ZIP = Path(__file__).resolve().parent / "gaussianspeech.zip"


def main() -> None:
    """Enable the extension; raises where it is neither installed nor in the job."""
    addons = bpy.context.preferences.addons
    if any(name.rpartition(".")[2] == "gaussianspeech" for name in addons.keys()):  # noqa: SIM118
        _set_python(next(a for a in addons if a.module.rpartition(".")[2] == "gaussianspeech"))
        return
    if not ZIP.is_file():
        raise FileNotFoundError(
            f"GaussianSpeech is not installed here, and {ZIP} is not there: run 'gaussianspeech "
            "farm' again with --extension."
        )
    folder = tempfile.mkdtemp(prefix="gaussianspeech-farm-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with zipfile.ZipFile(ZIP) as archive:
        archive.extractall(folder)
    sys.path.insert(0, folder)
    from blender_addon.standalone import ROOT_PACKAGE, addon_module

    entry = addons.new()
    entry.module = ROOT_PACKAGE
    registration = addon_module("registration")
    registration.register()
    # A render engine that is still registered at exit crashes some versions.
    atexit.register(registration.unregister)
    _set_python(entry)


def _set_python(entry: bpy.types.Addon) -> None:
    if python := os.environ.get("GAUSSIANSPEECH_PYTHON"):
        entry.preferences.engine_python = python


if __name__ == "__main__":
    main()
