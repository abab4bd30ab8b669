# SPDX-License-Identifier: GPL-3.0-or-later
"""Bake, bake again and playback, beside a key on every frame by Blender's own function.

A head of 5,814 vertices, 1,500 frames, 52 expressions and 8 correctives that never rest: more than
speech ever asks for.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from blender_addon.bench.turns import Figure, in_turn
from blender_addon.standalone import addon_module
from engine.motion.arkit import ARKIT_NAMES

FRAMES, VERTICES, CORRECTIVES, PLAYED = 1500, 5814, 8, 300
_DENSE = "a key on every frame, foreach_set"
_PLAYED = "playback of a key on every frame"


def measure_baking(*, quick: bool) -> list[Figure]:
    """Bake, bake again with sliders changed, and play."""
    frames, runs = (300, 2) if quick else (FRAMES, 5)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    baking = addon_module("speech.bake")
    names = addon_module("speech.correctives").corrective_names("clip", CORRECTIVES)
    head = add_head("Head")
    line = addon_module("speech.line_list").add_line(head, "clip")
    random = np.random.default_rng(0)
    deltas = random.normal(0, 1e-3, (CORRECTIVES, VERTICES, 3)).astype(np.float32)
    prediction = make_prediction(names, random, frames)
    plain = add_head("Plain")
    for name in names:
        plain.shape_key_add(name=name, from_mix=False).value = 0

    def bake() -> None:
        baking.bake(bpy.context, line, prediction, deltas)

    def again(**changed: float) -> Any:
        """Baking again with these controls changed."""

        def work() -> None:
            controls = head.gaussianspeech_speech
            before = {name: getattr(controls, name) for name in changed}
            for name, value in changed.items():
                setattr(controls, name, value)
            baking.rebake(bpy.context, line)
            for name, value in before.items():
                setattr(controls, name, value)

        return work

    works = {
        "bake.first": (f"bake of {frames} frames × 60 keys", bake),
        "bake.smoothing": ("bake again, smoothing", again(strength=0.9, smoothing=40.0)),
        "bake.smile": ("bake again, a smile", again(articulation=1.2, smile=0.5)),
        "bake.face": ("bake again, the face", again(gaze=1.0, head_motion=1.0, joy=0.5)),
    }
    timed = [*(work for _, work in works.values()), lambda: key_densely(plain, prediction)]
    # Otherwise each control that is set, or set back, bakes by itself.
    with addon_module("speech.rebake").changed_together(head.gaussianspeech_speech, bpy.context):
        *mine, dense = in_turn(timed, runs)
    figures: list[Figure] = [
        (name, what, value, "ms", _DENSE, dense)
        for (name, (what, _)), value in zip(works.items(), mine, strict=True)
    ]
    bake()
    key_densely(plain, prediction)
    figures.append(measure_playback(head, plain, min(PLAYED, frames), runs))
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    return figures


def measure_playback(head: Any, plain: Any, frames: int, runs: int) -> Figure:
    """Frames of a head with our Action, and of one with a key on every frame."""

    def play(hidden: Any) -> Any:
        def work() -> None:
            # Only one of the two is evaluated.
            for obj in (head, plain):
                obj.hide_viewport = obj is hidden
            for frame in range(1, frames + 1):
                bpy.context.scene.frame_set(frame)

        return work

    ours, theirs = in_turn([play(plain), play(head)], runs)
    named = ("playback.frame", "playback")
    return (*named, ours / frames, "ms per frame", _PLAYED, theirs / frames)


def key_densely(obj: Any, prediction: Any) -> None:
    """The same curves in the plainest way: an Action with a key on every frame."""
    compat, keys = addon_module("compat"), obj.data.shape_keys
    keys.animation_data_clear()
    action = compat.new_action("Dense", keys)
    frames = np.arange(1, len(prediction.values) + 1, dtype=np.float32)
    names = (*prediction.expressions, *prediction.correctives)
    for column, name in enumerate(names):
        curve = compat.new_fcurve(action, keys, f'key_blocks["{name}"].value')
        curve.keyframe_points.add(len(frames))
        pairs = np.stack([frames, prediction.values[:, column]], axis=1)
        curve.keyframe_points.foreach_set("co", pairs.ravel().astype(np.float32))
        curve.update()
    animation = keys.animation_data_create()
    animation.action = action
    if hasattr(animation, "action_slot"):
        animation.action_slot = action.slots[0]


def add_head(name: str) -> Any:
    """A mesh with the expressions' shape keys, as the add-on's heads are."""
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(VERTICES)
    head = bpy.data.objects.new(name, mesh)
    bpy.context.collection.objects.link(head)
    head.shape_key_add(name="Basis")
    for key in ARKIT_NAMES:
        head.shape_key_add(name=key, from_mix=False).value = 0
    if name == "Head":
        head.gaussianspeech_head.id = "benchmark"
        head.gaussianspeech_head.vertex_count = VERTICES
    return head


def make_prediction(correctives: Any, random: np.random.Generator, frames: int) -> Any:
    """Curves that never rest."""
    prediction = addon_module("speech.prediction")
    count, seconds = len(ARKIT_NAMES) + len(correctives), np.arange(frames)[:, None] / 25
    values = 0.5 + 0.5 * np.sin(seconds * random.uniform(0, 20, count))
    sounds = (("AA", 0.0), ("T", 0.2), ("AA", 0.4), ("T", 0.6), ("SIL", 0.8))
    whole = range(frames // 25)
    return prediction.Prediction(
        clip="clip",
        head="benchmark",
        model="",
        fps=25.0,
        start=1.0,
        strip_start=None,
        expressions=ARKIT_NAMES,
        correctives=correctives,
        ranges=((0.0, 1.0),) * len(ARKIT_NAMES) + ((-1.0, 1.0),) * len(correctives),
        values=values.astype(np.float32),
        phones=tuple((label, t + at, t + at + 0.2) for t in whole for label, at in sounds),
        prosody=prediction.Prosody.from_json(
            {"accents": [[second + 0.1, 0.5] for second in whole], "tones": []}
        ),
        lip_pairs=((0, 1, 2), (3, 4, 5)),
    )
