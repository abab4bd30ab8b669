# SPDX-License-Identifier: GPL-3.0-or-later
"""Videos of :func:`filmed_by_three`, which say when each picture was taken, and stand-in detectors.

The pictures are grey but for two squares, whose brightness is the time and the camera: what is
found in one is what the camera saw at that time, whatever number the frame has in its file.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.spatial import ConvexHull

from engine.rendering.video import write_video
from tests.training.tracking.filmed_by_three import NAMES, calibration, filmed_by_three
from tests.training.tracking.filmed_head import NoHands
from training.tracking.identity_space import default_space
from training.tracking.landmarks import FaceLandmarks

FPS = 12.0
LATE = {"front": 0, "left": 3, "right": 1}
"""Frames by which each begins after the first."""
SIZE = (184, 320)
FLAT = 1.1
"""Height of the right camera's pixels' focal length against their width's."""
_SHARE, _STEP = 0.25, 8


@dataclass(frozen=True, eq=False)
class ThreeVideos:
    """Files, and what they show in the room's time: landmarks and vertices in pixels by camera."""

    paths: list
    cameras: Path
    points: dict
    vertices: dict
    frames: int

    def time(self, image):
        """Number of a picture in the room's time."""
        return _level(image[:24, :24])

    def camera(self, image):
        """Name of the camera of a picture."""
        return NAMES[_level(image[:24, -24:])]


def _level(square):
    return round((float(np.median(square)) - 16) / _STEP)


def three_videos(folder, frames=28):
    """Two seconds of a head that turns and speaks."""
    filmed = filmed_by_three(frames, noise=0.5, wrong=0.5)
    film = filmed.film
    person = default_space().shaped(film.identity)
    head = [person.deform(row.astype(np.float32)) for row in film.fit.expression]
    paths, rows, points, vertices = [], [], {}, {}
    for view in filmed.views:
        flat = FLAT if view.name == "right" else 1.0
        scale = _SHARE * np.array([1.0, flat])
        centre = np.array(SIZE) / 2
        focal = film.camera.focal * _SHARE
        K = np.array([[focal, 0, centre[0]], [0, focal * flat, centre[1]], [0, 0, 1]])
        points[view.name] = (view.points - film.camera.centre) * scale + centre
        own = view.of(film.fit)
        local = np.einsum("tij,tlj->tli", own.rotation, np.array(head)) + own.translation[:, None]
        flat_vertices = local @ K.T
        vertices[view.name] = flat_vertices[..., :2] / flat_vertices[..., 2:]
        rows.append((view.name, K, view.placed, *SIZE))
        paths.append(folder / f"{view.name}.mp4")
        late = LATE[view.name]
        pictures = (_picture(time, view.name) for time in range(late, frames))
        write_video(paths[-1], pictures, FPS, quality=4)
    cameras = calibration(folder / "cameras.json", rows)
    return ThreeVideos(paths, cameras, points, vertices, frames)


def _picture(time, camera):
    rng = np.random.default_rng(0)
    picture = rng.integers(90, 160, (SIZE[1], SIZE[0], 1)).repeat(3, axis=2).astype(np.uint8)
    picture[:32, :32] = 16 + _STEP * time
    picture[:32, -32:] = 16 + _STEP * NAMES.index(camera)
    return picture


def substitute_detectors(patch, videos, lost=()):
    """Put what is known in place of MediaPipe; in the cameras of ``lost`` it finds no face."""
    names = iter(NAMES)

    def opened(_model=None, *, still=False):
        return _Detector(videos, None) if still else _Detector(videos, next(names), lost)

    patch.setattr("training.tracking.run.open_detector", opened)
    patch.setattr("training.tracking.run.HandDetector", NoHands)
    # The masks are of whole pictures.
    for room in ("BESIDE", "ABOVE", "BELOW"):
        patch.setattr(f"training.tracking.windows.{room}", 100.0)
    patch.setattr("training.tracking.run.PersonSegmenter", lambda: _Segmenter(videos))


class _Detector:
    name = "made"

    def __init__(self, videos, camera, lost=()):
        self._videos, self._camera, self._lost = videos, camera, lost

    def detect(self, image, _seconds):
        if self._camera is None or self._camera in self._lost:
            return []
        points = self._videos.points[self._camera][self._videos.time(image)]
        return [FaceLandmarks(points.astype(np.float32))]

    def close(self):
        pass


class _Segmenter:
    def __init__(self, videos):
        self._videos = videos

    def segment(self, image):
        vertices = self._videos.vertices[self._videos.camera(image)][self._videos.time(image)]
        outline = vertices[ConvexHull(vertices).vertices]
        mask = Image.new("L", SIZE)
        ImageDraw.Draw(mask).polygon([tuple(point) for point in outline], fill=255)
        return np.asarray(mask, np.float32) / 255

    def close(self):
        pass
