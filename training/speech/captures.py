# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's captures: a folder of recordings with motion, to training sequences.

For every clip NAME the folder holds

- ``NAME.wav`` (or flac, ogg, mp3);
- the motion, one of ``NAME.performance.npz`` (docs/performance-format.md); ``NAME.motion.npz`` with
  ``fps`` and either ``vertices`` (T, V, 3) in head space or ``expression`` (T, E); and
  ``NAME.flame_param.npz``, GaussianAvatars' file with ``fps`` added. T is round(duration · fps),
  frame i stands at i / fps seconds;
- optionally, for every clip or for none, ``NAME.wrinkles.npy`` (T, W), measured on pictures
  (:mod:`training.speech.wrinkle_measures`); without it the tension of the mesh stands in;
- optionally ``NAME.txt``, what is said.

``split.json``, with lists of names under ``training``, ``validation`` and ``test``, says what is
for what; without it the clips are split 6 : 1 : 1 in the order of their names, as the paper's
300 / 50 / 50. A single clip is split in time, 7 : 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.audio.loading import Speech, load_speech
from engine.core.errors import BadInputError
from engine.core.json_values import read_json
from engine.core.npz import NpzFile, open_npy
from engine.core.progress import Progress, no_progress
from engine.heads.head import Head
from engine.motion.encoders.base import AudioEncoder
from engine.motion.model.config import SpeechModelConfig
from engine.motion.model.resampling import Resampler
from engine.motion.model.wrinkles import SkinTension
from training.data.recorded_motion import CapturedHead, CapturedMotion, read_motion
from training.speech.sequences import SpeechSequence, parted

Float = NDArray[np.float32]

_AUDIO = (".wav", ".flac", ".ogg", ".mp3")
_WRINKLES, _ROWS = ".wrinkles.npy", "wrinkles"
SPLITS = ("training", "validation", "test")
_PCA_FRAMES = 1_500
_OF_ONE = 7 / 8
"""Part of a single clip that is trained on."""
_RIDGE = 1e-4


@dataclass(frozen=True, eq=False)
class Captures:
    """What a folder of captures holds, in the terms of a model.

    Attributes:
        basis: (K, V, 3) of all weights, metres: the head's expression basis, or where the model
            learns its own, the principal components of the captured motion to start from.
        residual: largest distance of a captured vertex from what the basis can show, metres.
        training, validation, test: sequences.
    """

    basis: Float
    residual: float
    training: tuple[SpeechSequence, ...]
    validation: tuple[SpeechSequence, ...]
    test: tuple[SpeechSequence, ...]


def load_captures(
    folder: str | Path,
    who: Head | CapturedHead,
    config: SpeechModelConfig,
    encoder: AudioEncoder,
    progress: Progress = no_progress,
) -> Captures:
    """Read a folder of captures.

    Args:
        folder: layout as above.
        who: the head whose motion it is.
        config: of the model; motion is resampled to its rate.
        encoder: of the clips.
        progress: called with the share done; may raise to cancel.

    Raises:
        BadInputError: a clip without motion, lengths that do not fit, NaN frames, vertices of
            another head, an unknown name in the split; names the file, expected and found.
    """
    folder = Path(folder)
    captured = who if isinstance(who, CapturedHead) else CapturedHead.of(who)
    head = captured.trained
    names = _names(folder)
    split = _split(folder, names)
    measured_wrinkles(folder)
    tension = SkinTension(head)
    recordings = {name: load_speech(audio_of(folder, name)) for name in names}

    def motion(name: str) -> CapturedMotion:
        # Read when it is needed: dense motion of hundreds of clips fits no memory.
        return read_motion(folder, name, captured, recordings[name])

    basis = head.expression_basis
    if config.learned_basis:
        basis = _components(
            (motion(name) for name in split["training"]),
            max(1, round(sum(recordings[n].duration for n in names) * 25.0 / _PCA_FRAMES)),
            config.components,
        )
    worst = 0.0
    made: dict[str, SpeechSequence] = {}
    for number, name in enumerate(names):
        progress(number / len(names), f"Encoding {name}")
        moved = motion(name)
        weights, off = _on_basis(moved, basis)
        worst = max(worst, off)
        made[name] = _sequence(
            folder, name, moved, weights, recordings[name], head, config, encoder, tension
        )
    progress(1.0, "Captures read")
    if len(names) == 1:
        (only,) = made.values()
        first, rest = parted(only, round(only.frames * _OF_ONE), config)
        return Captures(basis, worst, (first,), (rest,), ())
    training, validation, test = (tuple(made[name] for name in split[part]) for part in SPLITS)
    return Captures(basis, worst, training, validation, test)


def measured_wrinkles(folder: Path) -> int | None:
    """W of the wrinkle features that were measured on pictures; ``None`` where none were.

    Raises:
        BadInputError: some recordings have them and some have not, or a file is unreadable.
    """
    names = _names(folder)
    have = [name for name in names if (folder / f"{name}{_WRINKLES}").is_file()]
    if not have:
        return None
    if missing := [name for name in names if name not in have]:
        raise BadInputError(
            f"{len(have)} recordings in {folder} have measured wrinkles, but "
            f"{missing[0]}{_WRINKLES} is missing.",
            "Measure all recordings or none: features of the mesh have another unit.",
        )
    rows = _wrinkle_file(folder / f"{have[0]}{_WRINKLES}").numbers(_ROWS, (None, None))
    return rows.shape[1]


