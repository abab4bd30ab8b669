# SPDX-License-Identifier: GPL-3.0-or-later
"""What detections on known faces add to the landmark map."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from engine.core.errors import CancelledError
from training.tracking.calibration import calibrated
from training.tracking.fitting import FrameFit, Intrinsics
from training.tracking.landmark_map import load_landmark_map, view_features
from training.tracking.landmark_responses import Picture, Priors, with_responses
from training.tracking.landmarks import FaceLandmarks

PRIORS = Priors(offset=0.003, response=0.001, aspect=0.003)
NOSE = 1


@pytest.fixture(scope="module")
def marks():
    return load_landmark_map()


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


def test_a_map_that_is_right_stays(head, marks):
    found = with_responses(marks, head, list(detections(head, marks)), PRIORS)
    assert np.abs(found.offset - marks.offset).max() < 1e-5
    assert np.abs(found.aspect - marks.aspect).max() < 1e-5


def test_what_a_detector_adds_for_a_person_is_found(head, marks):
    moved = marks.offset.copy()
    moved[NOSE] += [0.001, 0.002, 0.0]
    aspect = marks.aspect.copy()
    aspect[1, NOSE] += [0.0, 0.002, 0.0]
    own = replace(marks, offset=moved, aspect=aspect)
    pictures = list(detections(head, own))
    found = with_responses(marks, head, pictures, PRIORS)

    def away(known):
        """Pixels by which the nose of a map lies beside what was detected."""
        again = detections(head, known)
        pairs = zip(pictures, again, strict=True)
        return max(np.abs(a.points[NOSE] - b.points[NOSE]).max() for a, b in pairs)

    assert away(marks) > 3
    # Depth and what the view adds show alike, so that only together they are known.
    assert away(found) < 0.3
    rest = np.delete(found.offset - marks.offset, NOSE, 0)
    assert np.abs(rest).max() < 1e-5


class Scripted:
    """Answers with the faces it was given, in their order."""

    name = "made"

    def __init__(self, answers):
        self.answers, self.sizes = answers, []

    def detect(self, image, _seconds):
        self.sizes.append(image.shape)
        return self.answers.pop(0)


def fit_of(pictures):
    matrices = np.array([picture.matrix for picture in pictures])
    expression = np.array([picture.expression for picture in pictures], np.float64)
    return FrameFit(matrices[:, :3, :3], matrices[:, :3, 3], expression)


@pytest.mark.slow
def test_a_detector_that_finds_no_face_in_the_renders_leaves_the_map(head, marks):
    camera = Intrinsics(900.0, np.array([320.0, 320.0]))
    pictures = list(detections(head, marks, 8))
    detector = Scripted([[] for _ in pictures])
    same = calibrated(marks, head, camera, fit_of(pictures), detector, lambda *_: None)
    assert same is marks
    assert len(detector.sizes) == 8
    assert all(64 <= height == width <= 448 for height, width, _ in detector.sizes)


def test_a_calibration_can_be_cancelled(head, marks):
    def stop(_share, _message):
        raise CancelledError

    camera = Intrinsics(900.0, np.array([320.0, 320.0]))
    fit = fit_of(list(detections(head, marks, 2)))
    with pytest.raises(CancelledError):
        calibrated(marks, head, camera, fit, Scripted([]), stop)


@pytest.mark.slow
def test_landmarks_in_the_window_are_those_of_the_film(head, marks):
    """A detector that is right in the crop leaves the map as it is."""
    camera = Intrinsics(900.0, np.array([320.0, 320.0]))
    pictures = list(detections(head, marks, 8))

    class Right:
        name = "made"

        def __init__(self):
            self.left = list(pictures)

        def detect(self, image, _seconds):
            from training.tracking.calibration import _window

            picture = self.left.pop(0)
            _, K = _window(head, picture.vertices, picture.matrix, camera)
            assert image.shape[0] == image.shape[1]
            rays = (picture.points - camera.centre) / camera.focal
            return [FaceLandmarks((rays * K[0, 0] + K[:2, 2]).astype(np.float32))]

    found = calibrated(marks, head, camera, fit_of(pictures), Right(), lambda *_: None)
    assert np.abs(found.offset - marks.offset).max() < 1e-5
