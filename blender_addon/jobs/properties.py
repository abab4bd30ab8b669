# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of jobs with the chosen one, and the settings of a new training."""

from __future__ import annotations

from typing import Any

import bpy

from .. import compat
from .session import watcher

VIDEO: dict[str, Any] = {
    "name": "Video",
    "description": "A film of one person who talks and slowly turns their head",
    "subtype": "FILE_PATH",
}
"""Of the properties of new trainings that operators have too: their names and what they say."""
SAID: dict[str, Any] = {
    "name": "What Is Said",
    "description": "Text file of what is said, in UTF-8; without one it is recognised",
    "subtype": "FILE_PATH",
}
SPOKEN: dict[str, Any] = {
    "name": "Language",
    "description": 'What is spoken, for example "de" or "zh"; where it is empty, English, or what '
    "a downloaded recogniser of other languages finds",
}
LICENCE: dict[str, Any] = {
    "name": "Licence",
    "description": "What the person who was filmed allows, kept with the person",
}
VIDEO_PRESET: dict[str, Any] = {
    "name": "Preset",
    "description": "How the avatar of a video is trained",
    "items": (
        ("default", "Full", "The paper's settings, in hours on a CPU"),
        ("quick", "Quick", "A small avatar, to see whether a video works"),
    ),
}


def _on_chosen(self: GAUSSIANSPEECH_PG_jobs, context: bpy.types.Context) -> None:
    if 0 <= self.index < len(self.entries) and self.chosen != self.entries[self.index].name:
        self.chosen = self.entries[self.index].name
        _on_look(self, context)


def _on_look(self: GAUSSIANSPEECH_PG_jobs, _context: bpy.types.Context) -> None:
    watcher.chosen, watcher.with_log = self.chosen, self.show_log
    watcher.read_soon()


class GAUSSIANSPEECH_PG_job(bpy.types.PropertyGroup):
    """One line of the list; its name is the job's id, all else is asked of the watcher."""


class GAUSSIANSPEECH_PG_jobs(bpy.types.PropertyGroup):
    """The list of jobs."""

    entries: bpy.props.CollectionProperty(type=GAUSSIANSPEECH_PG_job, options={"SKIP_SAVE"})
    index: bpy.props.IntProperty(name="Job", options={"SKIP_SAVE"}, update=_on_chosen)
    chosen: bpy.props.StringProperty(name="Chosen Job", options={"SKIP_SAVE"})
    show_log: bpy.props.BoolProperty(
        name="Log",
        description="Show the last lines that the training printed",
        options={"SKIP_SAVE"},
        update=_on_look,
    )


