# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor's findings: Blender's own, and the engine's or why it gave none."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import bpy

from ...engine.core.diagnosis import Check, worst, writable_folder
from ...engine.core.errors import CancelledError, GaussianSpeechError
from ..engine_link.future import EngineFuture
from ..engine_link.process import SET_UP_HINT
from ..engine_link.session import environment_folder, user_folder
from .environment import read_record

_findings: list[Check] = []


def findings() -> Sequence[Check]:
    """Those of the last time; none before."""
    return _findings


def keep(checks: Sequence[Check]) -> None:
    """Keep findings for the panel."""
    _findings[:] = checks


def summary(checks: Sequence[Check]) -> str:
    """What they amount to, in one line."""
    if worst(checks) == "ok":
        return "Doctor: everything is in order"
    bad = [check for check in checks if check.level == worst(checks)]
    names = ", ".join(check.name for check in bad)
    return f"Doctor: {len(bad)} {bad[0].level}{'s' if len(bad) > 1 else ''} ({names})"


def blender_checks() -> list[Check]:
    """What Blender knows without the engine."""
    record = read_record(environment_folder())
    if record is None:
        environment = Check("blender", "environment", "ok", "none was set up by the add-on")
    elif record.outdated:
        text = "of another version of the add-on"
        environment = Check("blender", "environment", "warning", text, SET_UP_HINT)
    else:
        text = f"torch for {record.build} in {environment_folder()}"
        environment = Check("blender", "environment", "ok", text)
    online = "allowed" if bpy.app.online_access else "not allowed: nothing is downloaded"
    return [
        Check("blender", "version", "ok", bpy.app.version_string),
        Check("blender", "online access", "ok", online),
        environment,
        writable_folder("blender", "user folder", user_folder()),
    ]


def engine_checks(pending: EngineFuture, cancelled: threading.Event) -> list[Check]:
    """What the engine answers, or why it does not; runs in a thread of its own."""
    while not pending.wait(0.2):
        if cancelled.is_set():
            pending.cancel()
            raise CancelledError
    try:
        return [Check(**values) for values in pending.result(0).body["checks"]]
    except GaussianSpeechError as error:
        return [no_engine(error)]


def no_engine(error: GaussianSpeechError) -> Check:
    """The finding that the engine does not answer."""
    return Check("engine", "process", "error", error.message, error.hint)
