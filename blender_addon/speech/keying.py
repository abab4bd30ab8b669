# SPDX-License-Identifier: GPL-3.0-or-later
"""Which keys a bake gets: fitted, every frame, stepped, or on twos. No bpy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.core.arrays import Double, Float, Mask
from .fitting import CurveKeys, fit_keys, keeping_between, product
from .slices import Check, never_cancelled

FITTED, EVERY_FRAME, STEPPED, ON_TWOS = "FITTED", "EVERY_FRAME", "STEPPED", "ON_TWOS"

CONSTANT, LINEAR, BEZIER = 0, 1, 2
"""Numbers of interpolations in ``foreach_set``."""

_CHANNEL_SHARE, _SHARED = 0.5, 0.85
"""Part of the tolerance that each channel may take by itself, and where many channels move the same
vertices, that part times the number that their errors grow by; their sum is checked on the mesh."""
_FINEST = 1 / 5000
"""Least tolerance, as a part of the furthest that a channel moves anything: giants are coarser."""
_CONTACT_SHARE = 0.05
"""The same for what moves the lips while they touch."""
_BETWEEN_CONTACTS = 10.0
"""Times as much half-way between two frames in which they touch."""
_CONTACT = 0.1
"""Part of the tolerance that holds for lips that touch."""
_TWOS = 2
"""Scene frames that each drawing is held for, on twos."""


@dataclass(frozen=True, eq=False)
class Keying:
    """How keys are made.

    Attributes:
        method: one of ``FITTED``, ``EVERY_FRAME``, ``STEPPED`` and ``ON_TWOS``.
        tolerance: metres by which fitted keys may move a vertex from its position frame by frame.
        contact: (T,) frames in which the lips touch, where known; fitted keys keep the lips there
            to a tenth of the tolerance, and stepped ones hold the contact.
        lips: vertices of the inner lips, where known.
    """

    method: str = FITTED
    tolerance: float = 1e-4
    contact: Mask | None = None
    lips: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Reach:
    """How far N channels move what they animate.

    Attributes:
        step: (N,) change of each channel's value that moves something by one metre.
        offsets: (N, S, 3) metres by which a value of 1 moves S of the vertices, or ``None`` where
            there are none, as with bones.
        lips: (S,) which of them are at the contact of the lips.
        lip_step: (N,) as ``step``, for the vertices at the contact of the lips.
    """

    step: Double
    offsets: Float | None = None
    lips: Mask | None = None
    lip_step: Double | None = None


@dataclass(frozen=True, eq=False)
class ChannelKeys:
    """The keys of one channel.

    Attributes:
        at: (K,) samples, which may lie between two.
        value: (K,) values.
        interpolation: from each key to the next: ``CONSTANT``, ``LINEAR`` or ``BEZIER``.
        curve: the slopes of a ``BEZIER`` one.
    """

    at: Double
    value: Double
    interpolation: int
    curve: CurveKeys | None = None


def keys_of(
    values: NDArray[Any], keying: Keying, reach: Reach, rate: float, check: Check = never_cancelled
) -> list[ChannelKeys | None]:
    """The keys of channels; ``None`` for one that need not be animated.

    Args:
        values: (T, N) of N channels.
        keying: how.
        reach: of the channels.
        rate: scene frames per sample.
        check: called now and then.
    """
    columns = np.ascontiguousarray(values.T, np.float64)
    if keying.method == FITTED:
        return _fitted(columns, keying, reach, check)
    if keying.method == STEPPED:
        at, of = _poses(columns / reach.step[:, None], keying.contact)
        return [_held(at, column[of]) for column in columns]
    if keying.method == ON_TWOS:
        at, of = _twos(len(values), rate, keying.contact)
        return [_held(at, column[of]) for column in columns]
    frames = np.arange(len(values))
    needed = [needed_keys(column) for column in columns]
    return [
        ChannelKeys(frames[kept].astype(float), column[kept], LINEAR)
        for kept, column in zip(needed, columns, strict=True)
    ]


def needed_keys(values: NDArray[Any]) -> Mask:
    """(T,) where a linear curve needs a key: everywhere but inside flat stretches."""
    needed = np.ones(len(values), bool)
    flat = np.diff(values) == 0
    needed[1:-1] = ~(flat[:-1] & flat[1:])
    return needed


def _fitted(values: Double, keying: Keying, reach: Reach, check: Check) -> list[ChannelKeys | None]:
    """Keys whose error, added up over the channels, is within the tolerance at each vertex."""
    if reach.offsets is not None:
        finest = _FINEST * float((1.0 / reach.step).max())
        keying = replace(keying, tolerance=max(keying.tolerance, finest))
    share = _share_of_channels(values, keying, reach)
    tolerance = np.empty_like(values)
    tolerance[:] = share * keying.tolerance * reach.step[:, None]
    between = keeping_between(values, tolerance)
    if keying.contact is not None:
        step = reach.step if reach.lip_step is None else reach.lip_step
        closed = (_CONTACT_SHARE * keying.tolerance * step)[:, None]
        tolerance = np.where(keying.contact, np.minimum(tolerance, closed), tolerance)
        held = keying.contact[1:] & keying.contact[:-1]
        between = np.where(held, np.minimum(between, _BETWEEN_CONTACTS * closed), between)
    forced = np.zeros(values.shape, bool)
    curves: list[CurveKeys | None] = [None] * len(values)
    fitted = np.zeros_like(values)
    again = (np.abs(values) > tolerance).any(axis=1)
    while again.any():
        found, fitted[again] = fit_keys(
            values[again], tolerance[again], between[again], forced[again], check
        )
        for channel, curve in zip(np.flatnonzero(again), found, strict=True):
            curves[channel] = curve
        more = _too_far(fitted - values, keying, reach)
        again = more.any(axis=1)
        forced |= more
    return [
        None
        if curve is None
        else ChannelKeys(curve.sample.astype(float), curve.value, BEZIER, curve)
        for curve in curves
    ]


def _share_of_channels(values: Double, keying: Keying, reach: Reach) -> float:
    """Part of the tolerance for each channel, so that few keys are missing once all are added up.

    Errors of channels are independent: at a vertex they add up as their squares do. Of FLAME's
    expressions each moves the whole face, of ARKit's each a part of it.
    """
    if reach.offsets is None:
        return _CHANNEL_SHARE
    most = np.abs(values).max(axis=1, initial=0.0)
    moving = most > _CHANNEL_SHARE * keying.tolerance * reach.step
    offsets = reach.offsets[moving] * reach.step[moving, None, None].astype(np.float32)
    added = np.sqrt(np.einsum("nsc,nsc->s", offsets, offsets))
    return (
        float(min(_CHANNEL_SHARE, _SHARED / max(np.median(added), 1.0)))
        if len(added)
        else _CHANNEL_SHARE
    )


def _too_far(error: Double, keying: Keying, reach: Reach) -> Mask:
    """(N, T) the samples that need a key, for with all channels a vertex is too far off.

    At each frame that is the channels with at least half the error of the largest.
    """
    if reach.offsets is None or reach.lips is None:
        return np.zeros(error.shape, bool)
    channels, vertices, _ = reach.offsets.shape
    moved = product(error.T.astype(np.float32), reach.offsets.reshape(channels, -1))
    moved = moved.reshape(-1, vertices, 3)
    distance = np.sqrt(np.einsum("tvc,tvc->tv", moved, moved)) / keying.tolerance
    if keying.contact is not None:
        distance[np.ix_(keying.contact, reach.lips)] /= _CONTACT
    frames = np.flatnonzero(distance.max(axis=1) > 1.0)
    worst = distance[frames].argmax(axis=1)
    shares = np.linalg.norm(reach.offsets[:, worst], axis=2) * np.abs(error[:, frames])
    more = np.zeros(error.shape, bool)
    more[:, frames] = shares >= shares.max(axis=0) / 2
    return more


def _held(at: Double, values: Double) -> ChannelKeys | None:
    """A channel that holds each value until the next."""
    changed = np.ones(len(values), bool)
    changed[1:] = np.diff(values) != 0.0
    return ChannelKeys(at[changed], values[changed], CONSTANT)


def _poses(moved: Double, contact: Mask | None) -> tuple[Double, NDArray[np.int64]]:
    """When each pose begins, and the sample at which it is read: where the motion slows down.

    A pose begins where the motion into it is quickest. Lips that touch are one pose.

    Args:
        moved: (N, T) metres.
        contact: (T,) frames in which the lips touch.
    """
    if moved.shape[1] == 1:
        return np.zeros(1), np.zeros(1, np.int64)
    speed = np.linalg.norm(np.diff(moved, axis=1), axis=0)
    if contact is not None:
        speed[contact[:-1] & contact[1:]] = 0.0
    around = np.concatenate([speed[:1], speed[:-1] + speed[1:], speed[-1:]])
    slow = np.ones(len(around), bool)
    slow[1:] = around[1:] < around[:-1]
    slow[:-1] &= around[:-1] <= around[1:]
    if contact is not None:
        slow[contact] = False
        slow[contact & ~np.concatenate([[False], contact[:-1]])] = True
    slow[0] = True
    poses = np.flatnonzero(slow)
    begins = [0.0]
    for earlier, later in pairwise(poses):
        begins.append(float(earlier + 1 + speed[earlier:later].argmax()))
    return np.array(begins), poses


def _twos(frames: int, rate: float, contact: Mask | None) -> tuple[Double, NDArray[np.int64]]:
    """When each drawing of two scene frames begins, and its sample: one in which lips touch."""
    drawing = np.floor(np.arange(frames) * rate / _TWOS + 1e-6).astype(int)
    order = np.arange(frames)
    if contact is not None:
        order = np.lexsort([order, ~contact, drawing])
    drawings, first = np.unique(drawing[order], return_index=True)
    return drawings * _TWOS / rate, order[first]
