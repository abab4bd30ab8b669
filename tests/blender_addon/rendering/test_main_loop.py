# SPDX-License-Identifier: GPL-3.0-or-later
"""The main loop waits while the render of an avatar scene ends."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from tests.waiting import PATIENCE


@pytest.fixture
def main_loop(addon: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = addon("rendering.main_loop")

    # Blender with a window: these tests have none.
    app = SimpleNamespace(background=False, is_job_running=lambda _kind: True)
    monkeypatch.setattr(module, "bpy", SimpleNamespace(app=app))
    return module


def test_a_render_ends_while_a_timer_keeps_the_main_loop(
    main_loop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, kept = threading.Event(), []

    def render() -> None:
        main_loop.hold()
        ended.set()

    def sleep(seconds: float) -> None:
        kept.append((seconds, ended.wait(PATIENCE)))

    monkeypatch.setattr(main_loop, "_PATIENCE", PATIENCE)
    monkeypatch.setattr(main_loop.time, "sleep", sleep)
    thread = threading.Thread(target=render)
    thread.start()
    assert not ended.wait(0.02), "the render ended beside a main loop that may be in a round"
    main_loop._on_timer()
    thread.join()
    assert kept == [(main_loop._HELD_SECONDS, True)]


def test_a_main_loop_that_is_busy_delays_a_render_and_does_not_stop_it(
    main_loop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main_loop, "_PATIENCE", 0.01)
    thread = threading.Thread(target=main_loop.hold)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    main_loop._on_timer()


def test_a_render_on_the_main_thread_does_not_wait_for_it(
    main_loop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main_loop, "_held", SimpleNamespace(clear=lambda: None, wait=pytest.fail))
    main_loop.hold()
    assert not main_loop._asked.is_set()


def test_without_a_render_the_main_loop_is_not_kept(main_loop: Any) -> None:
    main_loop._asked.clear()
    main_loop._held.clear()
    main_loop._on_timer()
    assert not main_loop._held.is_set()
