# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m training.assets.prepare --clips DIR --out DIR``: clips to training sequences.

Every clip of :mod:`training.assets.synthesise` (or any aligned speech) is recorded under random
conditions, encoded in three variants and given the rules' motion for its true phones. The features
have no spectra: what those of synthetic voices teach does not hold for people. What is there
already is kept, so an interrupted run can continue.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import tyro

from engine.audio.loading import Speech
from engine.commands.console import print_result, progress_bar
from engine.core.progress import Progress, no_progress
from engine.heads import load_head
from engine.heads.head import Head
from engine.motion.encoders.phonetic import phonetic_features, without_spectrum
from engine.motion.model.config import STARTER, SpeechModelConfig
from engine.motion.model.wrinkles import SkinTension
from engine.motion.style import Style, model_inputs
from engine.phonemes import SILENCE, Phone, normalize_segments
from engine.recognition.ids import PHONES
from engine.recognition.recognizer import recognize
from training.assets.augment import recorded
from training.assets.teacher import taught_motion
from training.data.speech import AlignedSpeech, find_speech, load_aligned_speech
from training.speech.sequences import SpeechSequence

TRUE, RECOGNISED, TRANSCRIBED = 0, 1, 2
"""The variants of a clip's features: with its true phones, with those that the recogniser finds,
and with those of a transcript that has gaps and errors."""

_SPREAD = 0.2
"""Standard deviation of the logarithm of a speaker's amplitude of jaw, and of lips: 2 mm at sounds
that open the mouth by 10, the least that people were measured to differ by at one sound."""
_GAP_EVERY, _ERROR_EVERY = 25, 40
"""Phones between words that a transcript lacks, as fillers and words broken off, and between words
that it has wrong; on average."""
_WORD = (2, 7)
"""Phones of such a word."""
_INVENTED = 0.4
"""Share of clips without speech for which a transcript has words all the same."""
_THANKS = ("TH", "AE", "NG", "K", "Y", "UW")

_BOUNDARY_ERROR = 0.012
_FARTHEST = (-0.03, 0.03)
"""Seconds by which a forced alignment misses a boundary: standard deviation and range."""


@dataclass(frozen=True)
class Preparation:
    """What to prepare.

    Attributes:
        clips: folder of audio files with alignments.
        out: folder of the sequence files.
        head: id of the head.
        seed: of recording conditions and styles.
        workers: processes; their number changes nothing but the time.
    """

    clips: Path
    out: Path
    head: str = "default"
    seed: int = 0
    workers: int = 1


def prepare(plan: Preparation, progress: Progress = no_progress) -> list[Path]:
    """Make the sequence files.

    Raises:
        BadInputError: no clips, or a clip that cannot be read.
    """
    files = find_speech([plan.clips])
    made = [plan.out / f"{file.stem}.npz" for file in files]
    missing = [number for number, path in enumerate(made) if not path.is_file()]
    done = len(files) - len(missing)
    progress(done / len(files), "Preparing sequences")
    for _ in _each(plan, [(number, files[number], made[number]) for number in missing]):
        done += 1
        progress(done / len(files), "Preparing sequences")
    progress(1.0, "Sequences prepared")
    return made


_Task = tuple[int, Path, Path]


def _each(plan: Preparation, tasks: list[_Task]) -> Iterator[Path]:
    """Prepare each clip, here or in processes; gives each file as it is done."""
    if plan.workers <= 1 or len(tasks) < 2:
        for task in tasks:
            yield _prepare_one(plan.head, plan.seed, *task)
        return
    # Spawned: a fork would inherit the threads of the libraries in whatever state they are.
    with ProcessPoolExecutor(plan.workers, get_context("spawn")) as pool:
        jobs = [pool.submit(_prepare_one, plan.head, plan.seed, *task) for task in tasks]
        try:
            for job in as_completed(jobs):
                yield job.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _prepare_one(head_id: str, seed: int, number: int, file: Path, path: Path) -> Path:
    head, tension = _head(head_id)
    rng = np.random.default_rng([seed, number])
    prepared(load_aligned_speech(file), head, tension, STARTER, rng).save(path)
    return path


@lru_cache(maxsize=1)
def _head(head_id: str) -> tuple[Head, SkinTension]:
    head = load_head(head_id)
    return head, SkinTension(head)


