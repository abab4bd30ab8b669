# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np

from training.tracking.landmarks import POINTS, FaceLandmarks
from training.tracking.still_pictures import StillPictures

BEFORE, HERE = (5, 5), (12, 20)


def picture(place):
    """A black picture with one bright pixel, (x, y)."""
    image = np.zeros((32, 48, 3), np.uint8)
    image[place[1], place[0]] = 255
    return image


class Following:
    """Says where the bright pixel is, and is off by a quarter of its way since the look before.

    A pixel that it did not see before it finds with an error of eight pixels.
    """

    name = "made"

    def __init__(self):
        self.before, self.closed = None, False

    def detect(self, image, _seconds):
        rows, columns = np.nonzero(image[..., 0])
        if not len(rows):
            self.before = None
            return []
        at = np.array([columns[0], rows[0]], np.float32)
        error = np.float32([8, 0]) if self.before is None else 0.25 * (at - self.before)
        self.before = at
        return [FaceLandmarks(np.tile(at + error, (POINTS, 1)))]

    def close(self):
        self.closed = True


def test_a_picture_is_looked_at_as_if_the_face_had_been_there_before():
    detector = StillPictures(Following())
    for place in (BEFORE, HERE):
        found = detector.detect(picture(place), 0.0)
        np.testing.assert_allclose(found[0].points[0], place)


def test_a_face_of_the_picture_before_is_not_searched_again():
    detector = Following()
    still = StillPictures(detector)
    still.detect(picture(BEFORE), 0.0)
    assert still.detect(picture(HERE) * 0, 0.0) == []
    assert detector.before is None


def test_it_closes_its_detector_and_has_its_name():
    detector = Following()
    still = StillPictures(detector)
    still.close()
    assert detector.closed
    assert still.name == "made"
