# SPDX-License-Identifier: GPL-3.0-or-later
"""Showing words and phones on the timeline, and spans that are spoken otherwise."""

from __future__ import annotations

from typing import Any, ClassVar

import bpy

from ....engine.core.errors import BadInputError, GaussianSpeechError
from ....engine.motion.spans import HOLD_CLOSED, STRENGTH, Span
from ... import compat
from ...characters.polls import OfSpeaker
from ...characters.properties import active_speaker, require_speaker
from ...engine_link.future import Future
from ...status import ReportMixin, is_scripted, report_error
from ..line_draft import LineDraft
from ..line_list import add_line
from ..lines import active_line, line_by_id, lines_of, state_of
from ..ops import LinesTask
from ..rebake import rebake_lines
from ..sound import Clip, strip_id
from ..transcript import transcript_params
from .kept import forget_timing, keep_spans, spans_of
from .layout import PHONE, WORD
from .shown import hide, line_timing, lying, placement_of, selection, show, take_in
from .strips import LINE, is_ours
from .watch import start_watching


def timeline_line(context: bpy.types.Context) -> Any | None:
    """The line whose words or phones are selected in the sequencer, or else the active one."""
    sequencer = context.area is None or context.area.type == "SEQUENCE_EDITOR"
    for scene in compat.sequencer_scenes(context) if sequencer else ():
        for strip in compat.strips(scene.sequence_editor):
            if strip.select and is_ours(strip):
                line = line_by_id(strip[LINE])
                if line is not None:
                    return line
    obj = active_speaker(context)
    return active_line(obj) if obj is not None else None


