# SPDX-License-Identifier: GPL-3.0-or-later
"""What the add-on does on Blender's main thread is seen by the stopwatch, which prints its table.

What Blender runs without a window: operators without their wait for the engine, sliders, handlers,
and what panels do to draw themselves. ``main_thread.py`` does all of it in a window and says what
is over its limit; here times, which are the machine's, decide nothing.
"""

from __future__ import annotations

import ast
import sys
from types import SimpleNamespace

import pytest

from tests.blender_addon import stopwatch
from tests.blender_addon.conftest import PACKAGE, REPOSITORY
from tests.blender_addon.stopwatch import Stopwatch, table
from tests.blender_addon.unmeasured import CALLBACKS, OPERATORS

VOICE = REPOSITORY / "engine" / "assets" / "sample_voice.wav"


class Layout:
    """A layout that draws nothing."""

    def __getattr__(self, _name):
        return lambda *_args, **_options: Layout()


@pytest.fixture
def watch(blender, addon):
    """A stopwatch on the add-on."""
    watch = Stopwatch()

    def enable():
        import addon_utils  # Blender's: it can be imported after bpy.

        addon_utils.disable(PACKAGE)
        addon_utils.enable(PACKAGE)
        return addon("registration").CLASSES

    with watch.watching(PACKAGE, enable):
        yield watch


def timed(watch):
    """What was timed; the table is printed."""
    print(f"\n{table(watch.laps[:20])}")
    return {lap.name for lap in watch.laps}


class Over:
    """Something, with other values for some of its attributes."""

    def __init__(self, inner, **values):
        self._inner = inner
        self.__dict__ |= values

    def __getattr__(self, name):
        return getattr(self._inner, name)


def draw_panels(blender, addon):
    """Have panels fill their layouts, as in a sidebar of 300 pixels: here there is no window."""
    context = blender.context
    system = Over(context.preferences.system, ui_scale=1.0)
    preferences = Over(context.preferences, system=system)
    sidebar = Over(context, preferences=preferences, region=SimpleNamespace(width=300))
    for cls in addon("registration").CLASSES:
        if not issubclass(cls, blender.types.Panel) or cls.bl_space_type != "VIEW_3D":
            continue
        if getattr(cls, "poll", lambda _context: True)(context):
            # Of a presets' popover Blender's own part, which lists the files, needs a window.
            panel = SimpleNamespace(layout=Layout(), path_menu=lambda *_args, **_options: None)
            for name in ("preset_subdir", "preset_operator"):
                setattr(panel, name, getattr(cls, name, ""))
            cls.draw(panel, sidebar)


def slide(settings, watch):
    for prop in settings.bl_rna.properties:
        if prop.type == "FLOAT" and not prop.is_array and not prop.is_readonly:
            before = getattr(settings, prop.identifier)
            for part in (0.3, 0.6):
                value = prop.soft_min + part * (min(prop.soft_max, 10.0) - prop.soft_min)
                with watch.lap("slider", prop.identifier):
                    setattr(settings, prop.identifier, value)
            setattr(settings, prop.identifier, before)


@pytest.mark.one_blender
def test_heads_and_their_speech(engine_ready, addon, watch):
    bpy = engine_ready
    bpy.ops.gaussianspeech.add_head(with_avatar=False)  # Without a window it waits for the avatar.
    head = bpy.context.object
    bpy.ops.gaussianspeech.import_sound(filepath=str(VOICE))
    bpy.ops.gaussianspeech.predict()
    draw_panels(bpy, addon)
    slide(head.gaussianspeech_speech, watch)
    bpy.ops.gaussianspeech.rebake()
    for frame in range(1, 60):
        bpy.context.scene.frame_set(frame)
    head.gaussianspeech_avatar.source = "default"
    bpy.ops.gaussianspeech.portrait_camera()
    bpy.ops.gaussianspeech.set_up_composite()
    for frame in range(1, 60):
        bpy.context.scene.frame_set(frame)
    bpy.ops.gaussianspeech.remove_composite()
    draw_panels(bpy, addon)
    called = timed(watch)
    assert "gaussianspeech.predict.finish" in called
    assert "articulation" in called
    assert any("frame_change_post" in name for name in called)


