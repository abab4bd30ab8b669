# SPDX-License-Identifier: GPL-3.0-or-later
"""How a long recording is cut into chunks for the recogniser: at silences, leaving those out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Float, Ids

_HOP = 160

MARGIN = 25
"""Frames of the silence around speech that the recogniser gets: room for soft consonants."""

_LONGEST = 1_000
"""Frames of the longest chunk: ten seconds, in which a cancel is felt within a second."""

_CONTEXT = 30
"""Frames of sound around a chunk that steady the recogniser's noise tracking and derivatives."""

_ADVANCE = 60
"""Samples by which the recogniser places phones early, from synthetic speech of known times."""


@dataclass(frozen=True, eq=False)
class SpeechChunk:
    """Frames of the recording that are recognised together.

    Attributes:
        frames: (T,) int64 numbers of the recording's 10 ms frames, rising; gaps are silence.
    """

    frames: Ids

    def samples(self, recording: Float) -> Float:
        """The chunk's sound from 16 kHz ``recording`` (n,), with context on both sides."""
        first, last = int(self.frames[0]), int(self.frames[-1])
        wide = np.concatenate((
            np.arange(first - _CONTEXT, first),
            self.frames,
            np.arange(last + 1, last + 1 + _CONTEXT),
        ))  # fmt: skip
        index = (wide[:, None] * _HOP + np.arange(_HOP)).reshape(-1) - _ADVANCE
        inside = (index >= 0) & (index < len(recording))
        return np.where(inside, recording[np.where(inside, index, 0)], np.float32(0))

    def trim_context(self, scores: NDArray[np.int16]) -> NDArray[np.int16]:
        """The (T, S) rows of ``scores`` of :meth:`samples` that are the chunk's, not context."""
        return scores[_CONTEXT : _CONTEXT + len(self.frames)]


def split_at_silence(regions: Sequence[tuple[int, int]], level: Float) -> list[SpeechChunk]:
    """Cut the speech into chunks.

    Regions close to each other share a chunk; one that is longer than a chunk is cut where it is
    quietest.

    Args:
        regions: frames [start, stop) of speech, in any order.
        level: (N,) float32 dB of each frame.
    """
    spoken = np.zeros(len(level), bool)
    for start, stop in regions:
        spoken[max(0, start - MARGIN) : stop + MARGIN] = True
    frames = np.flatnonzero(spoken)
    chunks = []
    while len(frames) > _LONGEST:
        half = _LONGEST // 2
        at = half + _quietest(level[frames[half:_LONGEST]])
        chunks.append(SpeechChunk(frames[:at]))
        frames = frames[at:]
    if len(frames):
        chunks.append(SpeechChunk(frames))
    return chunks


def _quietest(level: Float) -> int:
    """The middle of the quietest tenth of a second."""
    width = min(11, len(level))
    mean = np.convolve(level, np.full(width, 1 / width), "valid")
    return int(np.argmin(mean)) + width // 2
