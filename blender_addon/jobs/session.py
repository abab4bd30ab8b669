# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs of this Blender: whom to ask by the preferences, and the one watcher."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy

from ..engine_link.future import Future
from ..engine_link.session import get_engine
from ..settings import get_preferences
from .client import JobsClient
from .watcher import Watcher

watcher = Watcher()
"""The one of this Blender."""

_settings: tuple[str, ...] = ()


def current_client(context: bpy.types.Context) -> JobsClient:
    """The jobs of the engine of the preferences; another one as soon as they have changed.

    Raises:
        GaussianSpeechError: the add-on is not enabled.
    """
    global _settings
    preferences = get_preferences(context)
    remote, folder = preferences.engine_command.strip(), preferences.jobs_folder.strip()
    settings = (preferences.engine_python, remote, folder)
    if watcher.client is None or settings != _settings:
        # The folder is one of this machine: another machine's engine has its own.
        there = "" if remote else folder
        # Blender removes its temporary folder when it quits.
        temporary = Path(bpy.app.tempdir or tempfile.gettempdir())
        _settings, watcher.pictures = settings, temporary / "gaussianspeech-jobs"
        watcher.watch(JobsClient(_request, there, remote))
    return watcher.client


def _request(method: str, params: Mapping[str, Any]) -> Future:
    return get_engine(bpy.context).request(method, params)
