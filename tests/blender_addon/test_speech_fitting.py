# SPDX-License-Identifier: GPL-3.0-or-later
"""Few keys for sampled curves."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from blender_addon.standalone import addon_module

pytest.importorskip("bpy", reason="Blender's Python module (bpy) is not installed")
fitting = addon_module("speech.fitting")
keying = addon_module("speech.keying")

TOLERANCE = 0.01


def bezier(curve, times):
    """What keys give at times, by de Casteljau with handles a third of the way, as they are set."""
    values = []
    for time in times:
        key = min(int(np.searchsorted(curve.sample, time, side="right")), len(curve.sample) - 1) - 1
        begin, end = curve.sample[key], curve.sample[key + 1]
        third = (end - begin) / 3
        points = [
            curve.value[key],
            curve.value[key] + third * curve.right[key],
            curve.value[key + 1] - third * curve.left[key + 1],
            curve.value[key + 1],
        ]
        share = (time - begin) / (end - begin)
        while len(points) > 1:
            points = [a + share * (b - a) for a, b in pairwise(points)]
        values.append(points[0])
    return np.array(values)


def fit(values, tolerance=TOLERANCE, **more):
    values = np.atleast_2d(values)
    return fitting.fit_keys(values, np.full(values.shape, tolerance), **more)


walks = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 3), st.integers(2, 60)),
    elements=st.floats(-0.2, 0.2, allow_subnormal=False).map(lambda x: 0.0 if abs(x) < 0.05 else x),
).map(lambda steps: np.cumsum(steps, axis=1))


@settings(deadline=None)
@given(walks)
def test_curves_stay_within_the_tolerance_and_between_samples_within_their_range(values):
    curves, fitted = fit(values)
    frames = values.shape[1]
    halves = np.arange(frames - 1) + 0.5
    for curve, column, at_samples in zip(curves, values, fitted, strict=True):
        at = bezier(curve, np.arange(frames))
        np.testing.assert_allclose(at, column, atol=1.001 * TOLERANCE)
        np.testing.assert_allclose(at, at_samples, atol=1e-9)
        np.testing.assert_array_equal(column[curve.sample], curve.value)
        low, high = np.minimum(column[1:], column[:-1]), np.maximum(column[1:], column[:-1])
        between = bezier(curve, halves)
        assert (between >= low - 3.01 * TOLERANCE).all()
        assert (between <= high + 3.01 * TOLERANCE).all()


def test_a_smooth_curve_needs_few_keys_and_hardly_bends_at_them():
    values = np.sin(np.arange(200) / 8)
    (curve,), _ = fit(values)
    assert len(curve.sample) <= 12
    np.testing.assert_allclose(curve.left, curve.right, atol=2 * TOLERANCE)


def test_extremes_get_keys_with_level_handles():
    values = 2 * np.cos(np.arange(61) * np.pi / 10)
    (curve,), _ = fit(values, 0.07)
    assert set(range(0, 61, 10)) <= set(curve.sample)
    inner = [list(curve.sample).index(extreme) for extreme in range(10, 60, 10)]
    np.testing.assert_array_equal(curve.left[inner], 0.0)
    np.testing.assert_array_equal(curve.right[inner], 0.0)


def test_what_rests_for_long_needs_two_keys():
    values = np.zeros(500)
    (curve,), _ = fit(values)
    assert curve.sample.tolist() == [0, 499]
    values[:20] = np.sin(np.arange(20) * np.pi / 20) ** 2
    (curve,), _ = fit(values)
    assert not ((curve.sample > 20) & (curve.sample < 499)).any()


def test_samples_that_are_forced_get_keys():
    forced = np.zeros((1, 30), bool)
    forced[0, [7, 8, 21]] = True
    (curve,), _ = fit(np.arange(30.0), forced=forced)
    assert {7, 8, 21} <= set(curve.sample)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_the_shortest_clips(frames):
    values = np.arange(float(frames))
    (curve,), fitted = fit(values)
    assert curve.sample.tolist() == sorted({0, frames - 1})
    np.testing.assert_allclose(fitted[0], values)


def channels(values, contact=None, method=keying.FITTED, rate=1.0, **reach):
    step = np.full(values.shape[1], 20.0)
    return keying.keys_of(
        values, keying.Keying(method, contact=contact), keying.Reach(step, **reach), rate
    )


def played(channel, frames):
    """Values of held keys at samples."""
    return channel.value[np.searchsorted(channel.at, np.arange(frames) + 1e-9) - 1]


def test_errors_that_add_up_get_more_keys():
    """Twenty channels move one vertex the same way; each alone would be within the tolerance."""
    random = np.random.default_rng(1)
    values = np.cumsum(random.normal(0, 0.02, (80, 1)), axis=0).repeat(20, axis=1)
    values += random.normal(0, 1e-4, values.shape)
    offsets = np.full((20, 1, 3), (0.05, 0.0, 0.0), np.float32)
    lips = np.zeros(1, bool)
    alone = channels(values)
    summed = channels(values, offsets=offsets, lips=lips)

    def error(found):
        at = [bezier(channel.curve, np.arange(80)) for channel in found]
        return np.abs((np.stack(at, axis=1) - values).sum(axis=1) * 0.05).max()

    assert error(alone) > 1e-4
    assert error(summed) <= 1.001e-4


def test_channels_that_all_move_the_same_vertices_are_fitted_in_a_few_rounds(monkeypatch):
    """As FLAME's expressions: each moves the whole face."""
    random = np.random.default_rng(1)
    times, count, frames = np.arange(120), 80, 120
    speeds, phases = random.uniform(0.05, 0.5, (2, count))
    values = 0.5 * np.sin(times[:, None] * speeds + 20 * phases)
    offsets = random.normal(0, 2e-3, (count, 40, 3)).astype(np.float32)
    step = 1 / np.linalg.norm(offsets, axis=2).max(axis=1)
    reach = keying.Reach(step, offsets, np.zeros(40, bool))
    rounds, fit = [], keying.fit_keys
    monkeypatch.setattr(keying, "fit_keys", lambda *args: rounds.append(len(args[0])) or fit(*args))
    found = keying.keys_of(values, keying.Keying(), reach, 1.0)
    played = np.stack([bezier(channel.curve, times) for channel in found], axis=1)
    moved = ((played - values) @ offsets.reshape(count, -1)).reshape(frames, 40, 3)
    assert np.linalg.norm(moved, axis=2).max() <= 1.001e-4
    assert sum(rounds) < 2 * count  # A second look at no more than as many again.
    assert sum(len(channel.at) for channel in found) < 0.35 * values.size


