# SPDX-License-Identifier: GPL-3.0-or-later
"""The place of this Blender's jobs, by the preferences."""

from __future__ import annotations

from pathlib import Path

import bpy

from .. import engine_process
from ..engine_session import user_folder
from ..preferences import default_jobs_folder, get_preferences
from .command import Commands
from .folder import JobFolder
from .place import Place, ThisMachine
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


def _make_place(python: str, _engine_command: str, device: str, folder: str) -> Place:
    root = Path(bpy.path.abspath(folder)) if folder.strip() else default_jobs_folder()
    configured, home = bpy.path.abspath(python), user_folder()

    def commands() -> Commands:
        program = engine_process.find_python(configured)
        return Commands(
            [program, "-m", "training"],
            engine_process.engine_environment(home / "cache", device.lower()),
            cwd=home,
            install_hint=engine_process.install_hint(program),
        )

    return ThisMachine(JobFolder(root), commands)