def _names(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise BadInputError(f"There is no folder {folder}.", "Give the folder of the captures.")
    names = sorted({p.stem for p in folder.iterdir() if p.suffix.lower() in _AUDIO})
    if not names:
        raise BadInputError(
            f"{folder} holds 0 recordings.",
            "It needs at least one, with NAME.wav and NAME.performance.npz for each.",
        )
    return names


def audio_of(folder: Path, name: str) -> Path:
    """The sound of a recording.

    Raises:
        BadInputError: there is none.
    """
    found = [folder / f"{name}{suffix}" for suffix in _AUDIO]
    for path in found:
        if path.is_file():
            return path
    raise BadInputError(
        f"The recording {name} in {folder} has no sound.", f"Put {found[0].name} beside its motion."
    )


def _split(folder: Path, names: Sequence[str]) -> dict[str, list[str]]:
    path = folder / "split.json"
    if len(names) == 1:
        return {"training": list(names), "validation": [], "test": []}
    if not path.is_file():
        each = max(1, round(len(names) / 8)) if len(names) > 2 else 1
        test = each if len(names) > 2 else 0
        first = len(names) - each - test
        return {
            "training": list(names[:first]),
            "validation": list(names[first : first + each]),
            "test": list(names[first + each :]),
        }
    given = read_json(path, f"It must be an object with lists of names under {', '.join(SPLITS)}.")
    split = {part: list(given.texts(part)) if part in given else [] for part in SPLITS}
    for part, chosen in split.items():
        for name in chosen:
            if name not in names:
                raise BadInputError(
                    f"{path} names {name!r} for {part}, but there is no such recording.",
                    "Correct the name or add the recording.",
                )
    return split


def _components(motions: Iterable[CapturedMotion], step: int, K: int) -> Float:
    """The (K, V, 3) principal components of every ``step``-th frame, about neutral.

    They are scaled so that the first has weights of size 1.
    """
    frames = np.concatenate([motion.offsets(slice(None, None, step)) for motion in motions])
    values, vectors = np.linalg.eigh((frames @ frames.T).astype(np.float64))
    order = np.argsort(values)[::-1][:K]
    kept = np.sqrt(np.maximum(values[order], 1e-18))
    components = (vectors[:, order] / kept).T.astype(np.float32) @ frames
    components[kept < 1e-6 * kept[0]] = 0.0
    components *= np.float32(kept[0] / np.sqrt(len(frames)))
    missing = K - len(components)
    return _shaped(np.pad(components, ((0, missing), (0, 0))).astype(np.float32))


def _on_basis(motion: CapturedMotion, basis: Float) -> tuple[Float, float]:
    """(T, K) weights that come closest, and the largest distance of a vertex, metres."""
    if motion.basis.shape == basis.shape and np.array_equal(motion.basis, basis):
        return motion.weights, 0.0
    flat = basis.reshape(len(basis), -1).astype(np.float64)
    gram = flat @ flat.T
    gram += np.eye(len(gram)) * _RIDGE * np.trace(gram) / len(gram) / 100
    cross = motion.basis.reshape(len(motion.basis), -1).astype(np.float64) @ flat.T
    weights = motion.weights @ np.linalg.solve(gram, cross.T).T
    worst = 0.0
    for start in range(0, len(weights), 64):
        part = slice(start, start + 64)
        off = motion.offsets(part) - weights[part] @ flat
        worst = max(worst, float(np.linalg.norm(_shaped(off), axis=-1).max()))
    return weights.astype(np.float32), worst


def _sequence(
    folder: Path,
    name: str,
    motion: CapturedMotion,
    weights: Float,
    speech: Speech,
    head: Head,
    config: SpeechModelConfig,
    encoder: AudioEncoder,
    tension: SkinTension,
) -> SpeechSequence:
    said = folder / f"{name}.txt"
    text = said.read_text(encoding="utf-8") if said.is_file() else None
    features = encoder.encode(speech, text=text)
    frames = round(speech.duration * config.motion_rate)
    expression = motion.expression
    if expression is None:
        expression = _on_basis(motion, head.expression_basis)[0]
    wrinkles = _wrinkles(folder / f"{name}{_WRINKLES}", len(weights), config)
    if wrinkles is None:
        wrinkles = tension.features(expression)
    weights, expression, wrinkles = (
        _resampled(values, motion.fps, config.motion_rate, frames)
        for values in (weights, expression, wrinkles)
    )
    sequence = SpeechSequence(
        name=name,
        feature_variants=features.values[None].astype(np.float16),
        weights=weights,
        expression=expression.astype(np.float16),
        wrinkles=wrinkles.astype(np.float16),
        style=np.zeros(len(config.styles), np.float32),
        samples=speech.samples if config.tunes_audio else None,
    )
    sequence.check(motion.path)
    return sequence


def _wrinkles(path: Path, frames: int, config: SpeechModelConfig) -> Float | None:
    """(T, W) the measured features of a recording; ``None`` where it has none."""
    if not path.is_file():
        return None
    return _wrinkle_file(path).numbers(_ROWS, (frames, config.wrinkles))


def _wrinkle_file(path: Path) -> NpzFile:
    return open_npy(path, _ROWS, "Measure them again, one row per frame of motion.")


def _resampled(values: Float, fps: float, rate: float, frames: int) -> Float:
    if fps == rate and len(values) == frames:
        return values
    return Resampler(fps, rate, values.shape[1]).push(values, frames, final=True)


def _shaped(flat: NDArray[np.float32]) -> Float:
    return flat.reshape(len(flat), -1, 3)
