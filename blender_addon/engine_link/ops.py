# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators about the engine process itself: check, restart, log."""

from __future__ import annotations

from typing import ClassVar

import bpy

from ..status import ReportMixin, report
from ..text import BOX, draw_wrapped
from . import session
from .client import EngineClient, HelloFuture, State
from .tasks import EngineTask


class GAUSSIANSPEECH_OT_check_engine(EngineTask, bpy.types.Operator):
    """Start the engine and show its versions and devices."""

    bl_idname = "gaussianspeech.check_engine"
    bl_label = "Check Engine"
    bl_description = "Start the engine and show its versions and devices"
    task_label: ClassVar[str] = "Starting the engine"

    def begin(self, context: bpy.types.Context) -> HelloFuture:
        """Start the engine."""
        return session.get_engine(context).greeting()

    def finish(self, context: bpy.types.Context, reply: dict) -> None:
        """Show the greeting."""
        report(self, context, "Engine ready: " + describe(reply))


class GAUSSIANSPEECH_OT_restart_engine(ReportMixin, bpy.types.Operator):
    """End the engine and start it again; running work is cancelled."""

    bl_idname = "gaussianspeech.restart_engine"
    bl_label = "Restart Engine"
    bl_description = "End the engine and start it again; running work is cancelled"

    def run(self, context: bpy.types.Context) -> str:
        """Restart."""
        session.stop_engine()
        session.get_engine(context)
        return "The engine is starting"


class GAUSSIANSPEECH_OT_open_log(ReportMixin, bpy.types.Operator):
    """Open the engine's log file."""

    bl_idname = "gaussianspeech.open_log"
    bl_label = "Open Engine Log"
    bl_description = "Open the engine's log file"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Once there is one."""
        cls.poll_message_set("The engine has not been started yet")
        return session.log_path().is_file()

    def run(self, context: bpy.types.Context) -> str:
        """Open the file with the system's program for it."""
        path = session.log_path()
        bpy.ops.wm.path_open(filepath=str(path))
        return f"Opened {path}"


def describe(hello: dict) -> str:
    """The engine's greeting in one line."""
    backends = [entry["name"] for entry in hello.get("backends", []) if entry.get("available")]
    return (
        f"version {hello.get('package')}, Python {hello.get('python')}, "
        f"torch {hello.get('torch')}, devices {', '.join(hello.get('devices', []))}, "
        f"splatting {', '.join(backends) or 'none'}"
    )


def draw_engine(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Draw the engine's state and its operators."""
    engine = session.current_engine()
    box = layout.box()
    row = box.row(align=True)
    row.operator(GAUSSIANSPEECH_OT_check_engine.bl_idname, icon="CHECKMARK")
    row.operator(GAUSSIANSPEECH_OT_restart_engine.bl_idname, icon="FILE_REFRESH")
    row.operator(GAUSSIANSPEECH_OT_open_log.bl_idname, text="Open Log", icon="TEXT")
    for line, icon in _state_lines(engine):
        draw_wrapped(box, context, line, icon=icon, beside=BOX)


def _state_lines(engine: EngineClient | None) -> list[tuple[str, str]]:
    if engine is None or engine.state is State.STOPPED:
        return [("The engine starts when it is first needed.", "INFO")]
    if engine.state is State.STARTING:
        return [("The engine is starting.", "TIME")]
    if engine.state is State.READY and engine.hello is not None:
        return [
            (describe(engine.hello), "CHECKMARK"),
            *(
                (f"{entry['name']}: {entry.get('reason')}", "INFO")
                for entry in engine.hello.get("backends", [])
                if not entry.get("available") and entry.get("reason")
            ),
        ]
    if engine.error is None:
        return []
    return [(engine.error.message, "ERROR"), (engine.error.hint, "NONE")]


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_OT_check_engine,
    GAUSSIANSPEECH_OT_restart_engine,
    GAUSSIANSPEECH_OT_open_log,
)
