# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of a head or character, and the controls that count for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy
from bpy.app.handlers import persistent

from ...engine.core.errors import BadInputError
from ...engine.motion.model.ids import CORRECTED, DEFAULT, RULES, STARTER
from ...engine.recognition.ids import AUTO, DOWNLOADABLE, PHONES
from .. import compat
from . import lines
from .controls import Controls, GAUSSIANSPEECH_PG_controls
from .keying import EVERY_FRAME, FITTED, ON_TWOS, STEPPED
from .line_list import adopt_first
from .rebake import rebake_controls, rebake_line_live
from .sound import find_strip, strip_id
from .timeline.properties import GAUSSIANSPEECH_PG_timeline
from .transcript import FOLDER


def _sound_strips(_self: Any, context: bpy.types.Context, text: str) -> Iterator[str]:
    for scene in compat.sequencer_scenes(context):
        for strip in compat.all_strips(scene.sequence_editor):
            if strip.type == "SOUND" and text.lower() in strip.name.lower():
                yield strip.name


def _on_strip(self: Any, context: bpy.types.Context) -> None:
    """Know the chosen strip by its id, which renaming does not change."""
    found = find_strip(context, self.strip)
    self.strip_id = strip_id(found[1]) if found else ""


class SoundFields:
    """Where the sound of a line comes from."""

    source: bpy.props.EnumProperty(
        name="Source",
        description="Where the speech comes from",
        items=(
            ("STRIP", "Strip", "A sound strip of the sequencer, as it is trimmed and placed"),
            ("FILE", "File", "A sound file, without a strip"),
            ("MOTION", "Motion", "None: motion that was recorded live, or read from a file"),
        ),
    )
    strip: bpy.props.StringProperty(
        name="Strip",
        description="Sound strip of the sequencer; it may be renamed, moved and trimmed later",
        search=_sound_strips,
        update=_on_strip,
    )
    strip_id: bpy.props.StringProperty(options={"HIDDEN"})
    filepath: bpy.props.StringProperty(name="File", description="Sound file", subtype="FILE_PATH")
    start_frame: bpy.props.IntProperty(
        name="Start Frame", description="Scene frame at which the file begins", default=1
    )


