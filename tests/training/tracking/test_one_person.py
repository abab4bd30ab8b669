# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes of one person and of others: landmarks projected from known heads."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.core.progress import no_progress
from tests.training.tracking.projected_face import SIZE, filmed_face
from training.tracking.film import Film
from training.tracking.fitting import project
from training.tracking.one_person import OTHER, _apart, other_faces
from training.tracking.scan import GOOD, NO_FACE, Scan

FRAMES, FPS = 16, 8.0


def filmed(*people, still=(), one_video=False):
    """Takes of people, by their seeds, and what is found in them.

    Args:
        people: of each take.
        still: numbers of takes in which the head does not turn.
        one_video: whether a video is cut from one to the next.
    """
    points, films = [], []
    for number, seed in enumerate(people):
        film = filmed_face(FRAMES, seed=seed)
        fit = film.fit
        if number in still:
            fit = replace(fit, rotation=np.repeat(fit.rotation[:1], FRAMES, axis=0))
        shown = project(film.model, film.identity, film.camera, fit)
        shown += 0.4 * np.random.default_rng([seed, number]).normal(size=shown.shape)
        points.append(shown.astype(np.float32))
        path = Path(f"{'abc'[number]}.mp4")
        films.append(Film(path, *SIZE, FPS, FRAMES, sound=False))
    count = FRAMES * len(people)
    whole = replace(films[0], frames=count, takes=() if one_video else tuple(films))
    return whole, Scan(
        np.concatenate(points),
        np.full(count, GOOD, np.int8),
        np.repeat(np.arange(len(people)), FRAMES),
        FPS,
        np.ones(count),
        np.ones(count),
        np.zeros(count, bool),
    )


def said_of(film, scan):
    return other_faces(film, scan, filmed_face(FRAMES).camera.focal, no_progress)


@pytest.mark.slow
def test_takes_of_one_person_are_not_spoken_of():
    """Of a head that does not turn depth is not seen, so that the faces found differ."""
    assert said_of(*filmed(1, 1, still=[1])) == []


@pytest.mark.slow
def test_a_take_of_another_person_is_named():
    (said,) = said_of(*filmed(1, 2))
    assert said.startswith("b.mp4 shows another face than a.mp4: ")
    assert "leave it out" in said


@pytest.mark.slow
def test_a_video_that_is_cut_to_another_person_is_named():
    (said,) = said_of(*filmed(1, 2, one_video=True))
    assert said.startswith("a.mp4 from 2.0 s on shows another face than a.mp4 from 0.0 s on: ")


def test_a_take_that_hardly_shows_a_face_is_not_judged():
    film, scan = filmed(1, 2)
    scan.state[FRAMES + 8 :] = NO_FACE
    assert said_of(film, scan) == []


@pytest.mark.parametrize(
    ("people", "reference", "others"),
    [("aab", 0, [2]), ("baa", 1, [0]), ("ab", 0, [1]), ("abcaa", 0, [1, 2]), ("aaa", 0, [])],
)
def test_the_person_of_most_takes_is_the_one(people, reference, others):
    """Where there is none, the first take's."""
    same = {True: 1.1, False: 2 * OTHER}
    found, apart = _apart(len(people), lambda one, other: same[people[one] == people[other]])
    assert (found, list(apart)) == (reference, others)
