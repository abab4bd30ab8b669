# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps of a bordered banded system, beside those of the same system written out."""

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from training.tracking.gauss_newton import FrameSystem


def random_system(frames, unknowns, shared, means, seed=0):
    """The system, and its (F, F) matrix and (F,) gradient written out."""
    rng = np.random.default_rng(seed)
    size, total = frames * unknowns, frames * unknowns + shared
    system = FrameSystem(frames, unknowns, shared)
    matrix = np.zeros((total, total))
    for apart in range(min(3, frames)):
        blocks = rng.normal(0, 0.3, (frames - apart, unknowns, unknowns))
        if apart == 0:
            blocks = blocks @ blocks.transpose(0, 2, 1) + 3 * unknowns * np.eye(unknowns)
        system.add(blocks, apart)
        for earlier, block in enumerate(blocks):
            rows = slice((earlier + apart) * unknowns, (earlier + apart + 1) * unknowns)
            columns = slice(earlier * unknowns, (earlier + 1) * unknowns)
            matrix[rows, columns] = block
            matrix[columns, rows] = block.T
    system.border[:] = rng.normal(0, 0.5, system.border.shape)
    matrix[:size, size:] = system.border.reshape(size, shared)
    matrix[size:, :size] = matrix[:size, size:].T
    system.corner[:] = 20 * np.eye(shared)
    matrix[size:, size:] = system.corner
    for unknown in range(means):
        system.add_mean(unknown, 5.0)
        of_all = np.zeros(total)
        of_all[unknown:size:unknowns] = 1 / frames
        matrix += 5.0 * np.outer(of_all, of_all)
    gradient = rng.normal(size=total)
    system.gradient[:] = gradient[:size].reshape(frames, unknowns)
    system.shared_gradient[:] = gradient[size:]
    return system, matrix, gradient


def nowhere(frames, unknowns):
    bound = np.full((frames, unknowns), np.inf)
    return -bound, bound


@pytest.mark.parametrize("shape", [(1, 4, 2, 0), (2, 3, 0, 1), (5, 4, 3, 2), (6, 3, 0, 0)])
def test_a_step_solves_the_system(shape):
    frames, unknowns, shared, _ = shape
    system, matrix, gradient = random_system(*shape)
    step, others = system.step(*nowhere(frames, unknowns), np.ones(shared, bool), 0.0)
    assert np.allclose(np.r_[step.ravel(), others], np.linalg.solve(matrix, -gradient))


def test_a_shared_unknown_that_is_known_does_not_move():
    system, matrix, gradient = random_system(4, 3, 2, 1)
    step, others = system.step(*nowhere(4, 3), np.array([True, False]), 0.0)
    alone = np.linalg.solve(matrix[:-1, :-1], -gradient[:-1])
    assert others[1] == 0
    assert np.allclose(np.r_[step.ravel(), others[:1]], alone)


def test_a_step_within_bounds_is_that_of_bounded_least_squares():
    system, matrix, gradient = random_system(5, 4, 2, 2)
    free, _ = system.step(*nowhere(5, 4), np.ones(2, bool), 0.0)
    low, high = np.full((5, 4), -np.inf), np.full((5, 4), np.inf)
    low[:, 1], high[:, 2] = 0.0, 0.5 * np.abs(free).max()
    step, others = system.step(low, high, np.ones(2, bool), 0.0)
    root = np.linalg.cholesky(matrix).T
    bounds = np.r_[low.ravel(), [-np.inf] * 2], np.r_[high.ravel(), [np.inf] * 2]
    best = lsq_linear(root, -np.linalg.solve(root.T, gradient), bounds, tol=1e-12).x
    assert (step >= low).all()
    assert (step <= high).all()
    found = np.r_[step.ravel(), others]
    value, least = (0.5 * x @ matrix @ x + gradient @ x for x in (found, best))
    assert value == pytest.approx(least, rel=1e-3)


def test_damping_makes_a_step_shorter():
    system, _, _ = random_system(4, 3, 2, 1)
    lengths = [
        np.linalg.norm(np.r_[step.ravel(), others])
        for step, others in (
            system.step(*nowhere(4, 3), np.ones(2, bool), damping) for damping in (0.0, 1.0, 100.0)
        )
    ]
    assert lengths[0] > lengths[1] > lengths[2]
    assert lengths[2] < 0.05 * lengths[0]
