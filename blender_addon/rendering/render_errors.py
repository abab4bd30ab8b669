# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of renders in the panel's status line: shown as they come, gone when the next begins."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import bpy

from ...engine.core.errors import GaussianSpeechError
from ..status import get_status, set_error, set_message

_shown: list[GaussianSpeechError] = []
"""Those of the last render."""


def show(error: GaussianSpeechError) -> None:
    """Put an error of the render under way into the status line."""
    _shown.append(error)
    _on_the_interface(partial(_show, error))


def forget() -> None:
    """Take an error of the render before out of it, as a new one begins."""
    if _shown:
        _on_the_interface(partial(_take_out, {error.message for error in _shown}))
        _shown.clear()


def _on_the_interface(call: Callable[[], None]) -> None:
    if bpy.app.background:
        # Where a script can see it: a composite's render itself says that it has finished.
        call()
    else:
        # The status line belongs to the interface's thread; this is the render's.
        bpy.app.timers.register(call, first_interval=0.0)


def _show(error: GaussianSpeechError) -> None:
    set_error(bpy.context, error)


def _take_out(messages: set[str]) -> None:
    status = get_status(bpy.context)
    if status.is_error and status.message in messages:
        set_message(bpy.context, "")
