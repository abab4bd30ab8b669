# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's recordings (:mod:`training.data.recordings`) as training sequences.

Of a motion T is round(duration · fps), and frame i stands at i / fps seconds. Optionally, for every
recording or for none, ``NAME.wrinkles.npy`` (T, W) was measured on pictures
(:mod:`training.speech.wrinkle_measures`); without it the tension of the mesh stands in. A single
recording is split in time, 7 : 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.audio.loading import Speech, load_speech
from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.core.npz import NpzFile, open_npy
from engine.core.progress import Progress, no_progress
from engine.heads.head import Head
from engine.motion.encoders.base import AudioEncoder
from engine.motion.model.config import SpeechModelConfig
from engine.motion.model.resampling import Resampler
from engine.motion.model.wrinkles import SkinTension
from engine.phonemes import BILABIALS, normalize_label
from engine.recognition.recognizer import recognize
from training.data.captured_motion import CapturedHead, CapturedMotion
from training.data.flame_tracking import Tracking
from training.data.recorded_motion import read_motion
from training.data.recordings import Recording, Recordings, find_recordings
from training.data.split_file import PARTS
from training.speech.baselines import IMITATOR
from training.speech.sequences import SpeechSequence, parted

_ROWS = "wrinkles"
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
    data: str | Path | Recordings,
    who: Head | CapturedHead,
    config: SpeechModelConfig,
    encoder: AudioEncoder,
    progress: Progress = no_progress,
    tracking: Tracking | None = None,
) -> Captures:
    """Read recordings.

    Args:
        data: the recordings, or a folder of them.
        who: the head whose motion it is.
        config: of the model; motion is resampled to its rate.
        encoder: of the clips.
        progress: called with the share done; may raise to cancel.
        tracking: refined parameters of FLAME, in place of those of the recordings.

    Raises:
        BadInputError: a recording without motion, lengths that do not fit, NaN frames, vertices of
            another head, an unknown name in the split; names the file, expected and found.
    """
    found = data if isinstance(data, Recordings) else find_recordings(data)
    captured = who if isinstance(who, CapturedHead) else CapturedHead.of(who)
    head = captured.trained
    split = found.split()
    for part in PARTS[:2] if len(found.every) > 1 else ():
        if not split[part]:
            raise BadInputError(
                f"{found.split_file} names no recording for {part}.",
                f"Put at least one name into its list {part!r}.",
            )
    measured_wrinkles(found)
    tension = SkinTension(head)
    sounds = {recording.name: load_speech(recording.audio) for recording in found.every}

    def motion(recording: Recording) -> CapturedMotion:
        # Read when it is needed: dense motion of hundreds of clips fits no memory.
        return read_motion(recording, captured, sounds[recording.name], tracking)

    basis = head.expression_basis
    if config.learned_basis:
        basis = _components(
            (motion(found.named(name)) for name in split["training"]),
            max(1, round(sum(sound.duration for sound in sounds.values()) * 25.0 / _PCA_FRAMES)),
            config.components,
        )
    worst = 0.0
    made: dict[str, SpeechSequence] = {}
    for number, recording in enumerate(found.every):
        progress(number / len(found.every), f"Encoding {recording.name}")
        moved = motion(recording)
        if moved.offset is not None:
            where = f"the sound of {recording.name} begins {moved.offset:+.2f} s after the motion"
            progress(number / len(found.every), where)
        weights, off = _on_basis(moved, basis)
        worst = max(worst, off)
        sound = sounds[recording.name]
        made[recording.name] = _sequence(
            recording, moved, weights, sound, head, config, encoder, tension
        )
    progress(1.0, "Recordings read")
    if len(made) == 1:
        (only,) = made.values()
        first, rest = parted(only, round(only.frames * _OF_ONE), config)
        return Captures(basis, worst, (first,), (rest,), ())
    training, validation, test = (tuple(made[name] for name in split[part]) for part in PARTS)
    return Captures(basis, worst, training, validation, test)


def measured_wrinkles(found: Recordings) -> int | None:
    """W of the wrinkle features that were measured on pictures; ``None`` where none were.

    Raises:
        BadInputError: some recordings have them and some have not, or a file is unreadable.
    """
    have = [recording.wrinkles for recording in found.every if recording.wrinkles.is_file()]
    if not have:
        return None
    if missing := [r.wrinkles for r in found.every if r.wrinkles not in have]:
        raise BadInputError(
            f"{len(have)} recordings in {found.folder} have measured wrinkles, but "
            f"{missing[0].name} is missing.",
            "Measure all recordings or none: features of the mesh have another unit.",
        )
    rows = _wrinkle_file(have[0]).numbers(_ROWS, (None, None))
    return rows.shape[1]


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
    recording: Recording,
    motion: CapturedMotion,
    weights: Float,
    speech: Speech,
    head: Head,
    config: SpeechModelConfig,
    encoder: AudioEncoder,
    tension: SkinTension,
) -> SpeechSequence:
    frames = round(speech.duration * config.motion_rate)
    text, language = recording.text, recording.language
    imitated = config.architecture == IMITATOR
    known = recognize(speech, text, language=language) if imitated else None
    features = encoder.encode(speech, known, text=text, language=language)
    bilabials = None
    if known is not None:
        bilabials = np.zeros(frames, np.float32)
        for label, begin, end in known.phones:
            if normalize_label(label) in BILABIALS:
                said = (round(time * config.motion_rate) for time in (begin, end))
                bilabials[slice(*said)] = 1.0
    expression = motion.expression
    if expression is None:
        expression = _on_basis(motion, head.expression_basis)[0]
    wrinkles = _wrinkles(recording.wrinkles, len(weights), config)
    if wrinkles is None:
        wrinkles = tension.features(expression)
    weights, expression, wrinkles = (
        _resampled(values, motion.fps, config.motion_rate, frames)
        for values in (weights, expression, wrinkles)
    )
    sequence = SpeechSequence(
        name=recording.name,
        feature_variants=features.values[None].astype(np.float16),
        weights=weights,
        expression=expression.astype(np.float16),
        wrinkles=wrinkles.astype(np.float16),
        style=np.zeros(len(config.styles), np.float32),
        samples=speech.samples if config.tunes_audio else None,
        bilabials=bilabials,
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
