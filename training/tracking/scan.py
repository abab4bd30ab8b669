# SPDX-License-Identifier: GPL-3.0-or-later
"""The first pass over a video: landmarks of every frame, and which frames are of use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.core.arrays import Double, Float
from engine.core.errors import BadInputError
from engine.core.files import write_text
from engine.core.npz import open_npz
from engine.core.npz_writing import write_npz
from engine.core.progress import Progress
from training.tracking.film import Film, pictures
from training.tracking.filmed_face import ANOTHER, NOBODY, SEVERAL, filmed_faces
from training.tracking.landmarks import LandmarkDetector, eye_distance
from training.tracking.look import Look, look_at
from training.tracking.mediapipe_faces import HandDetector

GOOD, NO_FACE, TWO_FACES, BLUR, HAND, OUTSIDE, MISFIT, TRANSITION = range(8)
ANOTHER_FACE, FROZEN = 8, 9
REASONS = {
    NO_FACE: "no face",
    TWO_FACES: "two faces",
    BLUR: "blurred",
    HAND: "hand before the mouth",
    OUTSIDE: "face leaves the picture",
    MISFIT: "the head does not fit",
    TRANSITION: "transition",
    ANOTHER_FACE: "another face, or a picture of one",
    FROZEN: "the picture stands still",
}
"""Why frames are dropped."""

CHUNK = 150
_BLURRED = 0.2
"""Sharpness against the take's median."""
_OWN = 1.0
"""Seconds of good frames from which a take is judged by itself."""
_AROUND = 0.5
"""Seconds before and after a frame with which it is compared."""
_SMEARED = (0.7, 0.85)
"""Sharpness against those frames up to which a frame in which landmarks jump is smeared, and from
which it is not."""
_JUMPS, _CALM = 2.5, 0.005
"""Second difference of the landmarks against those frames', from which they jump; and the least
that theirs counts as, in the eyes' distance."""
_LEAST_TRUST = 0.02
LEAST_EYES = 18.0
"""Pixels between the outer eye corners."""
_JUMP = 0.3
"""Movement of the face within a frame, in its sizes, that is a cut if the picture changes too."""
_CHANGED = 22.0
"""Mean difference of small grey pictures, of 255, at a cut."""
_UNCHANGED, _FREEZE = 0.005, 0.4
"""The same of a picture that stands still, below the noise of any camera; and seconds from which it
does so because frames are missing or a connection was lost."""
_TRANSITION = 0.2
"""Seconds between two cuts up to which the frames between them are one picture on its way into
another (a zoom, a page that turns), and no take."""
_HAND_GAP = 0.4
"""Seconds for which a detector may lose a hand that is there before and after."""
_HINT = "Film one face that stays in the picture, sharp and with nothing before it."
_HINTS = {
    REASONS[TWO_FACES]: "Let one person alone be in the picture.",
    REASONS[ANOTHER_FACE]: "Let one person alone be in the picture, and all the time.",
    REASONS[FROZEN]: "A photo cannot speak: film a person, without interruptions.",
}
_LEAST_GOOD = 10
_MOST_LOST = 0.6
_ARRAYS = ("points", "outside", "covered", "sharpness", "change")


@dataclass(frozen=True, eq=False)
class Scan:
    """What a video shows, frame by frame.

    Attributes:
        points: (T, 478, 2) float32 pixels; NaN where there is no face.
        state: (T,) :data:`GOOD`, or why the frame is dropped: a key of :data:`REASONS`.
        takes: (T,) number of the take; a cut begins another.
        fps: frames per second.
        trust: (T,) weight of the landmarks: little where motion has smeared the frame.
        sharpness: (T,) what is usual in the take: the median of its good frames.
        smeared: (T,) whether compression smears the video: lips may move late or not at all.
    """

    points: Float
    state: NDArray[np.int8]
    takes: NDArray[np.intp]
    fps: float
    trust: Double
    sharpness: Double
    smeared: NDArray[np.bool_]

    @property
    def good(self) -> NDArray[np.intp]:
        """Numbers of the frames that are of use."""
        return np.flatnonzero(self.state == GOOD)

    @property
    def sharp(self) -> NDArray[np.intp]:
        """Those of them that motion has not smeared."""
        good = self.good
        return good[self.trust[good] > 0.5]

    @property
    def cuts(self) -> list[int]:
        """First frames of takes but the first."""
        return [int(frame) + 1 for frame in np.flatnonzero(np.diff(self.takes))]

    def first(self, count: int) -> Scan:
        """The first frames alone."""
        kept = slice(0, count)
        return Scan(
            self.points[kept],
            self.state[kept],
            self.takes[kept],
            self.fps,
            self.trust[kept],
            self.sharpness[kept],
            self.smeared[kept],
        )

    def dropped(self) -> dict[str, int]:
        """How many frames were dropped, by reason."""
        counted = Counter(self.state.tolist())
        return {reason: counted[code] for code, reason in REASONS.items() if counted[code]}


