# SPDX-License-Identifier: GPL-3.0-or-later
r"""Makes the README's screenshots by walking through the five-minute tour in a real Blender window.

    blender --enable-event-simulate --window-geometry 0 0 1600 1000 \
        --python docs/tour/screenshots.py -- VOICE.wav FOLDER

The extension must be installed and its engine Python set (or GAUSSIANSPEECH_PYTHON be defined). It
goes by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))
from walking import (
    Condition,
    area,
    arguments,
    check,
    check_button,
    done,
    inside,
    press,
    push,
    run,
    seconds,
    shoot,
    show_sidebar,
    window,
)

VOICE, FOLDER = arguments("VOICE.wav", "FOLDER")
LINE = "Lend me your own voice, and I will move my mouth, from a soft whisper to a proper boom."
PATIENCE = 300.0
"""Seconds to wait for one step before giving up."""


def frame_head() -> None:
    space = area("VIEW_3D").spaces.active
    space.shading.type = "SOLID"
    space.shading.color_type = "MATERIAL"
    space.overlay.show_floor = space.overlay.show_axis_x = space.overlay.show_axis_y = False
    with inside("VIEW_3D"):
        bpy.ops.view3d.view_axis(type="FRONT")
        bpy.ops.view3d.view_selected()
    space.region_3d.view_perspective = "PERSP"


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
    for thing in list(bpy.data.objects):
        if thing.type == "MESH":
            bpy.data.objects.remove(thing)
    window().workspace = bpy.data.workspaces["Animation"]
    yield from seconds(1)
    views = [area for area in window().screen.areas if area.type == "VIEW_3D"]
    min(views, key=lambda area: area.x).type = "SEQUENCE_EDITOR"
    yield from seconds(1)
    yield from press("add_head")
    head = bpy.context.view_layer.objects.active
    frame_head()
    yield from show_sidebar()
    shoot(FOLDER, "1-head")

    check_button("import_sound")
    with inside("VIEW_3D"):
        bpy.ops.gaussianspeech.import_sound(filepath=str(VOICE))
    head.gaussianspeech_lines[0].text = LINE
    yield from seconds(1)
    area("SEQUENCE_EDITOR").spaces.active.timeline_overlay.show_strip_source = False
    with inside("SEQUENCE_EDITOR"):
        bpy.ops.sequencer.view_all()
    push("predict")
    yield from seconds(1)
    shoot(FOLDER, "2-predicting")
    yield from done("predict")

    yield from press("edit_line")
    area("SEQUENCE_EDITOR").type = "GRAPH_EDITOR"
    bpy.context.scene.frame_set(most_open_frame(head))
    with inside("GRAPH_EDITOR"):
        bpy.ops.graph.view_all()
    yield from seconds(2)
    shoot(FOLDER, "3-keys")
    yield from press("edit_line")
    check(head.gaussianspeech_avatar.source, "The head has no avatar")
    bpy.context.scene.render.engine = "GAUSSIANSPEECH"
    area("VIEW_3D").spaces.active.shading.type = "RENDERED"
    area("VIEW_3D").spaces.active.overlay.show_overlays = False
    # The first frame waits for the engine to compile its kernels; later ones do not.
    yield from seconds(30)
    shoot(FOLDER, "4-avatar")


run(walk(), FOLDER, PATIENCE)
