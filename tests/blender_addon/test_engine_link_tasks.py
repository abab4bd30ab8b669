# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that wait for the engine: what the user does meanwhile, and engines that are slow."""

from __future__ import annotations

import ast
import errno
import re
from types import SimpleNamespace

import pytest

from tests.blender_addon.conftest import REPOSITORY
from tests.blender_addon.small_head import add_small_head
from tests.waiting import PATIENCE

WAITS = {
    "engine_link/background.py": "background Blender, without timers; else a reply that is there",
    "engine_link/client.py": "threads",
    "engine_link/connection.py": "threads; the process's end when Blender quits",
    "engine_link/future.py": "the futures themselves",
    "engine_link/tasks.py": "execute, of scripts; else a reply that is there; finished_within",
    "export/background_blender.py": "a thread, for a process",
    "export/flame.py": "a thread",
    "jobs/ops.py": "background Blender, which has no timers",
    "jobs/watcher.py": "read_now, of scripts; else a reply that is there",
    "rendering/engine.py": "the thread of a render, until Escape",
    "rendering/main_loop.py": "the thread of a render, for the main loop",
    "rendering/viewport.py": "a thread; else a reply that is there",
    "setup/report.py": "a thread",
    "setup/runner.py": "a thread, for a process",
    "setup/session.py": "background Blender, which has no timers; unregistering, at most 5 s",
    "speech/live.py": "a reply that is there",
    "speech/rebake.py": "a bake that has ended",
    "speech/slices.py": "a thread that has ended",
}
"""Where the add-on waits for something, and why that does not keep Blender's window."""


def test_nothing_else_waits_for_the_engine():
    folder = REPOSITORY / "blender_addon"
    found = set()
    for path in folder.rglob("*.py"):
        calls = [
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Call)
        ]
        if any(re.search(r"\.(wait|result|wait_ready)$|^result_unless$", call) for call in calls):
            found.add(path.relative_to(folder).as_posix())
    assert found == set(WAITS)


class Reply:
    """A reply that comes after something has happened in the file."""

    def __init__(self, meanwhile, body):
        self.meanwhile, self.body, self.cancelled, self.done = meanwhile, body, False, False

    def poll(self):
        return (0.25, "at work")

    def wait(self, _timeout):
        if not self.done:
            self.meanwhile()
        self.done = True
        return True

    def result(self, _timeout):
        return SimpleNamespace(body=self.body)

    def cancel(self):
        self.cancelled = True


def no_engine(reply):
    return lambda _context: SimpleNamespace(request=lambda *_arguments: reply)


def test_a_head_that_goes_while_its_avatar_is_loaded(blender, addon, monkeypatch):
    head = add_small_head(blender, {})
    reply = Reply(lambda: blender.data.objects.remove(head), {"gaussians": 5})
    monkeypatch.setattr(addon("avatars.ops"), "get_engine", no_engine(reply))
    with pytest.raises(RuntimeError, match=r"'Small' is gone\. Undo its removal"):
        blender.ops.gaussianspeech.bind_avatar()


def test_another_object_with_its_name_gets_no_avatar(blender, addon, monkeypatch):
    head = add_small_head(blender, {})

    def replace():
        blender.data.objects.remove(head)
        blender.data.objects.new("Small", None)

    reply = Reply(replace, {"gaussians": 5})
    monkeypatch.setattr(addon("avatars.ops"), "get_engine", no_engine(reply))
    with pytest.raises(RuntimeError, match="'Small' is gone"):
        blender.ops.gaussianspeech.bind_avatar()


@pytest.fixture
def window(blender):
    """What a modal operator sees of a window, and its timer."""
    said = []
    manager = blender.context.window_manager
    context = SimpleNamespace(
        window_manager=SimpleNamespace(
            windows=[],
            gaussianspeech_status=manager.gaussianspeech_status,
            progress_begin=lambda *_range: None,
            progress_end=lambda: None,
            event_timer_remove=lambda timer: said.append(("timer", timer)),
        ),
        workspace=SimpleNamespace(status_text_set=lambda text: said.append(("text", text))),
        view_layer=blender.context.view_layer,
    )
    return SimpleNamespace(context=context, said=said, status=manager.gaussianspeech_status)


@pytest.fixture
def task(addon, window):
    """A task in a window whose engine takes its time."""
    tasks = addon("engine_link.tasks")

    class Task(tasks.EngineTask):
        task_label = "Predicting"
        _future, _timer, cleaned, taken = Reply(lambda: None, {}), "its timer", 0, None

        def finish(self, _context, reply):
            self.taken = reply

        def clean_up(self):
            self.cleaned += 1

        def report(self, *_arguments):
            pass

    window.status.busy = True
    yield Task()
    window.status.busy = False


def event(kind, value="NOTHING"):
    return SimpleNamespace(type=kind, value=value)


def test_while_the_engine_works_every_event_is_passed_on(task, window):
    for kind in ("TIMER", "MOUSEMOVE", "SPACE", "TIMER", "Z"):
        assert task.modal(window.context, event(kind)) == {"PASS_THROUGH"}
    assert ("text", "Predicting: 25 % (at work).  Esc cancels") in window.said
    assert task.taken is None


def test_escape_cancels_at_the_next_tick_at_the_latest(task, window):
    assert task.modal(window.context, event("ESC", "PRESS")) == {"RUNNING_MODAL"}
    assert task._future.cancelled


def test_loading_a_file_cancels_the_request_and_leaves_nothing_behind(task, window):
    task.cancel(window.context)
    assert task._future.cancelled
    assert task.cleaned == 1
    assert not window.status.busy
    assert window.said == [("timer", "its timer"), ("text", None)]


def test_a_full_disk_is_one_line_wherever_it_is_met(task, window, addon, monkeypatch):
    full = OSError(errno.ENOSPC, "No space left on device", "/tmp/sound.wav")

    def refuse(*_arguments):
        raise full

    task._future.done, task.finish = True, refuse
    assert task.modal(window.context, event("TIMER")) == {"CANCELLED"}
    assert window.status.message == "/tmp/sound.wav cannot be used: the disk is full."
    assert not window.status.busy
    task.begin = refuse
    assert task.invoke(window.context, None) == {"CANCELLED"}
    errors = addon("engine_link.client")
    with pytest.raises(errors.GaussianSpeechError, match="the disk is full"):
        addon("engine_link.future").ThreadFuture(refuse, "Reading the sound").result(PATIENCE)


def test_a_failure_that_nobody_foresaw_ends_the_task(task, window):
    task._future.done = True
    task.finish = lambda *_arguments: 1 / 0
    with pytest.raises(ZeroDivisionError):
        task.modal(window.context, event("TIMER"))
    assert task.cleaned == 1
    assert not window.status.busy
