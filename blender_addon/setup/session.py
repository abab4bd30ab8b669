# SPDX-License-Identifier: GPL-3.0-or-later
"""The one set-up of this Blender: whether one is needed, and the one under way."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import bpy

from ...engine.core import platforms
from ...engine.core.errors import BadInputError, GaussianSpeechError
from ..engine_link import background
from ..engine_link.future import ThreadFuture
from ..engine_link.process import known_python
from ..engine_link.session import (
    current_engine,
    environment_folder,
    stop_engine,
    user_folder,
    wait_for_set_up,
)
from ..settings import get_preferences
from .environment import SetupOptions, SetupRecord, move_away, read_record, remove, set_up
from .requirements import CPU, Parts, chosen_build

_LABEL = "Setting up the engine"
_PATIENCE = 5.0
"""Seconds that Blender waits, when it quits, for the programs of a set-up to end."""


class SetupFuture(ThreadFuture):
    """A set-up in a thread of its own, with its progress."""

    def __init__(self, choice: str, options: SetupOptions) -> None:
        self._progress = (0.0, _LABEL)
        self._choice, self._options = choice, options
        super().__init__(self._set_up, _LABEL)

    def _set_up(self, cancelled: threading.Event) -> SetupRecord:
        build = chosen_build(self._choice)
        parts = replace(self._options.parts, cuda=build != CPU)
        return set_up(replace(self._options, build=build, parts=parts), cancelled, self._report)

    def poll(self) -> tuple[float, str]:
        """Fraction in [0, 1] and message of the last progress."""
        return self._progress

    def _report(self, fraction: float, message: str) -> None:
        self._progress = (fraction, message)


_future: SetupFuture | None = None


def under_way() -> SetupFuture | None:
    """The set-up that is being done."""
    return _future if _future is not None and not _future.done else None


def needed(context: bpy.types.Context) -> bool:
    """Whether no engine is named, set up, or has ever answered."""
    preferences = get_preferences(context)
    engine = current_engine()
    if preferences.engine_command.strip() or (engine is not None and engine.hello is not None):
        return False
    try:
        return (
            known_python(preferences.engine_python) is None
            and read_record(environment_folder()) is None
        )
    except GaussianSpeechError:
        return False  # What is named is wrong, and the engine's own error says so.


def log_path() -> Path:
    """What pip said, in the extension's user folder."""
    return user_folder() / "setup.log"


def start(choice: str, parts: Parts, wheels: Path | None = None) -> str:
    """Begin a set-up, whose progress and result the panel shows; background Blender waits for it.

    Args:
        choice: of the build of torch: ``AUTO``, ``CPU`` or ``CUDA``.
        parts: what is installed beside the engine itself.
        wheels: folder of wheels, to do it without the network.

    Returns:
        What is, or was, done.

    Raises:
        GaussianSpeechError: one is under way, or Blender must not go online; in background Blender
            why it failed, too.
    """
    global _future  # noqa: PLW0603 - one set-up per Blender
    if under_way() is not None:
        raise BadInputError("The engine is being set up.", "Wait for it or cancel it.")
    if wheels is None and not bpy.app.online_access:
        raise BadInputError(
            "Blender must not go online, so nothing can be downloaded.",
            "Turn on Allow Online Access in Preferences, System, or choose a folder of wheels.",
        )
    stop_engine()  # Its libraries may be replaced.
    options = SetupOptions(
        folder=environment_folder(),
        parts=parts,
        log=log_path(),
        cache=user_folder() / "cache",
        wheels=wheels,
    )
    _future = SetupFuture(choice, options)
    if bpy.app.background:
        return _done(_future.result())
    background.run(_LABEL, _future, _done)
    return _LABEL


def cancel() -> None:
    """Ask the set-up to stop; what is there is continued by the next one."""
    future = under_way()
    if future is not None:
        future.cancel()


def remove_environment() -> None:
    """End the engine and remove its environment.

    Raises:
        GaussianSpeechError: a set-up is under way, or a file cannot be removed.
    """
    if under_way() is not None:
        raise BadInputError("The engine is being set up.", "Cancel that first.")
    stop_engine(wait=platforms.WINDOWS)  # Windows keeps the files of a running program.
    gone = move_away(environment_folder())
    # Thousands of files take seconds.
    background.run("Removing the engine", ThreadFuture(lambda _cancelled: remove(gone)), _removed)


def _removed(_result: None) -> str:
    return "The engine was removed"


def _done(record: SetupRecord) -> str:
    return f"The engine is set up (torch for {record.build.upper()})"


def register() -> None:
    """Have the engine wait for its set-up."""
    wait_for_set_up(lambda: under_way() is not None)


def unregister() -> None:
    """Stop the set-up with the add-on."""
    future = under_way()
    if future is not None:
        future.cancel()
        future.wait(_PATIENCE)