def scan(
    film: Film,
    detector: LandmarkDetector,
    hands: HandDetector,
    folder: Path,
    progress: Progress,
    *,
    alone: bool = True,
) -> Scan:
    """Look at every frame; what an earlier run has looked at is read.

    Args:
        film: the video.
        detector: of landmarks.
        hands: of hands.
        folder: for chunks of results.
        progress: called before each frame; may raise to cancel, which loses a chunk at most.
        alone: whether there is no other camera, so that most frames have to be of use.

    Raises:
        BadInputError: there is no picture; no face, or hardly ever one; or two.
    """
    chunks: list[dict[str, NDArray[np.generic]]] = []
    while (path := _chunk(folder, len(chunks))).is_file():
        chunks.append(_read(path))
    first = sum(len(chunk["change"]) for chunk in chunks)
    looked: list[Look] = []
    previous = None
    complete = (folder / "scanned").is_file()
    for number, image in () if complete else pictures(film, max(0, first - 1)):
        progress(
            min(1.0, number / max(film.frames, 1)), f"looking for the face, frame {number + 1}"
        )
        look = look_at(image, number, film.fps, detector, hands, previous)
        previous = look
        if number < first:
            continue
        looked.append(look)
        if len(looked) == CHUNK:
            chunks.append(_keep(_chunk(folder, len(chunks)), looked))
            looked = []
    if looked:
        chunks.append(_keep(_chunk(folder, len(chunks)), looked))
    if not chunks:
        raise BadInputError(
            f"{film.path} has no picture from {film.begin:.2f} s on.",
            "Give the whole file: it is shorter than it says.",
        )
    write_text(folder / "scanned", "")
    joined = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in _ARRAYS}
    return _judged(film, joined, alone=alone)


def _judged(film: Film, joined: dict[str, NDArray[np.generic]], *, alone: bool) -> Scan:
    faces = np.asarray(joined["points"], np.float32)
    change = np.asarray(joined["change"], np.float64)
    chosen, shows = filmed_faces(faces, change > _CHANGED, film.fps)
    frames = np.arange(len(chosen))
    points = faces[frames, chosen]
    points[(shows == NOBODY) | (shows == ANOTHER)] = np.nan
    state = np.full(len(chosen), GOOD, np.int8)
    state[joined["covered"][frames, chosen].astype(bool)] = HAND
    state[joined["outside"][frames, chosen].astype(bool)] = OUTSIDE
    for shown, why in ((SEVERAL, TWO_FACES), (ANOTHER, ANOTHER_FACE), (NOBODY, NO_FACE)):
        state[shows == shown] = why
    state[(state == GOOD) & _frozen(change, film.fps)] = FROZEN
    sharpness = np.asarray(joined["sharpness"][frames, chosen], np.float64)
    cuts = _cuts(points, change)
    takes, between = _takes(cuts, film.fps)
    state[(state == GOOD) & between] = TRANSITION
    good = state == GOOD
    usual = _usual(sharpness, good, takes, film.fps)
    relative = sharpness / np.maximum(usual, 1e-9)
    state[good & (sharpness < _BLURRED * usual)] = BLUR
    state[(state == GOOD) & _hidden(state == HAND, film.fps)] = HAND
    trust = _trust(points, relative, state == GOOD, film.fps)
    usual = _usual(sharpness, state == GOOD, takes, film.fps)
    smeared = np.full(len(state), film.smeared)
    found = Scan(points, state, takes, film.fps, trust, usual, smeared)
    _check(film, found, alone=alone)
    return found


