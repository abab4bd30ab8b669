# SPDX-License-Identifier: GPL-3.0-or-later
"""The place of this Blender's jobs, by the preferences."""

from __future__ import annotations

import tempfile
from pathlib import Path

import bpy

from ..engine_link import process as engine_process
from ..engine_link.session import user_folder
from ..settings import default_jobs_folder, get_preferences
from .command import Commands, remote_words
from .folder import JobFolder
from .place import Place, ThisMachine
from .remote import OtherMachine
from .watch import watcher

_made: tuple[tuple[str, ...], Place] | None = None


def current_place(context: bpy.types.Context) -> Place:
    """The place of the jobs; another one as soon as the preferences say so.

    Raises:
        GaussianSpeechError: the add-on is not enabled.
    """
    global _made  # noqa: PLW0603 - one place per Blender
    preferences = get_preferences(context)
    settings = (
        preferences.engine_python,
        preferences.engine_command,
        preferences.device,
        preferences.jobs_folder,
    )
    if _made is None or _made[0] != settings:
        _made = (settings, _make_place(*settings))
    watcher.look_at(_made[1])
    return _made[1]


def _make_place(python: str, engine_command: str, device: str, folder: str) -> Place:
    configured, home = python, user_folder()
    environment = engine_process.engine_environment(home / "cache", device.lower())
    words = remote_words(engine_command)
    if words is not None:
        # Blender removes its temporary folder when it quits.
        pictures = Path(bpy.app.tempdir or tempfile.gettempdir()) / "gaussianspeech-jobs"
        return OtherMachine(" ".join(words), Commands(words, environment, cwd=home), pictures)
    root = Path(bpy.path.abspath(folder)) if folder.strip() else default_jobs_folder()

    def commands() -> Commands:
        program = engine_process.find_python(configured)
        hint = engine_process.install_hint(program)
        return Commands([program, "-m", "training"], environment, cwd=home, install_hint=hint)

    return ThisMachine(JobFolder(root), commands)
