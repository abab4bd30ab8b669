# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.motion.rules import coarticulation
from engine.motion.rules.coarticulation import (
    ContactIntervals,
    TargetIntervals,
    blend_targets,
    envelope,
    smoothstep,
)


def segments(rows):
    """Rows of start, end, target, dominance, lead, lag for one articulator."""
    columns = np.array(rows, float).T
    return TargetIntervals(columns[0], columns[1], *(column[:, None] for column in columns[2:]))


def slowly(seg, frames, fps):
    """The definition, one frame and one segment at a time."""
    out = np.zeros((frames, seg.target.shape[1]))
    for i in range(frames):
        t = i / fps
        for c in range(out.shape[1]):
            top, bottom = 0.0, coarticulation._REST_DOMINANCE
            for p in range(len(seg.start)):
                before = max(seg.start[p] - t, 0) / seg.lead[p, c]
                after = max(t - seg.end[p], 0) / seg.lag[p, c]
                d = seg.dominance[p, c] * np.exp(-((before + after) ** 2))
                top += d * seg.target[p, c]
                bottom += d
            out[i, c] = top / bottom
    return out


rows = st.lists(
    st.tuples(
        st.floats(0, 2), st.floats(0, 0.5), st.floats(0, 1), st.floats(0, 2),
        st.floats(0.02, 0.2), st.floats(0.02, 0.2),
    ).map(lambda r: (r[0], r[0] + r[1], *r[2:])),
    min_size=1, max_size=8,
)  # fmt: skip


@given(rows, st.sampled_from([12.0, 23.976, 25.0, 60.0]))
@settings(deadline=None)
def test_blending_is_the_definition(given_rows, fps):
    seg = segments(given_rows)
    assert np.allclose(blend_targets(seg, 50, fps), slowly(seg, 50, fps), atol=1e-4)


def test_blocks_of_work_do_not_change_the_result(monkeypatch):
    rng = np.random.default_rng(0)
    start = np.sort(rng.uniform(0, 5, 40))
    seg = segments([(s, s + 0.1, rng.random(), 1, 0.08, 0.05) for s in start])
    whole = blend_targets(seg, 150, 30.0)
    monkeypatch.setattr(coarticulation, "ROWS", 7)
    assert np.allclose(blend_targets(seg, 150, 30.0), whole, atol=1e-12)


def test_a_lone_command_nearly_reaches_its_target_and_fades():
    curve = blend_targets(segments([(0.5, 0.6, 0.8, 1, 0.07, 0.07)]), 120, 100.0)[:, 0]
    assert curve[55] == pytest.approx(0.8 / 1.02)
    assert curve[0] < 1e-3
    assert curve[119] < 1e-3


def test_a_free_articulator_stays_neutral():
    assert not blend_targets(segments([(0.1, 0.2, 0.9, 0, 0.07, 0.07)]), 30, 100.0).any()


def holds(*spans):
    return ContactIntervals(*np.array(spans, float).reshape(-1, 5).T)


def test_a_hold_is_complete_inside_and_nothing_outside_its_ramps():
    curve = envelope(holds((0.3, 0.4, 0.1, 0.05, 1.0)), 100, 100.0)
    assert (curve[30:41] == 1).all()
    assert not curve[:20].any()
    assert not curve[46:].any()
    assert (np.diff(curve[19:31]) >= 0).all()


@given(st.floats(0, 1), st.sampled_from([12.0, 24.0, 29.97, 50.0, 120.0]))
@settings(deadline=None)
def test_a_hold_of_one_frame_interval_always_shows(start, fps):
    curve = envelope(holds((start, start + 1 / fps, 0.05, 0.05, 1.0)), int(2 * fps), fps)
    assert curve.max() == 1


def test_overlapping_holds_merge():
    curve = envelope(holds((0.2, 0.3, 0.1, 0.1, 1.0), (0.32, 0.4, 0.1, 0.1, 1.0)), 60, 100.0)
    assert curve[20:41].min() > 0.99


def test_no_holds_hold_nothing():
    assert not envelope(holds(), 10, 25.0).any()


def test_smoothstep_has_flat_ends():
    x = np.linspace(-0.2, 1.2, 1401)
    y = smoothstep(x)
    assert y[0] == 0
    assert y[-1] == 1
    assert np.abs(np.diff(y, 2)).max() < 1e-5
