# SPDX-License-Identifier: GPL-3.0-or-later
"""The viewport's queue of one: it never waits, and drops what it cannot keep up with."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest

SECONDS = 10


@pytest.fixture
def stage(addon, blender, monkeypatch):
    """A viewport whose pictures are taken when ``stage.allow`` is released."""
    module = addon("rendering.viewport")
    allow, taken = threading.Semaphore(0), []

    def render_image(_engine, _actors, camera, _wait):
        assert allow.acquire(timeout=SECONDS)
        taken.append(camera.width)
        flat = np.zeros((2, 2), np.float32)
        return SimpleNamespace(rgb=np.zeros((2, 2, 3), np.float32), alpha=flat)

    monkeypatch.setattr(module, "render_image", render_image)
    monkeypatch.setattr(module, "get_engine", lambda _context: object())
    redraws = []
    owner = SimpleNamespace(tag_redraw=lambda: redraws.append(1))
    viewport = module.Viewport(owner)

    def wish(number):
        return module.RenderRequest(("instance",), SimpleNamespace(width=number), preview=False)

    def ask(number):
        viewport._ask(blender.context, wish(number))

    def tick():
        """What Blender does with a timer; in the background it has no loop to do it in."""
        viewport._worker.join(SECONDS)
        if viewport._poll() is None:
            blender.app.timers.unregister(viewport._timer)

    def finish():
        allow.release()
        tick()

    yield SimpleNamespace(
        viewport=viewport,
        module=module,
        ask=ask,
        tick=tick,
        finish=finish,
        taken=taken,
        redraws=redraws,
    )
    for _ in range(4):
        allow.release()


def test_asking_returns_at_once_while_a_picture_is_under_way(stage):
    stage.ask(1)
    stage.ask(2)
    assert stage.taken == []
    assert stage.viewport._worker.is_alive()


def test_wishes_between_two_pictures_are_dropped_but_the_last(stage):
    for number in (1, 2, 3, 4):
        stage.ask(number)
    stage.finish()
    stage.finish()
    assert stage.taken == [1, 4]
    assert stage.viewport._idle


def test_a_finished_picture_asks_for_a_redraw(stage):
    stage.ask(1)
    stage.finish()
    assert stage.redraws == [1]
    assert stage.viewport._taken is not None


def test_an_error_is_kept_to_be_shown_and_the_next_picture_clears_it(stage, addon, monkeypatch):
    error = addon("engine_link.client").EngineGoneError("The engine ended.", "Try again.")
    working = stage.module.render_image

    def failing(*_arguments):
        raise error

    monkeypatch.setattr(stage.module, "render_image", failing)
    stage.ask(1)
    stage.tick()
    assert stage.viewport._problem == "The engine ended. Try again."
    monkeypatch.setattr(stage.module, "render_image", working)
    stage.ask(2)
    stage.finish()
    assert stage.viewport._problem == ""


def test_a_viewport_that_was_closed_is_left_alone(stage):
    def closed():
        raise ReferenceError

    stage.viewport._owner.tag_redraw = closed
    stage.ask(1)
    stage.finish()
    assert stage.viewport._worker is None


def test_unregistering_stops_the_timers(stage, blender):
    stage.ask(1)
    assert blender.app.timers.is_registered(stage.viewport._timer)
    stage.module.unregister()
    assert not blender.app.timers.is_registered(stage.viewport._timer)
