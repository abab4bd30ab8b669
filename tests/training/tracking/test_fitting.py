# SPDX-License-Identifier: GPL-3.0-or-later
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import procrustes

from engine.core.errors import CancelledError
from tests.training.tracking.projected_face import filmed_face
from training.tracking.face_model import with_own_lips, with_own_offsets
from training.tracking.first_poses import initial_poses
from training.tracking.fitting import fit_frames, fit_identity, project
from training.tracking.landmark_map import load_landmark_map
from training.tracking.landmarks import LIPS
from training.tracking.observations import Intrinsics


def degrees_apart(a, b):
    cosine = (np.trace(a @ np.swapaxes(b, 1, 2), axis1=1, axis2=2) - 1) / 2
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def test_the_first_pose_is_near_the_true_one():
    film = filmed_face(frames=6)
    start = initial_poses(film.model, film.seen, film.camera)
    assert degrees_apart(start.rotation, film.fit.rotation).max() < 12
    assert np.abs(start.translation[:, 2] / film.fit.translation[:, 2] - 1).max() < 0.15


@pytest.fixture(scope="module")
def film():
    return filmed_face(frames=20, seed=3)


@pytest.fixture(scope="module")
def known_identity(film):
    """Poses and expressions alone: identity and camera are given."""
    start = initial_poses(film.model, film.seen, film.camera)
    return fit_frames(film.model, film.seen, film.camera, film.identity, start)


def test_poses_of_a_known_face_are_found_within_half_a_degree(film, known_identity):
    assert degrees_apart(known_identity.rotation, film.fit.rotation).mean() < 0.5


def test_the_mouth_of_a_known_face_follows_within_a_millimetre(film, known_identity):
    wrong = known_identity.expression - film.fit.expression
    moved = np.tensordot(wrong, film.model.expression[:, list(LIPS)], 1)
    assert 1e3 * np.linalg.norm(moved, axis=2).mean() < 1.0


def test_weights_stay_within_their_bounds(film, known_identity):
    assert (known_identity.expression >= film.model.low - 1e-9).all()
    assert (known_identity.expression <= film.model.high + 1e-9).all()


def test_a_face_from_several_poses_is_nearer_than_the_mean_face(film):
    guess = Intrinsics(film.camera.focal * 1.06, film.camera.centre)
    start = initial_poses(film.model, film.seen, guess)
    identity, camera, fit = fit_identity(film.model, film.seen, guess, start, free_focal=True)
    true = np.tensordot(film.identity, film.model.identity, 1)
    found = np.tensordot(identity, film.model.identity, 1)
    # A film knows no size and no position of the head: neither counts.
    x, y = (film.model.rest + offset for offset in (found, true))
    x, y = x - x.mean(0), y - y.mean(0)
    wrong = np.linalg.norm(x * (x * y).sum() / (x * x).sum() - y, axis=1).mean()
    mean = film.model.rest + np.tensordot(film.model.mean, film.model.identity, 1)
    mean = mean - mean.mean(0)
    before = np.linalg.norm(mean * (mean * y).sum() / (mean * mean).sum() - y, axis=1).mean()
    assert wrong < 0.6 * before
    away = np.linalg.norm(project(film.model, identity, camera, fit) - film.seen.points, axis=2)
    assert np.median(away) < 1.5


def test_a_smeared_frame_does_not_shake_the_head():
    film = filmed_face(frames=12)
    true, jumped = film.seen.points, film.seen.points.copy()
    jumped[6] += [15.0, 10.0]
    trust = np.ones(12)
    trust[6] = 0.02
    start = initial_poses(film.model, film.seen, film.camera)
    away = []
    for weights in (trust, np.ones(12)):
        seen = replace(film.seen, points=jumped, trust=weights)
        fit = fit_frames(film.model, seen, film.camera, film.identity, start)
        flat = project(film.model, film.identity, film.camera, fit)
        away.append(np.median(np.linalg.norm(flat - true, axis=2)[6]))
    assert away[0] < 8
    assert away[1] > 12


def test_lips_known_to_touch_show_where_the_detector_sees_their_edges():
    film = filmed_face(frames=20, seed=3)
    model, camera = with_own_lips(film.model), film.camera
    # The edges of this person's lips are seen 1.5 mm above and 1 mm below where they are.
    own = np.array([1.5, -1.0])
    identity = np.r_[film.identity, own]
    shut = np.arange(20) % 5 == 0
    expression = film.fit.expression.copy()
    expression[shut] *= np.array([not name.startswith(("jaw", "mouth")) for name in model.names])
    fit = replace(film.fit, expression=expression)
    points = project(model, identity, camera, fit)
    gap = expression @ film.model.parting
    start = initial_poses(model, replace(film.seen, points=points), camera)
    wrong = []
    for touching in (shut.astype(float), np.zeros(20)):
        seen = replace(film.seen, points=points, touching=touching)
        _, _, found = fit_identity(model, seen, camera, start, free_focal=False)
        wrong.append(1e3 * np.abs((found.expression @ film.model.parting - gap).max(1)).mean())
    assert wrong[0] < 0.5
    assert wrong[1] > 1.5 * wrong[0]


