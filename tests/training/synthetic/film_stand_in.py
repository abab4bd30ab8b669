# SPDX-License-Identifier: GPL-3.0-or-later
"""A film set that needs no Blender, and the options of a small capture on it."""

from __future__ import annotations

import numpy as np

OPTIONS = {
    "scale": 0.02,
    "cameras": 3,
    "timesteps": 4,
    "views_per_timestep": 2,
    "sample_voice": False,
}


class StandIn:
    """Takes grey pictures; ``at`` is called with the number of each before it is taken."""

    def __init__(self, at=lambda number: None):
        self.at, self.taken = at, 0

    def __call__(self, head, samples, threads, device):
        return self

    def pose(self, pose):
        pass

    def shoot(self, camera, seed):
        self.at(self.taken)
        self.taken += 1
        picture = np.full((camera.height, camera.width, 4), 255, np.uint8)
        picture[..., :3] = self.grey = 40 + 5 * seed
        return picture


def even_light(head, threads):
    return np.full((head.vertex_count, 3), 0.5, np.float32)
