# SPDX-License-Identifier: GPL-3.0-or-later
"""Few Bézier keys for sampled curves, within a tolerance. No bpy.

Between two keys a curve is a cubic in time: its handles reach a third of the way to the next key,
so that Blender's Bézier segment has x linear in its parameter. The keys lie on samples. Which ones
is a shortest path (Bellman) through all segments that hold the tolerance, each with the two slopes
that fit its samples best (least squares, as in Schneider, "An algorithm for automatically fitting
digitized curves", Graphics Gems, 1990); keys on the larger extremes are given. All channels are
fitted at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ...engine.core.arrays import Double, Float, Ids, Mask
from .extremes import extremes
from .slices import Check, never_cancelled

_LENGTHS = np.array([*range(1, 9), 10, 12, 14, 17, 20, 25, 30])
"""Samples from key to key, but for flat stretches: each length would save 2 % of the keys, and
takes twice as long."""
_HOPELESS = 2.0
"""Tolerances of error from which a longer segment with the same start is not tried."""
_COST_OF_ERROR = 0.2
"""Keys that a segment at the edge of the tolerance costs more than an exact one."""
_TOWARDS_CHORD = 1e-6
"""Weight of the straight slope where samples say nothing about a slope."""
_HALVES = 2
"""Steps from one sample to the next."""
_WEIGHT_BETWEEN = 0.1
"""Weight of the straight line between two samples in a fit, where that of a sample is 1."""
_OVERSHOOT = 3.0
"""Tolerances by which a curve may leave the range of two samples half-way between them."""
_STEEPEST = 3.0
"""Times its chord's slope up to which a cubic keeps between the values of its ends (Fritsch and
Carlson, 1980)."""
_AT_ONCE = 1 << 18
"""Multiplications up to which OpenBLAS starts no threads."""
_CHECKED = 256
"""Frames between two calls of the check."""
_EXTREME = 50.0
"""Tolerances by which a curve turns back at an extreme that gets a key."""


@dataclass(frozen=True, eq=False)
class CurveKeys:
    """The keys of one curve.

    Attributes:
        sample: (K,) sample each lies on, rising.
        value: (K,) float64, the sample's.
        left: (K,) slope before it, value per sample.
        right: (K,) slope after it.
    """

    sample: Ids
    value: Double
    left: Double
    right: Double


def fit_keys(
    values: NDArray[Any],
    tolerance: Double,
    between: Double | None = None,
    forced: Mask | None = None,
    check: Check = never_cancelled,
) -> tuple[list[CurveKeys], Double]:
    """The fewest keys that keep curves within a tolerance.

    Args:
        values: (N, T) samples of N curves, evenly spaced, T at least 1.
        tolerance: (N, T) allowed error of each, above 0.
        between: (N, T − 1) allowed distance from the straight line half-way between two samples;
            by default what keeps the curve between the two, give or take three tolerances.
        forced: (N, T) samples that get a key in any case.
        check: called now and then.

    Returns:
        The keys of each curve, and (N, T) the curves at the samples.
    """
    values = np.ascontiguousarray(values, np.float64)
    if between is None:
        between = keeping_between(values, tolerance)
    turns = extremes(values, _EXTREME * tolerance.max(axis=1, initial=0.0))
    knots = turns.copy() if forced is None else turns | forced
    knots[:, [0, -1]] = True
    allowed = _interleaved(tolerance, between)
    fewest = _fewest(values, allowed, knots, check)
    check()
    return _with_slopes(values, allowed, fewest, turns)


def keeping_between(values: Double, tolerance: Double) -> Double:
    """(N, T − 1) distance from the straight line half-way that keeps (N, T) curves between."""
    nearer = np.minimum(tolerance[:, 1:], tolerance[:, :-1])
    return np.asarray(np.abs(np.diff(values, axis=1)) / 2 + _OVERSHOOT * nearer, np.float64)


def _interleaved(at_samples: Double, between: Double) -> Double:
    """(N, 2 T − 1) values at the samples and half-way between them, in turn."""
    both = np.empty((len(at_samples), 2 * at_samples.shape[1] - 1))
    both[:, ::2], both[:, 1::2] = at_samples, between
    return both


def _fewest(values: Double, allowed: Double, forced: Mask, check: Check) -> Mask:
    """(N, T) the samples with keys: the cheapest path from the first sample to the last."""
    channels, frames = values.shape
    lengths, costs = _segment_costs(values, 1.0 / allowed, forced, check)
    flat_from, longest = _flat_from(values, forced), int(lengths.max(initial=1))
    # No path leads to what is before the first sample.
    best = np.full((longest + frames, channels), np.inf, np.float32)
    best[longest] = 0.0
    starts = longest - lengths
    flat_starts = (longest + flat_from.T) * channels + np.arange(channels)
    for frame in range(1, frames):
        if frame % _CHECKED == 0:
            check()
        totals = best[starts + frame]
        totals += costs[frame]
        flat = best.take(flat_starts[frame])
        flat += 1.0
        np.minimum(totals.min(axis=0), flat, out=best[longest + frame])
    return _cheapest_path(best[longest:], lengths, costs, flat_from)


def _cheapest_path(best: Float, lengths: Ids, costs: Float, flat_from: Ids) -> Mask:
    """(N, T) the samples on it.

    Args:
        best: (T, N) cost of the cheapest path to each sample.
        lengths: (L,) of segments.
        costs: (T, L, N) of those that end at each sample.
        flat_from: (N, T) where a flat segment that ends there starts.
    """
    before, starts = flat_from.T.copy(), np.arange(len(best))[:, None]
    for row, length in enumerate(lengths.tolist()):
        cheapest = best[:-length] + costs[length:, row] == best[length:]
        np.copyto(before[length:], starts[:-length], where=cheapest)
    knots = np.zeros(flat_from.shape, bool)
    for channel in range(before.shape[1]):
        previous = before[:, channel].tolist()
        at = len(previous) - 1
        path = [at]
        while at:
            at = previous[at]
            path.append(at)
        knots[channel, path] = True
    return knots


def _segment_costs(
    values: Double, inverse: Double, forced: Mask, check: Check
) -> tuple[Ids, Float]:
    """The lengths of segments, and (T, L, N) cost of those that end at each sample.

    It is infinite for what does not fit.
    """
    channels, frames = values.shape
    lengths = _LENGTHS[frames > _LENGTHS]
    costs = np.full((frames, len(lengths), channels), np.inf, np.float32)
    costs[1:, :1] = 1.0
    # Rows of what follows each sample are read; the last samples start no segment.
    flat = np.append(values, np.zeros(_LENGTHS[-1])).astype(np.float32)
    scale = np.append(inverse, np.zeros(2 * _LENGTHS[-1])).astype(np.float32)
    channel, frame = np.divmod(np.arange(channels * frames), frames)
    first_of = 2 * (channel * frames + frame) - channel + 1  # A curve has 2 T - 1 tolerances.
    end_of = frame * lengths.size * channels + channel
    knots = np.flatnonzero(forced)
    starts = np.arange(knots[-1])
    room = knots[np.searchsorted(knots, starts, side="right")] - starts
    for row, length in enumerate(lengths.tolist()[1:], start=1):
        check()
        starts = starts[room[starts] >= length]
        # The error does not depend on a curve's height, and 32 bits hold differences better.
        windows = sliding_window_view(flat, length)[starts + 1]
        windows -= flat[starts, None]
        error = np.abs(product(_residual(length), windows.T))
        error *= sliding_window_view(scale, 2 * length - 1)[first_of[starts]].T
        worst = error.max(axis=0)
        fits = worst <= 1.0
        ends = end_of[starts[fits]] + (length * lengths.size + row) * channels
        costs.ravel()[ends] = 1.0 + _COST_OF_ERROR * worst[fits]
        starts = starts[worst <= _HOPELESS]
    return lengths, costs


def product(left: Float, right: Float) -> Float:
    """The matrix product of (M, K) and (K, N), in parts that one thread works out.

    Blender's main thread would wait for the others longer than it takes, on a busy machine.
    """
    result = np.empty((len(left), right.shape[1]), np.float32)
    width = max(1, _AT_ONCE // max(left.size, 1))
    for begin in range(0, right.shape[1], width):
        part = slice(begin, begin + width)
        np.matmul(left, right[:, part], out=result[:, part])
    return result


@cache
def _residual(length: int) -> Float:
    """(2 L − 1, L) from a segment's samples to the errors of its best fit inside.

    The first sample is 0, and left out.
    """
    inside = np.arange(1, 2 * length)
    first, last, right, left = _hermite(inside / (2 * length), np.float64(length))
    straight = np.zeros((2 * length - 1, length + 1))
    straight[inside - 1, inside // 2] += 0.5
    straight[inside - 1, (inside + 1) // 2] += 0.5
    straight[:, 0] -= first
    straight[:, -1] -= last
    weight = np.where(inside % 2 == 0, 1.0, _WEIGHT_BETWEEN)[:, None]
    slopes = np.stack([right, left], axis=1)
    fit = np.linalg.pinv(slopes * weight) @ (straight * weight)
    return np.asarray((straight - slopes @ fit)[:, 1:], np.float32)


def _hermite(share: Double, length: Double) -> tuple[Double, Double, Double, Double]:
    """Cubic Hermite basis: of the two values, and of the two slopes per sample."""
    rest = 1.0 - share
    return (
        rest**2 * (1.0 + 2.0 * share),
        share**2 * (1.0 + 2.0 * rest),
        length * share * rest**2,
        -length * share**2 * rest,
    )


def _flat_from(values: Double, forced: Mask) -> Ids:
    """(N, T) the first sample from which the curve is constant up to each, past no forced key."""
    frames = np.arange(values.shape[1])
    changed = np.diff(values, axis=1, prepend=values[:, :1]) != 0.0
    since = np.maximum.accumulate(np.where(changed, frames, 0), axis=1)
    held = np.maximum.accumulate(np.where(forced, frames, 0), axis=1)
    since[:, 1:] = np.maximum(since[:, 1:], held[:, :-1])
    return since


def _with_slopes(
    values: Double, allowed: Double, knots: Mask, turns: Mask
) -> tuple[list[CurveKeys], Double]:
    """The keys on the knots, with slopes that fit; equal on both sides wherever that fits too."""
    frames = values.shape[1]
    segments = _Segments.between(values, allowed, knots)
    channel, sample = np.divmod(np.flatnonzero(knots.ravel()), frames)
    first, last = sample == 0, sample == frames - 1
    inner, level = ~first & ~last, turns[channel, sample]
    right, left = segments.best_slopes()
    odd = np.arange(len(sample)) % 2 == 1
    for side in (odd, ~odd):
        # Each segment has only one of its two ends in a side: keys of a side do not disturb others.
        chosen = inner & side
        shared, before = segments.shared_slopes(right, left), np.roll(left, 1)
        for slope in (np.where(level, 0.0, shared), shared, right, before):
            fits = segments.fit(*_replaced(right, left, slope, chosen))
            taken = chosen & fits & np.roll(fits, 1)
            right, left = _replaced(right, left, slope, taken)
            chosen = chosen & ~taken
    columns = (
        sample,
        values[channel, sample],
        np.where(first, right, np.roll(left, 1)),
        np.where(last, np.roll(left, 1), right),
    )
    begins = np.flatnonzero(first)[1:]
    each = zip(*(np.split(column, begins) for column in columns), strict=True)
    fitted = segments.at_samples(right, left).reshape(len(values), -1)[:, ::2]
    return [CurveKeys(*curve) for curve in each], fitted


def _replaced(right: Double, left: Double, slope: Double, chosen: Mask) -> tuple[Double, Double]:
    """The slopes with one for both sides of each chosen key."""
    at_end = np.where(np.roll(chosen, -1), np.roll(slope, -1), left)
    return np.where(chosen, slope, right), at_end


@dataclass(frozen=True, eq=False)
class _Segments:
    """What lies between neighbouring keys, at the S = N (2 T − 1) samples and half-way between.

    From the last key of a curve to the first of the next there is a segment without inside.

    Attributes:
        keys: (K,) where each segment begins, of all curves end to end.
        chord: (K,) slope of the straight line to the next key.
        short: (K,) whether that is on the next sample.
        of: (S,) segment of each.
        straight: (S,) the cubics whose slopes are zero.
        start: (S,) what a slope of 1 at the start adds.
        end: (S,) what a slope of 1 at the end adds.
        values: (S,) to be met.
        allowed: (S,) distance from them.
        weight: (S,) of each in a fit.
    """

    keys: Ids
    chord: Double
    short: Mask
    of: Ids
    straight: Double
    start: Double
    end: Double
    values: Double
    allowed: Double
    weight: Double

    @classmethod
    def between(cls, values: Double, allowed: Double, knots: Mask) -> _Segments:
        """Those of (N, T) samples with keys at (N, T) knots."""
        met = _interleaved(values, (values[:, 1:] + values[:, :-1]) / 2)
        begins, weight = np.zeros(met.shape, bool), np.ones(met.shape)
        begins[:, ::2], weight[:, 1::2] = knots, _WEIGHT_BETWEEN**2
        last = np.zeros(met.shape, bool)
        last[:, -1] = True
        flat, keys, of = met.ravel(), np.flatnonzero(begins), np.cumsum(begins) - 1
        length = np.diff(keys, append=len(flat))
        from_, to = flat[keys], flat[np.minimum(keys + length, len(flat) - 1)]
        chord = np.where(last.ravel()[keys], 0.0, (to - from_) * 2.0 / length)
        share = (np.arange(len(flat)) - keys[of]) / length[of]
        first, second, start, end = _hermite(share, length[of] / 2.0)
        return cls(
            keys=keys,
            chord=chord,
            short=length <= _HALVES,
            of=of,
            straight=from_[of] * first + to[of] * second,
            start=start,
            end=end,
            values=flat,
            allowed=allowed.ravel(),
            weight=weight.ravel(),
        )

    def best_slopes(self) -> tuple[Double, Double]:
        """(K,) slopes at the start and at the end of each that fit its samples best."""
        aa, ab, bb, ea, eb = self._sums
        determinant = aa * bb - ab * ab
        return (bb * ea - ab * eb) / determinant, (aa * eb - ab * ea) / determinant

    def shared_slopes(self, right: Double, left: Double) -> Double:
        """(K,) the one slope at each key that fits the samples on both sides best.

        Args:
            right: (K,) slopes at the start of each segment.
            left: (K,) slopes at its end; the far ends of both sides stay as they are.
        """
        aa, ab, bb, ea, eb = self._sums
        before, after = np.roll(eb - ab * right, 1), ea - ab * left
        return np.asarray((before + after) / (np.roll(bb, 1) + aa), np.float64)

    def fit(self, right: Double, left: Double) -> Mask:
        """(K,) which keep within what is allowed with these slopes.

        From one sample to the next they also may not be steeper than a curve between the two is.
        """
        error = np.abs(self.at_samples(right, left) - self.values) / self.allowed
        keeps = np.ones(len(self.keys), bool)
        for slope in (right, left):
            keeps &= (slope * self.chord >= 0.0) & (np.abs(slope) <= _STEEPEST * abs(self.chord))
        return (np.maximum.reduceat(error, self.keys) <= 1.0) & (keeps | ~self.short)

    def at_samples(self, right: Double, left: Double) -> Double:
        """(S,) the curves with these slopes."""
        return self.straight + self.start * right[self.of] + self.end * left[self.of]

    @cached_property
    def _sums(self) -> tuple[Double, ...]:
        """The normal equations of the two slopes; where samples say nothing, straight on."""
        error = self.values - self.straight
        products = (
            (self.start * self.start, 1.0),
            (self.start * self.end, 0.0),
            (self.end * self.end, 1.0),
            (self.start * error, self.chord),
            (self.end * error, self.chord),
        )
        return tuple(
            np.add.reduceat(product * self.weight, self.keys) + _TOWARDS_CHORD * more
            for product, more in products
        )
