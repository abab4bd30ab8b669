# SPDX-License-Identifier: GPL-3.0-or-later
from dataclasses import replace

import numpy as np
import pytest

from engine.core.errors import BadInputError
from training.tracking.face_model import arkit_face_model
from training.tracking.identity_space import default_space
from training.tracking.landmark_map import load_landmark_map, view_features
from training.tracking.landmarks import (
    EYE_CORNERS,
    EYES,
    INNER_LOWER,
    INNER_UPPER,
    IRISES,
    LIPS,
    OVAL,
)


@pytest.fixture(scope="module")
def marks():
    return load_landmark_map()


def test_landmarks_lie_in_triangles_of_the_head(head, marks):
    triangles = {tuple(sorted(face)) for face in head.faces.tolist()}
    assert {tuple(sorted(corners)) for corners in marks.corners.tolist()} <= triangles
    assert np.allclose(marks.weights.sum(1), 1, atol=1e-5)


def test_lips_and_irises_are_where_the_head_has_them(head, marks):
    assert np.isin(marks.corners[list(INNER_UPPER[1:-1])], head.regions["upper_lip"]).all()
    assert np.isin(marks.corners[list(INNER_LOWER[1:-1])], head.regions["lower_lip"]).all()
    assert np.isin(marks.corners[list(IRISES)], head.regions["eyeballs"]).all()


def test_right_is_the_persons_right(head, marks):
    right, left = marks.on_mesh(head.template)[list(EYE_CORNERS)]
    assert right[0] < -0.03
    assert left[0] > 0.03


def test_the_detector_follows_an_opening_mouth(head, marks):
    jaw = head.expression_index("jawOpen")
    motion = marks.on_mesh(head.expression_basis)[jaw] + marks.response[jaw]
    assert motion[14, 1] < -0.01
    assert marks.deviation[list(LIPS)].mean() < 0.0015


def test_the_detector_sees_faces_a_little_like_others(marks):
    """Of the shapes in which people differ most it sees less than there is."""
    shapes = marks.on_mesh(default_space().basis[:20]).reshape(20, -1)
    added = marks.identity[:20].reshape(20, -1)
    assert len(marks.identity) == len(default_space().basis)
    assert np.median((added * shapes).sum(axis=1) / np.square(shapes).sum(axis=1)) < 0


def test_looks_move_landmarks_by_a_millimetre(marks):
    """All together, as a standard deviation; the outline of the face more than eyes."""
    moved = 1e3 * np.sqrt(np.square(marks.looks, dtype=np.float64).sum(axis=(0, 2)))
    assert 0.3 < moved[list(LIPS)].mean() < 2
    assert moved[list(OVAL)].mean() > moved[list(EYES)].mean()


def test_a_map_of_other_shapes_is_refused(head, marks):
    with pytest.raises(BadInputError, match="other expressions or shapes"):
        arkit_face_model(head, default_space(), replace(marks, identity=marks.identity[:5]))


def test_the_view_is_told_by_where_the_camera_is():
    flip = np.diag([1.0, -1.0, -1.0])
    ahead, aside = view_features(
        np.array([flip, flip @ rotation_about_y(0.3)]), np.array([[0, 0, 0.5]] * 2)
    )
    assert np.allclose(ahead, 0, atol=1e-6)
    # The head turns to its left, so the camera sees its right.
    assert aside[0] < -0.2
    assert aside[2] == pytest.approx(aside[0] ** 2)


def rotation_about_y(angle):
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def test_a_damaged_map_is_refused(tmp_path):
    path = tmp_path / "landmark_map.npz"
    path.write_bytes(b"no npz")
    with pytest.raises(BadInputError, match=r"landmark_map\.npz"):
        load_landmark_map(path)
