# SPDX-License-Identifier: GPL-3.0-or-later
"""A known face before three calibrated cameras: its landmarks, projected, with noise.

A detector is wrong about one face in the same way in all frames, and differently from each side:
beside noise, every camera has an error of its own that stays.
"""

import json
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from tests.training.tracking.projected_face import filmed_face
from training.tracking.fitting import project
from training.tracking.observations import View

ANGLES = (0.0, 35.0, -35.0)
NAMES = ("front", "left", "right")


@dataclass(frozen=True)
class FilmedByThree:
    """The face as :func:`filmed_face` gives it for the first camera, and what all three show."""

    film: object
    views: tuple

    def seen(self, cameras):
        """Observations of some of the cameras; lips are looked at in the first one."""
        one = self.film.seen
        chosen = tuple(self.views[camera] for camera in cameras)
        return replace(one, points=chosen[0].points, views=chosen)


def placed(degrees, distance=0.5):
    """(4, 4) from the first camera's space to that of one which stands aside."""
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("Y", degrees, degrees=True).as_matrix()
    pivot = np.eye(4)
    pivot[2, 3] = distance
    return pivot @ turn @ np.linalg.inv(pivot)


def filmed_by_three(frames=20, seed=3, noise=0.4, wrong=2.0):
    """A head that turns and speaks before cameras in front of it and 35° to both sides.

    Args:
        frames: at 25 a second.
        seed: of person and noise.
        noise: pixels, of every frame.
        wrong: pixels by which each camera's detections are off, always.
    """
    film, rng = filmed_face(frames, seed, noise=0), np.random.default_rng([seed, 1])
    views = []
    for name, angle in zip(NAMES, ANGLES, strict=True):
        view = View(film.seen.points, film.seen.trust, film.camera, placed(angle), name)
        points = project(film.model, film.identity, film.camera, view.of(film.fit))
        # Neighbours in the list of landmarks are mostly no neighbours on the skin.
        always = wrong * rng.normal(size=points.shape[1:])
        points = points + always + noise * rng.normal(size=points.shape)
        views.append(replace(view, points=points))
    return FilmedByThree(film, tuple(views))


def calibration(path, cameras, **changes):
    """Write cameras as a transforms JSON: rows of name, K, placed, width and height."""
    flip = np.diag([1.0, -1.0, -1.0, 1.0])
    frames = [
        {
            "camera_index": index,
            "camera_id": name,
            "w": width,
            "h": height,
            "fl_x": float(K[0, 0]),
            "fl_y": float(K[1, 1]),
            "cx": float(K[0, 2]),
            "cy": float(K[1, 2]),
            "transform_matrix": (np.linalg.inv(at) @ flip).tolist(),
        }
        | changes
        for index, (name, K, at, width, height) in enumerate(cameras)
    ]
    path.write_text(json.dumps({"frames": frames}), "utf-8")
    return path
