# SPDX-License-Identifier: GPL-3.0-or-later
"""Showing a line's words, phones and spans on the timeline, and taking in what was done to them.

What is shown is kept with the line, so that what lies on the timeline is compared with that alone:
undo, saving and loading keep the two together. Muted text strips and markers cost nothing to play.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import bpy

from ....engine.core.errors import BadInputError
from ....engine.motion.spans import HOLD_CLOSED, STRENGTH, Span
from ... import compat
from ..action import read_prediction
from ..lines import line_action, predicted, sound_start
from ..sound import frame_of_second, is_retimed, scene_fps, strip_of_line
from . import markers, strips
from .edits import Bounds, Item, edited
from .kept import is_timed, keep_spans, keep_timing, spans_of
from .layout import PHONE, SPAN, WORD, Mark, Placement, items_of, marks_of, window_about
from .timing import Timing, read_timing, timing_of

_MOST = 300
"""Phones and words that are shown at once, those about the playhead: more would take longer than
0.2 s to make."""


class Shown(NamedTuple):
    """What of a line is shown on the timeline.

    Attributes:
        scene: name of the scene that shows it.
        of: the prediction that it is of, see :attr:`GAUSSIANSPEECH_PG_line.predicted`.
        placement: of its sound.
        timing: phones and words, seconds into the sound.
        spans: likewise.
        kinds: what is shown of them, see :mod:`.layout`.
        markers: whether words and phones are markers.
        window: seconds of the sound in which words and phones are shown; ``None`` for all.
    """

    scene: str
    of: str
    placement: Placement
    timing: Timing
    spans: tuple[Span, ...]
    kinds: tuple[str, ...]
    markers: bool
    window: tuple[float, float] | None = None

    def to_json(self) -> str:
        """As it is kept with the line."""
        return json.dumps(self._asdict() | {"timing": self.timing.to_json()})


@lru_cache(maxsize=8)
def _read_shown(kept: str) -> tuple[Shown, tuple[Mark, ...]]:
    """What :meth:`Shown.to_json` made, with its marks."""
    known = json.loads(kept)
    placement, timing = Placement(*known["placement"]), read_timing(known["timing"])
    spans = tuple(Span(*span) for span in known["spans"])
    kinds = tuple(known["kinds"])
    window = tuple(known["window"]) if known["window"] else None
    shown = Shown(
        known["scene"], known["of"], placement, timing, spans, kinds, known["markers"], window
    )
    return shown, tuple(marks_of(timing, spans, placement, kinds, window))


def line_timing(line: Any) -> Timing:
    """The phones and words that a line speaks, seconds into its sound.

    Raises:
        BadInputError: it was not predicted yet.
    """
    if is_timed(line):
        return read_timing(line.timeline.timing)
    about, action = predicted(line), line_action(line.id_data, line)
    if about is None or action is None:
        raise BadInputError(f"'{line.name}' has no phones yet.", "Predict and bake it first.")
    prediction = read_prediction(action)
    return timing_of(prediction.phones, prediction.words).shifted(sound_start(line))


def placement_of(context: bpy.types.Context, line: Any) -> tuple[bpy.types.Scene, Placement]:
    """Where a line's sound plays: the scene whose timeline shows it, and its seconds there.

    Raises:
        BadInputError: it was not predicted yet, or its strip is gone.
    """
    about = predicted(line)
    if about is None:
        raise BadInputError(f"'{line.name}' has no phones yet.", "Predict and bake it first.")
    if line.source != "STRIP":
        scene = compat.sequencer_scene(context)
        return scene, Placement(float(line.start_frame), scene_fps(scene))
    found = strip_of_line(context, line)
    if found is None:
        raise BadInputError(
            f"The strip '{line.strip}' of '{line.name}' is gone.", "Choose another strip."
        )
    scene, strip = found
    if about.sound_start is not None and not is_retimed(strip):
        return scene, Placement(frame_of_second(scene, strip, 0.0), scene_fps(scene))
    moved = compat.strip_content_start(strip) - (about.strip_start or 0.0)
    return scene, Placement(about.start + moved, scene_fps(scene))


def sound_of(line: Any) -> tuple[float, float]:
    """First and last second of the sound that a line was predicted from.

    Raises:
        BadInputError: it was not predicted yet.
    """
    about = predicted(line)
    if about is None:
        raise BadInputError(f"'{line.name}' has no phones yet.", "Predict and bake it first.")
    start = sound_start(line)
    return start, start + about.frames / about.fps


def show(context: bpy.types.Context, line: Any, *, about_playhead: bool = False) -> None:
    """Show what the line's timeline asks for; nothing where it asks for nothing.

    Args:
        context: for the scene.
        line: ``GAUSSIANSPEECH_PG_line``.
        about_playhead: of a long line, show what is about the playhead, not what was shown.

    Raises:
        BadInputError: it was not predicted yet, or its strip is gone.
    """
    group = line.timeline
    kinds = [SPAN] if group.spans else []
    kinds += [kind for kind, wanted in ((WORD, group.words), (PHONE, group.phones)) if wanted]
    if not kinds:
        hide(line)
        return
    timing, spans = line_timing(line), spans_of(line)
    scene, placement = placement_of(context, line)
    before = _shown(line)
    window = window_about(timing, kinds, placement.seconds(scene.frame_current), _MOST)
    if before and window and not about_playhead:
        window = before[0].window
    shown = Shown(
        *(scene.name, line.predicted, placement, timing, spans, tuple(kinds), group.markers),
        window=window,
    )
    kept = shown.to_json()
    marks = _read_shown(kept)[1]  # As they are compared with later, to the last digit.
    if before and (before[0].scene != scene.name or before[0].markers != group.markers):
        _clear(line)
        before = None
    own, others = _by_display(marks, markers=group.markers)
    strips.show(scene, line.id, others)
    markers.show(scene, _by_display(before[1] if before else [], markers=group.markers)[0], own)
    group.shown = kept


def show_again(context: bpy.types.Context, line: Any) -> None:
    """Show a line as it is now, where it is shown."""
    if line.timeline.shown or line.timeline.spans:
        show(context, line)


def hide(line: Any) -> None:
    """Take everything of a line from the timeline; what it says stays."""
    _clear(line)
    line.timeline.words = line.timeline.phones = False


def _clear(line: Any) -> None:
    known = _shown(line)
    line.timeline.shown = ""
    if known is None:
        return
    shown, marks = known
    scene = bpy.data.scenes.get(shown.scene)
    if scene is not None:
        if scene.sequence_editor is not None:
            strips.show(scene, line.id, [])
        markers.show(scene, _by_display(marks, markers=shown.markers)[0], [])


def _shown(line: Any) -> tuple[Shown, tuple[Mark, ...]] | None:
    """What is shown of a line, with its marks."""
    return _read_shown(line.timeline.shown) if line.timeline.shown else None


def _by_display(marks: Iterable[Mark], *, markers: bool) -> tuple[list[Mark], list[Mark]]:
    """Those that are markers, and those that are strips, as spans always are."""
    every = list(marks)
    if not markers:
        return [], every
    return [m for m in every if m.kind != SPAN], [m for m in every if m.kind == SPAN]


def lying(line: Any) -> list[Mark]:
    """What lies on the timeline of a line now."""
    scene, own = _markers_of(line)
    return [*markers.read(scene, own), *strips.read(scene, line.id)] if scene else []


def selection(line: Any) -> list[Mark]:
    """What is selected of a line on the timeline."""
    scene, own = _markers_of(line)
    return [*markers.selected(scene, own), *strips.selected(scene, line.id)] if scene else []


def _markers_of(line: Any) -> tuple[bpy.types.Scene | None, list[Mark]]:
    """The scene that shows a line, if any, and what it shows of it as markers."""
    known = _shown(line)
    if known is None:
        return None, []
    scene = bpy.data.scenes.get(known[0].scene)
    return scene, _by_display(known[1], markers=known[0].markers)[0]


def stamp(context: bpy.types.Context, line: Any) -> tuple[Any, ...]:
    """All that :func:`is_changed` looks at, read quickly: where it is the same, nothing changed."""
    group = line.timeline
    known = _shown(line)
    scene = bpy.data.scenes.get(known[0].scene) if known else None
    if scene is None:
        return (group.shown,)
    own = group.shown, line.predicted, line.source, line.start_frame
    fps = scene_fps(scene), scene_fps(compat.sequencer_scene(context))
    return *own, *fps, *strips.positions(scene), markers.positions(scene)


def is_changed(context: bpy.types.Context, line: Any, now: Sequence[Mark] | None = None) -> bool:
    """Whether something was done on the timeline of a line, or its sound was moved.

    Args:
        context: for the scene.
        line: ``GAUSSIANSPEECH_PG_line``.
        now: what lies there, where that is known.
    """
    known = _shown(line)
    if known is None:
        return False
    shown, marks = known
    now = lying(line) if now is None else now
    if shown.of != line.predicted or Counter(now) != Counter(marks):
        return True
    try:
        return placement_of(context, line)[1] != shown.placement
    except BadInputError:
        return False  # The line itself says that its strip is gone.


class Taken(NamedTuple):
    """What was done on the timeline.

    Attributes:
        timing: whether phones or words changed: the engine has to predict them.
        spans: whether spans changed: the line has to be baked again.
    """

    timing: bool = False
    spans: bool = False


def take_in(context: bpy.types.Context, line: Any) -> Taken:
    """Take in what was done on the timeline, and show what came of it.

    Raises:
        BadInputError: it cannot be; what lies on the timeline stays as it is.
    """
    known = _shown(line)
    if known is None:
        return Taken()
    shown, marks = known
    now = lying(line)
    if not now:
        hide(line)  # All was deleted, or the sequencer is gone, or this is a copy of the line.
        return Taken()
    if shown.of != line.predicted:
        show(context, line)
        return Taken()
    placement = placement_of(context, line)[1]
    moved = marks_of(shown.timing, shown.spans, placement, shown.kinds, shown.window)
    if Counter(now) in (Counter(marks), Counter(moved)):
        show(context, line)  # The sound was moved, with the marks or without.
        return Taken()
    timing, spans = _done(line, shown, marks, now)
    taken = Taken(timing != shown.timing, spans != shown.spans)
    if taken.timing:
        _keep(line, timing)
    if taken.spans:
        keep_spans(line, spans)
    show(context, line)
    return taken


def _done(
    line: Any, shown: Shown, marks: Sequence[Mark], now: Sequence[Mark]
) -> tuple[Timing, tuple[Span, ...]]:
    """The timing and the spans after what was done."""
    items = {
        kind: items_of(kind, now, marks, shown.placement) if kind in shown.kinds else None
        for kind in (WORD, PHONE, SPAN)
    }
    for kind, timed in ((WORD, shown.timing.words), (PHONE, shown.timing.phones)):
        found = items[kind]
        if found is not None:  # What lies outside the window stays as it is.
            seen = {mark.number for mark in marks if mark.kind == kind}
            found += [Item(i, one[0]) for i, one in enumerate(timed) if i not in seen]
    bounds = Bounds(*sound_of(line), 1 / shown.placement.fps)
    timing = edited(shown.timing, items[WORD], items[PHONE], bounds)
    spans = items[SPAN]
    return timing, shown.spans if spans is None else tuple(_spans(shown.spans, spans))


def _spans(before: Sequence[Span], items: Iterable[Item]) -> Iterable[Span]:
    """The spans after they were moved, typed, copied or deleted."""
    for number, text, start, end in sorted(items, key=lambda item: item.number or 0):
        span = before[number] if number is not None else Span(_kind(text), 0.0, 0.0)
        amount = span.amount if number is not None and span.kind == HOLD_CLOSED else _amount(text)
        yield span._replace(
            start=span.start if start is None else start,
            end=span.end if end is None else end,
            amount=amount,
        )


def _kind(text: str) -> str:
    return STRENGTH if text.casefold().startswith("strength") else HOLD_CLOSED


def _amount(text: str) -> float:
    """The number that a span reads as.

    Raises:
        BadInputError: it has none.
    """
    if _kind(text) == HOLD_CLOSED:
        return 1.0
    try:
        amount = float(text.rsplit(maxsplit=1)[-1].replace(",", "."))
    except (ValueError, IndexError):
        amount = -1.0
    if not 0.0 <= amount <= 2.0:
        raise BadInputError(
            f"'{text}' is no strength of a phrase.", "Write 'Strength 0.50', from 0 to 2."
        )
    return amount


def _keep(line: Any, timing: Timing) -> None:
    """Let a line speak a new timing from the next prediction on."""
    group = line.timeline
    if is_timed(line):
        covered, language = tuple(group.covered), group.language
    else:
        action = line_action(line.id_data, line)
        covered, language = sound_of(line), read_prediction(action).language if action else ""
    keep_timing(line, timing, covered, language)
