# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences: which engine to use, and how it does."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import bpy

from ..engine.core.errors import GaussianSpeechError
from .engine_link.ops import draw_engine
from .engine_link.process import PYTHON_VARIABLE, find_python, installed_python
from .engine_link.session import environment_folder
from .settings import ROOT_PACKAGE, default_jobs_folder
from .setup.panel import draw_preferences


def _keep_absolute(name: str) -> Callable[[Any, bpy.types.Context], None]:
    """An update that makes a path absolute which was chosen relative to the open file.

    What is kept must not depend on the file that is open later.
    """

    def update(preferences: Any, _context: bpy.types.Context) -> None:
        path = getattr(preferences, name)
        if path.startswith("//") and bpy.data.filepath:
            setattr(preferences, name, os.path.normpath(bpy.path.abspath(path)))

    return update


class GAUSSIANSPEECH_AP_preferences(bpy.types.AddonPreferences):
    """Which engine to use."""

    bl_idname = ROOT_PACKAGE

    engine_python: bpy.props.StringProperty(
        name="Engine Python",
        description=(
            "The python program of the environment that holds the engine's libraries. Empty: "
            f"the environment variable {PYTHON_VARIABLE}, an environment named gaussianspeech in "
            "the home folder, or the python on the PATH"
        ),
        subtype="FILE_PATH",
        update=_keep_absolute("engine_python"),
    )
    engine_command: bpy.props.StringProperty(
        name="Engine Command",
        description=(
            "A whole command line instead of Engine Python, for example "
            "'ssh gpu-host gaussianspeech serve' to use another machine"
        ),
    )
    device: bpy.props.EnumProperty(
        name="Device",
        description="What the engine computes on",
        items=(
            ("AUTO", "Automatic", "The graphics card where there is a usable one"),
            ("CUDA", "CUDA", "An NVIDIA graphics card"),
            ("CPU", "CPU", "The processor"),
        ),
        default="AUTO",
    )
    jobs_folder: bpy.props.StringProperty(
        name="Jobs Folder",
        description=(
            "Where trainings keep their checkpoints and results. Empty: the folder that "
            "'gaussianspeech jobs' uses, in the user's cache"
        ),
        subtype="DIR_PATH",
        update=_keep_absolute("jobs_folder"),
    )

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the engine's settings and its state."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        column = layout.column()
        row = column.row()
        row.enabled = not self.engine_command.strip()
        row.prop(self, "engine_python", placeholder=_placeholder())
        column.prop(self, "engine_command")
        column.prop(self, "device")
        column.prop(self, "jobs_folder", placeholder=str(default_jobs_folder()))
        draw_engine(layout, context)
        draw_preferences(layout, context)


def _placeholder() -> str:
    try:
        return find_python(installed=installed_python(environment_folder()))
    except GaussianSpeechError:
        return "No Python found"


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_AP_preferences,)
