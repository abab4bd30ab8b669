# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting a training in the background."""

from __future__ import annotations

from pathlib import Path

import bpy

from ...engine.errors import BadInputError, GaussianSpeechError
from .. import compat
from ..preferences import get_preferences
from ..status import tell_error
from .ops import act, chosen
from .place import Place
from .session import current_place


class Training:
    """Mixin for operators that start a training; list it before ``bpy.types.Operator``."""

    bl_options = {"INTERNAL"}

    data: bpy.props.StringProperty(
        name="Capture",
        description="Folder of the capture to learn from",
        subtype="DIR_PATH",
        options={"SKIP_SAVE", *compat.blend_relative()},
    )
    title: bpy.props.StringProperty(
        name="Name",
        description="What the training is called; without one, as its capture",
        options={"SKIP_SAVE"},
    )
    steps: bpy.props.IntProperty(
        name="Steps",
        description="Steps of the training; 0 for as many as the preset has",
        min=0,
        options={"SKIP_SAVE"},
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Check what can be checked at once, and start."""
        try:
            place = current_place(context)
            data = self._checked_data(place)
            words = self.words(context, data)
        except GaussianSpeechError as error:
            tell_error(self, context, error)
            return {"CANCELLED"}
        name = self.title.strip() or Path(data).name
        return act(
            self,
            context,
            f"Starting {name}",
            lambda cancelled: place.start(name, words, cancelled),
            lambda job: chosen(job, f"The training '{job}' has started"),
        )

    def words(self, context: bpy.types.Context, data: str) -> list[str]:
        """The command: its two words, and its options."""
        raise NotImplementedError

    def check(self, folder: Path) -> None:
        """Look whether a folder can be what it is taken for.

        Raises:
            BadInputError: it cannot.
        """
        raise NotImplementedError

    def _checked_data(self, place: Place) -> str:
        data = self.data.strip()
        if not data:
            raise BadInputError("No capture is chosen.", "Choose its folder in Training.")
        if place.remote:
            return data
        folder = Path(bpy.path.abspath(data))
        if not folder.is_dir():
            raise BadInputError(f"There is no folder {folder}.", "Choose the capture's folder.")
        self.check(folder)
        return str(folder)


class GAUSSIANSPEECH_OT_train_avatar(Training, bpy.types.Operator):
    """Train a Gaussian avatar in the background."""

    bl_idname = "gaussianspeech.train_avatar"
    bl_label = "Train Avatar"
    bl_description = "Train a Gaussian avatar from a capture, in a process of its own"

    preset: bpy.props.StringProperty(
        name="Preset",
        description="'default', 'quick' or 'baseline'",
        default="default",
        options={"SKIP_SAVE"},
    )

    def check(self, folder: Path) -> None:
        """Look for what names the views of a capture."""
        if not (folder / "transforms_train.json").is_file():
            raise BadInputError(
                f"{folder} is no multi-view capture: it has no transforms_train.json.",
                "Choose the folder that holds transforms_train.json, images and flame_param.",
            )

    def words(self, context: bpy.types.Context, data: str) -> list[str]:
        """The preset comes after the folders, its own options after it."""
        words = ["train", "avatar", "--data", data, self.preset]
        device = get_preferences(context).device.lower()
        if device != "auto":
            words += ["--device", device]
        return words + (["--steps", str(self.steps)] if self.steps else [])


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_OT_train_avatar,)
