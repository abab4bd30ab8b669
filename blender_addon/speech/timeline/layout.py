# SPDX-License-Identifier: GPL-3.0-or-later
"""Where phones, words and spans lie on the timeline: whole frames, and back to seconds. No bpy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ....engine.motion.spans import HOLD_CLOSED, Span
from .edits import Item
from .timing import Timing

WORD, PHONE, SPAN = "word", "phone", "span"
KINDS = (WORD, PHONE, SPAN)


class Placement(NamedTuple):
    """How seconds of a sound lie in a scene.

    Attributes:
        origin: scene frame of second 0.
        fps: frames per second.
    """

    origin: float
    fps: float

    def frame(self, seconds: float) -> int:
        """The whole frame of a second of the sound."""
        return round(self.origin + seconds * self.fps)

    def seconds(self, frame: float) -> float:
        """The second of the sound at a frame."""
        return (frame - self.origin) / self.fps


class Mark(NamedTuple):
    """A phone, word or span on the timeline.

    Attributes:
        kind: one of :data:`KINDS`.
        number: among those of its kind; ``None`` for one that was added by hand.
        text: as it reads.
        first, last: the frames [first, last) that it takes, at least one.
    """

    kind: str
    number: int | None
    text: str
    first: int
    last: int


def marks_of(
    timing: Timing,
    spans: Sequence[Span],
    placement: Placement,
    kinds: Iterable[str],
    window: tuple[float, float] | None = None,
) -> list[Mark]:
    """What is shown of a timing and the spans of its line.

    Args:
        timing: phones and words.
        spans: of its line.
        placement: of the sound.
        kinds: what is shown.
        window: seconds within which phones and words are shown; all by default.
    """
    shown = {
        WORD: [tuple(word) for word in timing.words],
        PHONE: [tuple(phone) for phone in timing.phones],
        SPAN: [(span_text(span), span.start, span.end) for span in spans],
    }
    marks = []
    for kind in kinds:
        for number, (text, start, end) in enumerate(shown[kind]):
            if window and kind != SPAN and not window[0] <= (start + end) / 2 <= window[1]:
                continue
            first = placement.frame(start)
            marks.append(Mark(kind, number, text, first, max(placement.frame(end), first + 1)))
    return marks


def window_about(
    timing: Timing, kinds: Iterable[str], middle: float, most: int
) -> tuple[float, float] | None:
    """Seconds about a time within which there are at most so many phones and words.

    ``None`` where all of them are few enough.
    """
    timed = {WORD: timing.words, PHONE: timing.phones}
    times = sorted(
        ((start + end) / 2 for kind in kinds for _, start, end in timed.get(kind, ())),
        key=lambda time: abs(time - middle),
    )
    if len(times) <= most:
        return None
    reach = abs(times[most - 1] - middle)
    return middle - reach, middle + reach


def items_of(
    kind: str, lie: Iterable[Mark], shown: Iterable[Mark], placement: Placement
) -> list[Item]:
    """What lies on the timeline now, with the seconds of the edges that were moved.

    Of several with the same number, which are copies, one stays what it was: the one that was not
    moved, or else the first.
    """
    expected = {mark.number: mark for mark in shown if mark.kind == kind}
    by_number: dict[int | None, list[Mark]] = defaultdict(list)
    for mark in lie:
        if mark.kind == kind:
            known = mark.number if mark.number in expected else None
            by_number[known].append(mark)
    items = []
    for number, marks in by_number.items():
        before = expected.get(number)
        ordered = sorted(marks, key=lambda mark: (mark != before, mark.first))
        for place, mark in enumerate(ordered):
            items.append(_item(mark, before if place == 0 else None, placement))
    return items


def _item(mark: Mark, before: Mark | None, placement: Placement) -> Item:
    """A mark with the edges that differ from what was shown."""
    start = None if before and mark.first == before.first else placement.seconds(mark.first)
    end = None if before and mark.last == before.last else placement.seconds(mark.last)
    return Item(before.number if before else None, mark.text, start, end)


def span_text(span: Span) -> str:
    """How a span reads on the timeline."""
    return "Hold Closed" if span.kind == HOLD_CLOSED else f"Strength {span.amount:.2f}"
