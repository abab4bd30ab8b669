# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m training.assets.synthesise --out DIR --hours H``: speech to learn from.

Writes clips of one to three sentences with pauses, and some of music, tones and noise alone:
``<name>.wav`` (16 kHz, 16 bit) with ``<name>.phones.json`` beside it, the layout of
:mod:`training.data.speech`. The same seed and synthesisers give the same clips; what is there
already is kept, so an interrupted run can continue.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import tyro

from engine.audio.loading import SAMPLE_RATE
from engine.commands.console import print_result, progress_bar
from engine.core.errors import MissingDependencyError
from engine.core.files import atomic_write, write_text
from engine.core.progress import Progress, no_progress
from engine.phonemes import SILENCE, Phone, normalize_segments
from training.assets.nonspeech import without_speech
from training.assets.texts import sentence
from training.assets.voices import Utterance, Voice, installed, speak
from training.data.speech import alignment_path

_LONGEST_PAUSE = 0.9
_VOCAL_TRACT = (0.88, 1.14)
"""Resampling moves pitch and formants together: other speakers out of the same voice."""
_TRIES = 20
_WITHOUT_SPEECH = 0.08
_SECONDS_WITHOUT = (2.0, 8.0)
_ENGLISH = 0.65
"""Share of English among what is spoken, where there are voices of other languages."""


@dataclass(frozen=True)
class Synthesis:
    """What to synthesise.

    Attributes:
        out: folder of the clips.
        hours: how much speech, pauses counted in.
        seed: of texts and speakers.
        programs: synthesisers to use where they are installed.
    """

    out: Path
    hours: float = 3.0
    seed: int = 0
    programs: tuple[str, ...] = ("flite", "festival", "espeak-ng")


def synthesise(plan: Synthesis, progress: Progress = no_progress) -> list[Path]:
    """Make the clips.

    Returns:
        The audio files, in order.

    Raises:
        MissingDependencyError: no synthesiser is installed, or none of them can speak.
    """
    voices = installed(plan.programs)
    plan.out.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    made, number, mute = 0.0, 0, 0
    while made < plan.hours * 3600:
        progress(made / (plan.hours * 3600), "Synthesising speech")
        path = plan.out / f"clip-{number:05d}.wav"
        seconds = _seconds(path) or _make(path, voices, plan.seed, number)
        number += 1
        mute = 0 if seconds else mute + 1
        if mute > _TRIES:
            raise MissingDependencyError(
                f"{', '.join(sorted({v.program for v in voices}))} made no speech.",
                "Try the synthesiser by hand; reinstall it or its voices.",
            )
        if seconds:
            made += seconds
            files.append(path)
    progress(1.0, "Speech synthesised")
    return files


def _seconds(path: Path) -> float:
    if not (path.is_file() and alignment_path(path).is_file()):
        return 0.0
    return float(soundfile.info(path).duration)


def _make(path: Path, voices: tuple[Voice, ...], seed: int, number: int) -> float:
    """One clip; 0 seconds where the synthesiser failed on it."""
    rng = np.random.default_rng([seed, number])
    if rng.random() < _WITHOUT_SPEECH:
        samples = without_speech(rng.uniform(*_SECONDS_WITHOUT), rng)
        length = len(samples) / SAMPLE_RATE
        write_clip(path, samples, (Phone(SILENCE, 0.0, length),), "")
        return length
    voice = _who(voices, rng)
    stretch = float(np.exp(rng.normal(0.0, 0.15)))
    raised = float(np.exp(rng.normal(0.0, 0.15)))
    factor = float(rng.uniform(*_VOCAL_TRACT))
    said: list[Utterance] = []
    for _ in range(int(rng.integers(1, 4))):
        utterance = speak(voice, sentence(rng, voice.language), stretch, raised)
        if utterance is not None:
            said.append(_resized(utterance, factor))
    if not said:
        return 0.0
    samples, phones = _joined(said, rng)
    text = " ".join(utterance.text for utterance in said)
    write_clip(path, samples, phones, text)
    return len(samples) / SAMPLE_RATE


def _who(voices: tuple[Voice, ...], rng: np.random.Generator) -> Voice:
    """A voice, of English in its share of the cases."""
    english = tuple(voice for voice in voices if voice.language == "en")
    others = tuple(voice for voice in voices if voice.language != "en")
    chosen = english if english and (not others or rng.random() < _ENGLISH) else others
    return chosen[rng.integers(len(chosen))]


def _resized(utterance: Utterance, factor: float) -> Utterance:
    samples = soxr.resample(utterance.samples, SAMPLE_RATE * factor, SAMPLE_RATE)
    ratio = len(samples) / len(utterance.samples)
    phones = tuple(Phone(p.label, p.start * ratio, p.end * ratio) for p in utterance.phones)
    return Utterance(samples.astype(np.float32), phones, utterance.text)


def _joined(
    said: list[Utterance], rng: np.random.Generator
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float32]], tuple[Phone, ...]]:
    """The sentences with pauses before, between and after."""
    parts, phones, time = [], [], 0.0
    for utterance in said:
        pause = np.zeros(int(rng.uniform(0.0, _LONGEST_PAUSE) * SAMPLE_RATE), np.float32)
        time += len(pause) / SAMPLE_RATE
        phones += [Phone(p.label, p.start + time, p.end + time) for p in utterance.phones]
        parts += [pause, utterance.samples]
        time += len(utterance.samples) / SAMPLE_RATE
    parts.append(np.zeros(int(rng.uniform(0.0, _LONGEST_PAUSE) * SAMPLE_RATE), np.float32))
    samples = np.concatenate(parts)
    peak = max(float(np.abs(samples).max()), 1e-6)
    samples *= np.float32(min(1.0, 0.9 / peak))
    return samples, normalize_segments(phones, len(samples) / SAMPLE_RATE)


def write_clip(
    path: Path,
    samples: np.ndarray[tuple[int], np.dtype[np.float32]],
    phones: tuple[Phone, ...],
    text: str,
) -> None:
    """Write a clip, and beside it the times of its sounds (:mod:`training.data.speech`).

    Args:
        path: of the sound.
        samples: (N,) at 16 kHz.
        phones: what is said, when.
        text: what is said.
    """
    with atomic_write(path) as temporary:
        soundfile.write(temporary, samples, SAMPLE_RATE, subtype="PCM_16")
    sounds = [{"t": p.label, "b": p.start, "d": p.end - p.start} for p in phones]
    length = len(samples) / SAMPLE_RATE
    word = {"t": text, "b": 0.0, "d": length, "w": sounds}
    write_text(alignment_path(path), json.dumps({"t": text, "b": 0.0, "d": length, "w": [word]}))


def main() -> None:
    """The command."""
    plan = tyro.cli(Synthesis, description=__doc__)
    with progress_bar("synthesise") as progress:
        files = synthesise(plan, progress)
    print_result({"clips": len(files), "folder": plan.out}, as_json=False)


if __name__ == "__main__":
    main()
