# SPDX-License-Identifier: GPL-3.0-or-later
"""Through many frames neither Blender nor the engine grows, nor leaves files open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.f12 import memory_of_animation

FRAMES, WARM = 200, 80
LEAK = 1 / 32
"""MiB a frame: far below one frame's vertices (0.2 MiB), above what an allocator wavers by."""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="resident memory: Linux only")
def test_memory_stays_flat_through_an_animation(engine_ready, addon):
    bpy = engine_ready
    bpy.ops.gaussianspeech.add_head()
    bpy.ops.gaussianspeech.bind_avatar()
    addon("demo_scene").set_up(bpy.context.scene, bpy.context.object)
    bpy.ops.gaussianspeech.render_avatars()
    pid = addon("engine_link.session").current_engine().wait_ready()["pid"]
    found = np.array(memory_of_animation(bpy, pid, FRAMES))
    assert len(found) == FRAMES
    held, files = found[..., 0], found[..., 1]
    # The median of a stretch: single frames are seen with buffers of the pipe or without.
    stretch = WARM // 2
    grown = np.median(held[-stretch:], 0) - np.median(held[WARM : WARM + stretch], 0)
    assert (grown < LEAK * (FRAMES - WARM - stretch)).all(), held[::20]
    assert (files[-1] <= files[WARM]).all(), files[::20]
