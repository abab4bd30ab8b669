# SPDX-License-Identifier: GPL-3.0-or-later
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from engine.core.errors import BadInputError, CancelledError
from engine.heads.head import Head, Skeleton
from engine.motion import shape_keys
from engine.motion.bounded_fit import fit_bounded, smooth_bounded
from engine.motion.performance import Performance
from engine.motion.shape_keys import fit_shape_keys


def a_head(basis):
    E, V, _ = basis.shape
    return Head(
        id="test",
        template=np.zeros((V, 3), np.float32),
        faces=np.zeros((1, 3), np.int32),
        uv=np.zeros((1, 2), np.float32),
        uv_faces=np.zeros((1, 3), np.int32),
        expression_basis=basis.astype(np.float32),
        expression_names=tuple(f"key{i}" for i in range(E)),
        skeleton=Skeleton(
            ("root",),
            np.array([-1], np.int32),
            np.zeros((1, 3), np.float32),
            np.ones((V, 1), np.float32),
        ),
    )


def a_performance(weights, basis, fps=25.0):
    return Performance(
        fps=fps,
        weights=weights.astype(np.float32),
        basis=basis.astype(np.float32),
        expression=np.zeros((len(weights), 0), np.float32),
        expression_names=(),
        head="test",
    )


def curves(random, frames, count, low=0.0, high=1.0):
    """Smooth curves between two values."""
    noise = random.standard_normal((frames + 40, count))
    kernel = np.hanning(21)
    smooth = np.stack([np.convolve(noise[:, k], kernel, "same") for k in range(count)], 1)
    smooth = smooth[20 : 20 + frames]
    smooth = (smooth - smooth.min(0)) / np.ptp(smooth, axis=0)
    return low + (high - low) * smooth


def unit(keys):
    """Bounds from 0 to 1."""
    return np.stack([np.zeros(keys), np.ones(keys)])


@pytest.fixture
def random():
    return np.random.default_rng(7)


@pytest.fixture
def basis(random):
    return 0.01 * random.standard_normal((8, 50, 3))


def replayed(fit, head):
    E = len(head.expression_basis)
    return np.einsum(
        "tn,nvd->tvd",
        fit.key_values.astype(np.float64),
        np.concatenate([head.expression_basis, fit.corrective_deltas]).astype(np.float64),
    ), E


def measured_mm(fit, head, performance):
    dense, _ = replayed(fit, head)
    return 1e3 * np.linalg.norm(dense - performance.offsets(), axis=2).max()


def test_a_performance_of_the_heads_own_keys_is_its_weights(random, basis):
    head = a_head(basis)
    performance = a_performance(curves(random, 100, 8), basis)
    fit = fit_shape_keys(performance, head)
    np.testing.assert_array_equal(fit.key_values, performance.weights)
    assert fit.max_error_mm == 0
    assert fit.corrective_deltas.shape == (0, 50, 3)
    assert fit.key_names == head.expression_names


def test_keys_in_another_order_are_found_again(random, basis):
    head = a_head(basis)
    weights = curves(random, 60, 8)
    fit = fit_shape_keys(a_performance(weights, basis[::-1]), head)
    assert fit.corrective_deltas.shape[0] == 0
    np.testing.assert_allclose(fit.key_values, weights[:, ::-1], atol=1e-3)


def test_keys_and_correctives_share_a_motion_of_more_parts_than_correctives(
    random, basis, monkeypatch
):
    head = a_head(basis)
    performance = a_performance(
        curves(random, 90, 20, -1, 1), 0.01 * random.standard_normal((20, 50, 3))
    )
    shared = fit_shape_keys(performance, head, max_correctives=20)
    monkeypatch.setattr(shape_keys, "SHARING_ROUNDS", 0)
    plain = fit_shape_keys(performance, head, max_correctives=20)
    assert shared.max_error_mm < 0.3 * plain.max_error_mm
    assert measured_mm(shared, head, performance) == pytest.approx(shared.max_error_mm, rel=1e-3)
    assert shared.key_values[:, :8].mean() > 0.02


def test_what_leaves_the_range_of_the_keys_goes_to_correctives(random, basis):
    head = a_head(basis)
    performance = a_performance(curves(random, 80, 8, -0.4, 1.5), basis)
    fit = fit_shape_keys(performance, head, tolerance_mm=0.1)
    assert fit.key_values[:, :8].min() >= 0
    assert fit.key_values[:, :8].max() <= 1
    assert len(fit.corrective_deltas) > 0
    assert measured_mm(fit, head, performance) <= 0.1


