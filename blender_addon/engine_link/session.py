# SPDX-License-Identifier: GPL-3.0-or-later
"""The one engine of this Blender: made from the preferences, started when first needed."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from pathlib import Path

import bpy

from ...engine.core.errors import BadInputError
from ..settings import ROOT_PACKAGE, get_preferences
from . import process
from .client import EngineClient

_engine: EngineClient | None = None
_settings: tuple[str, ...] = ()
_lock = threading.RLock()
"""Renders ask for the engine from threads of their own."""
_being_set_up: Callable[[], bool] = bool
"""Whether an engine is being set up; no, until somebody says when."""


def get_engine(context: bpy.types.Context) -> EngineClient:
    """The engine, started; a new one where the preferences or the one that was set up have changed.

    Returns at once.

    Raises:
        GaussianSpeechError: the preferences name no usable engine, it is just being set up, or it
            cannot be started.
    """
    global _engine, _settings  # noqa: PLW0603 - one engine per Blender
    preferences = get_preferences(context)
    python, override = preferences.engine_python, preferences.engine_command
    named = python or override.strip()
    installed = None if named else process.installed_python(environment_folder())
    settings = (python, override, preferences.device, str(installed or ""))
    with _lock:
        if _engine is None or settings != _settings:
            stop_engine()
            _engine = _make_engine(*settings)
            _settings = settings
        _engine.start()
        return _engine


def current_engine() -> EngineClient | None:
    """The engine as it is, without starting one."""
    return _engine


def stop_engine(*, wait: bool = False) -> None:
    """End the engine; requests under way fail at once.

    Args:
        wait: until its process has ended.
    """
    global _engine
    with _lock:
        engine, _engine = _engine, None
    if engine is not None:
        engine.shutdown(wait=wait)


def log_path() -> Path:
    """The engine's log file, in the extension's user folder."""
    return user_folder() / "engine.log"


def user_folder() -> Path:
    """The extension's folder for what it writes."""
    if ROOT_PACKAGE.startswith("bl_ext."):
        return Path(bpy.utils.extension_path_user(ROOT_PACKAGE, create=True))
    # Outside an installed extension (see standalone.py) Blender has no folder for it.
    return Path(bpy.utils.user_resource("DATAFILES", path=ROOT_PACKAGE, create=True))


def environment_folder() -> Path:
    """The environment that the add-on sets up for the engine."""
    return user_folder() / "environment"


def wait_for_set_up(under_way: Callable[[], bool]) -> None:
    """Start no Python of the PATH as the engine while one is being set up.

    Args:
        under_way: whether one is.
    """
    global _being_set_up  # noqa: PLW0603 - one set-up per Blender
    _being_set_up = under_way


def _make_engine(python: str, override: str, device: str, installed: str) -> EngineClient:
    program = "" if override.strip() else _program(python, Path(installed) if installed else None)
    return EngineClient(
        process.engine_command(program, override),
        process.engine_environment(user_folder() / "cache", device.lower()),
        log_path(),
        cwd=user_folder(),
        install_hint=_install_hint(python) if program else "",
    )


def _program(python: str, installed: Path | None) -> str:
    if _being_set_up() and process.known_python(python, installed=installed) is None:
        raise BadInputError("The engine is being set up.", "Wait until it is, or cancel it.")
    return process.find_python(python, installed=installed)


def _install_hint(configured: str) -> str:
    return process.OWN_PYTHON_HINT if configured else process.SET_UP_HINT


def register() -> None:
    """Make sure that no engine outlives Blender."""
    atexit.register(stop_engine, wait=True)


def unregister() -> None:
    """End the engine with the add-on."""
    atexit.unregister(stop_engine)
    stop_engine()