def _frozen(change: Double, fps: float) -> NDArray[np.bool_]:
    """(T,) whether a frame repeats the one before, as others round it do."""
    same: NDArray[np.bool_] = change < _UNCHANGED
    same[:1] = False
    ends = np.flatnonzero(np.diff(same.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    for begin, end in ends.tolist():
        if end - begin < _FREEZE * fps:
            same[begin:end] = False
    return same


def _usual(
    sharpness: Double, good: NDArray[np.bool_], takes: NDArray[np.intp], fps: float
) -> Double:
    """(T,) median sharpness of the good frames of a frame's take; of all where those are few.

    Takes differ by focus, distance and compression; what quick motion cuts off is none.
    """
    usual = np.full(len(sharpness), np.median(sharpness[good]) if good.any() else 0.0)
    for take in np.unique(takes):
        inside = takes == take
        if (inside & good).sum() >= _OWN * fps:
            usual[inside] = np.median(sharpness[inside & good])
    return usual


def _hidden(hand: NDArray[np.bool_], fps: float) -> NDArray[np.bool_]:
    """(T,) whether a hand hides the mouth: where it is seen, a frame round that, and between."""
    size = round(_HAND_GAP * fps)
    closed = ndimage.binary_closing(np.pad(hand, size), np.ones(size + 1))[size : size + len(hand)]
    hidden: NDArray[np.bool_] = ndimage.binary_dilation(closed)
    return hidden


def _trust(points: Float, sharpness: Double, good: NDArray[np.bool_], fps: float) -> Double:
    """(T,) weights: of a frame less sharp than those round it, in which the landmarks jump.

    Either alone is no smear: closed eyes have fewer edges, and a head may turn quickly.
    """
    trust = np.ones(len(points))
    frames = np.flatnonzero(good)
    if len(frames) < 3:
        return trust
    size = 2 * round(_AROUND * fps) + 1
    seen = points[frames].astype(np.float64)
    bend = np.linalg.norm(seen[2:] - 2 * seen[1:-1] + seen[:-2], axis=2).mean(axis=1)
    jump = np.pad(bend, 1, mode="edge") / eye_distance(seen)
    usual = np.maximum(ndimage.median_filter(jump, size, mode="nearest"), _CALM)
    around = ndimage.median_filter(sharpness[frames], size, mode="nearest")
    sharp = sharpness[frames] / np.maximum(around, 1e-9)
    low, high = _SMEARED
    certain = np.clip((high - sharp) / (high - low), 0.0, 1.0) * (jump > _JUMPS * usual)
    trust[frames] = 1 - (1 - _LEAST_TRUST) * certain
    return trust


def _cuts(points: Float, change: Double) -> NDArray[np.bool_]:
    """(T,) whether a frame begins another take."""
    cuts = np.zeros(len(points), bool)
    middle = points.mean(axis=1)
    size = np.linalg.norm(np.ptp(points, axis=1), axis=1)
    moved = np.zeros(len(points))
    with np.errstate(invalid="ignore"):
        step = np.linalg.norm(np.diff(middle, axis=0), axis=1) / size[:-1]
        grown = np.abs(np.log(size[1:] / size[:-1]))
    moved[1:] = np.nan_to_num(np.maximum(step, grown))
    cuts[1:] = (change[1:] > _CHANGED) | ((moved[1:] > _JUMP / 3) & (change[1:] > _CHANGED / 8))
    cuts[1:] |= moved[1:] > _JUMP
    return cuts


def _takes(cuts: NDArray[np.bool_], fps: float) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """(T,) number of each frame's take, and (T,) whether it lies in a transition between takes.

    Frames of a transition count to the take before, those at the beginning to the first take.
    """
    part = np.cumsum(cuts).astype(np.intp)
    between = (np.bincount(part) <= _TRANSITION * fps)[part]
    if between.all():
        return part, np.zeros_like(between)
    starts = ~between & (cuts | np.r_[True, between[:-1]])
    return np.maximum(np.cumsum(starts) - 1, 0).astype(np.intp), between


def _check(film: Film, found: Scan, *, alone: bool) -> None:
    count = len(found.state)
    faces = np.isfinite(found.points[:, 0, 0])
    dropped = found.dropped()
    if not faces.any():
        raise BadInputError(
            f"{film.path} shows no face in {count} frames.",
            "Film one person's face from in front, large and well lit; animals are not found.",
        )
    worst = max(dropped, key=lambda reason: dropped[reason], default="")
    least = (1 - _MOST_LOST) * count if alone else 0.0
    if len(found.good) < max(_LEAST_GOOD, least):
        listed = ", ".join(f"{reason} in {number}" for reason, number in dropped.items())
        raise BadInputError(
            f"{film.path}: only {len(found.good)} of {count} frames are of use ({listed}).",
            _HINTS.get(worst, _HINT),
        )
    # Pictures that were made larger show no more for that.
    eyes = float(np.median(eye_distance(found.points[found.good]))) / max(1.0, film.scale)
    if eyes < LEAST_EYES:
        raise BadInputError(
            f"The face in {film.path} is small: {eyes:.0f} pixels between the eyes' outer corners.",
            f"Film from nearer, or give a larger --largest: {LEAST_EYES:g} pixels are needed.",
        )


def _chunk(folder: Path, number: int) -> Path:
    return folder / f"scan_{number:05d}.npz"


def _keep(path: Path, looked: Sequence[Look]) -> dict[str, NDArray[np.generic]]:
    arrays: dict[str, NDArray[np.generic]] = {
        "points": np.stack([look.points for look in looked]),
        "outside": np.stack([look.outside for look in looked]),
        "covered": np.stack([look.covered for look in looked]),
        "sharpness": np.stack([look.sharpness for look in looked]).astype(np.float32),
        "change": np.array([look.change for look in looked], np.float32),
    }
    write_npz(path, **arrays)
    return arrays


def _read(path: Path) -> dict[str, NDArray[np.generic]]:
    data = open_npz(path, "Remove the folder and track again.")
    return {name: data[name] for name in _ARRAYS}
