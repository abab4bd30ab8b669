# SPDX-License-Identifier: GPL-3.0-or-later
"""Results that nobody waits for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest


@pytest.fixture
def background(blender, addon):
    return addon("engine_link.background")


@pytest.fixture
def status(blender):
    return blender.context.window_manager.gaussianspeech_status


def completed(addon, value):
    return addon("engine_link.future").CompletedFuture(value)


def test_what_a_task_says_stands_in_the_panel(background, addon, status):
    background.run("Preparing", completed(addon, "Anna"), lambda name: f"{name} is ready")
    assert status.message == "Anna is ready"


def test_an_exception_in_one_task_does_not_stop_the_others(background, addon, status, capsys):
    taken = []

    def broken(_value):
        raise ZeroDivisionError("oh")

    task = background._Task
    background._tasks += [
        task("Preparing the avatar", completed(addon, 1), broken),
        task("Reading the jobs", completed(addon, 2), lambda value: taken.append(value) or ""),
    ]
    assert background.poll_finished()
    assert taken == [2]
    assert background.running_tasks() == []
    assert status.is_error
    assert "Preparing the avatar failed: ZeroDivisionError: oh" in status.message
    assert "Traceback" in capsys.readouterr().err


def test_an_error_of_the_engine_is_shown_with_its_remedy(background, addon, status):
    errors = addon("engine_link.client")

    def fail(_cancelled):
        raise errors.EngineGoneError("The engine ended.", "Try again.")

    future = addon("engine_link.future").ThreadFuture(fail, "Preparing")
    background.run("Preparing", future, lambda _value: "")
    assert (status.is_error, status.message, status.hint) == (
        True,
        "The engine ended.",
        "Try again.",
    )


def test_the_sidebars_that_show_the_status_are_redrawn_alone(background):
    redrawn = []

    def region(of, kind):
        return SimpleNamespace(type=kind, tag_redraw=lambda: redrawn.append((of, kind)))

    areas = [
        SimpleNamespace(type=name, regions=[region(name, kind) for kind in ("WINDOW", "UI")])
        for name in ("VIEW_3D", "SEQUENCE_EDITOR", "GRAPH_EDITOR")
    ]
    window = SimpleNamespace(screen=SimpleNamespace(areas=areas))
    windows = SimpleNamespace(window_manager=SimpleNamespace(windows=[window]))
    background.redraw_sidebars(windows)
    assert redrawn == [("VIEW_3D", "UI"), ("SEQUENCE_EDITOR", "UI")]
