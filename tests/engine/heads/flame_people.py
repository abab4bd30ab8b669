# SPDX-License-Identifier: GPL-3.0-or-later
"""An invented FLAME file of a face of real size, and a person of strong identity in its numbers."""

from functools import cache

import numpy as np

from tests.engine.heads.flame_faces import another_person, flame_dressed

SKIN, TEETH = 5023, 5143


def identity_directions(points, shapedirs):
    """Make the first four of (5023, 3, 400) directions smooth identities of millimetres."""
    x, y, z = points.T
    for row, offsets in enumerate(
        (
            np.stack([0.06 * x, 0 * x, 0 * x], 1),
            np.stack([0 * x, 0.08 * y, 0 * x], 1),
            np.stack([0 * x, 0 * x, 0.1 * z], 1),
            np.stack([0 * x, 0 * x, 0.008 * np.exp(-((x / 0.02) ** 2 + (y / 0.03) ** 2))], 1),
        )
    ):
        shapedirs[:, :, row] = offsets


def pose_correctives(points):
    """(5023, 3, 36) smooth directions of a fifth of a millimetre."""
    return (
        2e-4 * np.sin(40 * points[:, :, None] + np.arange(36)[None, None]) * np.ones((SKIN, 3, 1))
    )


@cache
def model_arrays():
    """The arrays of the file: smooth identities of millimetres and smooth pose correctives."""
    arrays, _ = flame_dressed(another_person())
    points = arrays["v_template"]
    shapedirs = arrays["shapedirs"] = arrays["shapedirs"] * 0.05
    identity_directions(points, shapedirs)
    for row in range(300, 306):
        wave = np.sin(20 * (row - 299) * points[:, [1, 2, 0]] + row)
        shapedirs[:, :, row] = 0.002 * wave * (points[:, 2] > 0.02)[:, None]
    arrays["posedirs"] = pose_correctives(points)
    return arrays


def write_model(path):
    """The model's file, npz."""
    np.savez(path, **model_arrays())
    return path


def identity():
    """Shape (300,) and static offset (1, 5143, 3) of the person."""
    shape = np.zeros(300, np.float32)
    shape[:4] = [1.5, -1.2, 1.0, 1.4]
    height = np.linspace(0, 40, TEETH, dtype=np.float32)
    static = 1.5e-3 * np.stack([np.sin(height), np.cos(height), np.sin(2 * height)], 1)
    static[SKIN:] = 0
    return shape, static[None].astype(np.float32)
