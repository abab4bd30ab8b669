# SPDX-License-Identifier: GPL-3.0-or-later
"""How a long recording is cut into chunks for the recogniser: at silences, leaving those out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Float, Ids

MARGIN = 25
"""Frames of the silence around speech that the recogniser gets: room for soft consonants."""

LONGEST = 1_000
"""Frames of the longest chunk: ten seconds, in which a cancel is felt within a second."""

_CONTEXT = 5
"""Frames around a chunk from which its derivatives are taken."""


@dataclass(frozen=True, eq=False)
class SpeechChunk:
    """Frames of the recording that are recognised together.

    Attributes:
        frames: (T,) int64 numbers of the recording's 10 ms frames, rising; gaps are silence.
    """

    frames: Ids

    def with_context(self, cepstra: Float) -> Float:
        """The chunk's rows of a recording's ``cepstra`` (N, 13) and those around it: (T + 10, 13).

        Beyond the recording's ends its first and last are taken again.
        """
        first, last = int(self.frames[0]), int(self.frames[-1])
        before, after = np.arange(first - _CONTEXT, first), np.arange(last + 1, last + 1 + _CONTEXT)
        wide = np.concatenate((before, self.frames, after))
        around: Float = cepstra[np.clip(wide, 0, len(cepstra) - 1)]
        return around

    def trim_context(self, scores: NDArray[np.int16]) -> NDArray[np.int16]:
        """The (T, S) rows of ``scores`` of :meth:`with_context` that are the chunk's own."""
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
    while len(frames) > LONGEST:
        half = LONGEST // 2
        at = half + _quietest(level[frames[half:LONGEST]])
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