def test_what_a_persons_looks_add_is_not_taken_for_the_shape(film):
    marks, camera = load_landmark_map(), film.camera
    with_looks = with_own_offsets(film.model, marks.looks.astype(float))
    true = film.model.rest + np.tensordot(film.identity, film.model.identity, 1)
    wrong = np.zeros(2)
    for seed in (2, 3):
        added = np.random.default_rng(seed).normal(size=len(marks.looks))
        points = project(with_looks, np.r_[film.identity, added], camera, film.fit)
        seen = replace(film.seen, points=points)
        start = initial_poses(film.model, seen, camera)
        for row, model in enumerate((with_looks, film.model)):
            identity, _, _ = fit_identity(model, seen, camera, start, free_focal=False)
            shape = identity[: len(film.identity)]
            found = film.model.rest + np.tensordot(shape, film.model.identity, 1)
            wrong[row] += procrustes(true, found)[2]
    assert wrong[0] < 0.6 * wrong[1]


def test_what_the_mouth_does_in_all_frames_is_rather_the_face(film):
    model, camera = film.model, film.camera
    smile = [row for row, name in enumerate(model.names) if name.startswith("mouthSmile")]
    # The detector is wrong about this face: it sees it smile.
    points = project(
        replace(model, rest=model.rest + 0.25 * model.expression[smile].sum(0)),
        film.identity,
        camera,
        film.fit,
    )
    seen = replace(film.seen, points=points)
    start, means = initial_poses(model, seen, camera), []
    for lasting in (model.lasting, np.full(len(model.names), np.inf)):
        free = replace(model, lasting=lasting)
        _, _, fit = fit_identity(free, seen, camera, start, free_focal=False)
        means.append(fit.expression[:, smile].mean())
    true = film.fit.expression[:, smile].mean()
    assert abs(means[0] - true) < 0.5 * abs(means[1] - true)


def test_a_long_chin_is_not_taken_for_a_jaw_that_hangs_under_closed_lips(film):
    model, camera = film.model, film.camera
    jaw, close = (model.names.index(name) for name in ("jawOpen", "mouthClose"))
    # The outline of the face at an open jaw, the lips as they were.
    longer = model.rest + 0.3 * (model.expression[jaw] + model.expression[close])
    points = project(replace(model, rest=longer), film.identity, camera, film.fit)
    seen = replace(film.seen, points=points)
    start = initial_poses(model, seen, camera)
    _, _, fit = fit_identity(model, seen, camera, start, free_focal=False)
    added = fit.expression - film.fit.expression
    assert added[:, jaw].mean() < 0.1
    assert added[:, close].mean() < 0.1


def test_a_known_focal_length_is_kept(film):
    start = initial_poses(film.model, film.seen, film.camera)
    some = slice(0, 4)
    _, camera, _ = fit_identity(
        film.model, film.seen.picked(some), film.camera, start.picked(some), free_focal=False
    )
    assert camera.focal == pytest.approx(film.camera.focal)


def test_nothing_is_smooth_across_a_cut():
    film = filmed_face(frames=8)
    jumped = film.seen.points.copy()
    jumped[4:] += [60.0, 30.0]
    seen = replace(film.seen, points=jumped, takes=np.array([0] * 4 + [1] * 4))
    start = initial_poses(film.model, seen, film.camera)
    fit = fit_frames(film.model, seen, film.camera, film.identity, start)
    flat = project(film.model, film.identity, film.camera, fit)
    assert np.median(np.linalg.norm(flat - jumped, axis=2), axis=1).max() < 1.0


def test_a_cancel_goes_through(film):
    def cancelled(_share, _message):
        raise CancelledError

    start = initial_poses(film.model, film.seen, film.camera)
    with pytest.raises(CancelledError):
        fit_frames(film.model, film.seen, film.camera, film.identity, start, cancelled)


def test_what_a_round_finds_of_the_focal_length_does_not_become_its_guess(monkeypatch):
    film = filmed_face(4)
    given = []

    class Longer:
        """A round that always finds a camera a tenth longer than where it begins."""

        def __init__(self, _model, _seen, camera, fit, identity, *, zoom, **_options):
            given.append((camera.focal, zoom))
            self.found = identity, replace(camera, focal=camera.focal * 1.1), fit

        def solve(self, _progress):
            return self.found

    monkeypatch.setattr("training.tracking.fitting.FaceProblem", Longer)
    found = fit_identity(film.model, film.seen, film.camera, film.fit, free_focal=True)
    guess = film.camera.focal
    assert [focal for focal, _ in given] == [guess] * 3
    assert given[0][1] == 0
    assert given[1][1] == pytest.approx(given[2][1])
    assert given[1][1] > 0
    again = fit_identity(
        film.model, film.seen, film.camera, film.fit, free_focal=True, known=found[:2]
    )
    assert len(given) == 4
    assert given[3] == given[2]
    assert again[1].focal == pytest.approx(1.1 * guess)
