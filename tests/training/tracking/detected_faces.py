# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of known faces and what a detector that answers as a landmark map says finds in them."""

import numpy as np
from scipy.spatial.transform import Rotation

from training.tracking.landmark_map import view_features
from training.tracking.landmark_responses import Picture


def poses(count, seed=0):
    rng = np.random.default_rng(seed)
    angles = rng.normal(0, (15, 8, 4), (count, 3))
    flip = Rotation.from_euler("X", 180, degrees=True)
    rotation = (flip * Rotation.from_euler("YXZ", angles, degrees=True)).as_matrix()
    return rotation, np.tile([0.0, 0.0, 0.6], (count, 1))


def detections(head, marks, count=30):
    """Pictures in which a detector answers exactly as a map says, with jaws that open."""
    K = np.array([[900, 0, 320], [0, 900, 320], [0, 0, 1]], np.float32)
    rotations, translations = poses(count)
    views = view_features(rotations, translations)
    for frame in range(count):
        expression = np.zeros(len(head.expression_names), np.float32)
        expression[head.expression_index("jawOpen")] = (frame % 5) / 5
        vertices = head.deform(expression)
        points = marks.on_mesh(vertices) + marks.offset
        points = points + np.tensordot(expression, marks.response, 1)
        points = points + np.tensordot(views[frame], marks.aspect, 1)
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = rotations[frame], translations[frame]
        local = points @ matrix[:3, :3].T + matrix[:3, 3]
        flat = (local @ K.T)[:, :2] / local[:, 2:]
        yield Picture(flat, vertices, expression, matrix, K)