class _OfTimeline(ReportMixin):
    """What operators on the timeline of a line share."""

    bl_options: ClassVar[set[str]] = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With a line that was predicted."""
        line = timeline_line(context)
        if line is None:
            cls.poll_message_set("Select a head or character that has lines")
        elif not line.predicted:
            cls.poll_message_set("Predict and bake the line first")
        return line is not None and bool(line.predicted)

    def show(self, context: bpy.types.Context, *, words: bool, phones: bool) -> str:
        """Show more of the line."""
        line = timeline_line(context)
        group = line.timeline
        timing, before = line_timing(line), (group.words, group.phones)
        if not (timing.words if words else timing.phones):
            what = "words" if words else "phones"
            raise BadInputError(f"'{line.name}' has no {what}.", "Predict it with a transcript.")
        group.words, group.phones = group.words or words, group.phones or phones
        try:
            show(context, line, about_playhead=True)
        except BadInputError:
            group.words, group.phones = before
            raise
        start_watching()
        kind, what = (WORD, "words") if words else (PHONE, "phones")
        every = len(timing.words if words else timing.phones)
        number = sum(mark.kind == kind for mark in lying(line))
        some = f"{number} of the {every}" if number < every else f"The {number}"
        where = "markers" if group.markers else "text strips"
        return f"{some} {what} of '{line.name}' are {where} now: move, type or delete them"


class GAUSSIANSPEECH_OT_show_words(_OfTimeline, bpy.types.Operator):
    """Show when each word of the line is spoken."""

    bl_idname = "gaussianspeech.show_words"
    bl_label = "Show Words"
    bl_description = (
        "Show the line's words on the timeline. Move, trim, type or delete one and the mouth "
        "follows; nothing is recognised again"
    )

    def run(self, context: bpy.types.Context) -> str:
        """Show them."""
        return self.show(context, words=True, phones=False)


class GAUSSIANSPEECH_OT_show_phones(_OfTimeline, bpy.types.Operator):
    """Show when each sound of the line is spoken."""

    bl_idname = "gaussianspeech.show_phones"
    bl_label = "Show Phones"
    bl_description = (
        "Show the line's sounds on the timeline, in ARPAbet. Move, trim, type (ARPAbet or IPA) or "
        "delete one and the mouth follows; nothing is recognised again"
    )

    def run(self, context: bpy.types.Context) -> str:
        """Show them."""
        return self.show(context, words=False, phones=True)


class GAUSSIANSPEECH_OT_hide_timeline(_OfTimeline, bpy.types.Operator):
    """Take words, phones and spans of the line from the timeline; what it says stays."""

    bl_idname = "gaussianspeech.hide_timeline"
    bl_label = "Hide Words and Phones"
    bl_description = "Take the line's words, phones and spans from the timeline; what it says stays"

    def run(self, context: bpy.types.Context) -> str:
        """Hide them."""
        line = timeline_line(context)
        hide(line)
        return f"'{line.name}' is not shown on the timeline any more"


class _Span(_OfTimeline):
    """What operators that add a span share."""

    def add(self, context: bpy.types.Context, line: Any, span: Span) -> None:
        """Add a span, bake it and show it; nothing is changed where that is not possible."""
        before = spans_of(line)
        keep_spans(line, (*before, span))
        try:
            rebake_lines([line], context, at_once=is_scripted(self))
            show(context, line)
        except BadInputError:
            keep_spans(line, before)
            raise
        start_watching()


class GAUSSIANSPEECH_OT_hold_closed(_Span, bpy.types.Operator):
    """Hold the lips closed at the playhead, or while the selected words or phones are spoken."""

    bl_idname = "gaussianspeech.hold_closed"
    bl_label = "Hold Closed Here"
    bl_description = (
        "Hold the lips closed from the playhead on, or over the selected words and phones. A strip "
        "shows the span: trim it, or delete it to let the lips open again"
    )

    duration: bpy.props.FloatProperty(
        name="Duration",
        description="Seconds from the playhead, where no words or phones are selected",
        default=0.2,
        min=0.0,
        soft_max=2.0,
        subtype="TIME_ABSOLUTE",
    )
    amount: bpy.props.FloatProperty(
        name="Amount", description="How closed", default=1.0, min=0.0, max=1.0, subtype="FACTOR"
    )

    def run(self, context: bpy.types.Context) -> str:
        """Add the span."""
        line = timeline_line(context)
        start, end = _selected_span(context, line) or _at_playhead(context, line, self.duration)
        self.add(context, line, Span(HOLD_CLOSED, start, end, self.amount))
        return f"The lips are held closed for {end - start:.2f} s"


class GAUSSIANSPEECH_OT_phrase_strength(_Span, bpy.types.Operator):
    """Speak the selected words, or the word at the playhead, with a strength of their own."""

    bl_idname = "gaussianspeech.phrase_strength"
    bl_label = "Set Phrase Strength"
    bl_description = (
        "Speak the selected words and phones, or the word at the playhead, with a strength of "
        "their own. A strip shows the span: trim it, type another number, or delete it"
    )

    amount: bpy.props.FloatProperty(
        name="Strength",
        description="How much of its motion the phrase makes, beside the line's own strength",
        default=1.3,
        min=0.0,
        max=2.0,
        subtype="FACTOR",
    )

    def run(self, context: bpy.types.Context) -> str:
        """Add the span."""
        line = timeline_line(context)
        start, end = _selected_span(context, line) or _word_at_playhead(context, line)
        self.add(context, line, Span(STRENGTH, start, end, self.amount))
        return f"{end - start:.2f} s are spoken with strength {self.amount:.2f}"


class GAUSSIANSPEECH_OT_remove_span(_OfTimeline, bpy.types.Operator):
    """Remove a span of the line."""

    bl_idname = "gaussianspeech.remove_span"
    bl_label = "Remove Span"
    bl_description = "Speak this span as the rest of the line"

    index: bpy.props.IntProperty(name="Index", min=0, options={"SKIP_SAVE"})

    def run(self, context: bpy.types.Context) -> str:
        """Remove it."""
        line = timeline_line(context)
        spans = spans_of(line)
        if self.index >= len(spans):
            raise BadInputError(f"'{line.name}' has no span {self.index}.", "Choose another one.")
        keep_spans(line, spans[: self.index] + spans[self.index + 1 :])
        rebake_lines([line], context, at_once=is_scripted(self))
        show(context, line)
        return "Removed the span"


class GAUSSIANSPEECH_OT_follow_timeline(LinesTask, bpy.types.Operator):
    """Let the mouth follow what was done on the timeline."""

    bl_idname = "gaussianspeech.follow_timeline"
    bl_label = "Follow Timeline"
    bl_description = "Let the mouth follow what was done to the line's words, phones and spans"
    bl_options: ClassVar[set[str]] = {"UNDO", "INTERNAL"}
    task_label: ClassVar[str] = "Following the timeline"

    line: bpy.props.StringProperty(options={"SKIP_SAVE", "HIDDEN"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Take in what was done; ask the engine where phones or words changed, or else bake."""
        try:
            line = self._line()
            taken = take_in(context, line)
            if taken.timing and state_of(context, line).engine:
                return super().invoke(context, event)
            if taken.spans:
                rebake_lines([line], context)
                bpy.ops.ed.undo_push(message="Change Span")
        except GaussianSpeechError as error:
            report_error(self, context, error)
            return {"CANCELLED"}
        return {"FINISHED"}

    def begin(self, context: bpy.types.Context) -> Future:
        """Ask the engine."""
        return self.start(context, [self._line()])

    def _line(self) -> Any:
        line = line_by_id(self.line)
        if line is None:
            raise BadInputError("The line is gone.", "Undo its removal.")
        return line


