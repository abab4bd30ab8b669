# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene with everything set up: head, speech, sound, avatar, camera, light and compositor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Vector

from ..engine.core.errors import BadInputError, GaussianSpeechError, one_line
from ..engine.core.files import atomic_write
from ..engine.core.protocol import Message
from . import compat
from .engine_link.session import get_engine
from .engine_link.tasks import finished_within
from .rendering.avatar_scene import set_up_composite
from .rendering.portrait import ABOVE, BELOW, add_portrait_camera
from .speech.bake import bake
from .speech.correctives import corrective_names
from .speech.line_list import add_line
from .speech.prediction import prediction_from_reply
from .speech.strip import add_sound_strip

__all__ = ["GaussianSpeechError", "one_line", "write_demo_scene"]

RESOLUTION = (720, 900)
_TIMEOUT = 600.0
"""Seconds the engine may take for one request of an hour of speech."""


def write_demo_scene(
    *,
    performance: Path,
    audio: Path,
    out: Path,
    head: str,
    avatar: str,
    gaze: float = 0.0,
    head_motion: float = 0.0,
) -> None:
    """Write a .blend in which a head speaks.

    Args:
        performance: of the speech, for this head.
        audio: its sound; it is packed into the file.
        out: the .blend file; it appears when it is complete.
        head: ``"default"`` or a FLAME file.
        avatar: ``"default"`` or an avatar file.
        gaze: amount of gaze, which comes back to the camera, beyond what the performance has.
        head_motion: amount of head motion, likewise.

    Raises:
        GaussianSpeechError: a file is missing or does not fit; nothing is written.
    """
    for path in (performance, audio):
        if not path.is_file():
            raise BadInputError(f"There is no file {path}.", "Check the path.")
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    context = bpy.context
    for obj in list(bpy.data.objects):
        bpy.data.objects.remove(obj)
    scene = context.scene
    scene.name = "Talk"
    _operate(bpy.ops.gaussianspeech.add_head, head=head, with_avatar=False)
    obj = context.object
    _operate(bpy.ops.gaussianspeech.bind_avatar, avatar=avatar)
    # A Blender without the add-on is to show the mesh.
    obj.gaussianspeech_avatar.in_viewport = False
    reply = _load(context, performance, head)
    _set_frames(scene, reply.body["fps"], reply.body["frames"])
    _speak(context, obj, reply, audio)
    set_up(scene, obj)
    _animate_face(context, obj, gaze, head_motion)
    set_up_composite(scene)
    _set_screens()
    scene.frame_set(scene.frame_start)
    _save(out)


def _operate(operator: Any, **options: Any) -> None:
    try:
        operator(**options)
    except RuntimeError as error:  # Blender's form of what the operator reported.
        raise GaussianSpeechError(str(error).removeprefix("Error: ").strip()) from error


def _load(context: bpy.types.Context, performance: Path, head: str) -> Message:
    params = {"path": str(performance.resolve()), "head": head}
    return finished_within(get_engine(context).request("performance.load", params), _TIMEOUT)


def _set_frames(scene: bpy.types.Scene, fps: float, frames: int) -> None:
    scene.render.fps = round(fps)
    scene.render.fps_base = round(fps) / fps
    scene.frame_start, scene.frame_end = 1, frames


def _speak(context: bpy.types.Context, obj: bpy.types.Object, reply: Message, audio: Path) -> None:
    """Add the sound and bake the performance to it."""
    scene, strip_start = context.scene, None
    clip = audio.stem
    line = add_line(obj, clip)
    if compat.has_audio():
        strip = add_sound_strip(scene, audio.resolve(), scene.frame_start)
        strip.sound.pack()
        clip, strip_start = strip.name, compat.strip_content_start(strip)
        line.source, line.strip = "STRIP", clip
    else:
        line.source, line.filepath = "FILE", str(audio.resolve())
    scene.sync_mode = "AUDIO_SYNC"
    deltas = np.asarray(reply.arrays["corrective_deltas"], np.float32)
    prediction = prediction_from_reply(
        reply.body,
        reply.arrays,
        clip=clip,
        start=scene.frame_start,
        strip_start=strip_start,
        correctives=corrective_names(clip, len(deltas)),
    )
    bake(context, line, prediction, deltas)


