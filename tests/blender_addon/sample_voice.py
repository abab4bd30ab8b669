# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample voice, spoken by a head or by a character."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.blender_addon.rig_faces import select
from tests.blender_addon.speaking import frames_of_strip

VOICE = Path(__file__).resolve().parents[2] / "engine" / "assets" / "sample_voice.wav"


def speaker(bpy):
    bpy.ops.gaussianspeech.add_head()
    bpy.context.scene.render.fps = 24
    bpy.ops.gaussianspeech.import_sound(filepath=str(VOICE))
    return bpy.context.object


@pytest.fixture
def speak(engine_ready, predict):
    """Let a character speak the sample voice; first and last frame of the line."""

    def spoken(main):
        select(engine_ready, main)
        engine_ready.ops.gaussianspeech.import_sound(filepath=str(VOICE))
        predict()
        datablock = main.data.shape_keys if main.type == "MESH" else main
        (strip,) = [
            strip
            for track in datablock.animation_data.nla_tracks
            for strip in track.strips
            if "gaussianspeech_line" in strip.action
        ]
        first, last = frames_of_strip(strip)
        return range(round(first), round(last) + 1)

    return spoken


def over(blender, frames, measure):
    """What is measured at each frame."""
    found = []
    for frame in frames:
        blender.context.scene.frame_set(frame)
        found.append(measure())
    return np.array(found)