class GAUSSIANSPEECH_OT_recognize_again(OfSpeaker, LinesTask, bpy.types.Operator):
    """Find words and phones in the sound again, instead of where they were moved."""

    bl_idname = "gaussianspeech.recognize_again"
    bl_label = "Recognise Line Again"
    bl_description = (
        "Find the line's words and phones in its sound again, instead of where you have moved them"
    )
    bl_options: ClassVar[set[str]] = {"UNDO"}

    def begin(self, context: bpy.types.Context) -> Future:
        """Predict the line from its sound."""
        return self.start(
            context, [timeline_line(context) or self.ensured_line(require_speaker(context))]
        )

    def wants_engine(self, _context: bpy.types.Context, _line: Any) -> bool:
        """In any case."""
        return True

    def spoken(self, line: Any, clip: Clip) -> dict[str, Any]:
        """The transcript alone."""
        return transcript_params(line, clip)

    def put_reply(self, context: bpy.types.Context, line: Any, draft: LineDraft) -> None:
        """Put it into the file, without what was moved."""
        forget_timing(line)
        super().put_reply(context, line, draft)


class GAUSSIANSPEECH_OT_speak_strip(LinesTask, bpy.types.Operator):
    """Let the head or character speak the selected sound strips, each as a line."""

    bl_idname = "gaussianspeech.speak_strip"
    bl_label = "Speak This Strip"
    bl_description = (
        "Make each selected sound strip a line of the active head or character, and let it speak"
    )
    bl_options: ClassVar[set[str]] = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """With selected sound strips and a head or character."""
        if active_speaker(context) is None:
            cls.poll_message_set("Make a head or character the active object")
            return False
        cls.poll_message_set("Select a sound strip")
        return bool(_selected_sounds(context))

    def begin(self, context: bpy.types.Context) -> Future:
        """Make the lines and predict them."""
        obj = require_speaker(context)
        ids = [_line_of_strip(obj, strip).id for strip in _selected_sounds(context)]
        return self.start(context, [line_by_id(known) for known in ids])

    def wants_engine(self, _context: bpy.types.Context, _line: Any) -> bool:
        """In any case."""
        return True


def _line_of_strip(obj: bpy.types.Object, strip: Any) -> Any:
    """The line that speaks a strip, made the active one; a new one where there is none."""
    known = strip_id(strip)
    lines = lines_of(obj)
    for index, line in enumerate(lines):
        if line.source == "STRIP" and line.strip_id == known and line.strip == strip.name:
            lines.id_data.gaussianspeech_active_line = index
            return line
    line = add_line(obj, strip.name)
    line.source, line.strip = "STRIP", strip.name
    return line


def _selected_sounds(context: bpy.types.Context) -> list[Any]:
    editor = compat.sequencer_scene(context).sequence_editor
    strips = compat.strips(editor) if editor is not None else ()
    return [strip for strip in strips if strip.select and strip.type == "SOUND"]


def _selected_span(context: bpy.types.Context, line: Any) -> tuple[float, float] | None:
    """Seconds of the selected words and phones, ``None`` where there are none."""
    chosen = [mark for mark in selection(line) if mark.kind in (WORD, PHONE)]
    if not chosen:
        return None
    placement = placement_of(context, line)[1]
    first, last = min(m.first for m in chosen), max(m.last for m in chosen)
    return placement.seconds(first), placement.seconds(last)


def _at_playhead(context: bpy.types.Context, line: Any, duration: float) -> tuple[float, float]:
    scene, placement = placement_of(context, line)
    start = placement.seconds(scene.frame_current)
    return start, start + max(duration, 1 / placement.fps)


def _word_at_playhead(context: bpy.types.Context, line: Any) -> tuple[float, float]:
    """Seconds of the word at the playhead.

    Raises:
        BadInputError: there is none.
    """
    scene, placement = placement_of(context, line)
    now = placement.seconds(scene.frame_current)
    for word in line_timing(line).words:
        if word.start <= now + 0.5 / placement.fps and now < word.end:
            return word.start, word.end
    raise BadInputError(
        f"'{line.name}' speaks no word at frame {scene.frame_current}.",
        "Put the playhead on a word, or select words on the timeline.",
    )


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_OT_show_words,
    GAUSSIANSPEECH_OT_show_phones,
    GAUSSIANSPEECH_OT_hide_timeline,
    GAUSSIANSPEECH_OT_hold_closed,
    GAUSSIANSPEECH_OT_phrase_strength,
    GAUSSIANSPEECH_OT_remove_span,
    GAUSSIANSPEECH_OT_follow_timeline,
    GAUSSIANSPEECH_OT_recognize_again,
    GAUSSIANSPEECH_OT_speak_strip,
)
