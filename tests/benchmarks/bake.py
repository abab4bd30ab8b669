# SPDX-License-Identifier: GPL-3.0-or-later
"""Milliseconds to bake, to bake again and to play back: ``python -m tests.benchmarks.bake``.

Needs ``bpy``. A head of 5,814 vertices, 1,500 frames, 52 expressions and 8 correctives that never
rest: more than speech ever asks for.
"""

import sys
import time

import numpy as np

from blender_addon.standalone import addon_module, enabled_addon
from engine.motion.arkit import ARKIT_NAMES
from tests.blender_addon.stopwatch import waited

FRAMES, VERTICES, CORRECTIVES, PLAYED = 1500, 5814, 8, 300


def main() -> None:
    import bpy

    with enabled_addon(sys.executable):
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        baking = addon_module("speech.bake")
        correctives = addon_module("speech.correctives").corrective_names("clip", CORRECTIVES)
        head, names = add_head(bpy)
        line = addon_module("speech.line_list").add_line(head, "clip")
        random = np.random.default_rng(0)
        deltas = random.normal(0, 1e-3, (CORRECTIVES, VERTICES, 3)).astype(np.float32)
        prediction = make_prediction(names, correctives, random)

        def bake():
            baking.bake(bpy.context, line, prediction, deltas)

        def again(**changed):
            """Milliseconds to bake again with these controls changed."""
            controls = head.gaussianspeech_speech
            before = {name: getattr(controls, name) for name in changed}
            for name, value in changed.items():
                setattr(controls, name, value)
            taken = best_of(lambda: baking.rebake(bpy.context, line))
            for name, value in before.items():
                setattr(controls, name, value)
            return taken

        def play():
            for frame in range(1, PLAYED + 1):
                bpy.context.scene.frame_set(frame)

        print(f"Blender {bpy.app.version_string}, {FRAMES} frames of {len(prediction.names)} keys")
        print(f"bake        {best_of(bake):7.1f} ms")
        smoothing = again(strength=0.9, smoothing=40.0)
        smile = again(articulation=1.2, smile=0.5)
        whole_face = again(gaze=1.0, head_motion=1.0, joy=0.5)
        print(f"bake again  {smoothing:7.1f} ms, with smoothing")
        print(f"bake again  {smile:7.1f} ms, with a smile")
        print(f"bake again  {whole_face:7.1f} ms, with gaze, head motion and joy")
        print(f"playback    {best_of(play) / PLAYED:7.2f} ms per frame")
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)


def add_head(bpy):
    mesh = bpy.data.meshes.new("Head")
    mesh.vertices.add(VERTICES)
    head = bpy.data.objects.new("Head", mesh)
    bpy.context.collection.objects.link(head)
    head.shape_key_add(name="Basis")
    names = ARKIT_NAMES
    for name in names:
        head.shape_key_add(name=name, from_mix=False).value = 0
    head.gaussianspeech_head.id, head.gaussianspeech_head.vertex_count = "benchmark", VERTICES
    return head, names


def make_prediction(names, correctives, random):
    count = len(names) + len(correctives)
    seconds = np.arange(FRAMES)[:, None] / 25
    values = 0.5 + 0.5 * np.sin(seconds * random.uniform(0, 20, count))
    return addon_module("speech.prediction").Prediction(
        clip="clip",
        head="benchmark",
        model="",
        fps=25.0,
        start=1.0,
        strip_start=None,
        expressions=names,
        correctives=correctives,
        ranges=((0.0, 1.0),) * len(names) + ((-1.0, 1.0),) * len(correctives),
        values=values.astype(np.float32),
        phones=tuple(
            (label, second + start, second + start + 0.2)
            for second in range(FRAMES // 25)
            for label, start in (("AA", 0.0), ("T", 0.2), ("AA", 0.4), ("T", 0.6), ("SIL", 0.8))
        ),
        prosody=addon_module("speech.prediction").Prosody.from_json(
            {"accents": [[second + 0.1, 0.5] for second in range(FRAMES // 25)], "tones": []}
        ),
        lip_pairs=((0, 1, 2), (3, 4, 5)),
    )


def best_of(work, times=5):
    """Milliseconds of the quickest run, without what other programs took of the processor."""
    taken = []
    for _ in range(times):
        began = time.perf_counter() - waited()
        work()
        taken.append(time.perf_counter() - waited() - began)
    return 1000 * min(taken)


if __name__ == "__main__":
    main()
