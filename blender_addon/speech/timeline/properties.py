# SPDX-License-Identifier: GPL-3.0-or-later
"""What a line keeps of its timeline: phones that were moved, spans, and what is shown."""

from __future__ import annotations

import bpy

from ....engine.motion.spans import HOLD_CLOSED, STRENGTH
from ..rebake import rebake_line_live
from .shown import show_again


def _on_span(self: GAUSSIANSPEECH_PG_span, context: bpy.types.Context) -> None:
    """Bake the span's line again, and show what the span is now."""
    for line in self.id_data.gaussianspeech_lines:
        if not line.timeline.changing and any(span == self for span in line.timeline.spans):
            rebake_line_live(line, context)
            show_again(context, line)


class GAUSSIANSPEECH_PG_span(bpy.types.PropertyGroup):
    """A span of a line that is spoken otherwise."""

    kind: bpy.props.EnumProperty(
        name="Kind",
        description="What is otherwise in the span",
        items=(
            (HOLD_CLOSED, "Hold Closed", "The lips stay closed"),
            (STRENGTH, "Strength", "The phrase has a strength of its own"),
        ),
    )
    start: bpy.props.FloatProperty(
        name="Start", description="Seconds into the line's sound", subtype="TIME_ABSOLUTE"
    )
    end: bpy.props.FloatProperty(
        name="End", description="Seconds into the line's sound", subtype="TIME_ABSOLUTE"
    )
    amount: bpy.props.FloatProperty(
        name="Amount",
        description="How closed the lips are held, up to 1; or how much of its motion the phrase "
        "makes, beside the line's own strength",
        default=1.0,
        min=0.0,
        max=2.0,
        subtype="FACTOR",
        update=_on_span,
    )


class GAUSSIANSPEECH_PG_timeline(bpy.types.PropertyGroup):
    """The timeline of a line."""

    timing: bpy.props.StringProperty(
        description="Phones and words as they were moved, as JSON; empty as they are recognised",
        options={"HIDDEN"},
    )
    said: bpy.props.StringProperty(
        description="The line's text that they are of", options={"HIDDEN"}
    )
    language: bpy.props.StringProperty(options={"HIDDEN"})
    covered: bpy.props.FloatVectorProperty(
        description="Seconds of the sound that they cover", size=2, options={"HIDDEN"}
    )
    spans: bpy.props.CollectionProperty(type=GAUSSIANSPEECH_PG_span)
    changing: bpy.props.BoolProperty(
        description="Whether spans are being put in, which bakes nothing yet",
        options={"HIDDEN", "SKIP_SAVE"},
    )
    words: bpy.props.BoolProperty(options={"HIDDEN"})
    phones: bpy.props.BoolProperty(options={"HIDDEN"})
    markers: bpy.props.BoolProperty(
        name="As Markers",
        description="Show words and phones as timeline markers, which every animation editor has, "
        "instead of text strips in the sequencer",
    )
    shown: bpy.props.StringProperty(
        description="What is shown, as JSON: see shown.Shown", options={"HIDDEN"}
    )


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_PG_span, GAUSSIANSPEECH_PG_timeline)
