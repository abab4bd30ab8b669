# SPDX-License-Identifier: GPL-3.0-or-later
"""What detections on known faces add to the landmark map."""

from dataclasses import replace

import numpy as np
import pytest

from tests.training.tracking.detected_faces import detections
from training.tracking.identity_space import default_space
from training.tracking.landmark_map import load_landmark_map
from training.tracking.landmark_responses import (
    Priors,
    _of_rows,
    _of_unknowns,
    look_offsets,
    with_responses,
)

PRIORS = Priors(offset=0.003, response=0.001, aspect=0.003)
NOSE = 1


@pytest.fixture(scope="module")
def marks():
    return load_landmark_map()


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


def test_what_a_detector_adds_to_a_shape_is_found_from_pictures_of_many_people(marks):
    space, shapes = default_space(), 3
    basis = marks.on_mesh(space.basis[:shapes])
    # It sees a third less of the second shape than there is.
    true = replace(marks, identity=np.zeros_like(basis))
    true.identity[1] = -basis[1] / 3
    nothing = replace(marks, identity=np.zeros_like(basis))
    pictures = []
    for seed in range(20):
        own = np.random.default_rng(seed).standard_normal(shapes)
        person = space.shaped(np.pad(own, (0, len(space.basis) - shapes)))
        pictures += [
            (person, own, picture._replace(identity=own))
            for picture in detections(person, true.of_person(own), 4)
        ]
    priors = replace(PRIORS, offset=1e-5, identity=np.full(shapes, 0.001))
    found = with_responses(nothing, pictures[0][0], [shown for *_, shown in pictures], priors)

    def away(known):
        """Pixels by which the landmarks of a map lie beside what was detected, mean."""
        wrong = [
            np.abs(picture.points - again.points).mean()
            for number, (person, own, picture) in enumerate(pictures)
            for again in [list(detections(person, known.of_person(own), 4))[number % 4]]
        ]
        return np.mean(wrong)

    assert away(found) < 0.15 * away(nothing)


def test_the_directions_of_looks_are_found_from_pictures_of_many_people(head, marks):
    rng = np.random.default_rng(4)
    # People's looks move the cheeks up or down, and less the nose.
    true = np.zeros((2, *marks.offset.shape), np.float32)
    true[0, [50, 280], 1], true[1, 4, 1] = 0.002, 0.001
    pictures = []
    for person in rng.normal(0, 1, (24, 2)):
        moved = marks.offset + np.tensordot(person, true, 1).astype(np.float32)
        own = replace(marks, offset=moved)
        identity = np.r_[1e-6 * person, np.zeros(len(marks.identity) - 2)]
        pictures += [picture._replace(identity=identity) for picture in detections(head, own, 6)]
    found = look_offsets(marks, head, pictures, 2)
    assert found.shape == (2, *marks.offset.shape)
    alike = [
        np.abs((a * b).sum()) / np.linalg.norm(a) / np.linalg.norm(b)
        for a, b in zip(found, true, strict=True)
    ]
    assert min(alike) > 0.9
    assert np.linalg.norm(found[0, 50]) == pytest.approx(0.002, rel=0.5)


def test_people_of_whom_few_pictures_show_a_face_are_left_out(head, marks):
    moved = replace(marks, offset=marks.offset + np.float32(0.002))
    few = list(detections(head, moved, 3))
    strange = [p._replace(identity=np.full(len(marks.identity), 1e-6)) for p in few]
    plain = [p._replace(identity=np.zeros(len(marks.identity))) for p in detections(head, marks, 6)]
    assert np.abs(look_offsets(marks, head, [*strange, *plain], 1)).max() < 1e-5


@pytest.mark.parametrize("rows", [7, 90])
def test_few_and_many_pictures_are_solved_alike(rows):
    rng = np.random.default_rng(2)
    A, b = rng.normal(size=(rows, 30)), rng.normal(size=rows)
    certain, prior = rng.uniform(0.5, 9, rows), rng.uniform(0.1, 3, 30)
    few, many = (solve(A, b, certain, prior) for solve in (_of_rows, _of_unknowns))
    np.testing.assert_allclose(few, many, atol=1e-10)
    assert np.abs(A.T @ (certain * (A @ few - b)) + prior * few).max() < 1e-9
