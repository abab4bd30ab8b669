# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a bake of a long line keeps Blender's main thread.

``python -m tests.benchmarks.bake_slices``; needs ``bpy``. Of invented speech on a FLAME head with a
rig (100 expressions and 5 joints that move) and on a head with ARKit's (42 of 52 move): at once, as
before there were slices, and in slices, of which the longest counts, with the one that puts the
bake into the file. What other programs and the other thread take is left out.
"""

import sys
import time

import bpy
import numpy as np

from blender_addon.standalone import addon_module, enabled_addon
from engine.heads.axes import head_to_blender
from engine.motion.arkit import ARKIT_NAMES
from engine.motion.joint_pose import JointPose

FPS = 25
JOINTS = ("root", "neck", "jaw", "left_eye", "right_eye")
LINES = (("FLAME", 12), ("FLAME", 60), ("ARKit", 60), ("ARKit", 300))


def main() -> None:
    print(f"Blender {bpy.app.version_string}")
    print("milliseconds of the main thread: at once; longest slice; all slices; seconds in all")
    with enabled_addon(sys.executable):
        for kind, seconds in LINES:
            bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
            head, prediction = (flame if kind == "FLAME" else arkit)(FPS * seconds)
            line = addon_module("speech.line_list").add_line(head, "line")
            none = np.zeros((0, len(head.data.vertices), 3), np.float32)
            baking = addon_module("speech.bake")
            baking.bake(bpy.context, line, prediction, none)
            at_once = timed(lambda: baking.rebake(bpy.context, line))  # noqa: B023
            taken, whole = in_slices(line)
            print(
                f"{kind:6} {seconds:4} s {keys_in_file():7} keys {1000 * at_once:7.0f}; "
                f"{1000 * max(taken):5.1f}; {1000 * sum(taken):5.0f}; {whole:5.2f}"
            )
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)


def in_slices(line):
    """Seconds of each slice, and of all from the slider to the bake."""
    queue = addon_module("speech.bake_queue")
    queue.has_timers, queue._start = lambda: True, lambda: None
    addon_module("speech.rebake").LIVE_LIMIT = 0
    began = time.perf_counter()
    taken = [timed(lambda: setattr(line, "strength", 0.9))]
    while queue._queue:
        taken.append(timed(queue.tick))
        if queue._queue:
            time.sleep(min(future.interval for future in queue._queue))
    return taken, time.perf_counter() - began


def timed(work):
    """Seconds that this thread works."""
    began = time.thread_time()
    work()
    return time.thread_time() - began


def keys_in_file():
    curves = addon_module("compat").fcurves
    return sum(
        len(curve.keyframe_points) for action in bpy.data.actions for curve in curves(action)
    )


def invented(random, frames, count):
    """(T, N) motion of up to 5 Hz with a pause of 0.8 s in every 4."""
    seconds = np.arange(frames) / FPS
    motion = np.zeros((frames, count))
    for _ in range(6):
        turn = 2 * np.pi * random.uniform(0.2, 5, count)
        motion += np.sin(seconds[:, None] * turn + random.uniform(0, 6, count))
    window = np.hanning(7) / np.hanning(7).sum()
    spoken = np.convolve(seconds % 4 < 3.2, window, mode="same")
    return motion * spoken[:, None] / 2


def flame(frames):
    random = np.random.default_rng(1)
    names = tuple(f"expression {number:03d}" for number in range(100))
    points = random.normal(0, 0.08, (5023, 3)).astype(np.float32)
    offsets = [
        0.004 / np.sqrt(1 + row) * np.sin(points @ random.normal(0, 15, (3, 3)))
        for row in range(len(names))
    ]
    head = add_head(points, names, offsets)
    bones = add_rig(head)
    pose = JointPose.rest(frames, len(JOINTS))
    pose.rotation[:] = 0.05 * invented(random, frames, 15).reshape(frames, 5, 3)
    return head, prediction_of(
        names, 0.5 * invented(random, frames, 100), -5.0, 5.0, joints=bones, pose=pose
    )


def add_rig(head):
    """The bones of FLAME's joints."""
    rest = np.zeros((len(JOINTS), 3), np.float32)
    rest[:, 1] = np.arange(len(JOINTS)) * 0.02
    rig = bpy.data.objects.new("Rig", bpy.data.armatures.new("Rig"))
    bpy.context.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    for name, place in zip(JOINTS, head_to_blender(rest), strict=True):
        bone = rig.data.edit_bones.new(name)
        bone.head, bone.tail = place, place + np.array([0.0, 0.0, 0.05])
    bpy.ops.object.mode_set(mode="OBJECT")
    head.gaussianspeech_head.rig = rig
    bpy.context.view_layer.objects.active = head
    return JOINTS


def arkit(frames):
    random = np.random.default_rng(0)
    points = random.normal(0, 0.08, (5814, 3)).astype(np.float32)
    offsets = []
    for row in range(len(ARKIT_NAMES)):
        moved = np.zeros_like(points)
        moved[100 * row % 5000 :][:600] = 0.01
        offsets.append(moved)
    values = np.clip(0.3 + 0.25 * invented(random, frames, len(ARKIT_NAMES)), 0.0, 1.0)
    values[:, 20:30] = 0.0
    head = add_head(points, ARKIT_NAMES, offsets)
    return head, prediction_of(ARKIT_NAMES, values, 0.0, 1.0)


def add_head(points, names, offsets):
    mesh = bpy.data.meshes.new("Head")
    mesh.vertices.add(len(points))
    mesh.vertices.foreach_set("co", points.ravel())
    head = bpy.data.objects.new("Head", mesh)
    bpy.context.collection.objects.link(head)
    bpy.context.view_layer.objects.active = head
    head.shape_key_add(name="Basis")
    for name, moved in zip(names, offsets, strict=True):
        key = head.shape_key_add(name=name, from_mix=False)
        key.value, key.slider_min, key.slider_max = 0.0, -5.0, 5.0
        key.points.foreach_set("co", (points + moved).astype(np.float32).ravel())
    known = head.gaussianspeech_head
    known.id, known.vertex_count = "benchmark", len(points)
    return head


def prediction_of(names, values, low, high, **joints):
    return addon_module("speech.prediction").Prediction(
        clip="line",
        head="benchmark",
        model="",
        fps=float(FPS),
        start=1.0,
        strip_start=None,
        expressions=tuple(names),
        correctives=(),
        ranges=((low, high),) * len(names),
        values=np.clip(values, low, high).astype(np.float32),
        lip_pairs=((0, 1, 2), (3, 4, 5)),
        **joints,
    )


if __name__ == "__main__":
    main()
