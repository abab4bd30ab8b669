# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artist did to phones and words on the timeline, as a new timing. No bpy.

A moved edge is where the artist put it. What it runs into gives way, and a phone that touched it
follows; what would be covered altogether is refused, by name. A word takes its phones along.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from ....engine.core.errors import BadInputError
from ....engine.phonemes import Phone, Word
from .timing import Timing

_SEAM = 0.002
"""Seconds between phones that touch."""
_SHORTEST = 0.01
"""Seconds of the shortest phone or word."""


class Item(NamedTuple):
    """A phone or word as it lies on the timeline now.

    Attributes:
        number: among the phones or words of the timing; ``None`` for one that was added.
        text: as it reads now.
        start, end: seconds into the sound; ``None`` for an edge that nobody has moved.
    """

    number: int | None
    text: str
    start: float | None = None
    end: float | None = None


class Bounds(NamedTuple):
    """What a timing is edited in.

    Attributes:
        start, end: first and last second of the line's sound.
        frame: seconds of a frame; edges on the same frame are one.
    """

    start: float
    end: float
    frame: float


@dataclass(frozen=True)
class _Segment:
    """A phone or word on its way to its new time.

    Attributes:
        text, start, end: of the phone or word.
        number: in the timing, ``None`` for one that was added.
        left, right: whether the artist moved its edges.
    """

    text: str
    start: float
    end: float
    number: int | None = None
    left: bool = False
    right: bool = False


def edited(
    timing: Timing,
    words: Sequence[Item] | None,
    phones: Sequence[Item] | None,
    bounds: Bounds,
) -> Timing:
    """The timing after what was done on the timeline.

    Args:
        timing: as it was shown.
        words: as they lie now; ``None`` where they are not shown. One that is missing was deleted.
        phones: likewise.
        bounds: of the line's sound.

    Returns:
        The new timing; a word that was typed or added has no phones, and is pronounced by the
        engine.

    Raises:
        BadInputError: something lies outside the sound, or altogether under what was moved.
    """
    spoken = [_Segment(*phone, number=i) for i, phone in enumerate(timing.phones)]
    said = [_Segment(*word, number=i) for i, word in enumerate(timing.words)]
    if words is not None:
        spoken, said = _with_words(spoken, said, words, bounds)
    if phones is not None:
        spoken, said = _with_phones(spoken, said, phones, bounds)
    return Timing(
        tuple(Phone(one.text, one.start, one.end) for one in spoken),
        tuple(Word(one.text, one.start, one.end) for one in said),
    )


def _with_words(
    spoken: list[_Segment], said: list[_Segment], items: Sequence[Item], bounds: Bounds
) -> tuple[list[_Segment], list[_Segment]]:
    """Phones and words after words were moved, typed, added or deleted."""
    new = _give_way(_moved(said, items, bounds), "word", bounds)
    after = {word.number: word for word in new if word.number is not None}
    typed = [w for w in new if w.number is None or w.text != said[w.number].text]
    phones = []
    for phone, owner in _owners(spoken, said):
        word = after.get(owner.number) if owner is not None else None
        if owner is None:
            phones.append(phone)
        elif word is not None and word.text == owner.text:
            phones.append(_carried(phone, owner, word))
    phones = [phone for phone, word in _owners(phones, typed) if word is None]
    return _give_way(_in_order(phones), "phone", bounds), new


def _owners(
    phones: Iterable[_Segment], words: Sequence[_Segment]
) -> Iterator[tuple[_Segment, _Segment | None]]:
    """Each phone with the word, of those in order, in which it mainly lies."""
    starts = [word.start for word in words]
    for phone in phones:
        middle = (phone.start + phone.end) / 2
        before = bisect_right(starts, middle) - 1
        held = before >= 0 and middle < words[before].end
        yield phone, words[before] if held else None


def _carried(phone: _Segment, before: _Segment, after: _Segment) -> _Segment:
    """A phone as far along its word as it was."""
    if (before.start, before.end) == (after.start, after.end):
        return phone
    scale = (after.end - after.start) / (before.end - before.start)
    start, end = (after.start + (t - before.start) * scale for t in (phone.start, phone.end))
    return replace(phone, start=start, end=end, left=True, right=True)


def _with_phones(
    spoken: list[_Segment], said: list[_Segment], items: Sequence[Item], bounds: Bounds
) -> tuple[list[_Segment], list[_Segment]]:
    """Phones and words after phones were moved, typed, added or deleted."""
    still = [replace(phone, left=False, right=False) for phone in spoken]
    kept = {item.number for item in items if item.text.strip()}
    shared = _without_others(still, kept)
    touching = {(a.number, b.number) for a, b in pairwise(shared) if b.start - a.end <= _SEAM}
    moved = _split(_moved(shared, items, bounds))
    new = _give_way(_following(moved, touching), "phone", bounds)
    owners = {phone.number: word for phone, word in _owners(spoken, said)}
    left: dict[_Segment | None, list[_Segment]] = defaultdict(list)
    for phone, holder in _owners(new, said):
        left[holder if phone.number is None else owners[phone.number]].append(phone)
    words, owned = [], set(owners.values())
    for word in said:
        if word in left:
            words.append(replace(word, start=left[word][0].start, end=left[word][-1].end))
        elif word not in owned:
            words.append(word)  # Typed or added: it has yet to be pronounced.
    return new, _give_way(_in_order(words), "word", bounds)


