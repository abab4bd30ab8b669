# SPDX-License-Identifier: GPL-3.0-or-later
"""A sound whose loudness is its time, its strips, and an engine that opens the jaw by the time."""

from __future__ import annotations

import wave
from types import SimpleNamespace

import numpy as np
import pytest

from tests.blender_addon.spoken_head import NAMES

RATE = 16_000
SECONDS = 4.0


def trim(strip, left, right):
    if hasattr(strip, "left_handle"):
        strip.left_handle, strip.right_handle = left, right
    else:
        strip.frame_final_start, strip.frame_final_end = left, right


def seconds_played(blender, frame, tmp_path):
    """Seconds into the ramp that Blender itself plays at a frame."""
    scene = blender.context.scene
    path = tmp_path / "mix.wav"
    kept = scene.frame_start, scene.frame_end
    scene.frame_start, scene.frame_end = frame, frame + 24
    blender.ops.sound.mixdown(
        filepath=str(path), check_existing=False, container="WAV", codec="PCM", format="S16",
        channels="MONO", mixrate=RATE,
    )  # fmt: skip
    scene.frame_start, scene.frame_end = kept
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    # Half a second in, away from the resampler's edges; one period is 40 samples.
    window = np.abs(samples[RATE // 2 : RATE // 2 + 80].astype(float))
    return np.median(window) / 30000 * SECONDS - 0.5 - 40 / RATE


@pytest.fixture
def asked(addon, monkeypatch):
    """What the engine is asked; it answers at once that the jaw opens by a quarter each second."""
    sent, ops = [], addon("speech.ops")

    def answer(_engine, _method, prepare, _label):
        params, _ = prepare()
        sent.append(params)
        end = params["start"] + params.get("duration", SECONDS - params["start"])
        count = round((end - params["start"]) * params["fps"])
        times = params["start"] + np.arange(count) / params["fps"]
        values = np.zeros((count, len(NAMES)), np.float32)
        values[:, 0] = times / SECONDS
        body = {
            "head": "small", "model": params["model"], "fps": params["fps"],
            "key_names": list(NAMES), "key_ranges": [(0.0, 1.0)] * len(NAMES),
            "max_error_mm": 0.0, "words": [["ramp", 0.0, 1.0]],
        }  # fmt: skip
        arrays = {"key_values": values, "corrective_deltas": np.zeros((0, 4, 3), np.float32)}
        reply = SimpleNamespace(body=body, arrays=arrays)
        return addon("engine_link.future").CompletedFuture(reply)

    monkeypatch.setattr(ops, "PreparedFuture", answer)
    monkeypatch.setattr(ops, "get_engine", lambda _context: None)
    return sent


def strips_of(blender):
    editor = blender.context.scene.sequence_editor
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def strips(blender):
    editor = blender.context.scene.sequence_editor
    return list(editor.strips if hasattr(editor, "strips") else editor.sequences)


def second_at(blender, obj, frame):
    """Which second of the ramp the jaw shows."""
    blender.context.scene.frame_set(frame)
    return obj.data.shape_keys.key_blocks["jawOpen"].value * SECONDS


def add_strips(blender, ramp, *frames, channel=1):
    if blender.context.scene.sequence_editor is None:
        blender.context.scene.sequence_editor_create()
    for frame in frames:
        strips_of(blender).new_sound(f"take {frame}", str(ramp), channel, frame)