@pytest.mark.parametrize("tolerance", [1.0, 0.1, 0.01])
def test_the_tolerance_holds_outside_the_span_of_the_keys(random, basis, tolerance):
    head = a_head(basis)
    performance = a_performance(
        curves(random, 90, 20, -1, 1), 0.01 * random.standard_normal((20, 50, 3))
    )
    fit = fit_shape_keys(performance, head, tolerance_mm=tolerance)
    assert fit.max_error_mm <= tolerance
    assert measured_mm(fit, head, performance) == pytest.approx(
        fit.max_error_mm, rel=1e-3, abs=1e-4
    )
    assert np.abs(fit.key_values[:, 8:]).max() <= 1
    assert fit.key_values.shape == (90, len(fit.key_names))


def test_a_looser_tolerance_takes_fewer_correctives(random, basis):
    decay = 0.5 ** np.arange(20)
    performance = a_performance(
        curves(random, 90, 20, -1, 1),
        0.01 * decay[:, None, None] * random.standard_normal((20, 50, 3)),
    )
    counts = [
        len(fit_shape_keys(performance, a_head(basis), tolerance_mm=mm).corrective_deltas)
        for mm in (5.0, 1.0, 0.1, 0.01)
    ]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1] <= 20


def test_one_corrective_less_would_miss_the_tolerance(random, basis):
    head = a_head(basis)
    performance = a_performance(
        curves(random, 90, 20, -1, 1), 0.01 * random.standard_normal((20, 50, 3))
    )
    fit = fit_shape_keys(performance, head, tolerance_mm=0.5)
    less = replace(
        fit, key_values=fit.key_values[:, :-1], corrective_deltas=fit.corrective_deltas[:-1]
    )
    assert measured_mm(fit, head, performance) <= 0.5 < measured_mm(less, head, performance)


@pytest.mark.parametrize("most", [0, 3])
def test_with_too_few_correctives_the_true_error_is_reported(random, basis, most):
    head = a_head(basis)
    performance = a_performance(
        curves(random, 90, 20, -1, 1), 0.01 * random.standard_normal((20, 50, 3))
    )
    fit = fit_shape_keys(performance, head, max_correctives=most)
    assert len(fit.corrective_deltas) == most
    assert fit.max_error_mm > 0.1
    assert measured_mm(fit, head, performance) == pytest.approx(
        fit.max_error_mm, rel=1e-3, abs=1e-4
    )


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), keys=st.integers(1, 12), outside=st.floats(0, 2))
def test_values_are_those_of_the_bounded_least_squares_oracle(seed, keys, outside):
    random = np.random.default_rng(seed)
    D = random.standard_normal((keys, 30))
    wanted = random.uniform(-outside, 1 + outside, (5, keys)) @ D
    wanted += outside * random.standard_normal(wanted.shape)
    found = fit_bounded(D @ D.T, wanted @ D.T, unit(keys), np.full(keys, 1e-10))
    for frame in range(5):
        oracle = lsq_linear(D.T, wanted[frame], (0, 1), tol=1e-14).x
        np.testing.assert_allclose(found[frame], oracle, atol=2e-4)


def test_smoothed_values_minimise_the_stated_objective(random):
    D = random.standard_normal((4, 30))
    T, smoothing = 12, 0.7
    wanted = random.uniform(-0.5, 1.5, (T, 4)) @ D + random.standard_normal((T, 30))
    gram = D @ D.T
    start = np.full((T, 4), 0.5)
    found = smooth_bounded(gram, wanted @ D.T, unit(4), np.full(4, 1e-12), start, smoothing)
    rows = [np.kron(np.eye(T), D.T)]
    for t in range(T - 1):
        step = np.zeros((4, T, 4))
        for i in range(4):
            step[i, t, i], step[i, t + 1, i] = -1, 1
        rows.append(np.sqrt(smoothing * gram.diagonal())[:, None] * step.reshape(4, -1))
    A = np.concatenate(rows)
    b = np.concatenate([wanted.ravel(), np.zeros(len(A) - T * 30)])
    oracle = lsq_linear(A, b, (0, 1), tol=1e-14).x.reshape(T, 4)
    np.testing.assert_allclose(found, oracle, atol=2e-4)


def test_frames_far_apart_do_not_depend_on_each_other(random):
    D = random.standard_normal((6, 40))
    wanted = (random.uniform(-0.5, 1.5, (200, 6)) @ D) @ D.T
    together = fit_bounded(D @ D.T, wanted, unit(6), np.full(6, 1e-9))
    alone = fit_bounded(D @ D.T, wanted[150:151], unit(6), np.full(6, 1e-9))
    np.testing.assert_allclose(together[150:151], alone, atol=1e-6)