@pytest.mark.one_blender
def test_a_character_of_ones_own(engine_ready, addon, watch):
    bpy = engine_ready
    sys.path.insert(0, str(REPOSITORY / "docs" / "tour"))
    from own_character import add_character

    face, teeth = add_character(bpy.context, "Elf")
    teeth.select_set(True)
    bpy.ops.gaussianspeech.use_character()
    bpy.ops.gaussianspeech.import_sound(filepath=str(VOICE))
    bpy.ops.gaussianspeech.predict()
    draw_panels(bpy, addon)
    slide(face.gaussianspeech_speech, watch)
    for frame in range(1, 60):
        bpy.context.scene.frame_set(frame)
    assert "gaussianspeech.use_character.execute" in timed(watch)


class Clock:
    """A clock that stands still but where it is moved on: what really passes is the machine's."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """The stopwatch's clock, from which nothing is taken off."""
    clock = Clock()
    monkeypatch.setattr(stopwatch, "time", clock)
    monkeypatch.setattr(stopwatch, "waited", lambda: 0.0)
    return clock


def test_the_stopwatch_finds_what_is_slow(blender, addon, clock):
    watch = Stopwatch()
    handlers = blender.app.handlers.frame_change_post

    def slow(*_args):
        clock.now += 0.02

    slow.__module__ = f"{PACKAGE}.slow"
    handlers.append(slow)
    try:
        with watch.watching(PACKAGE, lambda: addon("registration").CLASSES):
            blender.context.scene.frame_set(5)
            blender.ops.gaussianspeech.check_engine.poll()
    finally:
        handlers.remove(slow)
    late = watch.laps[0]
    assert late.name.endswith("slow on frame_change_post")
    assert late.too_long
    assert late.calls == 1
    assert late.worst == pytest.approx(20)
    assert not any(lap.too_long for lap in watch.laps[1:])


def test_an_operator_that_a_timer_calls_counts_as_an_operator(clock):
    watch = Stopwatch()
    with watch.lap("callback", "timer"):
        clock.now += 0.01
        with watch.lap("operator", "follow"), watch.lap("callback", "handler"):
            clock.now += 0.03
    worst = {lap.name: lap.worst for lap in watch.laps}
    assert worst == pytest.approx({"timer": 10, "follow": 30, "handler": 30})


def test_what_other_programs_take_from_the_thread_is_taken_off(clock, monkeypatch):
    waited = [0.0]
    monkeypatch.setattr(stopwatch, "waited", lambda: waited[0])
    watch = Stopwatch()
    with watch.lap("callback", "handler"):
        clock.now += 0.02
        waited[0] += 0.015
    assert watch.laps[0].worst == pytest.approx(5)


def test_every_operator_is_measured_or_named_with_the_reason(blender, addon):
    source = REPOSITORY.joinpath("tests/blender_addon/main_thread.py").read_text("utf-8")
    words = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}
    classes = addon("registration").CLASSES
    operators = {cls.bl_idname for cls in classes if issubclass(cls, blender.types.Operator)}
    measured = {name for name in operators if {name, name.partition(".")[2]} & words}
    assert operators - measured == set(OPERATORS)


def test_every_callback_is_watched(blender, addon, watch):
    """Handlers, the message bus and properties, and what is named with a reason is there."""
    for kind in dir(blender.app.handlers):
        handlers = getattr(blender.app.handlers, kind)
        for function in handlers if isinstance(handlers, list) else ():
            if getattr(function, "__module__", "").startswith(PACKAGE):
                assert f"{name_of(function)} on {kind}" in watch.watched
    sources = [path.read_text("utf-8") for path in REPOSITORY.glob("blender_addon/**/*.py")]
    calls = [
        node
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.keyword) and node.arg in {"update", "notify"}
    ]
    named = {node.value.id for node in calls if isinstance(node.value, ast.Name)}
    watched = {name.split(" ")[0].rpartition(".")[2] for name in watch.watched}
    assert named
    assert named <= watched
    assert set(CALLBACKS) <= watch.watched


def name_of(function):
    return f"{function.__module__.partition('.blender_addon.')[2]}.{function.__qualname__}"