@pytest.mark.parametrize("shape", [(1, 1, 1), (59, 30, 16000), (140, 114, 2172), (7, 0, 3)])
def test_a_product_in_parts_is_the_product(shape):
    rows, inner, columns = shape
    random = np.random.default_rng(2)
    left = random.normal(size=(rows, inner)).astype(np.float32)
    right = random.normal(size=(columns, inner)).astype(np.float32).T
    np.testing.assert_allclose(fitting.product(left, right), left @ right, atol=1e-3)


def test_a_channel_that_moves_nothing_is_left_out():
    values = np.zeros((40, 2))
    values[:, 0] = np.sin(np.arange(40) / 4)
    values[:, 1] = 1e-5
    moves, rests = channels(values)
    assert moves is not None
    assert rests is None


def test_lips_that_touch_are_kept_ten_times_closer():
    values = 0.5 + 0.5 * np.sin(np.arange(60)[:, None] / 2)
    contact = np.zeros(60, bool)
    contact[20:30] = True
    (channel,) = channels(values, contact)
    error = np.abs(bezier(channel.curve, np.arange(60)) - values[:, 0])
    assert error[contact].max() <= 1e-4 * 20 * 0.05 * 1.001
    assert error.max() <= 1e-4 * 20 * 0.5 * 1.001


def test_stepped_holds_each_pose_and_a_contact_as_long_as_it_lasts():
    values = np.zeros((40, 2))
    values[:, 0] = [0.0] * 5 + [0.3, 0.7] + [1.0] * 8 + [0.6, 0.2] + [0.1] * 6 + [0.5] * 17
    values[:, 1] = 1 - values[:, 0]
    contact = np.zeros(40, bool)
    contact[7:15] = True
    found = channels(values, contact, keying.STEPPED)
    assert {channel.interpolation for channel in found} == {keying.CONSTANT}
    held = played(found[0], 40)
    np.testing.assert_allclose(held[contact], 1.0)
    assert set(np.round(held, 6)) == {0.0, 1.0, 0.1, 0.5}
    np.testing.assert_array_equal(found[0].at, found[1].at)


def test_stepped_misses_no_contact_of_a_single_frame():
    values = np.linspace(0, 1, 30)[:, None]
    contact = np.zeros(30, bool)
    contact[[11, 20]] = True
    (channel,) = channels(values, contact, keying.STEPPED)
    np.testing.assert_array_equal(played(channel, 30)[contact], values[contact, 0])


def test_on_twos_each_drawing_is_held_for_two_scene_frames_and_no_contact_is_missed():
    values = np.arange(20.0)[:, None]
    contact = np.zeros(20, bool)
    contact[7] = True
    (channel,) = channels(values, contact, keying.ON_TWOS)
    np.testing.assert_array_equal(channel.at, np.arange(0, 20, 2))
    expected = np.arange(0, 20, 2.0)
    expected[3] = 7
    np.testing.assert_array_equal(channel.value, expected)
    (channel,) = channels(values, contact, keying.ON_TWOS, rate=0.5)
    np.testing.assert_array_equal(channel.at, np.arange(0, 20, 4))


@given(hnp.arrays(np.float32, st.integers(1, 30), elements=st.sampled_from([0, 0.5, 1])))
def test_the_keys_of_every_frame_give_the_same_curve(values):
    (channel,) = channels(values[:, None], method=keying.EVERY_FRAME)
    np.testing.assert_array_equal(
        np.interp(np.arange(len(values)), channel.at, channel.value), values
    )
    assert channel.interpolation == keying.LINEAR
