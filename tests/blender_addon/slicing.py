# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures: bakes in slices, as a window's timer makes them, one small step at each tick."""

from __future__ import annotations

import time

import pytest

from tests.blender_addon.speaking import action_of
from tests.blender_addon.spoken_head import NAMES, played

MOST = 20_000
"""Ticks after which a bake counts as one that never ends."""


class Slices:
    """The timer's part."""

    def __init__(self, addon):
        self.queue, self.rebake = addon("speech.bake_queue"), addon("speech.rebake")
        self.one_step = addon("speech.one_step")

    def tick(self, times=1):
        """A few steps; whether there is more to do."""
        for _ in range(times):
            if not self.queue.tick():
                return False
            if all(future.interval > self.queue._TICK for future in self.queue._queue):
                time.sleep(0.001)
        return True

    def until(self, condition):
        """Steps until something is so."""
        for _ in range(MOST):
            if condition():
                return
            assert self.queue._queue, "the bakes ended before"
            self.tick()
        raise AssertionError("a bake that never ends")

    def finish(self):
        """Steps until nothing is left to do."""
        for _ in range(MOST):
            if not self.tick():
                return
        raise AssertionError("a bake that never ends")

    @property
    def going(self):
        """Whether anything is being made."""
        return bool(self.queue._queue)

    def undo(self, blender):
        """What Ctrl Z does."""
        blender.ops.ed.undo()
        self._go_past()

    def redo(self, blender):
        """What Ctrl Shift Z does."""
        blender.ops.ed.redo()
        self._go_past()

    def _go_past(self):
        while self.one_step._next:
            self.one_step.go_past()


@pytest.fixture
def slices(blender, addon, monkeypatch):
    """No bake is quick, and there are timers: the test's own ticks."""
    made = Slices(addon)
    monkeypatch.setattr(made.queue, "has_timers", lambda: True)
    monkeypatch.setattr(made.queue, "_start", lambda: None)
    monkeypatch.setattr(made.queue, "_SLICE", 0.0)
    monkeypatch.setattr(made.rebake, "LIVE_LIMIT", 0)
    yield made
    while made.queue._queue:
        made.queue._queue[0].cancel()
    made.rebake.stop_all()


def drafts_of(blender):
    """Actions in the making."""
    return [action for action in blender.data.actions if "gaussianspeech_draft" in action]


def keys_of(addon, obj):
    """All keys of the active line, to see that not one was changed."""
    return {
        curve.data_path: [tuple(point.co) for point in curve.keyframe_points]
        for curve in addon("compat").fcurves(action_of(obj))
    }


def jaw(blender, obj):
    """(T,) value of the jaw's key at each frame."""
    return played(blender, obj, NAMES[:1])[:, 0]


def small(blender):
    """The head, whatever undo has made of it."""
    return blender.data.objects["Small"]


def half_way(blender, slices):
    """Until the draft has some of its curves."""
    slices.until(lambda: any(len(curves_in(action)) for action in drafts_of(blender)))


def curves_in(action):
    """F-curves of an Action, in every Blender."""
    if not hasattr(action, "layers"):
        return list(action.fcurves)
    bags = [bag for layer in action.layers for strip in layer.strips for bag in strip.channelbags]
    return [curve for bag in bags for curve in bag.fcurves]
