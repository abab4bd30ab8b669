# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures: a small head of three expressions, and predictions that are baked on it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.blender_addon.small_head import bake_line

NAMES = ("jawOpen", "mouthClose", "browInnerUp")
FRAMES = 40
FPS = 24.0


def small_head(blender, names):
    """A head of four vertices with some expressions, which move nothing."""
    mesh = blender.data.meshes.new("Small")
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)], [], [(0, 1, 2), (0, 2, 3)])
    obj = blender.data.objects.new("Small", mesh)
    blender.context.collection.objects.link(obj)
    blender.context.view_layer.objects.active = obj
    obj.shape_key_add(name="Basis")
    for name in names:
        obj.shape_key_add(name=name, from_mix=False).value = 0  # From 5.0 it would be 1.
    obj.gaussianspeech_head.id, obj.gaussianspeech_head.vertex_count = "small", 4
    blender.context.scene.render.fps = 24
    return obj


@pytest.fixture
def head(blender):
    """One with three expressions."""
    obj = small_head(blender, NAMES)
    obj.gaussianspeech_speech.keying = "EVERY_FRAME"
    return obj


@pytest.fixture
def speak(blender, addon, head):
    """Bake a prediction on the head; returns what was done."""
    corrective_names = addon("speech.correctives").corrective_names

    def speak(values=None, clip="voice", deltas=None, start=1.0, **controls):
        values = curves() if values is None else values
        deltas = np.zeros((0, 4, 3), np.float32) if deltas is None else deltas
        for name, value in controls.items():
            setattr(head.gaussianspeech_speech, name, value)
        return bake_line(
            *(blender, addon, head, NAMES, values, deltas),
            clip=clip,
            fps=FPS,
            start=start,
            correctives=corrective_names(clip, len(deltas)),
            ranges=((0.0, 1.0),) * 3 + ((-1.0, 1.0),) * len(deltas),
        )

    return speak


def curves():
    """Jaw and lips move, the brows rest."""
    values = np.zeros((FRAMES, 3), np.float32)
    values[:, 0] = 0.5 + 0.5 * np.sin(np.arange(FRAMES) / 3)
    values[10:20, 1] = 0.25
    return values


def played(blender, obj, names=NAMES, first=1, frames=FRAMES):
    """Values of the keys on each scene frame, as Blender evaluates them."""
    rows = []
    for frame in range(first, first + frames):
        blender.context.scene.frame_set(frame)
        rows.append([obj.data.shape_keys.key_blocks[name].value for name in names])
    return np.array(rows)
