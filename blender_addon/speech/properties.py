# SPDX-License-Identifier: GPL-3.0-or-later
"""The speech settings of a head object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy

from ...engine.core.errors import BadInputError
from ...engine.motion.model.ids import RULES, STARTER
from ...engine.recognition.ids import AUTO, DOWNLOADABLE, PHONES
from .. import compat
from .rebake import rebake_live
from .transcript import FOLDER


def _sound_strips(_self: Any, context: bpy.types.Context, text: str) -> Iterator[str]:
    for scene in compat.sequencer_scenes(context):
        for strip in compat.all_strips(scene.sequence_editor):
            if strip.type == "SOUND" and text.lower() in strip.name.lower():
                yield strip.name


def _on_adjusted(self: GAUSSIANSPEECH_PG_speech, context: bpy.types.Context) -> None:
    rebake_live(self.id_data, context)


def _emotion(name: str, shown: str) -> Any:
    return bpy.props.FloatProperty(
        name=name,
        description=f"{shown}. Its keyframes are baked by Bake Again; lips that close still do",
        default=0.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=_on_adjusted,
    )


class GAUSSIANSPEECH_PG_speech(bpy.types.PropertyGroup):
    """The speech of a head, and how it is animated."""

    source: bpy.props.EnumProperty(
        name="Source",
        description="Where the speech comes from",
        items=(
            ("STRIP", "Strip", "A sound strip of the sequencer, as it is trimmed and placed"),
            ("FILE", "File", "A sound file, without a strip"),
        ),
    )
    strip: bpy.props.StringProperty(
        name="Strip", description="Sound strip of the sequencer", search=_sound_strips
    )
    filepath: bpy.props.StringProperty(name="File", description="Sound file", subtype="FILE_PATH")
    start_frame: bpy.props.IntProperty(
        name="Start Frame", description="Scene frame at which the file begins", default=1
    )
    text: bpy.props.StringProperty(
        name="Transcript",
        description="The words. Left empty, they are recognised and shown here: where they are "
        "wrong, correct them and predict again",
    )
    recognized_text: bpy.props.StringProperty(options={"HIDDEN"})
    recognized_from: bpy.props.StringProperty(options={"HIDDEN"})
    text_file: bpy.props.StringProperty(
        name="Text File",
        description="A file with what is said, instead of the transcript: .txt, or subtitles with "
        "times, .srt or .vtt",
        subtype="FILE_PATH",
        options=compat.blend_relative(),
    )
    language: bpy.props.StringProperty(
        name="Language",
        description='What is spoken, for example "en", "de" or "zh"; found out where it is empty',
    )
    recognizer: bpy.props.EnumProperty(
        name="Recogniser",
        description="What writes down the words, where there is no transcript",
        items=(
            (AUTO, "Automatic", "The best recogniser of words that is installed"),
            *((name, f"Whisper {name}", "A Whisper model") for name in DOWNLOADABLE),
            (FOLDER, "Folder", "A Whisper model of your own, in CTranslate2's format"),
            (PHONES, "Sounds Alone", "No words: less exact, in any language"),
        ),
    )
    recognizer_folder: bpy.props.StringProperty(
        name="Recogniser Folder",
        description="The folder of the Whisper model",
        subtype="DIR_PATH",
        options=compat.blend_relative(),
    )
    microphone: bpy.props.StringProperty(
        name="Microphone",
        description="Number or part of the name of the microphone of the engine's machine; empty "
        "for the system's choice",
    )
    model: bpy.props.EnumProperty(
        name="Model",
        description="What makes motion of the speech",
        items=(
            (RULES, "Rules", "Articulation by rule from the recognised sounds", "NONE", 1),
            (STARTER, "Learned", "The learned model that ships, for every head", "NONE", 0),
            ("FILE", "Trained", "A model of your own, from its file", "NONE", 2),
        ),
        # Files keep the number of an item, and 0.1.0 had the learned model first.
        default=RULES,
    )
    model_file: bpy.props.StringProperty(
        name="Model File",
        description="The .safetensors of a trained speech model",
        subtype="FILE_PATH",
        options=compat.blend_relative(),
    )
    tolerance: bpy.props.FloatProperty(
        name="Tolerance",
        description="Largest distance of a vertex from the prediction, in millimetres",
        default=0.1,
        min=0.01,
        max=10.0,
        soft_max=1.0,
        precision=2,
    )
    strength: bpy.props.FloatProperty(
        name="Strength",
        description="How much the whole face moves",
        default=1.0,
        min=0.0,
        max=2.0,
        subtype="FACTOR",
        update=_on_adjusted,
    )
    articulation: bpy.props.FloatProperty(
        name="Articulation",
        description="How strongly jaw, lips and tongue speak, on heads with ARKit expressions; "
        "lips that close still do",
        default=1.0,
        min=0.0,
        max=2.0,
        subtype="FACTOR",
        update=_on_adjusted,
    )
    smile: bpy.props.FloatProperty(
        name="Smile",
        description="From a frown to a smile, on heads with ARKit expressions; "
        "lips that close still do",
        default=0.0,
        min=-1.0,
        max=1.0,
        subtype="FACTOR",
        update=_on_adjusted,
    )
    rest: bpy.props.FloatProperty(
        name="Rest",
        description="How closed the mouth is in long silences, on heads with ARKit expressions: "
        "half open at 0, lips touching at 1",
        default=1.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=_on_adjusted,
    )
    smoothing: bpy.props.FloatProperty(
        name="Smoothing",
        description="Blur in time, in milliseconds; more is calmer and closes the lips less",
        default=0.0,
        min=0.0,
        max=200.0,
        precision=0,
        step=100,
        update=_on_adjusted,
    )
    lip_closure: bpy.props.FloatProperty(
        name="Lip Closure",
        description="How firmly the lips close, on heads with ARKit expressions",
        default=1.0,
        min=0.0,
        max=2.0,
        subtype="FACTOR",
        update=_on_adjusted,
    )
    upper_face: bpy.props.FloatProperty(
        name="Upper Face",
        description="How much brows, eyes and nose move, on heads with ARKit expressions",
        default=1.0,
        min=0.0,
        max=2.0,
        subtype="FACTOR",
        update=_on_adjusted,
    )
    gaze: bpy.props.FloatProperty(
        name="Gaze",
        description="How much the eyes look about and away, on heads with ARKit expressions; "
        "0 leaves them still, 1 is an ordinary speaker",
        default=0.0,
        min=0.0,
        max=2.0,
        subtype="FACTOR",
        update=_on_adjusted,
    )
    look_at: bpy.props.PointerProperty(
        type=bpy.types.Object,
        name="Look At",
        description="What the eyes come back to, such as the camera, where it stands when you "
        "bake; straight ahead without",
        update=_on_adjusted,
    )
    head_motion: bpy.props.FloatProperty(
        name="Head Motion",
        description="How much the head nods on stressed words and sways, by an object of its own "
        "that a constraint follows; 0 removes it",
        default=0.0,
        min=0.0,
        max=2.0,
        subtype="FACTOR",
        update=_on_adjusted,
    )
    seed: bpy.props.IntProperty(
        name="Seed",
        description="Another number is another take of gaze and head motion",
        default=0,
        min=0,
        update=_on_adjusted,
    )
    emotion_from_voice: bpy.props.FloatProperty(
        name="From Voice",
        description="How much emotion follows loudness, pitch and tempo of the voice",
        default=0.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=_on_adjusted,
    )
    joy: _emotion("Joy", "Raised cheeks and corners of the mouth")
    anger: _emotion("Anger", "Lowered brows, tight lids and lips")
    sadness: _emotion("Sadness", "Raised inner brows, lowered corners of the mouth")
    fear: _emotion("Fear", "Raised and drawn brows, wide eyes, stretched lips")
    disgust: _emotion("Disgust", "Wrinkled nose, raised upper lip")
    surprise: _emotion("Surprise", "Raised brows, wide eyes, dropped jaw")
    offset: bpy.props.IntProperty(
        name="Offset",
        description="Frames by which the animation comes later than the sound",
        default=0,
        soft_min=-50,
        soft_max=50,
        update=_on_adjusted,
    )


def model_name(settings: GAUSSIANSPEECH_PG_speech) -> str:
    """What the engine calls the chosen model: its id, or the absolute path of its file.

    Raises:
        BadInputError: a model of one's own without a file.
    """
    if settings.model != "FILE":
        return str(settings.model)
    if not settings.model_file:
        raise BadInputError(
            "No file of a trained speech model is chosen.", "Choose it in Speech, Model."
        )
    return str(bpy.path.abspath(settings.model_file))


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_PG_speech,)


def register() -> None:
    """Attach the settings to objects."""
    bpy.types.Object.gaussianspeech_speech = bpy.props.PointerProperty(
        type=GAUSSIANSPEECH_PG_speech
    )


def unregister() -> None:
    """Detach them."""
    del bpy.types.Object.gaussianspeech_speech
