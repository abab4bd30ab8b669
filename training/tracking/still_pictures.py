# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that are no film, looked at as those of one are.

A detector of films looks at the part of a picture in which the face was in the picture before. Of a
face that it has to search first it looks at another part, and what it says of that face is then
off otherwise, by a millimetre and more.
"""

from __future__ import annotations

import numpy as np

from training.tracking.landmarks import FaceLandmarks, Image, LandmarkDetector

_LOOKS = 3
"""At each picture; the last one counts, whose part is where the ones before have found the face."""


class StillPictures:
    """A :class:`training.tracking.landmarks.LandmarkDetector` of single pictures.

    Args:
        detector: of films; of its looks at other pictures it remembers nothing after a black one.
    """

    def __init__(self, detector: LandmarkDetector) -> None:
        self.name = detector.name
        self._detector = detector

    def detect(self, image: Image, seconds: float) -> list[FaceLandmarks]:
        """See :meth:`training.tracking.landmarks.LandmarkDetector.detect`."""
        self._detector.detect(np.zeros_like(image), seconds)
        faces: list[FaceLandmarks] = []
        for _ in range(_LOOKS):
            faces = self._detector.detect(image, seconds)
        return faces

    def close(self) -> None:
        """Free the detector."""
        self._detector.close()
