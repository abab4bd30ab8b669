# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a scene with one avatar."""

from __future__ import annotations

import numpy as np


def rendered(scene, tmp_path) -> np.ndarray:
    import bpy

    scene.render.filepath = str(tmp_path / "still.exr")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath, check_existing=False)
    width, height = image.size
    return np.array(image.pixels[:]).reshape(height, width, 4)


def linear(srgb) -> np.ndarray:
    return ((np.asarray(srgb) + 0.055) / 1.055) ** 2.4
