# SPDX-License-Identifier: GPL-3.0-or-later
"""Pressing the add-on's buttons, sliders and menus in a window, each timed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import addon_utils
import bpy
from walking import Condition, area, idle, inside, seconds, status, window

from tests.blender_addon.stopwatch import Stopwatch

PACKAGE = "bl_ext.user_default.gaussianspeech"
_PATIENCE = 40
"""Ticks of a quarter of a second to wait for a file browser."""
WATCH = Stopwatch()
errors: list[str] = []
"""What operators said that did not finish."""


def enable() -> tuple[type, ...]:
    """Enable the add-on anew, so that its timers and handlers are watched from the first.

    All sections of its tab begin open: only a mouse opens one.
    """
    classes = part("registration").CLASSES
    addon_utils.disable(PACKAGE)
    for cls in classes:
        if "DEFAULT_CLOSED" in getattr(cls, "bl_options", ()):
            cls.bl_options = set(cls.bl_options) - {"DEFAULT_CLOSED"}
    addon_utils.enable(PACKAGE)
    return classes


def part(name: str) -> Any:
    """A module of the installed add-on."""
    return sys.modules[f"{PACKAGE}.blender_addon.{name}"]


def call(
    name: str, /, *, invoke: bool = True, editor: str = "VIEW_3D", **options: Any
) -> Iterator[Condition]:
    """Run an operator as its button does, and wait until it has ended."""
    operator = getattr(bpy.ops.gaussianspeech, name)
    with inside(editor):
        if not operator.poll():
            errors.append(f"{name}: cannot be pressed")
            return
        try:
            operator("INVOKE_DEFAULT" if invoke else "EXEC_DEFAULT", **options)
        except RuntimeError as error:
            errors.append(f"{name}: {str(error).strip()}")
    yield idle
    if status().is_error:
        errors.append(f"{name}: {status().message}")
    yield from seconds(0.5)
    yield from close_file_browser()
    yield from seconds(0.5)


def undo_and_redo() -> Iterator[Condition]:
    """One step of each, between two that have all that was done: scripts leave none."""
    with inside("VIEW_3D"):
        for name in ("Before", "After"):
            bpy.ops.ed.undo_push(message=name)
        bpy.ops.ed.undo()
        bpy.ops.ed.redo()
    yield from seconds(1)


def close_file_browser() -> Iterator[Condition]:
    """Close the browser that operators open which ask for a file, and wait until it is closed."""
    for tick in range(_PATIENCE):
        found = [area for area in window().screen.areas if area.type == "FILE_BROWSER"]
        if not found:
            return
        region = next(region for region in found[0].regions if region.type == "WINDOW")
        with bpy.context.temp_override(window=window(), area=found[0], region=region):
            if bpy.ops.file.cancel.poll():
                bpy.ops.file.cancel()
            elif tick > _PATIENCE // 2:
                bpy.ops.screen.back_to_previous()
        yield lambda: True


def select(*objects: bpy.types.Object) -> None:
    """Select objects, the first of which becomes active."""
    with inside("VIEW_3D"):
        bpy.ops.object.select_all(action="DESELECT")
        for obj in objects:
            obj.select_set(True)
        bpy.context.view_layer.objects.active = objects[0]


def slide(owner: bpy.types.PropertyGroup) -> Iterator[Condition]:
    """Drag every slider that does something at once, flip every switch, make every choice."""
    for prop in owner.bl_rna.properties:
        if prop.is_readonly or getattr(prop, "is_array", False):
            continue
        before = getattr(owner, prop.identifier)
        for value in tried(prop, before):
            with WATCH.lap("slider", f"{type(owner).__name__}.{prop.identifier}"):
                setattr(owner, prop.identifier, value)
            yield lambda: True


def tried(prop: bpy.types.Property, before: Any) -> list[Any]:
    """Values of a property to set, one after the other, and what it was."""
    if prop.type == "FLOAT":
        span = min(prop.soft_max, 10.0) - prop.soft_min
        return [*(prop.soft_min + part * span for part in (0.25, 0.75)), before]
    if prop.type == "ENUM" and before:
        return [*(item.identifier for item in prop.enum_items), before]
    others = {"BOOLEAN": lambda: not before, "INT": lambda: before + 1}
    return [others[prop.type](), before] if prop.type in others else []


def play(duration: float) -> Iterator[Condition]:
    """Play the animation for some seconds."""
    with inside("VIEW_3D"):
        bpy.ops.screen.animation_play()
    yield from seconds(duration)
    with inside("VIEW_3D"):
        bpy.ops.screen.animation_cancel(restore_frame=False)


def was_run(name: str) -> bool:
    """Whether an operator was run."""
    return any(lap.name in {f"{name}.execute", f"{name}.invoke"} for lap in WATCH.laps)


def confirm(name: str, path: Path, **options: Any) -> Iterator[Condition]:
    """Open the file browser of an operator, choose a file in it, and press its button."""
    with inside("VIEW_3D"):
        getattr(bpy.ops.gaussianspeech, name)("INVOKE_DEFAULT")
    yield lambda: "FILE_BROWSER" in {area.type for area in window().screen.areas}
    yield from seconds(0.5)
    browser = area("FILE_BROWSER")
    space = browser.spaces.active
    for option, value in options.items():
        setattr(space.active_operator, option, value)
    space.params.directory = f"{path.parent}/".encode()
    space.params.filename = path.name
    yield from seconds(0.5)
    region = next(region for region in browser.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=window(), area=browser, region=region):
        bpy.ops.file.execute()
    yield from seconds(0.5)
    yield idle
    yield from close_file_browser()
    if status().is_error:
        errors.append(f"{name}: {status().message}")


def open_menus(editor: str, *names: str) -> Iterator[Condition]:
    """Open menus of an editor, or popovers, one after the other."""
    for name in names:
        with inside(editor):
            if "_PT_" in name:
                bpy.ops.wm.call_panel("INVOKE_DEFAULT", name=name)
            else:
                bpy.ops.wm.call_menu("INVOKE_DEFAULT", name=name)
        yield from seconds(0.5)
        escape()
        yield from seconds(0.5)


def escape() -> None:
    """Press Esc."""
    for value in ("PRESS", "RELEASE"):
        window().event_simulate("ESC", value)


@contextmanager
def another_editor(kind: str) -> Iterator[None]:
    """Let the dope sheet's area be another editor for the length of a block."""
    changed = area("DOPESHEET_EDITOR")
    changed.type = kind
    try:
        yield
    finally:
        changed.type = "DOPESHEET_EDITOR"


def menus() -> Iterator[Condition]:
    """Menus and popovers: those of the add-on, and those of Blender with entries of it."""
    own = [cls.__name__ for cls in part("registration").CLASSES if issubclass(cls, bpy.types.Menu)]
    yield from open_menus("VIEW_3D", "GAUSSIANSPEECH_PT_controls_presets", *own)
    view = (f"VIEW3D_MT_{name}" for name in ("object", "pose", "mesh_add"))
    yield from open_menus("VIEW_3D", *view, "TOPBAR_MT_file_export", "TOPBAR_MT_file_import")
    sequencer = (f"SEQUENCER_MT_{name}" for name in ("add", "strip", "context_menu", "marker"))
    yield from open_menus("SEQUENCE_EDITOR", *sequencer)
    yield from open_menus("DOPESHEET_EDITOR", "DOPESHEET_MT_marker")
    for editor, name in (("GRAPH_EDITOR", "GRAPH_MT_marker"), ("NLA_EDITOR", "NLA_MT_marker")):
        with another_editor(editor):
            yield from open_menus(editor, name)
