# SPDX-License-Identifier: GPL-3.0-or-later
"""Landmarks without a detector: those of a known head, projected, with noise."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.spatial.transform import Rotation

from engine.heads import load_head
from training.tracking.face_model import arkit_face_model
from training.tracking.fitting import project
from training.tracking.identity_space import default_space
from training.tracking.landmark_map import load_landmark_map
from training.tracking.observations import FrameFit, Intrinsics, Observations

SIZE = (720, 1280)


@cache
def default_model():
    head = load_head("default")
    return arkit_face_model(head, default_space(), load_landmark_map())


@dataclass(frozen=True)
class Filmed:
    model: object
    identity: np.ndarray
    camera: Intrinsics
    fit: FrameFit
    seen: Observations


def filmed_face(frames=24, seed=0, noise=0.4):
    """A head that turns and speaks, 25 frames a second."""
    model, rng = default_model(), np.random.default_rng(seed)
    t = np.arange(frames) / 25
    identity = model.mean + 0.6 * rng.normal(size=len(model.identity))
    camera = Intrinsics(0.8 * SIZE[1], np.array([SIZE[0] / 2, SIZE[1] / 2]))
    angles = np.stack([20 * np.sin(6 * t), 7 * np.sin(4 * t), 4 * np.sin(5 * t)], 1)
    flip = Rotation.from_euler("X", 180, degrees=True)
    rotation = (flip * Rotation.from_euler("YXZ", angles, degrees=True)).as_matrix()
    translation = np.stack([0.02 * np.sin(3 * t), 0.01 * np.cos(2 * t), 0.5 + 0.01 * t], 1)
    expression = np.zeros((frames, len(model.names)))
    row = model.names.index
    expression[:, row("jawOpen")] = 0.3 * np.sin(9 * t) ** 2
    for name, most in (("mouthSmile", 0.4), ("eyeBlink", 0.9), ("browInnerUp", 0.5)):
        for side in ("Left", "Right"):
            if name + side in model.names:
                expression[:, row(name + side)] = most * np.sin(5 * t) ** 4
    fit = FrameFit(rotation, translation, expression)
    points = project(model, identity, camera, fit)
    points += noise * rng.normal(size=points.shape)
    seen = Observations(points, t, np.zeros(frames, np.intp), np.zeros(frames), np.ones(frames))
    return Filmed(model, identity, camera, fit, seen)