@pytest.mark.parametrize(("smoothness", "share"), [(0.002, 0.7), (0.02, 0.2)])
def test_keys_that_overlap_are_smoothed_and_the_tolerance_still_holds(random, smoothness, share):
    one = 0.01 * random.standard_normal((1, 50, 3))
    alike = np.concatenate([one, one + 1e-3 * random.standard_normal(one.shape)])
    noise = 1e-3 * random.standard_normal((6, 50, 3))
    head = a_head(alike)
    performance = a_performance(
        np.concatenate(
            [curves(random, 200, 2, 0.3, 0.7), 0.1 * random.standard_normal((200, 6))], axis=1
        ),
        np.concatenate([alike, noise]),
    )

    def jitter(fit):
        return np.abs(np.diff(fit.key_values[:, :2], n=2, axis=0)).mean()

    rough = fit_shape_keys(performance, head, smoothness=0.0)
    smooth = fit_shape_keys(performance, head, smoothness=smoothness)
    assert jitter(smooth) < share * jitter(rough)
    assert measured_mm(smooth, head, performance) <= 0.1


def test_a_still_or_absent_motion_needs_no_correctives(basis):
    head = a_head(basis)
    for frames in (1, 3):
        fit = fit_shape_keys(a_performance(np.zeros((frames, 2)), basis[:2] + 0.01), head)
        assert fit.max_error_mm == 0
        assert not fit.key_values.any()
        assert fit.corrective_deltas.shape == (0, 50, 3)


def test_coefficients_of_flame_go_both_ways(random, basis):
    head = replace(
        a_head(basis), expression_names=(*(f"expr_{i:03d}" for i in range(7)), "jawOpen")
    )
    weights = curves(random, 60, 8, -2.5, 2.5)
    weights[:, 7] = np.abs(weights[:, 7]) / 3
    own = fit_shape_keys(a_performance(weights, basis), head)
    np.testing.assert_array_equal(own.key_values, weights.astype(np.float32))
    turned = fit_shape_keys(a_performance(weights, basis[::-1]), head)
    assert turned.key_values[:, 7].min() >= 0
    assert turned.key_values[:, :7].min() < -1
    assert measured_mm(turned, head, a_performance(weights, basis[::-1])) <= 0.1


def test_a_key_without_motion_stays_at_zero(random, basis):
    basis[3] = 0
    fit = fit_shape_keys(a_performance(curves(random, 30, 4), basis[4:]), a_head(basis))
    assert not fit.key_values[:, 3].any()


def test_values_do_not_depend_on_the_number_of_threads(random, basis):
    import numba

    performance = a_performance(
        curves(random, 300, 20, -1, 1), 0.01 * random.standard_normal((20, 50, 3))
    )
    before = numba.get_num_threads()
    results = []
    try:
        for threads in (1, numba.config.NUMBA_NUM_THREADS):
            numba.set_num_threads(threads)
            results.append(fit_shape_keys(performance, a_head(basis)).key_values[:, :8])
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(*results)


def test_memory_stays_far_below_the_dense_offsets(random):
    V, T = 2000, 4000
    head = a_head(0.01 * random.standard_normal((10, V, 3)))
    performance = a_performance(
        curves(random, T, 12, -1, 1), 0.01 * random.standard_normal((12, V, 3))
    )
    fit_shape_keys(performance, head)
    tracemalloc.start()
    try:
        fit_shape_keys(performance, head)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < T * V * 3 * 4 / 5


def test_cancelling_ends_the_fit(random, basis):
    def cancel(fraction, _message):
        assert 0 <= fraction <= 1
        raise CancelledError

    performance = a_performance(curves(random, 30, 3), basis[:3] + 0.01)
    with pytest.raises(CancelledError):
        fit_shape_keys(performance, a_head(basis), progress=cancel)


def test_progress_rises_to_one(random, basis):
    reported = []
    performance = a_performance(
        curves(random, 300, 20, -1, 1), 0.01 * random.standard_normal((20, 50, 3))
    )
    fit_shape_keys(performance, a_head(basis), progress=lambda f, _m: reported.append(f))
    assert reported == sorted(reported)
    assert reported[-1] == 1


def test_another_heads_performance_is_refused(random, basis):
    with pytest.raises(BadInputError, match="40 vertices"):
        fit_shape_keys(a_performance(curves(random, 5, 8), basis[:, :40]), a_head(basis))


@pytest.mark.parametrize(
    "options",
    [
        {"tolerance_mm": 0.0},
        {"tolerance_mm": float("nan")},
        {"max_correctives": -1},
        {"smoothness": -1.0},
    ],
)
def test_arguments_out_of_range_are_refused(random, basis, options):
    with pytest.raises(BadInputError):
        fit_shape_keys(a_performance(curves(random, 5, 8), basis), a_head(basis), **options)