def _animate_face(
    context: bpy.types.Context, obj: bpy.types.Object, gaze: float, head_motion: float
) -> None:
    """Set the sliders, each of which bakes again."""
    context.view_layer.update()
    settings = obj.gaussianspeech_speech
    if gaze:
        settings.look_at, settings.gaze = context.scene.camera, gaze
    if head_motion:
        settings.head_motion = head_motion


def set_up(scene: bpy.types.Scene, head: bpy.types.Object) -> None:
    """Camera, lights, backdrop and render settings round a head."""
    corners = np.array([head.matrix_world @ Vector(corner) for corner in head.bound_box])
    low, high = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    top, bottom = high[2] + ABOVE, low[2] + BELOW
    target = Vector(((low[0] + high[0]) / 2, (low[1] + high[1]) / 2, (top + bottom) / 2))
    add_portrait_camera(scene, head, "Camera")
    _set_backdrop(scene, target)
    size = top - bottom
    for name, offset, width, watts, color in (
        ("Key", (-2.2, -2.6, 1.8), 2.0, 22.0, (1.0, 0.93, 0.86)),
        ("Fill", (2.8, -2.2, 0.4), 3.0, 7.0, (0.82, 0.9, 1.0)),
        ("Back", (1.2, 2.2, 2.4), 1.5, 16.0, (1.0, 0.97, 0.92)),
    ):
        _add_light(scene, name, target, Vector(offset) * size, width * size, watts, color)
    scene.world = bpy.data.worlds.new("Studio")
    scene.world.color = (0.05, 0.05, 0.055)
    render = scene.render
    render.engine = "CYCLES"
    # A plain backdrop needs little: frames are to be had on two cores.
    scene.cycles.samples, scene.cycles.max_bounces, scene.cycles.use_denoising = 8, 2, True
    render.resolution_x, render.resolution_y = RESOLUTION
    render.resolution_percentage, render.use_persistent_data = 100, True


def _set_backdrop(scene: bpy.types.Scene, target: Vector) -> None:
    mesh = bpy.data.meshes.new("Backdrop")
    mesh.from_pydata([(-3, 0, -3), (3, 0, -3), (3, 0, 3), (-3, 0, 3)], [], [(0, 1, 2, 3)])
    backdrop = bpy.data.objects.new("Backdrop", mesh)
    backdrop.location = target + Vector((0.0, 0.9, 0.0))
    material = bpy.data.materials.new("Backdrop")
    if material.node_tree is None:
        material.use_nodes = True
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = (0.13, 0.2, 0.23, 1.0)
    shader.inputs["Roughness"].default_value = 0.9
    material.diffuse_color = (0.13, 0.2, 0.23, 1.0)
    mesh.materials.append(material)
    scene.collection.objects.link(backdrop)


def _add_light(
    scene: bpy.types.Scene,
    name: str,
    target: Vector,
    offset: Vector,
    size: float,
    watts: float,
    color: tuple[float, float, float],
) -> None:
    data = bpy.data.lights.new(name, "AREA")
    data.size, data.energy, data.color = size, watts, color
    light = bpy.data.objects.new(name, data)
    light.location = target + offset
    light.rotation_euler = (-offset).to_track_quat("-Z", "Y").to_euler()
    scene.collection.objects.link(light)


def _set_screens() -> None:
    """Have every 3D view show what the camera does."""
    for screen in bpy.data.screens:
        for area in screen.areas:
            if area.type != "VIEW_3D":
                continue
            space = area.spaces.active
            space.region_3d.view_perspective = "CAMERA"
            space.shading.type, space.shading.color_type = "SOLID", "MATERIAL"
            space.clip_start = 0.01


def _save(out: Path) -> None:
    filepaths = bpy.context.preferences.filepaths
    versions, filepaths.save_version = filepaths.save_version, 0
    try:
        with atomic_write(out) as temporary:
            bpy.ops.wm.save_as_mainfile(filepath=str(temporary.resolve()), compress=True)
    except (OSError, RuntimeError) as error:
        raise BadInputError(
            f"{out} cannot be written: {error}.", "Choose another folder."
        ) from error
    finally:
        filepaths.save_version = versions
