# SPDX-License-Identifier: GPL-3.0-or-later
from dataclasses import replace

import numpy as np
import pytest

from engine.core.errors import CancelledError
from engine.core.progress import no_progress
from tests.training.tracking.filmed_by_three import filmed_by_three
from tests.training.tracking.projected_face import filmed_face
from training.tracking.face_model import with_own_lips
from training.tracking.face_problem import FaceProblem
from training.tracking.first_poses import initial_poses

FRAMES = 5


@pytest.fixture(scope="module")
def film():
    return filmed_face(frames=FRAMES, seed=3)


def problem_of(film, seen=None, **options):
    """Of a film in which the lips touch in two frames, beginning at its first poses."""
    model = with_own_lips(film.model)
    touching = np.array([1.0, 0, 0.5, 0, 0])
    seen = replace(film.seen if seen is None else seen, touching=touching)
    start = initial_poses(model, seen, film.camera)
    identity = np.r_[film.identity, 0.3, -0.2]
    return FaceProblem(model, seen, film.camera, start, identity, **options)


def anywhere(problem, seed=0):
    """A point at which no weight lies at a bound, but those that cannot move."""
    state, rng = problem.start, np.random.default_rng(seed)
    frames, count = state.fit.expression.shape
    step = np.c_[rng.normal(0, 0.02, (frames, 6)), rng.uniform(0.1, 0.5, (frames, count))]
    return problem.moved(state, step, rng.normal(0, 0.1, len(state.identity) + 1))


@pytest.mark.parametrize(
    "options", [{"shared": True, "free_focal": True, "zoom": 0.3}, {"held": 2}]
)
@pytest.mark.parametrize("cameras", [1, 3])
def test_the_gradient_is_that_of_the_cost(film, options, cameras):
    seen = None
    if cameras == 3:
        three = filmed_by_three(frames=FRAMES, seed=3)
        film, seen = three.film, three.seen([0, 1, 2])
    problem = problem_of(film, seen, **options)
    state = anywhere(problem)
    system = problem.system(state)
    assert system.cost == pytest.approx(problem.cost(state))
    free = np.ones(system.gradient.shape, bool)
    free[:, 6:] = (problem.model.high > 0)[None]
    rng = np.random.default_rng(1)
    units = [1e-6] * 3 + [1e-7] * 3 + [1e-5] * (free.shape[1] - 6)
    for _ in range(6):
        step = np.where(free, rng.normal(size=free.shape) * units, 0.0)
        shared = rng.normal(0, 1e-5, len(state.identity) + 1)
        ahead, behind = (problem.cost(problem.moved(state, s * step, s * shared)) for s in (1, -1))
        said = (system.gradient * step).sum()
        if options.get("shared"):
            said += system.shared_gradient @ shared
        assert said == pytest.approx(0.5 * (ahead - behind), rel=1e-4)


def test_where_it_ends_no_free_unknown_would_make_the_cost_less(film):
    """Where cost is left, focal lengths are wrong by a tenth."""
    problem = problem_of(film, shared=True, free_focal=True)
    identity, camera, fit = problem.solve(no_progress)
    again = FaceProblem(
        problem.model,
        replace(film.seen, touching=np.array([1.0, 0, 0.5, 0, 0])),
        film.camera,
        problem.start.fit,
        identity,
        shared=True,
        free_focal=True,
    )
    state = replace(problem.start, fit=fit, identity=identity)
    state = replace(state, zoom=np.log(camera.focal / film.camera.focal) / 0.1)
    system = again.system(state)
    low, high, shared_free = again.limits(state)
    step, shared = system.step(low, high, shared_free, 0.0)
    quadratic = (system.gradient * step).sum() + system.shared_gradient @ shared
    # A full step takes half of that from the cost.
    assert -0.5 * quadratic < 1e-4 * system.cost
    assert (fit.expression >= problem.model.low).all()
    assert (fit.expression <= problem.model.high).all()


def test_a_focal_length_that_is_known_stays(film):
    problem = problem_of(film, shared=True)
    _, camera, _ = problem.solve(no_progress)
    assert camera.focal == film.camera.focal


def test_frames_that_do_not_count_follow_the_others_or_stay(film):
    for frames in (slice(0, 1), slice(0, 3)):
        seen = film.seen.picked(frames)
        seen = replace(seen, trust=np.zeros(len(seen.times)))
        start = initial_poses(film.model, seen, film.camera)
        problem = FaceProblem(film.model, seen, film.camera, start, film.identity)
        _, _, fit = problem.solve(no_progress)
        assert np.isfinite(fit.rotation).all()
        assert np.abs(fit.translation - start.translation).max() < 0.1


def test_a_solution_can_be_cancelled(film):
    def cancelled(_share, _message):
        raise CancelledError

    with pytest.raises(CancelledError):
        problem_of(film).solve(cancelled)
