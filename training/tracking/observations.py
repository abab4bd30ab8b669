# SPDX-License-Identifier: GPL-3.0-or-later
"""What a head is fitted to, and what comes out: landmarks of frames, cameras, and poses."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Double


@dataclass(frozen=True, eq=False)
class Intrinsics:
    """A pinhole camera.

    Attributes:
        focal: pixels.
        centre: (2,) pixels.
        aspect: height of the film's pixels' focal length against their width's; landmarks are given
            as if it were 1.
    """

    focal: float
    centre: Double
    aspect: float = 1.0

    @property
    def matrix(self) -> Double:
        """(3, 3) of the film's pictures."""
        x, y = self.centre
        return np.array([[self.focal, 0, x], [0, self.focal * self.aspect, y], [0, 0, 1]])


@dataclass(frozen=True, eq=False)
class FrameFit:
    """Poses and expressions of T frames.

    Attributes:
        rotation: (T, 3, 3) head space to camera, OpenCV axes.
        translation: (T, 3) metres.
        expression: (T, E).
    """

    rotation: Double
    translation: Double
    expression: Double

    def picked(self, frames: NDArray[np.intp] | slice) -> FrameFit:
        """Some of the frames."""
        return FrameFit(self.rotation[frames], self.translation[frames], self.expression[frames])


@dataclass(frozen=True, eq=False)
class View:
    """Landmarks of T frames in one of several calibrated cameras.

    Attributes:
        points: (T, 478, 2) pixels; NaN in frames in which the camera shows no face.
        trust: (T,) weight of the landmarks, 1 for those of a sharp frame.
        camera: of square pixels.
        placed: (4, 4) from the first camera's space to this one's, OpenCV axes, metres.
        name: of the video, for messages.
    """

    points: Double
    trust: Double
    camera: Intrinsics
    placed: Double
    name: str = ""

    @property
    def seen(self) -> NDArray[np.bool_]:
        """(T,) whether the camera shows the face."""
        return np.asarray(np.isfinite(self.points[:, 0, 0]))

    def picked(self, frames: NDArray[np.intp] | NDArray[np.bool_] | slice) -> View:
        """Some of the frames."""
        return replace(self, points=self.points[frames], trust=self.trust[frames])

    def of(self, fit: FrameFit) -> FrameFit:
        """A fit whose poses are in this camera's space."""
        R, t = self.placed[:3, :3], self.placed[:3, 3]
        return FrameFit(R @ fit.rotation, fit.translation @ R.T + t, fit.expression)


@dataclass(frozen=True, eq=False)
class Observations:
    """Landmarks of T frames.

    Attributes:
        points: (T, 478, 2) pixels; of several cameras those of the one that sees most of the face.
        times: (T,) seconds.
        takes: (T,) number of the take; nothing is smooth from one to the next.
        touching: (T,) how certain it is that the lips touch, 0 to 1.
        trust: (T,) weight of the landmarks, 1 for those of a sharp frame.
        views: what each of several calibrated cameras shows.
    """

    points: Double
    times: Double
    takes: NDArray[np.intp]
    touching: Double
    trust: Double
    views: tuple[View, ...] = ()

    def picked(self, frames: NDArray[np.intp] | slice) -> Observations:
        """Some of the frames."""
        return Observations(
            self.points[frames],
            self.times[frames],
            self.takes[frames],
            self.touching[frames],
            self.trust[frames],
            tuple(view.picked(frames) for view in self.views),
        )

    def seen_by(self, camera: Intrinsics) -> tuple[View, ...]:
        """The views; without any that of the camera alone."""
        return self.views or (View(self.points, self.trust, camera, np.eye(4)),)