def prepared(
    clip: AlignedSpeech,
    head: Head,
    tension: SkinTension,
    config: SpeechModelConfig,
    rng: np.random.Generator,
) -> SpeechSequence:
    """The training sequence of one aligned clip.

    Args:
        clip: speech with its true sounds.
        head: who is to speak.
        tension: measures the wrinkles of that head.
        config: of the model.
        rng: decides on recording conditions, on the amplitude of the speaker, on a smile in half of
            the clips and on what a transcript lacks.
    """
    samples = recorded(clip.speech.samples, rng)
    speech = Speech(samples, clip.speech.duration, clip.speech.sha256)
    recognized = recognize(speech, recognizer=PHONES)
    aligned = _misplaced(clip.phones, rng)
    jaw, lips = np.exp(rng.normal(0.0, _SPREAD, 2))
    smile = rng.uniform(-1.0, 1.0) if rng.random() < 0.5 else 0.0
    style = Style(jaw=jaw, lips=lips, smile=smile)
    inputs = np.array([model_inputs(style, config.styles)["articulation"], smile])
    frames = round(clip.speech.duration * config.motion_rate)
    weights = taught_motion(
        clip.phones,
        clip.speech.samples,
        frames,
        config.motion_rate,
        head,
        style,
    )
    variants = [
        without_spectrum(phonetic_features(sounds, recognized.mel, recognized.energy))
        for sounds in (
            aligned,
            recognized.phones,
            _transcribed(aligned, recognized.phones, rng),
        )
    ]
    return SpeechSequence(
        name=clip.path.stem,
        feature_variants=np.stack(variants).astype(np.float16),
        weights=weights,
        expression=weights.astype(np.float16),
        wrinkles=tension.features(weights).astype(np.float16),
        style=inputs.astype(np.float32),
    )


def _misplaced(phones: tuple[Phone, ...], rng: np.random.Generator) -> tuple[Phone, ...]:
    """Contiguous sounds with boundaries as far off as those of a forced alignment, in order."""
    off = np.clip(rng.normal(0.0, _BOUNDARY_ERROR, len(phones) + 1), *_FARTHEST)
    off[0] = off[-1] = 0.0
    edges = np.array([*(p.start for p in phones), phones[-1].end]) + off
    edges = np.maximum.accumulate(np.clip(edges, edges[0], edges[-1])).tolist()
    return tuple(
        Phone(p.label, begin, end)
        for p, begin, end in zip(phones, edges[:-1], edges[1:], strict=True)
    )


def _transcribed(
    true: tuple[Phone, ...], recognised: tuple[Phone, ...], rng: np.random.Generator
) -> tuple[Phone, ...]:
    """The sounds of a transcript with gaps and errors.

    In words that it lacks there are those of the recogniser, in words that it has wrong others, and
    where nobody speaks now and then a word.
    """
    duration = true[-1].end
    if all(phone.label == SILENCE for phone in true):
        return _invented(duration, rng) if rng.random() < _INVENTED else true
    made = list(true)
    for every, lacking in ((_GAP_EVERY, True), (_ERROR_EVERY, False)):
        for _ in range(rng.poisson(len(true) / every)):
            first = int(rng.integers(len(made)))
            word = made[first : first + int(rng.integers(*_WORD))]
            begin, end = word[0].start, word[-1].end
            if lacking:
                other = [p for p in recognised if p.end > begin and p.start < end]
                part = [Phone(p.label, max(p.start, begin), min(p.end, end)) for p in other]
            else:
                labels = [true[rng.integers(len(true))].label for _ in word]
                part = [Phone(x, p.start, p.end) for x, p in zip(labels, word, strict=True)]
            made[first : first + len(word)] = part
    return normalize_segments(made, duration)


def _invented(duration: float, rng: np.random.Generator) -> tuple[Phone, ...]:
    """A word of thanks somewhere in a clip in which nobody speaks."""
    step = rng.uniform(0.06, 0.12)
    start = rng.uniform(0.0, max(duration - step * len(_THANKS), 0.0))
    said = [Phone(x, start + i * step, start + (i + 1) * step) for i, x in enumerate(_THANKS)]
    return normalize_segments(said, duration)


def main() -> None:
    """The command."""
    plan = tyro.cli(Preparation, description=__doc__)
    with progress_bar("prepare") as progress:
        files = prepare(plan, progress)
    print_result({"sequences": len(files), "folder": plan.out}, as_json=False)


if __name__ == "__main__":
    main()
