# SPDX-License-Identifier: GPL-3.0-or-later
"""Random scenes with the cases that break rasterisers, for hypothesis."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st

from engine.splatting.backend import Splats
from engine.splatting.camera import Camera

KINDS = ("plain", "needle", "huge", "behind", "edge", "transparent", "opaque", "coincident")


def splats_of(kind: str, count: int, seed: int) -> Splats:
    random = np.random.default_rng(seed)
    means = random.uniform(-0.12, 0.12, (count, 3))
    scales = np.exp(random.normal(-4.3, 0.6, (count, 3)))
    opacities = random.uniform(0.02, 0.97, count)
    if kind == "needle":
        scales[:, 0] *= 20
        scales[:, 1:] *= 0.01
    elif kind == "huge":
        scales[::3] *= 30
    elif kind == "behind":
        means[::2, 2] += random.uniform(0.95, 1.6, len(means[::2]))
    elif kind == "edge":
        means[:, :2] *= 3.5
    elif kind == "transparent":
        opacities[::2] = random.choice([0.0, 1e-6, 1 / 256], len(opacities[::2]))
    elif kind == "opaque":
        opacities[::2] = random.choice([1.0, 0.9995, 0.9985], len(opacities[::2]))
    elif kind == "coincident":
        means[:, 2] = np.round(means[:, 2] * 20) / 20
    return Splats(
        *(
            torch.tensor(array, dtype=torch.float32)
            for array in (
                means,
                random.normal(size=(count, 4)) * 2 + 1e-3,
                scales,
                opacities,
                random.uniform(0, 1, (count, 3)),
            )
        )
    )


def camera_of(
    width: int, height: int, *, shift: float, orthographic: bool, turn: float = 0.0
) -> Camera:
    """A metre in front of the origin, turned about +Y by ``turn`` radians."""
    spin = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    viewmat = np.eye(4)
    viewmat[:3, :3] = np.diag([1, -1, -1]) @ spin
    viewmat[2, 3] = 1
    focal = height / 0.3
    K = np.array(
        [[focal, 0, width * (0.5 + shift)], [0, focal * 1.1, height * (0.5 - shift)], [0, 0, 1]]
    )
    return Camera(
        viewmat.astype(np.float32), K.astype(np.float32), width, height, 0.05, 10.0, orthographic
    )


@st.composite
def scenes(draw: st.DrawFn, largest: int = 60) -> tuple[Splats, Camera, torch.Tensor]:
    splats = splats_of(
        draw(st.sampled_from(KINDS)),
        draw(st.integers(1, largest)),
        draw(st.integers(0, 2**31)),
    )
    camera = camera_of(
        draw(st.sampled_from([1, 15, 16, 17, 66])),
        draw(st.sampled_from([1, 20, 33])),
        shift=draw(st.sampled_from([0.0, 0.3, -0.7])),
        orthographic=draw(st.booleans()),
        turn=draw(st.floats(-1, 1)),
    )
    return splats, camera, torch.tensor(draw(st.sampled_from([[0.0, 0, 0], [0.2, 0.5, 1.0]])))
