# SPDX-License-Identifier: GPL-3.0-or-later
"""Sequences to train on: what a clip sounds like and the motion that goes with it.

A sequence file is an npz. ``feature_variants`` is (A, N, C) float16, A variants of the features of
one clip (with true phones, with recognised ones, without any); ``weights`` (T, K) float32 are of
the set's one basis; ``expression`` (T, E) and ``wrinkles`` (T, W) float16; ``style`` (S,) float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.audio.loading import SAMPLE_RATE
from engine.core.errors import BadInputError
from engine.core.npz import open_npz
from engine.core.npz_writing import write_npz
from engine.motion.model.config import SpeechModelConfig

_ARRAYS = ("feature_variants", "weights", "expression", "wrinkles", "style")


@dataclass(frozen=True, eq=False)
class SpeechSequence:
    """A clip to learn from.

    Attributes:
        name: what to call it in messages.
        feature_variants: (A, N, C) audio features in A variants: true phones, recognised, none.
        weights: (T, K) true weights of the set's basis.
        expression: (T, E) true expression weights.
        wrinkles: (T, W) measured wrinkle features.
        style: (S,) what the speaker was asked for; 0 is the default.
        samples: (n,) the sound at 16 kHz, where the audio encoder is trained too; not stored.
        bilabials: (T,) 1 where p, b or m is said, where that is wanted; not stored.
    """

    name: str
    feature_variants: NDArray[np.float16]
    weights: NDArray[np.float32]
    expression: NDArray[np.float16]
    wrinkles: NDArray[np.float16]
    style: NDArray[np.float32]
    samples: NDArray[np.float32] | None = None
    bilabials: NDArray[np.float32] | None = None

    @property
    def frames(self) -> int:
        """T."""
        return len(self.weights)

    def save(self, path: Path) -> None:
        """Write the sequence file."""
        write_npz(
            path,
            feature_variants=self.feature_variants,
            weights=self.weights,
            expression=self.expression,
            wrinkles=self.wrinkles,
            style=self.style,
        )

    @classmethod
    def load(cls, path: Path) -> SpeechSequence:
        """Read what :meth:`save` wrote.

        Raises:
            BadInputError: no sequence file, damaged, NaN, or arrays that do not fit each other.
        """
        data = open_npz(path, "Prepare it again.", _ARRAYS)
        sequence = cls(path.stem, *(data[name] for name in _ARRAYS))
        sequence.check(path)
        return sequence

    def check(self, path: Path) -> None:
        """Make sure that the arrays fit each other and hold numbers.

        Raises:
            BadInputError: names the file and the array.
        """
        for name in _ARRAYS:
            values = getattr(self, name)
            if not np.isfinite(values).all():
                where = np.argwhere(~np.isfinite(values))[0]
                raise BadInputError(
                    f"{path}: the {name} hold NaN or infinite values, first at {tuple(where)}.",
                    "Repair or leave out this sequence.",
                )
        lengths = {len(self.weights), len(self.expression), len(self.wrinkles)}
        if len(lengths) != 1 or self.feature_variants.ndim != 3:
            raise BadInputError(
                f"{path}: weights, expression and wrinkles have {len(self.weights)}, "
                f"{len(self.expression)} and {len(self.wrinkles)} frames.",
                "All must have the same number of frames.",
            )


def parted(
    sequence: SpeechSequence, frame: int, config: SpeechModelConfig
) -> tuple[SpeechSequence, SpeechSequence]:
    """A sequence cut in two at a frame."""

    def part(first: int, last: int) -> SpeechSequence:
        ratio = config.feature_rate / config.motion_rate
        step = SAMPLE_RATE / config.motion_rate
        samples = sequence.samples
        if samples is not None:
            samples = samples[round(first * step) : round(last * step)]
        return replace(
            sequence,
            feature_variants=sequence.feature_variants[
                :, round(first * ratio) : round(last * ratio)
            ],
            weights=sequence.weights[first:last],
            expression=sequence.expression[first:last],
            wrinkles=sequence.wrinkles[first:last],
            samples=samples,
            bilabials=None if sequence.bilabials is None else sequence.bilabials[first:last],
        )

    return part(0, frame), part(frame, sequence.frames)


@dataclass(frozen=True, eq=False)
class Batch:
    """Crops of B clips.

    Attributes:
        features: (B, N, C).
        weights: (B, T, K) true weights.
        expression: (B, T, E).
        wrinkles: (B, T, W).
        style: (B, S).
        present: (B, T) 1 where there is a true frame, 0 behind a clip's end.
        samples: (B, n) the sound behind the features, where all clips have it.
        bilabials: (B, T) 1 where p, b or m is said, where all clips say so.
    """

    features: Tensor
    weights: Tensor
    expression: Tensor
    wrinkles: Tensor
    style: Tensor
    present: Tensor
    samples: Tensor | None = None
    bilabials: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        moved = {
            field.name: value.to(device, non_blocking=True)
            for field in fields(self)
            if (value := getattr(self, field.name)) is not None
        }
        return replace(self, **moved)


def check_fit(sequences: Sequence[SpeechSequence], config: SpeechModelConfig) -> None:
    """Make sure that sequences have the sizes of a model.

    Raises:
        BadInputError: names the sequence, expected and found.
    """
    for sequence in sequences:
        for what, found, expected in (
            ("audio features of size", sequence.feature_variants.shape[2], config.features),
            ("weights of size", sequence.weights.shape[1], config.components),
            ("expressions of size", sequence.expression.shape[1], config.expressions),
            ("wrinkles of size", sequence.wrinkles.shape[1], config.wrinkles),
            ("styles of size", sequence.style.shape[0], len(config.styles)),
        ):
            if found != expected:
                raise BadInputError(
                    f"The sequence {sequence.name} has {what} {found}; the model expects "
                    f"{expected}.",
                    "Prepare the data for this model's head and encoder.",
                )
        duration = sequence.feature_variants.shape[1] / config.feature_rate
        if abs(duration * config.motion_rate - sequence.frames) > 2 + config.motion_rate * 0.05:
            raise BadInputError(
                f"The sequence {sequence.name} has {sequence.frames} frames for "
                f"{duration:.2f} s of audio at {config.motion_rate:g} frames per second.",
                "Audio and motion must be of the same length and rate.",
            )


def crops(
    sequences: Sequence[SpeechSequence],
    config: SpeechModelConfig,
    size: int,
    frames: int,
    generator: torch.Generator,
    variant_probs: Sequence[float] = (),
) -> Batch:
    """A batch of random stretches; longer clips are drawn more often.

    Args:
        sequences: to draw from.
        config: of the model.
        size: B.
        frames: T.
        generator: all the randomness there is, so that training can be resumed exactly.
        variant_probs: how often each feature variant is drawn; all alike where empty.
    """
    lengths = torch.tensor([float(s.frames) for s in sequences])
    chosen = torch.multinomial(lengths, size, replacement=True, generator=generator)
    draws = torch.rand(size, 2, generator=generator)
    ratio = config.feature_rate / config.motion_rate
    sounds: list[Tensor] = []
    closed: list[Tensor] = []
    rows = []
    for index, (place, luck) in zip(chosen.tolist(), draws.tolist(), strict=True):
        sequence = sequences[index]
        start = int(place * max(0, sequence.frames - frames + 1))
        begin = round(start * ratio)
        variants = sequence.feature_variants
        features = variants[_variant(luck, len(variants), variant_probs)]
        if sequence.samples is not None:
            first = round(start / config.motion_rate * SAMPLE_RATE)
            length = _sound_length(round(frames * ratio), config)
            sounds.append(_part(sequence.samples[:, None], first, length)[:, 0])
        if sequence.bilabials is not None:
            closed.append(_part(sequence.bilabials[:, None], start, frames)[:, 0])
        rows.append(
            (
                _part(features, begin, round(frames * ratio), repeat=True),
                _part(sequence.weights, start, frames),
                _part(sequence.expression, start, frames),
                _part(sequence.wrinkles, start, frames),
                torch.from_numpy(sequence.style),
                (torch.arange(frames) + start < sequence.frames).float(),
            )
        )
    batch = Batch(*(torch.stack(column) for column in zip(*rows, strict=True)))
    return replace(
        batch,
        samples=torch.stack(sounds) if len(sounds) == size else None,
        bilabials=torch.stack(closed) if len(closed) == size else None,
    )


def _variant(luck: float, count: int, probs: Sequence[float]) -> int:
    """The feature variant that a number in [0, 1) stands for."""
    shares = np.asarray(probs[:count] or [1.0] * count, np.float64)
    shares = np.pad(shares, (0, count - len(shares)))
    bounds = np.cumsum(shares) / max(float(shares.sum()), 1e-12)
    return min(int(np.searchsorted(bounds, luck, side="right")), count - 1)


def _sound_length(features: int, config: SpeechModelConfig) -> int:
    """Samples of so many features: their steps, and the width of the last one."""
    step = SAMPLE_RATE / config.feature_rate
    if config.inner_interpolation:
        return round(features * step)
    return round((features - 1) * step + 2 * config.feature_start * SAMPLE_RATE)


def whole(sequence: SpeechSequence, variant: int) -> Batch:
    """One whole clip with one of its feature variants."""
    features = sequence.feature_variants[min(variant, len(sequence.feature_variants) - 1)]
    return Batch(
        torch.from_numpy(features.astype(np.float32))[None],
        torch.from_numpy(sequence.weights)[None],
        torch.from_numpy(sequence.expression.astype(np.float32))[None],
        torch.from_numpy(sequence.wrinkles.astype(np.float32))[None],
        torch.from_numpy(sequence.style)[None],
        torch.ones(1, sequence.frames),
        None if sequence.samples is None else torch.from_numpy(sequence.samples)[None],
        None if sequence.bilabials is None else torch.from_numpy(sequence.bilabials)[None],
    )


def _part(
    values: NDArray[np.floating[Any]], start: int, length: int, *, repeat: bool = False
) -> Tensor:
    """(length, …) from ``start``; behind the end zeros, or the last row repeated."""
    crop = values[start : start + length].astype(np.float32)
    missing = ((0, length - len(crop)), (0, 0))
    if missing[0][1]:
        crop = np.pad(crop, missing, mode="edge" if repeat else "constant")
    return torch.from_numpy(crop)
