# SPDX-License-Identifier: GPL-3.0-or-later
"""Words and phones as timeline markers: each begins where its marker stands, until the next.

A marker has no room for an id. Ours are known by their names, one after the other in the order in
which they were made: a name that differs between two that are as they were is a new text. Phones
are written between slashes, as phonemes are; ``…`` and ``//`` begin a pause.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any, NamedTuple

import bpy

from .layout import PHONE, WORD, Mark

_PAUSES = {WORD: "…", PHONE: "//"}


class _Entry(NamedTuple):
    """A marker.

    Attributes:
        place: among those of a line.
        name, frame: of the marker.
        kind: of what it begins.
        mark: what it begins; ``None`` for a pause.
    """

    place: int
    name: str
    frame: int
    kind: str
    mark: Mark | None


def show(scene: bpy.types.Scene, before: Sequence[Mark], marks: Sequence[Mark]) -> None:
    """Show these words and phones, instead of others.

    Args:
        scene: whose markers.
        before: what was shown until now, to know our markers by.
        marks: with a number each; spans are left out.
    """
    own = [marker for marker, _ in _matched(scene, before)]
    wanted = _entries(marks)
    if len(own) != len(wanted):
        for marker in own:
            scene.timeline_markers.remove(marker)
        for entry in wanted:
            scene.timeline_markers.new(entry.name, frame=entry.frame).select = False
        return
    for marker, entry in zip(own, wanted, strict=True):
        if (marker.name, marker.frame) != (entry.name, entry.frame):
            marker.name, marker.frame = entry.name, entry.frame


def read(scene: bpy.types.Scene, shown: Sequence[Mark]) -> list[Mark]:
    """The words and phones as the markers have them now.

    Args:
        scene: whose markers.
        shown: what was shown.
    """
    found = _matched(scene, shown)
    marks = []
    for kind in (WORD, PHONE):
        own = [(marker, entry) for marker, entry in found if entry.kind == kind]
        for i, (marker, entry) in enumerate(own):
            if entry.mark is None:
                continue
            last = entry.mark.last
            if i + 1 < len(own):
                following, known = own[i + 1]
                if (known.place, known.frame) != (entry.place + 1, following.frame):
                    last = following.frame
            text = marker.name.strip().strip("/") if kind == PHONE else marker.name
            marks.append(entry.mark._replace(text=text, first=marker.frame, last=last))
    return marks


def positions(scene: bpy.types.Scene) -> tuple[tuple[str, int], ...]:
    """All markers of a scene, to see quickly what changed."""
    return tuple((marker.name, marker.frame) for marker in scene.timeline_markers)


def selected(scene: bpy.types.Scene, shown: Sequence[Mark]) -> list[Mark]:
    """The words and phones whose markers are selected."""
    numbers = {
        (entry.kind, entry.mark.number)
        for marker, entry in _matched(scene, shown)
        if marker.select and entry.mark is not None
    }
    return [mark for mark in read(scene, shown) if (mark.kind, mark.number) in numbers]


def _entries(marks: Sequence[Mark]) -> list[_Entry]:
    """The markers of words and phones, with one where each pause begins."""
    entries: list[_Entry] = []
    for kind in (WORD, PHONE):
        own = [mark for mark in marks if mark.kind == kind]
        for mark, after in zip_longest(own, own[1:]):
            name = f"/{mark.text}/" if kind == PHONE else mark.text
            entries.append(_Entry(len(entries), name, mark.first, kind, mark))
            if after is None or after.first > mark.last:
                entries.append(_Entry(len(entries), _PAUSES[kind], mark.last, kind, None))
    return entries


def _matched(scene: bpy.types.Scene, shown: Sequence[Mark]) -> list[tuple[Any, _Entry]]:
    """Our markers, with what each was."""
    entries, markers = _entries(shown), list(scene.timeline_markers)
    if not entries:
        return []
    matcher = SequenceMatcher(
        None, [m.name for m in markers], [entry.name for entry in entries], autojunk=False
    )
    found: list[tuple[Any, _Entry]] = []
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal" or (tag == "replace" and b - a == d - c):
            found += zip(markers[a:b], entries[c:d], strict=True)
    return found
