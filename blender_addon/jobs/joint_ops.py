# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting a joint training: an avatar and a speech model, refined for each other."""

from __future__ import annotations

from pathlib import Path

import bpy

from ...engine.core.errors import BadInputError
from ...engine.core.json_values import read_json
from ...engine.motion.model.ids import BY_RULE, STARTER
from ..avatars.properties import DEFAULT_AVATAR, avatar_path
from ..heads.properties import require_head
from ..speech.lines import model_settings
from ..speech.properties import model_name
from .client import JobsClient, JobSpec
from .start_ops import (
    SOUNDS,
    StartTrainingOperator,
    check_views,
    device_options,
    head_options,
    rasteriser_options,
)

OF_THE_HEAD = "head"
"""Avatar or speech model: that of the active head."""

_RECORD, _SPEECH, _MOTION = "capture.json", "speech", ".performance.npz"
"""The file that says which timesteps are speech, and where in a capture the recordings lie."""


class GAUSSIANSPEECH_OT_train_joint(StartTrainingOperator, bpy.types.Operator):
    """Refine an avatar and a speech model for each other, in a process of its own."""

    bl_idname = "gaussianspeech.train_joint"
    bl_label = "Train Joint"
    bl_description = (
        "Refine a speech model on a capture's motion, and an avatar's colours on the faces that it "
        "predicts, in a process of its own"
    )

    avatar: bpy.props.StringProperty(
        name="Avatar",
        description="'head' for the active head's own, 'default', or an avatar file",
        default=OF_THE_HEAD,
        options={"SKIP_SAVE"},
    )
    speech_model: bpy.props.StringProperty(
        name="Speech Model",
        description=(
            "'head' for the one that the active head uses (where that is the rules, 'starter'), "
            "'starter' for the learned one that ships, or a model's file"
        ),
        default=OF_THE_HEAD,
        options={"SKIP_SAVE"},
    )
    rounds: bpy.props.IntProperty(
        name="Rounds",
        description="How often the two take turns; 0 for as often as is usual",
        min=0,
        options={"SKIP_SAVE"},
    )

    def check_data(self, folder: Path) -> None:
        """Look for views, and for what is said in them."""
        check_views(folder)
        check_filmed_speech(folder)

    def spec(self, context: bpy.types.Context, client: JobsClient) -> JobSpec:
        """The capture, the two to begin with, and how often they take turns."""
        folder = self._folder(client)
        options = ["--data", folder, "--avatar", self._avatar(context, client)]
        options += ["--speech-model", self._speech_model(context, client)]
        options += ["--name", self.title.strip() or self.default_title()]
        options += head_options(context, client, folder)
        options += [*device_options(context), *rasteriser_options(context)]
        options += ["--rounds", str(self.rounds)] if self.rounds else []
        return JobSpec("train joint", tuple(options))

    def _avatar(self, context: bpy.types.Context, client: JobsClient) -> str:
        source = self.avatar.strip()
        if source == OF_THE_HEAD:
            head = require_head(context)
            source = head.gaussianspeech_avatar.source
            if not source:
                raise BadInputError(
                    f"'{head.name}' has no avatar.",
                    "Bind the one to refine, or choose another in New Training.",
                )
        if source == DEFAULT_AVATAR:
            return source
        path = _file(avatar_path(source), client, "avatar")
        if path.lower().endswith(".ply"):
            raise BadInputError(
                f"The colours of {path} are harmonics, which follow no face: there is nothing to "
                "refine.",
                "Choose an avatar of Train Avatar, with the preset Full or Quick.",
            )
        return path

    def _speech_model(self, context: bpy.types.Context, client: JobsClient) -> str:
        name = self.speech_model.strip()
        if name == OF_THE_HEAD:
            head = require_head(context)
            name = model_name(model_settings(head))
            if name in BY_RULE:
                name = STARTER
                line = f"'{head.name}' speaks by rules, which learn nothing: Learned is refined"
                self.report({"INFO"}, line)
        return name if name == STARTER else _file(bpy.path.abspath(name), client, "speech model")


def check_filmed_speech(folder: Path) -> None:
    """Look for what is said in a capture, as ``training/data/recordings.py`` reads it.

    A capture of sequences needs no record: a sound lies in their folders, the capture's own or
    those beside it.

    Raises:
        BadInputError: nothing is, or a recording is missing; names the file.
    """
    remedy = "Choose a capture with speech, as New Training, Capture makes it."
    record = folder / _RECORD
    if not record.is_file():
        sequences = [folder, *(beside for beside in folder.parent.iterdir() if beside.is_dir())]
        if any(path.suffix.lower() in SOUNDS for one in sequences for path in one.iterdir()):
            return
        raise BadInputError(f"{folder} does not say what is spoken: it has no {_RECORD}.", remedy)
    steps = read_json(record, remedy).groups("timesteps")
    said = {step.text("performance") for step in steps if "performance" in step}
    if not said:
        raise BadInputError(f"Nothing is said in {folder}: {_RECORD} names no speech.", remedy)
    for motion in sorted(said):
        recording = folder / _SPEECH / Path(motion).name.removesuffix(_MOTION)
        if not recording.with_name(recording.name + _MOTION).is_file():
            missing = f"{recording}{_MOTION}"
        elif not any(recording.with_name(recording.name + end).is_file() for end in SOUNDS):
            missing = f"{recording}.wav"
        else:
            continue
        raise BadInputError(f"{record} names {motion}, but {missing} is missing.", remedy)


def _file(path: str, client: JobsClient, what: str) -> str:
    """A file as the machine of the jobs names it; checked where that is this one.

    Raises:
        BadInputError: none is chosen, or there is none.
    """
    if not path:
        raise BadInputError(f"No {what} is chosen.", "Choose its file in New Training.")
    if client.remote:
        return path
    if not Path(path).is_file():
        raise BadInputError(f"There is no {what} {path}.", "Choose another in New Training.")
    return str(Path(path).resolve())


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_OT_train_joint,)