def _moved(segments: Iterable[_Segment], items: Sequence[Item], bounds: Bounds) -> list[_Segment]:
    """The segments where the items are now, in order; those without an item are left out."""
    known = {segment.number: segment for segment in segments}
    found = []
    for number, written, start, end in items:
        text = written.strip()
        before = known.get(number) if number is not None else None
        if not text or (number is not None and before is None):
            continue
        if before is None:
            assert start is not None
            assert end is not None
            before = _Segment(text, start, end, None)
        now = replace(
            before,
            text=text,
            start=before.start if start is None else max(start, bounds.start),
            end=before.end if end is None else min(end, bounds.end),
            left=before.left or start is not None,
            right=before.right or end is not None,
        )
        if now.end - now.start < _SHORTEST and (now.end, now.start) != (end, start):
            raise BadInputError(
                f"'{text}' lies outside the line's sound.", "Move it back, or delete it."
            )
        found.append(now)
    return _in_order(found)


def _in_order(segments: Iterable[_Segment]) -> list[_Segment]:
    return sorted(segments, key=lambda segment: (segment.start, segment.end))


def _without_others(spoken: list[_Segment], kept: Collection[int | None]) -> list[_Segment]:
    """The phones that are kept; the time of a deleted one goes to those that touched it."""
    result: list[_Segment] = []
    gone: list[_Segment] = []
    for phone in spoken:
        if phone.number not in kept:
            gone.append(phone)
            continue
        result.append(phone)
        if gone:
            result[-2:] = _shared(result[-2:-1], gone, result[-1:])
            gone = []
    if gone:
        result[-1:] = _shared(result[-1:], gone, [])
    return result


def _shared(
    before: Sequence[_Segment], gone: Sequence[_Segment], after: Sequence[_Segment]
) -> list[_Segment]:
    """The phones beside deleted ones, at most one on each side, with the time of those."""
    first, last = gone[0].start, gone[-1].end
    left = [phone for phone in before if first - phone.end <= _SEAM]
    right = [phone for phone in after if phone.start - last <= _SEAM]
    seam = (first + last) / 2
    ends = [replace(phone, end=seam if right else last) for phone in left]
    starts = [replace(phone, start=seam if left else first) for phone in right]
    return [*(ends or before), *(starts or after)]


def _split(segments: list[_Segment]) -> list[_Segment]:
    """The phones, with one in whose middle another was added in two."""
    result = list(segments)
    for added in (segment for segment in segments if segment.number is None):
        for i, phone in enumerate(result):
            inside = phone.start + _SHORTEST < added.start and added.end < phone.end - _SHORTEST
            if inside:
                rest = replace(phone, number=None, start=added.end, left=True)
                result[i] = replace(phone, end=added.start, right=True)
                result.append(rest)
                break
    return _in_order(result)


def _following(
    segments: list[_Segment], touching: Collection[tuple[int | None, int | None]]
) -> list[_Segment]:
    """The phones with the edges that touched a moved one where that is now."""
    result = list(segments)
    for i, (first, second) in enumerate(pairwise(segments)):
        if (first.number, second.number) in touching and first.right != second.left:
            if first.right:
                result[i + 1] = replace(result[i + 1], start=first.end)
            else:
                result[i] = replace(result[i], end=second.start)
    return result


def _give_way(segments: list[_Segment], kind: str, bounds: Bounds) -> list[_Segment]:
    """The segments without overlap: an edge that was moved pushes one that was not.

    Raises:
        BadInputError: nothing would be left of one of them.
    """
    result = list(segments)
    for i in range(len(result) - 1):
        first, second = result[i : i + 2]
        same_frame = abs(second.start - first.end) <= bounds.frame / 2
        if first.right != second.left and same_frame:
            edge = second.start if first.right else first.end
        elif second.start >= first.end:
            continue
        elif first.right != second.left:
            edge = first.end if first.right else second.start
        else:
            edge = (first.end + second.start) / 2
        result[i : i + 2] = replace(first, end=edge), replace(second, start=edge)
    for now, before in zip(result, segments, strict=True):
        if now.end - now.start < _SHORTEST:
            raise BadInputError(
                f"Nothing is left of the {kind} '{now.text}' at {before.start:.2f} s.",
                f"Move or trim what lies over it back, or delete the {kind}.",
            )
    return result
