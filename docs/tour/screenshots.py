# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the README's screenshots by walking through the five-minute tour in a real Blender window.

    blender --window-geometry 0 0 1600 1000 --python docs/tour/screenshots.py -- VOICE.wav FOLDER

The extension must be installed and its engine Python set (or GAUSSIANSPEECH_PYTHON be defined).
Click the sidebar's GaussianSpeech tab when the head has appeared; the rest goes by itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy

VOICE, FOLDER = (Path(argument).resolve() for argument in sys.argv[sys.argv.index("--") + 1 :][:2])
LINE = "Lend me your own voice, and I will move my mouth, from a soft whisper to a proper boom."
TAB = "GaussianSpeech"
PATIENCE = 240
"""Quarters of a second to wait for one step before giving up."""

Condition = Callable[[], bool]


def window() -> bpy.types.Window:
    return bpy.context.window_manager.windows[0]


def area(kind: str) -> bpy.types.Area:
    return next(area for area in window().screen.areas if area.type == kind)


def inside(kind: str) -> Any:
    found = area(kind)
    region = next(region for region in found.regions if region.type == "WINDOW")
    return bpy.context.temp_override(window=window(), area=found, region=region)


def busy() -> bool:
    return bpy.context.window_manager.gaussianspeech_status.busy


def idle() -> bool:
    return not busy()


def shoot(name: str) -> None:
    """What the X display shows, taken by FFmpeg: Blender's own grab can come out black."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    size = f"{window().width}x{window().height}"
    grab = ["ffmpeg", "-y", "-loglevel", "error", "-f", "x11grab", "-video_size", size]
    grab += ["-i", os.environ["DISPLAY"], "-frames:v", "1", str(FOLDER / f"{name}.png")]
    subprocess.run(grab, check=True)


def seconds(number: float) -> Iterator[Condition]:
    for _ in range(int(4 * number)):
        yield lambda: True


def frame_head() -> None:
    space = area("VIEW_3D").spaces.active
    space.show_region_ui = True
    space.shading.type = "SOLID"
    space.shading.color_type = "MATERIAL"
    space.overlay.show_floor = space.overlay.show_axis_x = space.overlay.show_axis_y = False
    with inside("VIEW_3D"):
        bpy.ops.view3d.view_axis(type="FRONT")
        bpy.ops.view3d.view_selected()
    space.region_3d.view_perspective = "PERSP"


def sidebar() -> bpy.types.Region:
    return next(region for region in area("VIEW_3D").regions if region.type == "UI")


def tab_chosen() -> bool:
    """Only a click can choose a sidebar's tab: the walk waits for it."""
    return sidebar().active_panel_category == TAB


def most_open_frame(head: bpy.types.Object) -> int:
    scene = bpy.context.scene
    widest, chosen = -1.0, scene.frame_start
    jaw = head.data.shape_keys.key_blocks["jawOpen"]
    for frame in range(scene.frame_start, scene.frame_end + 1):
        scene.frame_set(frame)
        if jaw.value > widest:
            widest, chosen = jaw.value, frame
    return chosen


def walk() -> Iterator[Condition]:
    bpy.context.preferences.view.show_splash = False
    bpy.context.preferences.system.use_region_overlap = False
    for thing in list(bpy.data.objects):
        if thing.type == "MESH":
            bpy.data.objects.remove(thing)
    window().workspace = bpy.data.workspaces["Animation"]
    yield from seconds(1)
    views = [area for area in window().screen.areas if area.type == "VIEW_3D"]
    min(views, key=lambda area: area.x).type = "SEQUENCE_EDITOR"
    yield from seconds(1)
    with inside("VIEW_3D"):
        bpy.ops.gaussianspeech.add_head("INVOKE_DEFAULT")
    yield lambda: idle() and bpy.context.view_layer.objects.active is not None
    head = bpy.context.view_layer.objects.active
    frame_head()
    print(f"Click the sidebar's tab {TAB}, please.", flush=True)
    yield tab_chosen
    yield from seconds(1)
    shoot("1-head")

    with inside("VIEW_3D"):
        bpy.ops.gaussianspeech.import_sound(filepath=str(VOICE))
    head.gaussianspeech_speech.text = LINE
    yield from seconds(1)
    area("SEQUENCE_EDITOR").spaces.active.timeline_overlay.show_strip_source = False
    with inside("SEQUENCE_EDITOR"):
        bpy.ops.sequencer.view_all()
    with inside("VIEW_3D"):
        bpy.ops.gaussianspeech.predict("INVOKE_DEFAULT")
    yield from seconds(1)
    shoot("2-predicting")
    yield idle

    area("SEQUENCE_EDITOR").type = "GRAPH_EDITOR"
    bpy.context.scene.frame_set(most_open_frame(head))
    with inside("GRAPH_EDITOR"):
        bpy.ops.graph.view_all()
    yield from seconds(2)
    shoot("3-keys")

    if not head.gaussianspeech_avatar.source:
        with inside("VIEW_3D"):
            bpy.ops.gaussianspeech.bind_avatar("INVOKE_DEFAULT")
        yield idle
    bpy.context.scene.render.engine = "GAUSSIANSPEECH"
    area("VIEW_3D").spaces.active.shading.type = "RENDERED"
    area("VIEW_3D").spaces.active.overlay.show_overlays = False
    # The first frame waits for the engine to compile its kernels; later ones do not.
    yield from seconds(30)
    shoot("4-avatar")


def give_up(patience: int) -> None:
    if patience == 0:
        raise TimeoutError(bpy.context.window_manager.gaussianspeech_status.message)


def run() -> None:
    steps = walk()
    waiting: list[Condition] = [lambda: True]
    patience = PATIENCE

    def step() -> float | None:
        nonlocal patience
        try:
            if not waiting[0]():
                patience -= 1
                give_up(patience)
                return 0.25
            waiting[0], patience = next(steps), PATIENCE
        except StopIteration:
            bpy.ops.wm.quit_blender()
            return None
        except Exception:  # noqa: BLE001 - whatever it is, it is shown and the window closes
            traceback.print_exc()
            shoot("failed")
            bpy.ops.wm.quit_blender()
            return None
        return 0.25

    bpy.app.timers.register(step, first_interval=3.0)


run()
