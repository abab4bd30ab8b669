# SPDX-License-Identifier: GPL-3.0-or-later
"""What the detector is shown between the fits of an identity."""

import numpy as np
import pytest

from tests.training.tracking.detected_faces import poses
from training.tracking import identity_search
from training.tracking.face_model import own_lips
from training.tracking.identity_search import IdentitySearch
from training.tracking.identity_space import default_space
from training.tracking.landmark_map import load_landmark_map
from training.tracking.observations import FrameFit, Intrinsics, Observations, View

CAMERA = Intrinsics(500.0, np.array([160.0, 120.0]))
FRAMES = np.array([2, 3, 5, 8, 13, 21, 34, 55])


def quiet(_share, _message):
    pass


@pytest.fixture
def calibrations(monkeypatch):
    """The pictures by which each calibration coloured its renders; nothing is fitted."""
    space, count = default_space(), len(FRAMES)
    rotation, translation = poses(count)
    fit = FrameFit(rotation, translation, np.zeros((count, 52)))
    found = np.zeros(len(space.basis) + len(load_landmark_map().looks) + len(own_lips()))
    seen = []

    def calibrated(marks, _person, _views, _detector, _progress, _sharpness, looks):
        seen.append(looks)
        return marks

    monkeypatch.setattr(identity_search, "initial_poses", lambda *_: fit)
    monkeypatch.setattr(identity_search, "fit_identity", lambda *_, **__: (found, CAMERA, fit))
    monkeypatch.setattr(identity_search, "calibrated", calibrated)
    return seen


def search(looks, views=()):
    count = len(FRAMES)
    points, ones = np.zeros((count, 478, 2)), np.ones(count)
    picked = Observations(points, FRAMES / 25, np.zeros(count, int), 0 * ones, ones, views)
    IdentitySearch(default_space(), load_landmark_map(), object(), False, ones, FRAMES, looks).run(
        picked, CAMERA, quiet
    )


def numbers(camera, frames, _progress):
    return [(camera, int(frame)) for frame in frames]


def test_the_film_colours_the_renders_once_a_fit_says_where_things_are(calibrations):
    search(numbers)
    assert calibrations == [None, [[(0, 2), (0, 5), (0, 13), (0, 34)]]]


def test_each_camera_colours_the_renders_that_are_seen_from_it(calibrations):
    points, ones = np.zeros((len(FRAMES), 478, 2)), np.ones(len(FRAMES))
    aside = points.copy()
    aside[:3] = np.nan
    views = tuple(View(of, ones, CAMERA, np.eye(4)) for of in (points, aside))
    search(numbers, views)
    assert calibrations[1] == [[(0, 2), (0, 13)], [(1, 21)]]


def test_without_pictures_the_renders_keep_their_looks(calibrations):
    search(None)
    assert calibrations == [None, None]
