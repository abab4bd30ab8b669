# SPDX-License-Identifier: GPL-3.0-or-later
"""MediaPipe (Lugaresi et al. 2019) as the detector of landmarks, hands and persons.

Up to 0.10.21 the wheel holds its models and ``mediapipe.solutions`` runs them. Later versions have
neither: there the user's ``face_landmarker.task`` is run by ``mediapipe.tasks``.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from engine.core.arrays import Float
from engine.core.errors import BadInputError, MissingDependencyError
from training.tracking.landmarks import FACES, POINTS, FaceLandmarks, Image
from training.tracking.still_pictures import StillPictures

_HINT = "Install it with: pip install 'gaussianspeech[tracking]' (Python 3.11 or 3.12)."
_TASK_HINT = (
    "Give MediaPipe's face_landmarker.task with --landmark-model, or install mediapipe 0.10.21, "
    "which has its models inside."
)


def open_detector(
    model: Path | None = None, *, still: bool = False
) -> SolutionsDetector | StillPictures | TaskDetector:
    """The detector that the installed MediaPipe can run.

    Args:
        model: the user's ``face_landmarker.task``; the wheel's own models without it.
        still: pictures that are no film: each is searched anew, and by the wheel's own models then
            looked at as if it were of a film (a task smooths what it sees in films).

    Raises:
        MissingDependencyError: MediaPipe is not installed, or has no models and none is given.
        BadInputError: ``model`` is no such file.
    """
    mediapipe = _mediapipe()
    if model is not None:
        if not model.is_file():
            raise BadInputError(f"There is no file {model}.", _TASK_HINT)
        return TaskDetector(mediapipe, model, still=still)
    if _solutions(mediapipe) is None:
        raise MissingDependencyError(
            f"mediapipe {version('mediapipe')} has no models inside.", _TASK_HINT
        )
    detector = SolutionsDetector(mediapipe)
    return StillPictures(detector) if still else detector


class SolutionsDetector:
    """``mediapipe.solutions.face_mesh`` with refined lips and irises, for films."""

    def __init__(self, mediapipe: Any) -> None:
        """Use :func:`open_detector`."""
        self.name = f"mediapipe {version('mediapipe')} face_mesh"
        with _quiet():
            self._mesh = mediapipe.solutions.face_mesh.FaceMesh(
                refine_landmarks=True, max_num_faces=FACES
            )

    def detect(self, image: Image, seconds: float) -> list[FaceLandmarks]:
        """See :meth:`training.tracking.landmarks.LandmarkDetector.detect`."""
        del seconds
        with _quiet():
            found = self._mesh.process(np.ascontiguousarray(image)).multi_face_landmarks
        return _faces([face.landmark for face in found or ()], image)

    def close(self) -> None:
        """Free the graph."""
        self._mesh.close()


class TaskDetector:
    """``mediapipe.tasks.vision.FaceLandmarker`` with a model file."""

    def __init__(self, mediapipe: Any, model: Path, *, still: bool = False) -> None:
        """Use :func:`open_detector`.

        Raises:
            BadInputError: the file is no model of landmarks.
        """
        self.name = f"mediapipe {version('mediapipe')} {model.name}"
        self._mediapipe, self._still = mediapipe, still
        vision = mediapipe.tasks.vision
        mode = vision.RunningMode.IMAGE if still else vision.RunningMode.VIDEO
        try:
            with _quiet():
                self._landmarker = vision.FaceLandmarker.create_from_options(
                    vision.FaceLandmarkerOptions(
                        base_options=mediapipe.tasks.BaseOptions(
                            # Bytes: a path with other letters than ASCII fails on Windows.
                            model_asset_buffer=model.read_bytes()
                        ),
                        running_mode=mode,
                        num_faces=FACES,
                    )
                )
        except (RuntimeError, ValueError, OSError) as error:
            raise BadInputError(
                f"{model} is no face_landmarker.task: {str(error)[:100]}.", _TASK_HINT
            ) from error

    def detect(self, image: Image, seconds: float) -> list[FaceLandmarks]:
        """See :meth:`training.tracking.landmarks.LandmarkDetector.detect`."""
        frame = self._mediapipe.Image(
            image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image)
        )
        with _quiet():
            if self._still:
                result = self._landmarker.detect(frame)
            else:
                result = self._landmarker.detect_for_video(frame, round(1000 * seconds))
        return _faces(result.face_landmarks, image)

    def close(self) -> None:
        """Free the model."""
        self._landmarker.close()


class HandDetector:
    """Where hands are: ``mediapipe.solutions.hands``; nothing where there are no such models."""

    def __init__(self) -> None:
        """Open the models.

        Raises:
            MissingDependencyError: MediaPipe is not installed.
        """
        solutions = _solutions(_mediapipe())
        self._hands = None
        if solutions is not None:
            with _quiet():
                self._hands = solutions.hands.Hands(max_num_hands=2, model_complexity=0)

    def detect(self, image: Image) -> list[Float]:
        """(21, 2) float32 pixels of each hand in a picture, (H, W, 3) uint8."""
        if self._hands is None:
            return []
        with _quiet():
            found = self._hands.process(np.ascontiguousarray(image)).multi_hand_landmarks
        return [_pixels(hand.landmark, image) for hand in found or ()]

    def close(self) -> None:
        """Free the graph."""
        if self._hands is not None:
            self._hands.close()


class PersonSegmenter:
    """Who stands before the background: ``mediapipe.solutions.selfie_segmentation``.

    It remembers nothing from picture to picture.
    """

    def __init__(self) -> None:
        """Open the model.

        Raises:
            MissingDependencyError: MediaPipe is not installed, or has no models.
        """
        solutions = _solutions(_mediapipe())
        if solutions is None:
            raise MissingDependencyError(
                f"mediapipe {version('mediapipe')} has no model of persons.",
                "Give masks of the person with --masks, or install mediapipe 0.10.21.",
            )
        with _quiet():
            self._segmenter = solutions.selfie_segmentation.SelfieSegmentation(model_selection=0)

    def segment(self, image: Image) -> Float:
        """(H, W) float32 in [0, 1]: the person in a picture, (H, W, 3) uint8."""
        with _quiet():
            mask = self._segmenter.process(np.ascontiguousarray(image)).segmentation_mask
        return np.asarray(mask, np.float32)

    def close(self) -> None:
        """Free the graph."""
        self._segmenter.close()


def _mediapipe() -> Any:
    # Both are read when the library is loaded.
    os.environ.setdefault("GLOG_minloglevel", "2")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        with _quiet():
            import mediapipe
    except ImportError as error:
        raise MissingDependencyError(
            "Tracking needs MediaPipe, which is not installed.", _HINT
        ) from error
    return mediapipe


def _solutions(mediapipe: Any) -> Any:
    return getattr(mediapipe, "solutions", None)


def _faces(found: list[Any], image: Image) -> list[FaceLandmarks]:
    faces = [FaceLandmarks(_pixels(face, image)) for face in found if len(face) == POINTS]
    return sorted(faces, key=lambda face: -face.size)


def _pixels(landmarks: Any, image: Image) -> Float:
    size = np.array([image.shape[1], image.shape[0]])
    points: Float = (np.array([(mark.x, mark.y) for mark in landmarks]) * size).astype(np.float32)
    return points


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the deprecations of MediaPipe's own imports."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
