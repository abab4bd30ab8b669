# SPDX-License-Identifier: GPL-3.0-or-later
"""Which face of a picture is the person who is filmed: no portrait on the wall, no passer-by.

Faces are followed from frame to frame. One whose shape never changes is a picture: what a detector
says of one differs by noise alone, and of anybody who holds still by more the longer one waits. Of
people one has to be much larger than the other, or be in the film for much longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Double, Float
from training.tracking.landmarks import SKIN

ONE, NOBODY, SEVERAL, ANOTHER = range(4)
"""What a frame shows: the filmed person, no face, two people of one size, or only the face of a
picture or of somebody else."""
_SECOND = 0.6
"""Size of another face against the largest from which it is not clear who is filmed."""
_MOVED, _GROWN = 0.3, 0.3
"""Movement of a face from one frame to the next, in its sizes, and logarithm of its growth, up to
which it is the same."""
_AWAY = 0.5
"""Seconds for which the detector may lose a face."""
_LAGS = (0.2, 1.0)
"""Seconds over which a shape is compared."""
_STILL, _NOISY = 0.0015, 0.005
"""Root mean square of the landmarks' movement within a face over the last of them, in its size, up
to which it is a picture's; and the same where it hardly grows from the first to the last of them,
as noise does."""
_GROWS = 1.4
"""Printed faces reach 0.0036, in noise and with a moving camera, and 1.3 times; people who hold
still 0.0027 and 2.1 times, who listen 0.007 and 1.9 times (medians)."""
_MOST = 300
"""Frames at which a face is compared with itself."""


@dataclass(eq=False)
class _Track:
    """A face over some frames."""

    rows: list[tuple[int, int]] = field(default_factory=list)
    """Frame and which of its faces."""
    middle: Double = field(default_factory=lambda: np.zeros(2))
    size: float = 0.0
    weight: float = 0.0
    """Sum of its sizes."""
    beside: int = 0
    """Frames in which somebody much more important is in the picture, too."""


def filmed_faces(
    points: Float, cuts: NDArray[np.bool_], fps: float
) -> tuple[NDArray[np.intp], NDArray[np.int8]]:
    """Who is filmed.

    Args:
        points: (T, 2, 478, 2) pixels of up to two faces in each frame; NaN where there is none.
        cuts: (T,) whether a picture is unlike the one before, so that no face continues.
        fps: frames per second.

    Returns:
        (T,) number of the filmed person's face, 0 where there is none; and (T,) what a frame shows:
        :data:`ONE`, :data:`NOBODY`, :data:`SEVERAL` or :data:`ANOTHER`.
    """
    middle = points[:, :, :SKIN].mean(axis=2, dtype=np.float64)
    size = np.linalg.norm(np.ptp(points[:, :, :SKIN], axis=2), axis=2).astype(np.float64)
    tracks = _followed(middle, size, cuts, round(_AWAY * fps))
    still = [_is_still(points, track, fps) for track in tracks]
    if sum(len(t.rows) for t, picture in zip(tracks, still, strict=True) if not picture) < fps:
        # Somebody who hardly moves, or the film of a photo: there is nobody else.
        still = [False] * len(tracks)
    of_frame: list[list[tuple[int, int]]] = [[] for _ in points]
    for number, track in enumerate(tracks):
        for frame, face in track.rows:
            of_frame[frame].append((number, face))
    chosen = np.zeros(len(points), np.intp)
    shows = np.full(len(points), NOBODY, np.int8)
    taken = np.full(len(points), -1)
    for frame, faces in enumerate(of_frame):
        people = [entry for entry in faces if not still[entry[0]]]
        if not people:
            shows[frame] = ANOTHER if faces else NOBODY
            continue
        number, face = max(people, key=lambda entry: tracks[entry[0]].weight)
        sizes = sorted(size[frame, found] for _, found in people)
        shows[frame], chosen[frame], taken[frame] = ONE, face, number
        if len(people) > 1 and sizes[0] > _SECOND * sizes[-1]:
            shows[frame] = SEVERAL
        elif len(people) > 1:
            for other, _ in people:
                tracks[other].beside += other != number
    others = [number for number, track in enumerate(tracks) if 2 * track.beside > fps]
    shows[np.isin(taken, others) & (shows == ONE)] = ANOTHER
    return chosen, shows


def _followed(middle: Double, size: Double, cuts: NDArray[np.bool_], away: int) -> Sequence[_Track]:
    tracks: list[_Track] = []
    live: list[_Track] = []
    for frame in range(len(size)):
        live = [] if cuts[frame] else [t for t in live if frame - t.rows[-1][0] <= away + 1]
        free = list(live)
        for face in np.flatnonzero(np.isfinite(size[frame])):
            at, large = middle[frame, face], float(size[frame, face])
            near = [
                track
                for track in free
                if np.linalg.norm(at - track.middle) < _MOVED * track.size
                and abs(np.log(large / track.size)) < _GROWN
            ]
            if near:
                track = min(near, key=lambda t: float(np.linalg.norm(at - t.middle)))
                free.remove(track)
            else:
                track = _Track()
                tracks.append(track)
                live.append(track)
            track.rows.append((frame, int(face)))
            track.middle, track.size = at, large
            track.weight += large
    return tracks


def _is_still(points: Float, track: _Track, fps: float) -> bool:
    """Whether the shape of a face never changes, however it moves in the picture."""
    frames, faces = np.array(track.rows).T
    if frames[-1] - frames[0] < max(_LAGS) * fps:
        return False
    moved = []
    for lag in _LAGS:
        later = np.searchsorted(frames, frames + round(lag * fps))
        first = np.flatnonzero(later < len(frames))
        if len(first) > _MOST:
            first = first[np.linspace(0, len(first) - 1, _MOST).round().astype(int)]
        one = points[frames[first], faces[first], :SKIN]
        other = points[frames[later[first]], faces[later[first]], :SKIN]
        moved.append(float(np.median(_within(one, other))))
    noise = moved[-1] < _GROWS * moved[0]
    return moved[-1] < (_NOISY if noise else _STILL)


def _within(one: Float, other: Float) -> Double:
    """(N,) movement of landmarks within faces, in their size: without what a similarity says."""
    a, b = (points[..., 0].astype(np.float64) + 1j * points[..., 1] for points in (one, other))
    size = np.hypot(np.ptp(a.real, axis=1), np.ptp(a.imag, axis=1))
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    turn = (np.conj(b) * a).sum(axis=1) / np.maximum((np.abs(b) ** 2).sum(axis=1), 1e-12)
    apart = np.abs(turn[:, None] * b - a)
    return np.asarray(np.sqrt((apart**2).mean(axis=1)) / np.maximum(size, 1e-9))