class TextFields:
    """What is said, and who finds out."""

    text: bpy.props.StringProperty(
        name="Transcript",
        description="The words. Left empty, they are recognised and shown here: where they are "
        "wrong, correct them and predict again",
    )
    recognized_text: bpy.props.StringProperty(options={"HIDDEN"})
    recognized_from: bpy.props.StringProperty(options={"HIDDEN"})
    text_file: bpy.props.StringProperty(
        name="Text File",
        description="A file with what is said, instead of the transcript: .txt; subtitles with "
        "times, .srt or .vtt; a TextGrid, whose phones and words are taken with their times",
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


class ModelFields:
    """What makes motion of the speech."""

    model: bpy.props.EnumProperty(
        name="Model",
        description="What makes motion of the speech",
        items=(
            (
                CORRECTED,
                "Corrected",
                "Articulation by rule from the recognised sounds, and what filmed lips add to it",
                "NONE",
                3,
            ),
            (RULES, "Rules", "Articulation by rule from the recognised sounds", "NONE", 1),
            (STARTER, "Learned", "The learned model that ships, for every head", "NONE", 0),
            ("FILE", "Trained", "A model of your own, from its file", "NONE", 2),
        ),
        # Files keep the number of an item, and 0.1.0 had the learned model first.
        default=DEFAULT,
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


def _on_line(self: GAUSSIANSPEECH_PG_line, context: bpy.types.Context) -> None:
    rebake_line_live(self, context)


def _on_own_controls(self: GAUSSIANSPEECH_PG_line, context: bpy.types.Context) -> None:
    """Own controls begin as those of the character."""
    shared = self.id_data.gaussianspeech_speech
    if self.use_own_controls and not self.has_controls:
        self.has_controls = True
        self.use_own_controls = False  # So that nothing is baked before all of them are there.
        for name, value in lines.control_values(shared, self.controls).items():
            setattr(self.controls, name, value)
        self.use_own_controls = True
        return
    _on_line(self, context)


def _muted(self: GAUSSIANSPEECH_PG_line) -> bool:
    return lines.is_muted(self.id_data, self)


def _set_muted(self: GAUSSIANSPEECH_PG_line, value: bool) -> None:  # noqa: FBT001 - a setter
    lines.set_muted(self.id_data, self, muted=value)


@compat.overridable
class GAUSSIANSPEECH_PG_line(SoundFields, TextFields, ModelFields, bpy.types.PropertyGroup):
    """One line of a head or character: what is said where, and how."""

    id: bpy.props.StringProperty(options={"HIDDEN"})
    predicted: bpy.props.StringProperty(
        description="What was predicted, as JSON: see lines.Predicted", options={"HIDDEN"}
    )
    baked: bpy.props.StringProperty(description="The controls at the last bake", options={"HIDDEN"})
    baking: bpy.props.StringProperty(
        description="What of the user's the bake that is under way is for: see one_step",
        options={"HIDDEN"},
    )
    strength: bpy.props.FloatProperty(
        name="Line Strength",
        description="How much the whole face moves in this line",
        default=1.0,
        min=0.0,
        max=2.0,
        subtype="FACTOR",
        update=_on_line,
    )
    offset: bpy.props.IntProperty(
        name="Line Offset",
        description="Frames by which this line's animation comes later than its sound",
        default=0,
        soft_min=-50,
        soft_max=50,
        update=_on_line,
    )
    ease: bpy.props.FloatProperty(
        name="Ease",
        description="Milliseconds in which the face comes from rest before the line, and goes back "
        "to rest after it",
        default=120.0,
        min=0.0,
        max=2000.0,
        precision=0,
        step=1000,
        update=_on_line,
    )
    muted: bpy.props.BoolProperty(
        name="Mute",
        description="Leave the line out of the animation, as muting its NLA strips does",
        get=_muted,
        set=_set_muted,
    )
    use_own_controls: bpy.props.BoolProperty(
        name="Own Controls",
        description="Give this line controls of its own, instead of those of the character",
        update=_on_own_controls,
    )
    has_controls: bpy.props.BoolProperty(
        description="Whether the line ever had controls of its own", options={"HIDDEN"}
    )
    controls: bpy.props.PointerProperty(type=GAUSSIANSPEECH_PG_controls)
    timeline: bpy.props.PointerProperty(type=GAUSSIANSPEECH_PG_timeline)


def _on_keying(self: GAUSSIANSPEECH_PG_speech, context: bpy.types.Context) -> None:
    rebake_controls(self, context)


@compat.overridable
class GAUSSIANSPEECH_PG_speech(
    SoundFields, TextFields, ModelFields, Controls, bpy.types.PropertyGroup
):
    """The controls of a head or character, and the microphone.

    Sound, text and model are those of its lines; here they are what files and scripts of 0.1.0 have
    set, of which the first line is made.
    """

    keying: bpy.props.EnumProperty(
        name="Keys",
        description="Which keyframes a bake gets",
        items=(
            (
                FITTED,
                "Fitted",
                "Few Bézier keys, on the extremes and wherever else they are needed",
            ),
            (EVERY_FRAME, "Every Frame", "A key on every frame, joined by straight lines"),
            (STEPPED, "Stepped", "One held pose after the other, as for blocking"),
            (ON_TWOS, "On Twos", "A new pose on every other frame, held for two"),
        ),
        update=_on_keying,
    )
    key_tolerance: bpy.props.FloatProperty(
        name="Key Tolerance",
        description="Millimetres by which fitted keys may move the surface from where it would be "
        "with a key on every frame; lips that touch keep to a tenth of it",
        default=0.1,
        min=0.01,
        max=10.0,
        soft_max=1.0,
        precision=2,
        update=_on_keying,
    )
    microphone: bpy.props.StringProperty(
        name="Microphone",
        description="Number or part of the name of the microphone of the engine's machine; empty "
        "for the system's choice",
    )


def model_name(settings: ModelFields) -> str:
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


@persistent
def _on_load(_file: str) -> None:
    """Files of 0.1.0 have one sound and text for each head: its first line."""
    for obj in bpy.data.objects:
        adopt_first(obj)


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_PG_line, GAUSSIANSPEECH_PG_speech)


def register() -> None:
    """Attach controls and lines to objects."""
    bpy.types.Object.gaussianspeech_speech = bpy.props.PointerProperty(
        type=GAUSSIANSPEECH_PG_speech, override=compat.OVERRIDABLE
    )
    bpy.types.Object.gaussianspeech_lines = bpy.props.CollectionProperty(
        type=GAUSSIANSPEECH_PG_line, override=compat.OVERRIDABLE_LIST
    )
    bpy.types.Object.gaussianspeech_active_line = bpy.props.IntProperty(
        name="Line",
        description="The line that the panel shows",
        override=compat.OVERRIDABLE,
    )
    bpy.app.handlers.load_post.append(_on_load)


def unregister() -> None:
    """Detach them."""
    bpy.app.handlers.load_post.remove(_on_load)
    del bpy.types.Object.gaussianspeech_active_line
    del bpy.types.Object.gaussianspeech_lines
    del bpy.types.Object.gaussianspeech_speech
