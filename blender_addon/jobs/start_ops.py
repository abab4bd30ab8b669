# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting a training, or a synthetic capture, in the background."""

from __future__ import annotations

from pathlib import Path

import bpy

from ...engine.core.errors import BadInputError, GaussianSpeechError
from .. import compat
from ..heads.ops import is_default
from ..heads.properties import active_head, engine_name, require_head
from ..settings import get_preferences
from ..status import report_error
from .client import JobsClient, JobSpec
from .ops import act, chosen
from .properties import LICENCE
from .session import current_client

VIEWS = "transforms_train.json"
"""What a multi-view capture is known by."""

_FLAME = "flame_param"
"""Folder of a capture that was tracked with FLAME."""

SOUNDS = frozenset({".wav", ".flac", ".ogg", ".mp3"})
MOTIONS = (".performance.npz", ".motion.npz", ".flame_param.npz")
"""What a recording and its motion end in, after their common name."""


class StartJobOperator:
    """Mixin for operators that start a job; list it before ``bpy.types.Operator``."""

    bl_options = {"INTERNAL"}

    title: bpy.props.StringProperty(
        name="Name", description="What the job is called", options={"SKIP_SAVE"}
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Check what can be checked at once, and start."""
        try:
            client = current_client(context)
            spec = self.spec(context, client)
        except GaussianSpeechError as error:
            report_error(self, context, error)
            return {"CANCELLED"}
        name = self.title.strip() or self.default_title()
        return act(
            self,
            context,
            f"Starting {name}",
            lambda: client.start(name, spec),
            lambda answer: chosen(answer["job"]["id"], f"'{answer['job']['id']}' has started"),
        )

    def default_title(self) -> str:
        """Its name where the user gave none."""
        raise NotImplementedError

    def spec(self, context: bpy.types.Context, client: JobsClient) -> JobSpec:
        """What to start.

        Raises:
            GaussianSpeechError: it could not work.
        """
        raise NotImplementedError


class StartTrainingOperator(StartJobOperator):
    """Mixin for operators that start a training from a folder of data."""

    data: bpy.props.StringProperty(
        name="Capture",
        description="Folder of the capture to learn from",
        subtype="DIR_PATH",
        options={"SKIP_SAVE", *compat.blend_relative()},
    )

    def default_title(self) -> str:
        """As its data."""
        return Path(bpy.path.abspath(self.data.strip())).name

    def _folder(self, client: JobsClient) -> str:
        """The data's folder, as the engine's machine names it."""
        data = self.data.strip()
        if not data:
            raise BadInputError("No capture is chosen.", "Choose its folder in New Training.")
        if client.remote:
            return data
        folder = Path(bpy.path.abspath(data))
        if not folder.is_dir():
            raise BadInputError(f"There is no folder {folder}.", "Choose the capture's folder.")
        self.check_data(folder)
        return str(folder.resolve())

    def check_data(self, folder: Path) -> None:
        """Look whether a folder can be what it is taken for.

        Raises:
            BadInputError: it cannot.
        """
        raise NotImplementedError


class StepsMixin(StartTrainingOperator):
    """Mixin for trainings of so many steps."""

    steps: bpy.props.IntProperty(
        name="Steps",
        description="Steps of the training; 0 for as many as are usual",
        min=0,
        options={"SKIP_SAVE"},
    )


class GAUSSIANSPEECH_OT_train_avatar(StepsMixin, bpy.types.Operator):
    """Train a Gaussian avatar from a multi-view capture, in a process of its own."""

    bl_idname = "gaussianspeech.train_avatar"
    bl_label = "Train Avatar"
    bl_description = "Train a Gaussian avatar from a multi-view capture, in a process of its own"

    preset: bpy.props.StringProperty(
        name="Preset",
        description="'default', 'quick' or 'baseline'",
        default="default",
        options={"SKIP_SAVE"},
    )

    def check_data(self, folder: Path) -> None:
        """Look for what names the views."""
        check_views(folder)

    def spec(self, context: bpy.types.Context, client: JobsClient) -> JobSpec:
        """The options of the training itself come after its preset."""
        preset = [self.preset, *device_options(context), *rasteriser_options(context)]
        preset += ["--steps", str(self.steps)] if self.steps else []
        folder = self._folder(client)
        options = ("--data", folder, *head_options(context, client, folder))
        return JobSpec("train avatar", (*options, *preset))


class GAUSSIANSPEECH_OT_train_person(StepsMixin, bpy.types.Operator):
    """Train a person from a capture, stage by stage, in a process of its own."""

    bl_idname = "gaussianspeech.train_person"
    bl_label = "Train Person"
    bl_description = (
        "Train a person from a capture in a process of its own: the avatar, a speech model where "
        "the capture has recordings, and both for each other where it says what is spoken"
    )

    preset: bpy.props.StringProperty(
        name="Preset",
        description="Of the avatar: 'default', 'quick' or 'baseline'",
        default="default",
        options={"SKIP_SAVE"},
    )
    rounds: bpy.props.IntProperty(
        name="Rounds",
        description=(
            "How often speech model and colours take turns in the last stage; 0 for as often as is "
            "usual"
        ),
        min=0,
        options={"SKIP_SAVE"},
    )
    licence: bpy.props.StringProperty(**LICENCE, options={"SKIP_SAVE"})

    def check_data(self, folder: Path) -> None:
        """Look for what names the views."""
        check_views(folder)

    def spec(self, context: bpy.types.Context, client: JobsClient) -> JobSpec:
        """The capture, the name and how long each stage is."""
        folder = self._folder(client)
        options = ["--data", folder, "--name", self.title.strip() or self.default_title()]
        options += head_options(context, client, folder)
        options += ["--licence", self.licence.strip()] if self.licence.strip() else []
        options += ["--preset", self.preset, *device_options(context), *rasteriser_options(context)]
        options += ["--avatar-steps", str(self.steps)] if self.steps else []
        options += ["--joint-rounds", str(self.rounds)] if self.rounds else []
        return JobSpec("train person", tuple(options))


class GAUSSIANSPEECH_OT_train_speech(StepsMixin, bpy.types.Operator):
    """Train a speech model in the manner of the head's person, in a process of its own."""

    bl_idname = "gaussianspeech.train_speech"
    bl_label = "Train Speech"
    bl_description = (
        "Train a speech model in the manner of one person, for the active head, in a process of "
        "its own"
    )

    preset: bpy.props.StringProperty(
        name="Preset",
        description="Of a new model; without one the shipped model is refined",
        options={"SKIP_SAVE"},
    )
    encoder_source: bpy.props.StringProperty(
        name="Weights",
        description="Folder or Hugging Face id of wav2vec 2.0, for a new model",
        options={"SKIP_SAVE"},
    )

    def check_data(self, folder: Path) -> None:
        """Look for views, for sequences, or for recordings with their motion.

        Raises:
            BadInputError: the folder holds none.
        """
        if (folder / VIEWS).is_file() or (folder / _FLAME).is_dir():
            return
        if any((sequence / _FLAME).is_dir() for sequence in folder.iterdir()):
            return
        if not any(
            path.suffix.lower() in SOUNDS
            and any((folder / f"{path.stem}{motion}").is_file() for motion in MOTIONS)
            for path in folder.iterdir()
        ):
            raise BadInputError(
                f"{folder} holds no recording with motion.",
                "It needs NAME.wav and NAME.performance.npz for each; Export, Performance writes "
                "the latter.",
            )

    def spec(self, context: bpy.types.Context, client: JobsClient) -> JobSpec:
        """For the active head."""
        options = ["--data", self._folder(client), "--head", engine_name(require_head(context))]
        options += ["--name", self.title.strip() or self.default_title(), *device_options(context)]
        options += ["--steps", str(self.steps)] if self.steps else []
        return JobSpec("train speech", (*options, *self._new_model(client)))

    def _new_model(self, client: JobsClient) -> list[str]:
        """The options of a new model; none where the shipped one is refined."""
        source = self.encoder_source.strip()
        if not self.preset:
            if source:
                raise BadInputError(
                    "wav2vec 2.0 is for a new model.", "Choose a preset, or the encoder Starter."
                )
            return []
        options = ["--from", "none", "--preset", self.preset]
        if not source:
            return options
        folder = Path(bpy.path.abspath(source))
        is_folder = not client.remote and folder.is_dir()
        return [*options, "--encoder-source", str(folder.resolve()) if is_folder else source]


class GAUSSIANSPEECH_OT_make_capture(StartJobOperator, bpy.types.Operator):
    """Film the default head with many cameras, as data to try a training with."""

    bl_idname = "gaussianspeech.make_capture"
    bl_label = "Make Capture"
    bl_description = (
        "Film the default head with many cameras in Cycles, in a process of its own: data to try a "
        "training with, under no licence"
    )

    scale: bpy.props.FloatProperty(
        name="Scale", min=0.02, max=4.0, default=0.25, options={"SKIP_SAVE"}
    )
    cameras: bpy.props.IntProperty(name="Cameras", min=2, max=16, default=16, options={"SKIP_SAVE"})
    timesteps: bpy.props.IntProperty(
        name="Timesteps", min=1, max=99_999, default=24, options={"SKIP_SAVE"}
    )

    def default_title(self) -> str:
        """What it is."""
        return "capture"

    def spec(self, _context: bpy.types.Context, _client: JobsClient) -> JobSpec:
        """Its settings."""
        options = ("--scale", f"{self.scale:.6g}", "--cameras", str(self.cameras))
        return JobSpec("capture", (*options, "--timesteps", str(self.timesteps)))


def check_views(folder: Path) -> None:
    """Look for what a multi-view capture is known by.

    Raises:
        BadInputError: it is none.
    """
    if not (folder / VIEWS).is_file():
        raise BadInputError(
            f"{folder} is no multi-view capture: it has no {VIEWS}.",
            f"Choose the folder that holds {VIEWS}, images and flame_param.",
        )


def head_options(context: bpy.types.Context, client: JobsClient, folder: str) -> list[str]:
    """The active head's FLAME file: a capture does not bring the model that it was tracked with."""
    head = active_head(context)
    if head is None or is_default(head.gaussianspeech_head.source):
        return []
    of_flame = client.remote or (Path(folder) / _FLAME).is_dir()
    return ["--head", engine_name(head)] if of_flame else []


def device_options(context: bpy.types.Context) -> list[str]:
    """What the preferences say a training is computed on."""
    device = get_preferences(context).device.lower()
    return [] if device == "auto" else ["--device", device]


def rasteriser_options(context: bpy.types.Context) -> list[str]:
    """The rasteriser of that device: left to itself a training takes the fastest there is."""
    rasterisers = {"CPU": "cpu", "CUDA": "gsplat"}
    name = rasterisers.get(get_preferences(context).device)
    return [] if name is None else ["--backend", name]


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_OT_train_avatar,
    GAUSSIANSPEECH_OT_train_person,
    GAUSSIANSPEECH_OT_train_speech,
    GAUSSIANSPEECH_OT_make_capture,
)
