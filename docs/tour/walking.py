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
from typing import Any

import bpy

TAB = "GaussianSpeech"

Condition = Callable[[], bool]
"""What a walk waits for before its next step."""


def window() -> bpy.types.Window:
    return bpy.context.window_manager.windows[0]


def area(kind: str) -> bpy.types.Area:
    return next(area for area in window().screen.areas if area.type == kind)


def inside(kind: str) -> Any:
    found = area(kind)
    region = next(region for region in found.regions if region.type == "WINDOW")
    return bpy.context.temp_override(window=window(), area=found, region=region)


def status() -> bpy.types.PropertyGroup:
    return bpy.context.window_manager.gaussianspeech_status


def idle() -> bool:
    return not status().busy


def shoot(folder: Path, name: str) -> None:
    """What the X display shows, taken by FFmpeg: Blender's own grab can come out black."""
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{time.strftime('%X')} {name}", flush=True)
    size = f"{window().width}x{window().height}"
    grab = ["ffmpeg", "-y", "-loglevel", "error", "-f", "x11grab", "-draw_mouse", "0"]
    grab += [
        "-video_size",
        size,
        "-i",
        os.environ["DISPLAY"],
        "-frames:v",
        "1",
        str(folder / f"{name}.png"),
    ]
    subprocess.run(grab, check=True)


def seconds(number: float) -> Iterator[Condition]:
    for _ in range(int(4 * number)):
        yield lambda: True


def sidebar(editor: str = "VIEW_3D") -> bpy.types.Region:
    return next(region for region in area(editor).regions if region.type == "UI")


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
    yield from seconds(1)


def widen_sidebar(pixels: int) -> Iterator[Condition]:
    """Draw the sidebar's edge to the left, for long names."""
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
            sys.stderr.flush()
            os._exit(1)  # Blender's own way out says 0.
        return 0.25

    bpy.app.timers.register(step, first_interval=3.0)
