# SPDX-License-Identifier: GPL-3.0-or-later
"""Decoding speech: any audio file, or samples from Blender, becomes 16 kHz mono.

Files are decoded and resampled block by block, so an hour at 96 kHz stereo costs the memory of an
hour at 16 kHz mono (230 MB), never of the original.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import ArrayLike, NDArray

from engine.audio.decoding import Source, open_source
from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.core.files import file_digest
from engine.core.progress import Progress, no_progress

SAMPLE_RATE = 16_000
"""Hz of every :class:`Speech`: what the acoustic model and wav2vec 2.0 were trained on."""

MIN_DURATION = 0.2
"""Seconds; anything shorter holds no syllable."""

MAX_DURATION = 3 * 3600.0
"""Seconds; the recogniser counts frames in 32 bits, and 700 MB of samples are enough."""

SILENT_PEAK = 1e-4
"""Peak amplitude (−80 dBFS) under which a recording counts as silent."""

_CANCELLED = 0.2
"""Part of what the loudest of N channels would leave in their mean, all others silent, under which
the channels cancel each other out: two of opposite polarity, say."""

_HEARD = 1e-3
"""Part of the energy of the loudest channel from which the centre of surround sound is in use."""

_MIN_RATE, _MAX_RATE = 4_000, 384_000


@dataclass(frozen=True, eq=False)
class Speech:
    """A stretch of speech, ready for the encoders.

    Attributes:
        samples: (N,) float32 in about [-1, 1] at 16 kHz, N = round(duration · 16000).
        duration: seconds, exactly source frames / source rate of the stretch.
        sha256: hex digest of the whole file, or of the samples where there is no file.
        path: the file, ``None`` for samples.
        warnings: things the user should know though the work continues, one sentence each.
    """

    samples: Float
    duration: float
    sha256: str
    path: Path | None = None
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return self.path.name if self.path else "the samples"


def load_speech(
    path: str | Path,
    start: float = 0.0,
    duration: float | None = None,
    progress: Progress = no_progress,
) -> Speech:
    """Decode a file, or a stretch of it, to 16 kHz mono.

    FFmpeg and libsndfile read WAV, AIFF, FLAC, OGG, MP3, M4A, video files and more. Channels are
    averaged; of surround sound the centre is taken, which has a film's dialogue, and where channels
    cancel each other out the loudest, both with a warning. Of a file that is cut short or damaged,
    what decodes is taken, with a warning.

    Args:
        path: the file.
        start: seconds into the file; rounded to a frame of the source.
        duration: seconds from there; ``None`` is to the end. A stretch that runs past the end of
            the file stops there, with a warning.
        progress: called with how far the decoding is; may raise to cancel.

    Raises:
        BadInputError: no such file, a folder, empty, not audio, nothing that decodes, NaN or
            infinite samples, an impossible stretch, or less than 0.2 s.
    """
    path = Path(path)
    _check_file(path)
    _check_stretch(path, start, duration)
    mixing = _Mixing()
    samples, frames, rate, warnings = _decoded(path, start, duration, mixing, progress)
    if (channel := mixing.best) is not None:
        samples, _, _, _ = _decoded(path, start, duration, _Mixing(channel), progress)
        warnings.append(mixing.warning(path.name))
    return _speech(samples, frames, rate, file_digest(path), path, warnings)


def _decoded(
    path: Path, start: float, duration: float | None, mixing: _Mixing, progress: Progress
) -> tuple[Float, int, float, list[str]]:
    """A stretch of a file: samples at 16 kHz, frames and rate of the source, and warnings."""
    with closing(open_source(path)) as source:
        rate = checked_rate(source.rate, str(path))
        first = round(start * rate)
        wanted = None if duration is None else round(duration * rate)
        mixing.centre = source.centre
        blocks = _checked_blocks(source, first, wanted, path, mixing, progress)
        samples, frames = _resampled(blocks, rate)
        problem = source.problem
    if frames == 0 and first > 0:
        raise BadInputError(
            f"The stretch begins at {start:g} s, after the end of {path}.",
            "Choose an earlier start.",
        )
    warnings = [f"{path.name}: {problem}."] if problem else []
    if wanted is not None and frames < wanted:
        warnings.append(
            f"{path.name} ends {(wanted - frames) / rate:.3g} s before the stretch asked for does."
        )
    return samples, frames, rate, warnings


def speech_from_samples(samples: ArrayLike, rate: float, name: str = "The sound") -> Speech:
    """Speech from samples in memory, such as a mixdown from Blender.

    Args:
        samples: (N,) or (N, C); floating point in [-1, 1], or integers at their full scale.
        rate: Hz.
        name: what to call it in messages.

    Raises:
        BadInputError: no samples, more than two axes, NaN or infinite values, an impossible rate,
            or less than 0.2 s.
    """
    array = np.asarray(samples)
    if array.ndim not in (1, 2) or array.dtype.kind not in "fiu":
        raise BadInputError(
            f"{name} has samples of shape {array.shape} and type {array.dtype}.",
            "Give numbers of shape (frames,) or (frames, channels).",
        )
    if array.dtype.kind == "i":
        array = array / float(-np.iinfo(array.dtype).min)
    elif array.dtype.kind == "u":
        middle = (np.iinfo(array.dtype).max + 1) / 2
        array = array / middle - 1
    mixing, warnings = _Mixing(), []
    wide = array.reshape(len(array), -1) if array.size else np.zeros((0, 1))
    mono = mixing(wide)
    if (channel := mixing.best) is not None:
        mono = _Mixing(channel)(wide)
        warnings.append(mixing.warning(name))
    if not np.isfinite(mono).all():
        raise BadInputError(f"{name} holds NaN or infinite samples.", "Render or record it again.")
    rate = checked_rate(rate, name)
    digest = hashlib.sha256(f"{rate:g}:".encode())
    digest.update(np.ascontiguousarray(mono).data)
    resampled, frames = _resampled((mono[i : i + 65536] for i in range(0, len(mono), 65536)), rate)
    return _speech(resampled, frames, rate, digest.hexdigest(), None, warnings, name)


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise BadInputError(f"{path} is a folder.", "Give an audio file.")
    if not path.is_file():
        raise BadInputError(f"There is no file {path}.", "Check the path.")
    if path.stat().st_size == 0:
        raise BadInputError(f"{path} is empty (0 bytes).", "Copy or export the file again.")


def _check_stretch(path: Path, start: float, duration: float | None) -> None:
    if not (np.isfinite(start) and start >= 0):
        raise BadInputError(
            f"A start of {start} s in {path} is impossible.", "Start at 0 or later."
        )
    if duration is not None and not (np.isfinite(duration) and duration >= MIN_DURATION):
        raise BadInputError(
            f"A stretch of {duration} s of {path} is too short.",
            f"Take at least {MIN_DURATION} s.",
        )


def checked_rate(rate: float, name: str) -> float:
    """A sample rate that speech can have.

    Raises:
        BadInputError: it is too low or too high; names what has it.
    """
    if not _MIN_RATE <= rate <= _MAX_RATE:
        raise BadInputError(
            f"{name} has a sample rate of {rate:g} Hz.",
            f"Convert it to a rate of {_MIN_RATE} to {_MAX_RATE} Hz, for example 48000.",
        )
    return rate


def _checked_blocks(
    source: Source,
    first: int,
    wanted: int | None,
    path: Path,
    mixing: _Mixing,
    progress: Progress,
) -> Iterator[Float]:
    """Mono blocks of the stretch, each checked for NaN and infinity."""
    total = min(wanted or source.frames, max(source.frames - first, 1)) if source.frames else 0
    done = 0
    for block in source.blocks(first, wanted):
        mono = mixing(block)
        if not np.isfinite(mono).all():
            raise BadInputError(
                f"{path} holds NaN or infinite samples.",
                "Export it again, for example as 16-bit WAV.",
            )
        done += len(mono)
        if done > MAX_DURATION * source.rate:
            raise BadInputError(
                f"{path} holds more than {MAX_DURATION / 3600:g} hours of sound.",
                "Give a stretch of it, or split it.",
            )
        progress(min(done / total, 1.0) if total else 0.0, f"Reading {path.name}")
        yield mono


class _Mixing:
    """From any channels to one, block by block: their mean, or one of them.

    Args:
        channel: the one; by default the mean, and how loud all of them are is noted.

    Attributes:
        centre: the channel of surround sound that has the dialogue, where it is in use.
    """

    def __init__(self, channel: int | None = None) -> None:
        self.centre: int | None = None
        self._channel = channel
        self._mean = 0.0
        self._each = np.zeros(1)

    def __call__(self, block: NDArray[np.generic]) -> Float:
        """(n, C) → (n,) float32."""
        wide = block.astype(np.float32, copy=False)
        if wide.shape[1] == 1:
            return wide[:, 0]
        if self._channel is not None:
            return wide[:, min(self._channel, wide.shape[1] - 1)]
        mono: Float = wide.mean(axis=1, dtype=np.float32)
        if len(self._each) < wide.shape[1]:
            self._each = np.pad(self._each, (0, wide.shape[1] - len(self._each)))
        with np.errstate(over="ignore", invalid="ignore"):  # Who resamples looks for those.
            self._mean += float(np.square(mono).sum(dtype=np.float64))
            self._each[: wide.shape[1]] += np.square(wide).sum(axis=0, dtype=np.float64)
        return mono

    @property
    def best(self) -> int | None:
        """The channel that is better than the mean of all: the centre, or the loudest.

        ``None`` where the mean is; it is not where there is next to nothing in it.
        """
        if self._has_dialogue:
            return self.centre
        least = _CANCELLED / len(self._each)
        cancelled = self._mean < least**2 * self._each.max()
        return int(self._each.argmax()) if cancelled else None

    @property
    def _has_dialogue(self) -> bool:
        if self.centre is None or self.centre >= len(self._each):
            return False
        return bool(self._each[self.centre] > _HEARD * self._each.max())

    def warning(self, name: str) -> str:
        """What was done about channels whose mean was not taken."""
        number = (self.best or 0) + 1
        if self._has_dialogue:
            return f"Of {name} the centre of its surround sound was used: channel {number}."
        return f"The channels of {name} cancel each other out: channel {number} alone was used."


def _resampled(blocks: Iterable[Float], rate: float) -> tuple[Float, int]:
    """16 kHz samples, exactly round(n · 16000 / rate) of them, and n, the frames that came in."""
    # A bytearray grows in place: a list of blocks would need its memory twice when joined.
    gathered = bytearray()
    frames = 0
    stream = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
    for block in blocks:
        frames += len(block)
        gathered += np.ascontiguousarray(_through(stream, block, rate)).data.cast("B")
    if rate != SAMPLE_RATE:
        gathered += stream.resample_chunk(np.zeros(0, np.float32), last=True).data.cast("B")
    length = round(frames * SAMPLE_RATE / rate)
    gathered += bytes(max(0, 4 * length - len(gathered)))
    return np.frombuffer(gathered, np.float32)[:length], frames


def _through(stream: soxr.ResampleStream, block: Float, rate: float) -> Float:
    return block if rate == SAMPLE_RATE else np.asarray(stream.resample_chunk(block), np.float32)


def _speech(
    samples: Float,
    frames: int,
    rate: float,
    digest: str,
    path: Path | None,
    warnings: list[str],
    name: str = "",
) -> Speech:
    duration = frames / rate
    name = name or str(path)
    if frames == 0:
        raise BadInputError(f"{name} holds no samples.", "Record or export it again.")
    # A strip trimmed to five frames at 25 fps is 0.2 s but for the rounding to source frames.
    if duration < MIN_DURATION - 1 / rate:
        raise BadInputError(
            f"{name} is {duration:.3g} s long.", f"Speech needs at least {MIN_DURATION} s."
        )
    peak = max(float(samples.max()), -float(samples.min()))
    if not np.isfinite(peak):
        raise BadInputError(f"{name} holds samples beyond any amplitude.", "Export it again.")
    if peak < SILENT_PEAK:
        warnings.append(f"{path.name if path else name} is silent: the head will rest.")
    return Speech(samples, duration, digest, path, tuple(warnings))
