# SPDX-License-Identifier: GPL-3.0-or-later
"""The viewport's queue of one: it never waits, and drops what it cannot keep up with."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from tests.waiting import PATIENCE, until


@pytest.fixture
def stage(addon, blender, monkeypatch):
    """A viewport whose images are rendered when ``stage.allow`` is released."""
    module = addon("rendering.viewport")
    allow, rendered = threading.Semaphore(0), []

    def render_preview(_engine, _instances, camera, _wait):
        assert allow.acquire(timeout=PATIENCE)
        rendered.append(camera.width)
        return np.zeros((2, 2, 4), np.uint8)

    monkeypatch.setattr(module, "render_preview", render_preview)
    monkeypatch.setattr(module, "get_engine", lambda _context: object())
    redraws = []
    owner = SimpleNamespace(tag_redraw=lambda: redraws.append(1))
    viewport = module.Viewport(owner)
    viewport._instances = ("Anna",)

    def ask(number):
        camera = SimpleNamespace(width=number)
        viewport._ask(
            blender.context, module.RenderRequest(viewport._instances, camera, preview=False)
        )

    def tick():
        """What Blender does with a timer; in the background it has no loop to do it in."""
        viewport._rendering.wait(PATIENCE)
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
        rendered=rendered,
        redraws=redraws,
    )
    for _ in range(4):
        allow.release()


def test_asking_returns_at_once_while_an_image_is_under_way(stage):
    stage.ask(1)
    stage.ask(2)
    assert stage.rendered == []
    assert not stage.viewport._rendering.done


def test_requests_between_two_images_are_dropped_but_the_last(stage):
    for number in (1, 2, 3, 4):
        stage.ask(number)
    stage.finish()
    stage.finish()
    assert stage.rendered == [1, 4]
    assert stage.viewport._idle


def test_a_finished_image_asks_for_a_redraw(stage):
    stage.ask(1)
    stage.finish()
    assert stage.redraws == [1]
    assert stage.viewport._result is not None


def test_the_rendering_thread_changes_nothing_of_the_viewport(stage, monkeypatch):
    threads = set()

    def watched(viewport, name, value):
        threads.add(threading.current_thread())
        object.__setattr__(viewport, name, value)

    monkeypatch.setattr(stage.module.Viewport, "__setattr__", watched, raising=False)
    stage.ask(1)
    stage.finish()
    assert threads == {threading.main_thread()}


def fail(stage, monkeypatch, text):
    error = stage.module.GaussianSpeechError(text, "Try again.")

    def failing(*_arguments):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(stage.module, "render_preview", failing)
        stage.ask(1)
        stage.tick()


def test_an_error_is_kept_to_be_shown_and_the_next_image_clears_it(stage, monkeypatch):
    fail(stage, monkeypatch, "The engine ended.")
    assert stage.viewport.error == "The engine ended. Try again."
    stage.ask(2)
    stage.finish()
    assert stage.viewport.error == ""


def test_an_error_goes_with_the_avatar_it_was_about(stage, blender, monkeypatch):
    fail(stage, monkeypatch, "There is no file anna.safetensors.")
    assert "anna" in stage.viewport.error
    stage.viewport.update(blender.context.evaluated_depsgraph_get())
    assert stage.viewport.error == ""


def test_an_error_of_the_scene_goes_when_the_scene_is_mended(stage, blender, add_plain_head):
    head = add_plain_head()
    head.gaussianspeech_avatar.source = "default"
    head.gaussianspeech_head.vertex_count += 1
    stage.viewport.update(blender.context.evaluated_depsgraph_get())
    assert "vertices" in stage.viewport.error
    head.gaussianspeech_avatar.enabled = False
    stage.viewport.update(blender.context.evaluated_depsgraph_get())
    assert stage.viewport.error == ""


def test_after_an_error_only_a_change_is_a_reason_to_ask_again(stage, monkeypatch):
    fail(stage, monkeypatch, "The engine ended.")
    assert not stage.viewport._idle


def test_the_first_image_says_what_the_engine_does_meanwhile(stage, monkeypatch):
    finish = threading.Event()

    class Reply:
        @staticmethod
        def poll():
            return 0.5, "Preparing the CPU rasteriser"

        @staticmethod
        def result():
            assert finish.wait(PATIENCE)
            return np.zeros((2, 2, 4), np.uint8)

    def render_preview(_engine, _instances, _camera, wait):
        return wait(Reply)

    monkeypatch.setattr(stage.module, "render_preview", render_preview)
    stage.ask(1)
    until(lambda: stage.viewport._rendering._reply is not None)
    assert stage.viewport._poll() is not None
    assert stage.viewport._progress == "Preparing the CPU rasteriser"
    assert stage.redraws == [1]
    stage.viewport._poll()
    assert stage.redraws == [1]
    finish.set()
    stage.tick()
    assert stage.viewport._progress == ""


def test_a_viewport_that_was_closed_is_left_alone(stage):
    def closed():
        raise ReferenceError

    stage.viewport._owner.tag_redraw = closed
    stage.ask(1)
    stage.finish()
    assert stage.viewport._rendering is None


def test_unregistering_stops_the_timers(stage, blender):
    stage.ask(1)
    assert blender.app.timers.is_registered(stage.viewport._timer)
    stage.module.unregister()
    assert not blender.app.timers.is_registered(stage.viewport._timer)


def test_the_viewport_asks_for_eight_bits_and_no_depth(addon):
    asked = []

    class Engine:
        def request(self, method, params, arrays):
            asked.append((method, params["output"]))
            rgba = np.full((3, 2, 4), 255, np.uint8)
            return SimpleNamespace(body={}, arrays={"rgba": rgba})

    camera = SimpleNamespace(width=2, height=3, body=dict)
    image = addon("rendering.images").render_preview(Engine(), [], camera, lambda reply: reply)
    assert asked == [("avatar.render", "rgba8")]
    assert (image.dtype, image.shape) == (np.uint8, (3, 2, 4))
