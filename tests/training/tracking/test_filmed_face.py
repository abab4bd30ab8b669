# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is filmed, where a picture shows two faces: portraits, passers-by, people side by side."""

import numpy as np
import pytest

from training.tracking.filmed_face import ANOTHER, NOBODY, ONE, SEVERAL, filmed_faces

FPS = 25.0
FRAMES = 150
SHAPE = np.random.default_rng(3).uniform(-0.5, 0.5, (478, 2))


def person(x, size=100.0, seed=0, moves=0.01, pace=1.0):
    """(T, 478, 2) of somebody at a place: the head drifts, and the face moves within itself."""
    rng, t = np.random.default_rng(seed), np.arange(FRAMES) / FPS
    within = rng.normal(0, 1, (3, 478, 2))
    waves = np.sin(2 * np.pi * pace * np.outer(t, [1.3, 2.1, 3.2]) + rng.uniform(0, 6, 3))
    shape = SHAPE + moves * np.tensordot(waves, within, 1)
    return size * shape + np.array([x, 200.0]) + 5 * np.sin(t)[:, None, None]


def portrait(x, size=100.0, seed=1, noise=0.0004):
    """What a detector says of one before a camera that moves."""
    rng, t = np.random.default_rng(seed), np.arange(FRAMES) / FPS
    noise = rng.normal(0, noise, (FRAMES, 478, 2))
    return size * (SHAPE + noise) + np.array([x, 150.0]) + 4 * np.sin(2 * t)[:, None, None]


def shown(*faces):
    """(T, 2, 478, 2), the largest first; each with the frames in which it is there."""
    points = np.full((FRAMES, 2, 478, 2), np.nan, np.float32)
    for frame in range(FRAMES):
        there = [face[frame] for face, frames in faces if frame in frames]
        there.sort(key=lambda p: -np.ptp(p[:, 0]))
        for place, face in enumerate(there):
            points[frame, place] = face
    return points


def filmed(*faces, cuts=()):
    """(T,) number of the face among those given, −1 where there is none; and what is shown."""
    points = shown(*faces)
    cut = np.isin(np.arange(FRAMES), list(cuts))
    chosen, shows = filmed_faces(points, cut, FPS)
    found = points[np.arange(FRAMES), chosen].mean(axis=1)[:, 0]
    middles = np.array([face.mean(axis=1)[:, 0] for face, _ in faces])
    who = np.abs(middles - found).argmin(axis=0)
    return np.where(np.isfinite(found), who, -1), shows


ALL = range(FRAMES)


@pytest.mark.parametrize("size", [60.0, 100.0, 160.0])
def test_a_portrait_on_the_wall_is_nobody_however_large(size):
    who, shows = filmed((portrait(600, size), ALL), (person(200), range(30, 110)))
    assert (who[30:110] == 1).all()
    assert (shows[30:110] == ONE).all()
    assert (shows[:30] == ANOTHER).all()
    assert (shows[110:] == ANOTHER).all()


def test_a_person_who_is_lost_for_a_moment_is_found_again_beside_a_portrait():
    gone = {*range(40, 45), *range(90, 120)}
    who, shows = filmed((portrait(600, 50.0), ALL), (person(200), set(ALL) - gone))
    assert (shows == np.where(np.isin(ALL, list(gone)), ANOTHER, ONE)).all()
    assert (who[shows == ONE] == 1).all()


def test_a_portrait_in_noise_is_told_from_somebody_who_listens():
    noisy, speaker = portrait(600, noise=0.0025), person(200)
    who, shows = filmed((noisy, ALL), (speaker, ALL))
    assert (who == 1).all()
    assert (shows == ONE).all()
    _, shows = filmed((person(600, moves=0.002, pace=0.15, seed=5), ALL), (speaker, ALL))
    assert (shows == SEVERAL).all()


def test_a_portrait_is_one_after_a_cut_too():
    faces = (portrait(600), ALL), (person(200), ALL)
    who, shows = filmed(*faces, cuts=(70,))
    assert (who == 1).all()
    assert (shows == ONE).all()


def test_a_photo_that_is_filmed_alone_is_no_reason_to_see_nobody():
    _, shows = filmed((portrait(300), ALL))
    assert (shows == ONE).all()


def test_two_people_of_one_size_leave_it_open_until_one_is_gone():
    who, shows = filmed((person(200), ALL), (person(600, 90.0, seed=5), range(60)))
    assert (shows[:60] == SEVERAL).all()
    assert (shows[60:] == ONE).all()
    assert (who[60:] == 0).all()


def test_a_bystander_who_is_there_first_is_not_followed():
    who, shows = filmed((person(600, 45.0, seed=5), ALL), (person(200), range(40, 120)))
    assert (who[40:120] == 1).all()
    assert (shows[40:120] == ONE).all()
    # Where only they are to be seen, it is known by then who they are.
    assert (shows[:40] == ANOTHER).all()
    assert (shows[120:] == ANOTHER).all()


def test_who_passes_close_before_the_camera_is_not_followed():
    who, shows = filmed((person(200), ALL), (person(600, 200.0, seed=5), range(60, 80)))
    assert (who == 0).all()
    assert (shows == ONE).all()


def test_no_face_is_nobody():
    _, shows = filmed((person(200), range(20, FRAMES)))
    assert (shows[:20] == NOBODY).all()
    assert (shows[20:] == ONE).all()
