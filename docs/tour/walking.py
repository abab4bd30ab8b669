# SPDX-License-Identifier: GPL-3.0-or-later
"""What walks through Blender's window share: waiting for it, finding its parts, and pictures."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import bpy

TAB = "GaussianSpeech"

Condition = Callable[[], bool]
"""What a walk waits for before its next step."""


def window() -> bpy.types.Window:
    return bpy.context.window_manager.windows[0]


def arguments(*names: str) -> tuple[Path, ...]:
    """The paths after ``--`` on Blender's command line; without them all Blender ends with 2.

    Args:
        names: of what is to be given.
    """
    given = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    if len(given) != len(names):
        print(f"Give {' and '.join(names)} after --: see the file's beginning.", file=sys.stderr)
        _end(2)
    return tuple(Path(argument).resolve() for argument in given)


def _end(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # Blender's own way out says 0.


def check(holds: object, otherwise: str) -> None:
    """End the walk with a message where something is otherwise than the pictures say."""
    if not holds:
        raise AssertionError(otherwise)


def area(kind: str) -> bpy.types.Area:
    """The first editor of a kind in the window."""
    found = [area for area in window().screen.areas if area.type == kind]
    there = ", ".join(area.type for area in window().screen.areas)
    check(found, f"The window has no {kind}; it has {there}")
    return found[0]


def region_of(kind: str, name: str) -> bpy.types.Region:
    """A region of the first editor of a kind."""
    found = [region for region in area(kind).regions if region.type == name]
    check(found, f"The {kind} has no region {name}")
    return found[0]


def inside(kind: str, region: str = "WINDOW") -> Any:
    return bpy.context.temp_override(
        window=window(), area=area(kind), region=region_of(kind, region)
    )


class _Recorder:
    """A layout that draws nothing and remembers the operators of its buttons."""

    def __init__(self, found: list[str]) -> None:
        self.__dict__["_found"] = found

    def operator(self, name: str, *_: object, **__: object) -> SimpleNamespace:
        self._found.append(name)
        return SimpleNamespace()

    def __getattr__(self, _name: str) -> Any:
        return lambda *_args, **_options: self


def panels() -> list[Any]:
    """The sections of our tab in the 3D view, a parent before what is in it."""
    ours = [
        cls
        for cls in bpy.types.Panel.__subclasses__()
        if getattr(cls, "bl_category", "") == TAB
        and cls.bl_space_type == "VIEW_3D"
        and getattr(bpy.types, cls.__name__, None) is cls  # And not of another import of ours.
    ]
    check(ours, f"No section of the tab {TAB} is registered: is the extension installed?")
    return sorted(ours, key=lambda cls: _depth(cls, {cls.bl_idname: cls for cls in ours}))


def _depth(cls: Any, by_name: dict[str, Any]) -> int:
    parent = by_name.get(getattr(cls, "bl_parent_id", ""))
    return 0 if parent is None else 1 + _depth(parent, by_name)


def open_only(*names: str) -> None:
    """Have the sidebar begin with some of our sections open and all others closed.

    Only a click opens a section that was drawn, and nothing says where its header lies: call this
    before the sidebar is first shown.
    """
    found = panels()
    there = {cls.bl_idname for cls in found}
    check(there.issuperset(names), f"There are no sections {set(names) - there}")
    for cls in reversed(found):
        bpy.utils.unregister_class(cls)
    for cls in found:
        closed = cls.bl_idname not in names and getattr(cls, "bl_parent_id", "") in there
        others = getattr(cls, "bl_options", set()) - {"DEFAULT_CLOSED"}
        cls.bl_options = others | ({"DEFAULT_CLOSED"} if closed else set())
        bpy.utils.register_class(cls)


def buttons() -> list[str]:
    """The operators whose buttons the sidebar has now, those of closed sections too."""
    found: list[str] = []
    with inside("VIEW_3D", "UI"):
        for cls in panels():
            if not hasattr(cls, "poll") or cls.poll(bpy.context):
                cls.draw(SimpleNamespace(layout=_Recorder(found)), bpy.context)
    return found


def check_button(name: str) -> None:
    """Make sure that the sidebar has a button for an operator of ours, and that it is not grey."""
    target = getattr(bpy.ops.gaussianspeech, name)
    label = target.get_rna_type().name
    there = sorted(found.partition(".")[2] for found in buttons())
    check(
        f"gaussianspeech.{name}" in buttons(),
        f"The sidebar has no button {label} ({name}). {status().message} It has {there}",
    )
    with inside("VIEW_3D"):
        check(target.poll(), f"The button {label} ({name}) is grey. {status().message}")


def push(name: str, mode: str = "INVOKE_DEFAULT", **options: object) -> None:
    """Push the button of an operator, and do not wait for what it begins."""
    check_button(name)
    with inside("VIEW_3D"):
        result = getattr(bpy.ops.gaussianspeech, name)(mode, **options)
    check("CANCELLED" not in result, f"{name}: {status().message} {status().hint}")


def press(name: str, **options: object) -> Iterator[Condition]:
    """Push the button of an operator, and wait until its work is done."""
    push(name, **options)
    yield from done(name)


def choose(name: str, **options: object) -> Iterator[Condition]:
    """Call an operator as a file dialog does with what was chosen, and wait for it."""
    with inside("VIEW_3D"):
        getattr(bpy.ops.gaussianspeech, name)("INVOKE_DEFAULT", **options)
    yield from done(name)


def done(what: str) -> Iterator[Condition]:
    """Wait for running work; an error ends the walk."""
    yield idle
    yield from seconds(0.5)
    check(not status().is_error, f"{what}: {status().message} {status().hint}")


def module(name: str) -> Any:
    """A module of the installed add-on, by its name inside ``blender_addon``."""
    found = [mod for path, mod in sys.modules.items() if path.endswith(f".blender_addon.{name}")]
    check(found, f"The add-on has no module {name}: is the extension installed and enabled?")
    return found[0]


def status() -> bpy.types.PropertyGroup:
    return bpy.context.window_manager.gaussianspeech_status


def idle() -> bool:
    return not status().busy


def shoot(folder: Path, name: str, box: tuple[int, int, int, int] | None = None) -> None:
    """What the X display shows, taken by FFmpeg: Blender's own grab can come out black.

    Args:
        folder: of the picture.
        name: of the picture, without its ending.
        box: left, top, width and height in pixels from the window's upper left corner; all of it
            by default.
    """
    left, top, width, height = box or (0, 0, window().width, window().height)
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{time.strftime('%X')} {name}", flush=True)
    grab = ["ffmpeg", "-y", "-loglevel", "error", "-f", "x11grab", "-draw_mouse", "0"]
    grab += ["-video_size", f"{width}x{height}", "-i", f"{os.environ['DISPLAY']}+{left},{top}"]
    grab += ["-frames:v", "1", str(folder / f"{name}.png")]
    subprocess.run(grab, check=True)


def seconds(number: float) -> Iterator[Condition]:
    for _ in range(int(4 * number)):
        yield lambda: True


def sidebar(editor: str = "VIEW_3D") -> bpy.types.Region:
    return region_of(editor, "UI")


def click(x: int, y: int) -> None:
    """A click at a point of the window; Blender must run with ``--enable-event-simulate``."""
    window().event_simulate("MOUSEMOVE", "NOTHING", x=x, y=y)
    for value in ("PRESS", "RELEASE"):
        window().event_simulate("LEFTMOUSE", value, x=x, y=y)


def show_sidebar(editor: str = "VIEW_3D") -> Iterator[Condition]:
    """Open the sidebar and click down its tabs to ours: only a click can choose a tab."""
    bpy.context.preferences.view.show_splash = False
    bpy.context.preferences.system.use_region_overlap = False
    area(editor).spaces.active.show_region_ui = True
    yield from seconds(1)
    for step in range(20, sidebar(editor).height, 20):
        region = sidebar(editor)
        if region.active_panel_category == TAB:
            break
        click(region.x + region.width - 12, region.y + region.height - step)
        yield from seconds(0.5)
    shown = sidebar(editor).active_panel_category
    check(shown == TAB, f"The sidebar has no tab {TAB} that a click reaches: it shows {shown}")
    yield from seconds(1)


def widen_sidebar(pixels: int) -> Iterator[Condition]:
    """Draw the sidebar's edge to the left, for long names."""
    before = sidebar().width
    x, y = sidebar().x, sidebar().y + sidebar().height // 2
    window().event_simulate("MOUSEMOVE", "NOTHING", x=x, y=y)
    yield from seconds(0.5)
    window().event_simulate("LEFTMOUSE", "PRESS", x=x, y=y)
    for step in range(0, pixels + 1, 10):
        window().event_simulate("MOUSEMOVE", "NOTHING", x=x - step, y=y)
        yield from seconds(0.25)
    window().event_simulate("LEFTMOUSE", "RELEASE", x=x - pixels, y=y)
    yield from seconds(0.5)
    window().event_simulate("MOUSEMOVE", "NOTHING", x=x // 2, y=y)
    yield from seconds(0.5)
    wider = sidebar().width - before
    check(abs(wider - pixels) < 10, f"The sidebar is {wider} pixels wider instead of {pixels}")


def scroll_sidebar(notches: int) -> Iterator[Condition]:
    """Scroll the sidebar down by some notches of the wheel, or up where they are negative."""
    # Beside the lists, which would take the wheel for themselves.
    x, y = sidebar().x + sidebar().width - 51, sidebar().y + sidebar().height // 2
    window().event_simulate("MOUSEMOVE", "NOTHING", x=x, y=y)
    yield from seconds(0.5)
    wheel = "WHEELDOWNMOUSE" if notches > 0 else "WHEELUPMOUSE"
    for _ in range(abs(notches)):
        window().event_simulate(wheel, "PRESS", x=x, y=y)
        yield from seconds(0.25)
    window().event_simulate("MOUSEMOVE", "NOTHING", x=x // 3, y=y)
    yield from seconds(0.5)


def run(steps: Iterator[Condition], folder: Path, patience: float) -> None:
    """Walk, and close the window at the end; on an error, or after so many seconds, end with 1."""
    waiting: list[Condition] = [lambda: True]
    left = patience

    def step() -> float | None:
        nonlocal left
        try:
            if not waiting[0]():
                left -= 0.25
                if left <= 0:
                    raise TimeoutError(status().message)  # noqa: TRY301 - ends as any other failure
                return 0.25
            waiting[0], left = next(steps), patience
        except StopIteration:
            bpy.ops.wm.quit_blender()
            return None
        except Exception:  # noqa: BLE001 - whatever it is, it is shown and the window closes
            traceback.print_exc()
            shoot(folder, "failed")
            _end(1)
        return 0.25

    bpy.app.timers.register(step, first_interval=3.0)
