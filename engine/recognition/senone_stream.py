# SPDX-License-Identifier: GPL-3.0-or-later
"""Senone scores of a live stream: PocketSphinx in one endless utterance, mean by mean.

The mean of the cepstra, which a recording has as a whole, is known here for what was spoken so far
alone: it begins with that of ordinary microphones and follows the speech.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from engine.core.arrays import Double, Float, Short
from engine.recognition.senones import (
    ROW,
    check_room,
    make_scorer,
    senone_log_header,
    senone_log_rows,
)

_HOP, _WINDOW = 160, 410
"""Samples between two frames and in one: PocketSphinx's front end."""

_USUAL_MEAN = (53.0, 8.0, -8.0, 18.0, -12.0, 5.0, -12.0, -3.0, 2.0, -4.0, 2.0, -5.0, 1.0)
"""Mean cepstra of speech at :data:`engine.recognition.measurement.LOUD`."""
_USUAL_FRAMES, _MOST_FRAMES = 50.0, 600.0
"""Frames that it counts for, and that the mean is taken over at the most."""

_LIBRARY_FRAMES = 500.0
"""Frames that a mean counts for which PocketSphinx is given (CMN_WIN)."""

LONGEST = 60 * 100
"""Frames of an utterance, 10 kB each in its temporary file; then another one begins."""
_OVERLAP = 40
"""Frames that it has in common with the one before: deltas and Gaussian selection need a past."""


class SenoneStream:
    """Sound in, senone scores out, 10 ms a frame; what is final depends on no chunk's size.

    Scores of frame i need the sound until 65 ms after its start. Close it, or leave it to the
    garbage collector: it keeps a temporary file.

    Raises:
        UnwritableError: there is no room for that file; by :meth:`push` too.
    """

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="gaussianspeech-")
        self._decoder = make_scorer(self._folder.name, cmn="live")
        self._sum: Double = np.array(_USUAL_MEAN) * _USUAL_FRAMES
        self._count = _USUAL_FRAMES
        self._recent = np.zeros(0, np.float32)
        self._begin()

    def close(self) -> None:
        """End the utterance and remove its file."""
        self._end()
        self._folder.cleanup()

    def push(self, samples: Float, *, spoken: bool) -> Short:
        """Take the next (n,) samples at 16 kHz; give the (T, 5126) scores that became final.

        Args:
            samples: at a normal level.
            spoken: whether somebody speaks in them: then they count for the mean.
        """
        if self._fed > LONGEST * _HOP:
            self._renew()
        before = self._cepstra
        mean = self._sum / self._count
        self._process(samples, mean)
        if spoken and self._cepstra > before:
            self._follow(self._cepstra - before, mean)
        self._recent = np.concatenate([self._recent, samples])[-_OVERLAP * _HOP :]
        return self._written()

    @property
    def _cepstra(self) -> int:
        """Frames of this utterance whose cepstra are known."""
        return max(0, (self._fed - _WINDOW) // _HOP + 1)

    def _begin(self) -> None:
        check_room(self._folder.name, LONGEST)
        self._decoder.start_utt()
        (path,) = Path(self._folder.name).iterdir()
        self._log = path.open("rb")
        self._fed = self._header = self._rows = self._skipped = 0

    def _end(self) -> None:
        self._decoder.end_utt()
        self._log.close()
        Path(self._log.name).unlink()

    def _renew(self) -> None:
        """Another utterance, which begins with the last sound of this one."""
        missing = self._cepstra - self._rows
        self._end()
        self._begin()
        # An utterance that begins later counts its frames from there.
        self._process(self._recent, self._sum / self._count)
        self._skipped = self._cepstra - missing

    def _process(self, samples: Float, mean: Double) -> None:
        pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
        self._decoder.set_cmn(",".join(f"{value:.6g}" for value in mean))
        if pcm:
            self._decoder.process_raw(pcm, full_utt=False)
        self._fed += len(samples)

    def _follow(self, frames: int, mean: Double) -> None:
        """Count the last frames for the mean, by how they moved that of the library."""
        text = self._decoder.get_cmn(update=True)
        moved = np.array([float(value) for value in text.split(",")])
        self._sum += (_LIBRARY_FRAMES + frames) * moved - _LIBRARY_FRAMES * mean
        self._count += frames
        if self._count > _MOST_FRAMES:
            self._sum *= _MOST_FRAMES / self._count
            self._count = _MOST_FRAMES

    def _written(self) -> Short:
        """The complete rows that the library has written since the last look."""
        if not self._header:
            self._header = senone_log_header(self._log.read(4096))
        self._log.seek(self._header + self._rows * ROW)
        data = self._log.read()
        rows = senone_log_rows(data)
        self._rows += len(rows)
        skipped = min(self._skipped, len(rows))
        self._skipped -= skipped
        return rows[skipped:]
