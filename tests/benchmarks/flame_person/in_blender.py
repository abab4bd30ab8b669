# SPDX-License-Identifier: GPL-3.0-or-later
"""A trained person in Blender: *Add Person…*, a sound strip, *Predict*, F12 through the engine.

``python -m tests.benchmarks.flame_person.in_blender PERSON SOUND OUT [ENGINE_PYTHON]`` with
Blender's Python (``bpy``): PERSON is a person's folder or ``default``, OUT a folder for
``frame-N.png`` at five frames of the sound. Nothing is asserted: the pictures are to be looked at.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from blender_addon.standalone import addon_module, enabled_addon

SIZE = (412, 600)
PICTURES = 5
_PATIENCE = 300.0


def main(person: str, sound: str, out: str, engine_python: str = sys.executable) -> None:
    import bpy

    with enabled_addon(engine_python):
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        scene = bpy.context.scene
        scene.render.fps = 30
        bpy.ops.gaussianspeech.add_person(person=person)
        obj = bpy.context.object
        wait_for_avatar(obj)
        bpy.ops.gaussianspeech.import_sound(filepath=sound)
        bpy.ops.gaussianspeech.predict()
        addon_module("demo_scene").set_up(scene, obj)
        bpy.ops.gaussianspeech.render_avatars()
        scene.render.resolution_x, scene.render.resolution_y = SIZE
        scene.view_settings.view_transform = "Standard"
        first, last = (int(value) for value in frames_of(obj))
        for number in range(PICTURES):
            frame = first + (number + 1) * (last - first) // (PICTURES + 1)
            scene.frame_set(frame)
            scene.render.filepath = str(Path(out) / f"frame-{frame:04d}.png")
            bpy.ops.render.render(write_still=True)
        print(f"Blender {bpy.app.version_string}: {obj.name}, speech {spoken_by(obj)}")
        print(f"{obj.gaussianspeech_avatar.gaussians:,} Gaussians, frames {first} to {last}")


def wait_for_avatar(obj) -> None:
    background = addon_module("engine_link.background")
    end = time.monotonic() + _PATIENCE
    while not obj.gaussianspeech_avatar.gaussians and time.monotonic() < end:
        background.poll_finished()
        time.sleep(0.1)


def spoken_by(obj) -> str:
    settings = obj.gaussianspeech_speech
    return settings.model_file if settings.model == "FILE" else settings.model


def frames_of(obj) -> tuple[float, float]:
    tracks = obj.data.shape_keys.animation_data.nla_tracks
    strips = [strip for track in tracks for strip in track.strips]
    return min(s.frame_start for s in strips), max(s.frame_end for s in strips)


if __name__ == "__main__":
    main(*sys.argv[1:])
