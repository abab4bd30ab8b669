# SPDX-License-Identifier: GPL-3.0-or-later
"""A short line of a small head, and what of it is shown on the timeline."""

from __future__ import annotations

import numpy as np
import pytest

from tests.blender_addon.small_head import add_small_head, bake_line
from tests.blender_addon.timeline.shown_line import (
    LOWER,
    NAMES,
    OFFSETS,
    PHONES,
    START,
    UPPER,
    WORDS,
)


@pytest.fixture
def head(blender):
    """Two lips and two vertices more, with four expressions."""
    return add_small_head(blender, {name: OFFSETS[name] for name in NAMES})


@pytest.fixture
def line(blender, addon, head, engine_aside):
    """A line of 1.2 s that speaks from frame 11, the mouth open throughout."""
    values = np.zeros((30, len(NAMES)), np.float32)
    values[:, 0] = 0.4
    values[:, 2] = 0.2
    made = addon("speech.line_list").add_line(head, "voice")
    made.source, made.start_frame = "FILE", START
    made.text = made.recognized_text = "map hi"
    made.ease = 0
    bake_line(
        *(blender, addon, head, NAMES, values),
        start=float(START),
        lip_pairs=((UPPER,), (LOWER,)),
        phones=PHONES,
        words=WORDS,
        language="en",
    )
    return made


@pytest.fixture
def strips(blender, addon):
    """Gives the text strips of a kind of mark, in the order of time."""
    compat = addon("compat")

    def read(kind):
        editor = blender.context.scene.sequence_editor
        every = compat.strips(editor) if editor else ()
        found = [s for s in every if str(s.get("gaussianspeech_mark", "")).startswith(kind)]
        return sorted(found, key=compat.strip_range)

    return read


@pytest.fixture
def lie(addon, strips):
    """(text, first frame, frame after the last) of what lies on the timeline."""
    compat = addon("compat")
    return lambda kind: [(s.text, *compat.strip_range(s)) for s in strips(kind)]


@pytest.fixture
def set_range(addon):
    """Move the edges of a strip as a drag does."""

    def put(strip, first=None, last=None):
        left, right = ("left_handle", "right_handle")
        if not hasattr(strip, left):
            left, right = ("frame_final_start", "frame_final_end")
        if last is not None and last > getattr(strip, left):
            setattr(strip, right, last)
            last = None
        if first is not None:
            setattr(strip, left, first)
        if last is not None:
            setattr(strip, right, last)

    return put


@pytest.fixture
def take_in(blender, addon, line):
    def take():
        return addon("speech.timeline.shown").take_in(blender.context, line)

    return take


@pytest.fixture
def timing(addon, line):
    def read():
        known = addon("speech.timeline.shown").line_timing(line)
        return [
            [(text, round(start, 3), round(end, 3)) for text, start, end in timed]
            for timed in known
        ]

    return read
