# SPDX-License-Identifier: GPL-3.0-or-later
"""A small video of the default avatar, and what would be detected in it, known from its making."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from engine.avatar import load_avatar
from engine.heads import load_head
from engine.rendering.frames import FrameRenderer, studio_backdrop
from engine.rendering.video import write_video
from engine.splatting.camera import Camera
from engine.splatting.cpu.backend import CpuBackend
from tests.training.tracking.projected_face import default_model
from training.tracking.fitting import project
from training.tracking.landmarks import FaceLandmarks
from training.tracking.observations import FrameFit, Intrinsics

SIZE = (180, 240)
FPS = 12.0


@dataclass(frozen=True, eq=False)
class FilmedHead:
    """The video, its frames' pictures, landmarks (T, 478, 2) and masks (T, H, W)."""

    path: Path
    pictures: np.ndarray
    points: np.ndarray
    masks: np.ndarray


def film_head(path, sound, frames=16):
    """The default avatar opens its mouth and turns; its landmarks follow from the head alone."""
    head, model, backend = load_head("default"), default_model(), CpuBackend()
    t = np.arange(frames) / FPS
    expression = np.zeros((frames, len(model.names)))
    expression[:, model.names.index("jawOpen")] = 0.4 * np.sin(9 * t) ** 2
    turns = np.stack([20 * np.sin(2.6 * t), 4 * np.sin(4 * t), 3 * np.sin(3 * t)], 1)
    flip = Rotation.from_euler("X", 180, degrees=True)
    rotation = (flip * Rotation.from_euler("YXZ", turns, degrees=True)).as_matrix()
    translation = np.tile([0.0, -0.01, 0.6], (frames, 1))
    focal, centre = 0.8 * max(SIZE), np.array(SIZE) / 2
    fit = FrameFit(rotation, translation, expression)
    none = np.zeros(len(model.identity))
    points = project(model, none, Intrinsics(focal, centre), fit)
    K = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]], np.float32)
    camera = Camera(np.eye(4, dtype=np.float32), K, *SIZE)
    avatar = load_avatar("default", head)
    pictures = []
    plain = np.ones((SIZE[1], SIZE[0], 3), np.float32)
    for backdrop in (studio_backdrop(*SIZE), 0 * plain, plain):
        renderer = FrameRenderer(avatar, backend, camera, backdrop)
        for frame in range(frames):
            matrix = np.eye(4, dtype=np.float32)
            matrix[:3, :3], matrix[:3, 3] = rotation[frame], translation[frame]
            weights = expression[frame].astype(np.float32)
            shown = renderer.submit(head.deform(weights), weights, matrix)
            pictures.append(shown.numpy()[0])
    write_video(path, pictures[:frames], FPS, sound, quality=8)
    black, white = np.split(np.stack(pictures[frames:]).astype(np.float32), 2)
    masks = 1 - (white - black).mean(axis=3) / 255
    return FilmedHead(path, np.stack(pictures[:frames]), points.astype(np.float32), masks)


def substitute_detectors(patch, filmed, faces=None):
    """Put what is known of a film in place of MediaPipe's detectors.

    Args:
        patch: a monkeypatch.
        filmed: the film.
        faces: of a frame by its number, where others than the true one are to be found.
    """

    def true_face(frame):
        return [FaceLandmarks(filmed.points[frame])]

    def opened(_model=None, *, still=False):
        return _NoFaces() if still else _Detector(faces or true_face)

    patch.setattr("training.tracking.run.open_detector", opened)
    patch.setattr("training.tracking.run.HandDetector", NoHands)
    # The masks are of whole pictures.
    for room in ("BESIDE", "ABOVE", "BELOW"):
        patch.setattr(f"training.tracking.windows.{room}", 100.0)
    patch.setattr("training.tracking.run.PersonSegmenter", lambda: _Segmenter(filmed))


class _Detector:
    name = "made"

    def __init__(self, faces):
        self._faces = faces

    def detect(self, _image, seconds):
        return self._faces(round(seconds * FPS))

    def close(self):
        pass


class _NoFaces:
    """Finds no face in renders of what was fitted, so that nothing is calibrated."""

    name = "made"

    def detect(self, _image, _seconds):
        return []

    def close(self):
        pass


class NoHands:
    """Finds no hand."""

    def detect(self, _image):
        return []

    def close(self):
        pass


class _Segmenter:
    """The mask of the frame that a picture is nearest to."""

    def __init__(self, filmed):
        self._filmed = filmed

    def segment(self, image):
        away = np.abs(self._filmed.pictures.astype(np.float32) - image)
        return self._filmed.masks[away.mean(axis=(1, 2, 3)).argmin()]

    def close(self):
        pass
