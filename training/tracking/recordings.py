# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of a tracked video: sound, motion and text where face and sound are there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Double
from engine.core.files import write_text
from engine.jobs.worker import JobHandle
from engine.motion.lip_contact import lip_gap
from training.data.recordings import SPEECH
from training.tracking.face_model import weights_of
from training.tracking.film import Film
from training.tracking.output import CaptureWriter
from training.tracking.scan import GOOD
from training.tracking.sound import (
    Said,
    cut_at_pauses,
    silent_frames,
    words_between,
    write_segment,
)
from training.tracking.track import Track

SOUND = "sound.wav"
_MOST_LOST = 0.2
"""Part of a recording's frames that may be dropped."""
_ABSENT = 0.5
"""Seconds that may be dropped in a row: longer ones part two recordings."""
_SHORTEST = 0.5
"""Seconds of a recording."""
_LETTERS = 40
"""Of a video's name in those of its recordings: a file's name ends at 255 bytes."""
_SPEAKING = 0.002
"""Metres by which the opening of the lips changes while somebody speaks, at the least."""


def write_recordings(
    out: Path, film: Film, track: Track, writer: CaptureWriter, said: Said, job: JobHandle
) -> list[tuple[str, int, int]]:
    """Write recordings with motion and text, cut at pauses; of stretches with face and sound.

    Args:
        out: folder of the capture, with the sound.
        film: the video, or several joined.
        track: of it.
        writer: of the capture.
        said: what is said.
        job: gets notes.

    Returns:
        Name, first and last (exclusive) frame of each.

    Raises:
        BadInputError: the sound cannot be read.
    """
    recordings: list[tuple[str, int, int]] = []
    lost, fps = track.scan.state != GOOD, track.scan.fps
    mute = silent_frames(out / SOUND, len(lost), fps)
    mute &= _moving(mute, _opening(track))
    spoken = [
        (first, last)
        for first, last in cut_at_pauses(said, len(lost), fps, film.begins)
        if (last - first) / fps >= _SHORTEST and film.take_of(first).sound
    ]
    muted = sum(int(mute[first:last].sum()) for first, last in spoken) / fps
    unseen = sum(last - first for first, last in spoken) / fps - muted
    pieces = (
        piece
        for first, last in spoken
        for begin, end in _without(mute, first, last, 0.0)
        for piece in _without(lost, begin, end, _ABSENT * fps)
    )
    for first, last in pieces:
        if (last - first) / fps < _SHORTEST or lost[first:last].mean() > _MOST_LOST:
            continue
        unseen -= (last - first) / fps
        take, number = film.take_of(first), len(recordings)
        # In the order of their names they are split: the last ones are tested on, as pictures are.
        stem, at = take.path.stem[:_LETTERS], f"{number:03d}"
        name = f"{at}-{stem}" if film.takes else f"{stem}-{at}"
        start, end = first / fps, last / fps
        write_segment(out / SOUND, out / SPEECH / f"{name}.wav", first, last, fps)
        writer.write_motion(out / SPEECH / name, first, last, said)
        if words := words_between(said.words, start, end):
            text = " ".join(word.text for word in words)
            write_text(out / SPEECH / f"{name}.txt", text)
        recordings.append((name, first, last))
    if round(muted, 1) > 0:
        job.note(
            f"{muted:.1f} s are no recording: the lips move there, and the sound track holds "
            "nothing. Was the microphone off, or is the sound shorter than the pictures?"
        )
    if round(unseen, 1) > 0:
        job.note(
            f"{unseen:.1f} s of the sound are no recording: no face was seen there for more than "
            f"{_ABSENT:g} s, or more than {100 * _MOST_LOST:.0f} % of the frames are dropped."
        )
    return recordings


def _opening(track: Track) -> Double:
    """(T,) metres between the lips."""
    head = track.head
    gap = lip_gap(head.expression_basis, head.expression_names, head.landmarks)
    if gap is None:
        return np.zeros(len(track.scan.state))
    return np.asarray(gap.apart(weights_of(track.fit.expression)).max(axis=1))


def _moving(silent: NDArray[np.bool_], opening: Double) -> NDArray[np.bool_]:
    """(T,) whether a frame is of a silent stretch in which the lips move as they do in speech.

    Where they rest it is a pause, which programs of telephony make wholly silent.
    """
    moving = np.zeros(len(silent), bool)
    changes = np.diff(silent.astype(np.int8), prepend=0, append=0)
    for begin, end in np.flatnonzero(changes).reshape(-1, 2).tolist():
        low, high = np.percentile(opening[begin:end], [10, 90])
        moving[begin:end] = high - low > _SPEAKING
    return moving


def _without(
    gone: NDArray[np.bool_], first: int, last: int, longest: float
) -> list[tuple[int, int]]:
    """What remains of some frames without stretches of more than ``longest`` that are gone.

    Somebody who comes into the picture late and leaves it early is a recording in between.
    """
    changes = np.diff(gone[first:last].astype(np.int8), prepend=0, append=0)
    ends = [first, last]
    for begin, end in (np.flatnonzero(changes).reshape(-1, 2) + first).tolist():
        if end - begin > longest:
            ends += [begin, end]
    ends.sort()
    return [(a, b) for a, b in zip(ends[::2], ends[1::2], strict=True) if a < b]
