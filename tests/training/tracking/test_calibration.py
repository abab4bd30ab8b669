# SPDX-License-Identifier: GPL-3.0-or-later
"""Calibrating a detector on renders of the fitted head."""

import numpy as np
import pytest

from engine.core.errors import CancelledError
from tests.training.tracking.detected_faces import detections
from training.tracking.calibration import _window, calibrated
from training.tracking.landmark_map import load_landmark_map
from training.tracking.landmarks import FaceLandmarks
from training.tracking.observations import FrameFit, Intrinsics
from training.tracking.own_looks import FilmPicture
from training.tracking.sharpness import grey_of, sharpness_of


@pytest.fixture(scope="module")
def marks():
    return load_landmark_map()


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
    same = calibrated(marks, head, [(camera, fit_of(pictures))], detector, lambda *_: None)
    assert same is marks
    assert len(detector.sizes) == 8
    assert all(64 <= height == width <= 448 for height, width, _ in detector.sizes)


def test_a_calibration_can_be_cancelled(head, marks):
    def stop(_share, _message):
        raise CancelledError

    camera = Intrinsics(900.0, np.array([320.0, 320.0]))
    fit = fit_of(list(detections(head, marks, 2)))
    with pytest.raises(CancelledError):
        calibrated(marks, head, [(camera, fit)], Scripted([]), stop)


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
            picture = self.left.pop(0)
            _, K = _window(head, picture.vertices, picture.matrix, camera)
            assert image.shape[0] == image.shape[1]
            rays = (picture.points - camera.centre) / camera.focal
            return [FaceLandmarks((rays * K[0, 0] + K[:2, 2]).astype(np.float32))]

    found = calibrated(marks, head, [(camera, fit_of(pictures))], Right(), lambda *_: None)
    assert np.abs(found.offset - marks.offset).max() < 1e-5


@pytest.mark.slow
def test_renders_are_as_soft_as_a_film_out_of_focus(head, marks):
    camera = Intrinsics(900.0, np.array([320.0, 320.0]))
    pictures = list(detections(head, marks, 2))
    seen = []

    class Watching:
        name = "made"

        def detect(self, image, _seconds):
            x, y = np.meshgrid(*[np.linspace(0.25, 0.75, 22) * image.shape[0]] * 2)
            points = np.stack([x.ravel(), y.ravel()], 1)[:478].astype(np.float32)
            seen.append(sharpness_of(grey_of(image), points))
            return [FaceLandmarks(points)]

    def shown(*sharpness):
        seen.clear()
        fit, of_frames = fit_of(pictures), np.resize(sharpness, len(pictures))
        calibrated(marks, head, [(camera, fit)], Watching(), lambda *_: None, [of_frames])
        return list(seen)

    sharp = shown(np.inf)
    assert shown(0.7 * sharp[0]) == sharp
    soft = shown(0.1 * sharp[0])
    assert soft[0] == sharp[0]
    assert soft[1] == pytest.approx(0.1 * sharp[0], rel=0.2)
    assert soft[2] < 0.3 * sharp[1]
    # Of a film that is soft and one that is sharp, each has renders of its own kind.
    both = shown(0.1 * sharp[0], np.inf)
    assert both[1] == pytest.approx(0.1 * sharp[0], rel=0.2)
    assert both[2] == sharp[1]


class Watching:
    """A detector that finds nothing, and keeps the middle of what it is shown.

    Attributes:
        seen: 40 columns of each picture, and of its rows all but a part above and below; 40 rows
            where no part is given.
    """

    name = "made"

    def __init__(self, part=None):
        self.seen, self._part = [], part

    def detect(self, image, _seconds):
        size = len(image)
        above = size // 2 - 20 if self._part is None else round(self._part * size)
        self.seen.append(image[above : size - above, size // 2 - 20 : size // 2 + 20])
        return []


@pytest.mark.slow
def test_renders_have_the_colours_of_the_film(head, marks):
    camera = Intrinsics(900.0, np.array([320.0, 320.0]))
    pictures = list(detections(head, marks, 2))
    watching = Watching()

    def middle(filmed):
        watching.seen.clear()
        fit = fit_of(pictures)
        calibrated(marks, head, [(camera, fit)], watching, lambda *_: None, None, filmed)
        return np.mean(watching.seen, axis=(0, 1, 2))

    blue = np.broadcast_to(np.uint8([20, 40, 200]), (640, 640, 3))
    picture = FilmPicture(blue, np.ones((640, 640), np.float32))
    assert middle(None)[2] < 150
    assert middle([[picture] * 2]) == pytest.approx([20, 40, 200], abs=15)


@pytest.mark.slow
def test_colours_are_taken_where_pixels_that_are_not_square_show_them(head, marks):
    camera = Intrinsics(900.0, np.array([320.0, 320.0]), aspect=0.6)
    pictures = list(detections(head, marks, 2))
    watching = Watching(part=0.25)

    # Blue as far as the low picture shows the face, red above it and below.
    filmed = []
    for picture in pictures:
        face = picture.vertices[head.regions["face"]] @ picture.matrix[:3, :3].T
        rows = (face + picture.matrix[:3, 3]) @ camera.matrix.T
        shown = (rows[:, 1] / rows[:, 2]).astype(int)
        image = np.full((640, 640, 3), np.uint8([200, 40, 20]))
        image[shown.min() : shown.max()] = [20, 40, 200]
        filmed.append(FilmPicture(image, np.ones((640, 640), np.float32)))
    fit = fit_of(pictures)
    calibrated(marks, head, [(camera, fit)], watching, lambda *_: None, None, [filmed])
    assert np.max(watching.seen, axis=(0, 1, 2))[0] < 90