class GAUSSIANSPEECH_PG_training(bpy.types.PropertyGroup):
    """What a new training is to be, kept with the scene."""

    kind: bpy.props.EnumProperty(
        name="Train",
        description="What is to be made",
        items=(
            (
                "PERSON",
                "Person",
                "Avatar, speech model and both for each other from a capture, one after the other",
            ),
            (
                "VIDEO",
                "Person from Video",
                "Avatar, speech model and both for each other from a video of somebody who talks",
            ),
            ("AVATAR", "Avatar", "A Gaussian avatar from a multi-view capture"),
            ("SPEECH", "Speech", "A speech model in one person's manner of speaking"),
            ("JOINT", "Joint", "An avatar and a speech model, refined for each other"),
            ("CAPTURE", "Capture", "A synthetic capture to try a training with"),
        ),
        default="AVATAR",
    )
    data: bpy.props.StringProperty(
        name="Capture",
        description="Folder of the multi-view capture (transforms_train.json lies in it)",
        subtype="DIR_PATH",
        options=compat.blend_relative(),
    )
    video: bpy.props.StringProperty(**VIDEO, options=compat.blend_relative())
    said: bpy.props.StringProperty(**SAID, options=compat.blend_relative())
    spoken: bpy.props.StringProperty(**SPOKEN)
    video_preset: bpy.props.EnumProperty(**VIDEO_PRESET)
    recordings: bpy.props.StringProperty(
        name="Recordings",
        description=(
            "Folder of sounds with their motion, NAME.wav and NAME.performance.npz, of sequences "
            "tracked with FLAME, or of a multi-view capture"
        ),
        subtype="DIR_PATH",
        options=compat.blend_relative(),
    )
    title: bpy.props.StringProperty(
        name="Name", description="What the training is called; without one, as its data"
    )
    licence: bpy.props.StringProperty(**LICENCE)
    preset: bpy.props.EnumProperty(
        name="Preset",
        description="How the avatar is trained",
        items=(
            (
                "default",
                "Full",
                "The paper's settings, with those of its losses whose weights are there",
            ),
            ("quick", "Quick", "A small avatar, to see whether a capture works"),
            ("baseline", "Baseline", "In the way of GaussianAvatars, to compare with"),
        ),
    )
    encoder: bpy.props.EnumProperty(
        name="Encoder",
        description="What the speech model takes from the sound",
        items=(
            ("STARTER", "Starter", "Phones and loudness: the shipped model is refined"),
            (
                "WAV2VEC2",
                "wav2vec 2.0",
                "A network whose weights are on the engine's computer: a new model learns with it",
            ),
        ),
    )
    encoder_source: bpy.props.StringProperty(
        name="Weights",
        description="Folder or Hugging Face id of wav2vec 2.0; nothing is downloaded",
        default="facebook/wav2vec2-base-960h",
    )
    new_model: bpy.props.BoolProperty(
        name="New Model",
        description="Train a new small model in the head's own expressions, from nothing",
    )
    speech_preset: bpy.props.EnumProperty(
        name="Preset",
        description="What the new speech model is like",
        items=(
            ("personal", "Personal", "The paper's parts, in the way that was found better"),
            ("paper", "Paper", "As the paper has it, part by part"),
            (
                "without_alignment_mask",
                "Without Alignment Mask",
                "Each frame attends to the sound of its whole window (a row of Table 4)",
            ),
            (
                "without_audio_finetuning",
                "Without Audio Fine-Tuning",
                "The encoder stays as it is (a row of Table 4)",
            ),
            (
                "without_wrinkle_features",
                "Without Wrinkle Features",
                "No wrinkles are predicted on the way to motion (a row of Table 4)",
            ),
            ("autoregressive", "Autoregressive", "Each frame is fed back, to compare with"),
            ("faceformer", "FaceFormer", "The system of Fan et al., to compare with"),
            ("codetalker", "CodeTalker", "The system of Xing et al., to compare with"),
            ("imitator", "Imitator", "The system of Thambiraja et al., to compare with"),
        ),
    )
    limit_steps: bpy.props.BoolProperty(
        name="Steps", description="Train other than the usual number of steps"
    )
    steps: bpy.props.IntProperty(
        name="Steps",
        description="Steps of the training",
        default=2000,
        min=1,
        soft_max=600_000,
    )
    avatar: bpy.props.EnumProperty(
        name="Avatar",
        description="Whose colours are refined",
        items=(
            ("HEAD", "The Head's", "The avatar that is bound to the active head"),
            ("DEFAULT", "Default", "The avatar that ships with the add-on"),
            ("FILE", "From File", "An avatar trained with the preset Full or Quick"),
        ),
    )
    avatar_file: bpy.props.StringProperty(
        name="Avatar File",
        description="The .safetensors of a trained avatar",
        subtype="FILE_PATH",
        options=compat.blend_relative(),
    )
    speech_model: bpy.props.EnumProperty(
        name="Speech Model",
        description="Which speech model is refined",
        items=(
            (
                "HEAD",
                "The Head's",
                "The speech model of the active head; Learned where that speaks by rules",
            ),
            ("STARTER", "Learned", "The learned model that ships, for every head"),
            ("FILE", "From File", "A model of your own"),
        ),
    )
    speech_file: bpy.props.StringProperty(
        name="Model File",
        description="The .safetensors of a trained speech model",
        subtype="FILE_PATH",
        options=compat.blend_relative(),
    )
    limit_rounds: bpy.props.BoolProperty(
        name="Rounds", description="Train other than the usual number of rounds"
    )
    rounds: bpy.props.IntProperty(
        name="Rounds",
        description="How often speech model and colours take turns",
        default=20,
        min=1,
        soft_max=1000,
    )
    scale: bpy.props.FloatProperty(
        name="Picture Scale",
        description="Size of the capture's pictures; 1 is 1100 by 1604 pixels",
        default=0.25,
        min=0.02,
        max=4.0,
        soft_max=1.0,
    )
    cameras: bpy.props.IntProperty(
        name="Cameras",
        description="Cameras round the front of the head; the front one is kept for the test",
        default=16,
        min=2,
        max=16,
    )
    timesteps: bpy.props.IntProperty(
        name="Timesteps",
        description="Faces, gazes, head poses and frames of speech in turn",
        default=24,
        min=1,
        soft_max=200,
        max=99_999,
    )


def get_jobs(context: bpy.types.Context) -> GAUSSIANSPEECH_PG_jobs:
    """The list of this Blender."""
    return context.window_manager.gaussianspeech_jobs


def choose(context: bpy.types.Context, job_id: str) -> None:
    """Choose a job of the list, now or as soon as it is there."""
    listed = get_jobs(context)
    listed.chosen = job_id
    watcher.expect()


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_PG_job,
    GAUSSIANSPEECH_PG_jobs,
    GAUSSIANSPEECH_PG_training,
)


def register() -> None:
    """Attach the list to the window manager and the settings to scenes."""
    bpy.types.WindowManager.gaussianspeech_jobs = bpy.props.PointerProperty(
        type=GAUSSIANSPEECH_PG_jobs
    )
    bpy.types.Scene.gaussianspeech_training = bpy.props.PointerProperty(
        type=GAUSSIANSPEECH_PG_training
    )


def unregister() -> None:
    """Detach them."""
    del bpy.types.Scene.gaussianspeech_training
    del bpy.types.WindowManager.gaussianspeech_jobs
