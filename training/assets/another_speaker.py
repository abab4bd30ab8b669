# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m training.assets.another_speaker --out DIR``: recordings of a speaker who is not ours.

Sentences of public-domain books (:mod:`training.assets.reading`), said by one synthesised voice,
with motion by :mod:`training.synthetic.speaker`: no rule and no model of this project made it.
Tempo, pitch and loudness change from sentence to sentence, and the motion with them. Of each six
sentences four are to train on, one is to validate and one to test: 40, 10 and 10 of 60.

Writes NAME.wav, NAME.txt, NAME.phones.json (the true sounds), NAME.performance.npz and split.json,
as ``train speech`` reads them; ``gaussianspeech capture --no-sample-voice --audio DIR/*.wav`` films
the person who says them. What is there already is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from engine.audio.loading import SAMPLE_RATE
from engine.commands.console import print_error, print_result, progress_bar
from engine.core.errors import BadInputError, GaussianSpeechError, MissingDependencyError
from engine.core.files import write_text
from engine.core.progress import Progress, no_progress
from engine.heads import load_head
from engine.heads.head import Head
from engine.phonemes import Phone, normalize_segments
from training.assets.reading import SENTENCES
from training.assets.synthesise import write_clip
from training.assets.voices import VOICES, Utterance, Voice, installed, speak
from training.data.split_file import PARTS, SPLIT
from training.run.checkpoints import write_json
from training.synthetic.speaker import ANOTHER, speak_as

_BEFORE, _AFTER = 0.25, 0.40
"""Seconds of silence round a sentence."""
_ROUND = ("training", "training", "validation", "training", "training", "test")
_DECIBELS = 4.0
"""How much louder and softer than usual sentences are said, at most."""


@dataclass(frozen=True)
class Reading:
    """What to record.

    Attributes:
        out: folder of the recordings.
        sentences: how many, 3 to as many as there are.
        voice: PROGRAM/NAME of a synthesiser's voice; by default the first that is installed.
        fps: frames per second of the motion; the paper's are 30.
        seed: of tempo, pitch, loudness and blinks.
    """

    out: Path
    sentences: int = 60
    voice: str = ""
    fps: float = 30.0
    seed: int = 0


def record(plan: Reading, progress: Progress = no_progress) -> dict[str, list[str]]:
    """Write the recordings.

    Returns:
        Their names by part, as ``split.json`` has them.

    Raises:
        BadInputError: more sentences than there are, or an unknown voice.
        MissingDependencyError: the synthesiser is not installed, or says nothing.
    """
    if not len(set(_ROUND)) <= plan.sentences <= len(SENTENCES):
        raise BadInputError(
            f"{plan.sentences} sentences were asked for.",
            f"Choose from {len(set(_ROUND))} to {len(SENTENCES)}.",
        )
    voice, head = _voice(plan.voice), load_head("default")
    plan.out.mkdir(parents=True, exist_ok=True)
    split: dict[str, list[str]] = {part: [] for part in PARTS}
    kinds = dict.fromkeys(_ROUND[::-1]) if plan.sentences < len(_ROUND) else _ROUND
    order = list(kinds)
    for number in range(plan.sentences):
        progress(number / plan.sentences, f"Recording sentence {number + 1}")
        name = f"s{number:02d}"
        split[order[number % len(order)]].append(name)
        if not (plan.out / f"{name}.performance.npz").is_file():
            _record_sentence(plan, name, SENTENCES[number], voice, head, number)
    write_json(plan.out / SPLIT, split)
    progress(1.0, "Recorded")
    return split


def _voice(wanted: str) -> Voice:
    """The voice of a name; the first one that is installed by default."""
    if not wanted:
        return next(voice for voice in installed() if voice.language == "en")
    by_name = {f"{voice.program}/{voice.name}": voice for voice in VOICES}
    if wanted not in by_name:
        raise BadInputError(f"There is no voice {wanted!r}.", f"Choose from: {', '.join(by_name)}.")
    return by_name[wanted]


def _record_sentence(
    plan: Reading, name: str, text: str, voice: Voice, head: Head, number: int
) -> None:
    rng = np.random.default_rng([plan.seed, number])
    vigour = float(rng.uniform(-1.0, 1.0))
    # Vigorous sentences are higher and a little quicker, as well as louder.
    stretch = float(np.exp(0.08 * rng.normal() - 0.06 * vigour))
    said = speak(voice, text, stretch, float(np.exp(0.10 * vigour)))
    if said is None:
        raise MissingDependencyError(
            f"{voice.program} with voice {voice.name} said nothing.",
            "Try the synthesiser by hand, or choose another --voice.",
        )
    samples, phones = _in_silence(said, vigour)
    write_clip(plan.out / f"{name}.wav", samples, phones, text)
    write_text(plan.out / f"{name}.txt", text)
    made = speak_as(ANOTHER, phones, samples, head, plan.fps, plan.seed * 1_000 + number)
    made.save(plan.out / f"{name}.performance.npz")


def _in_silence(
    said: Utterance, vigour: float
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float32]], tuple[Phone, ...]]:
    """The sentence at its loudness, with silence round it."""
    gain = 10.0 ** (_DECIBELS * vigour / 20.0)
    peak = max(float(np.abs(said.samples).max()), 1e-6)
    loud = np.clip(said.samples * np.float32(0.5 * gain / peak), -1.0, 1.0)
    pauses = [np.zeros(round(s * SAMPLE_RATE), np.float32) for s in (_BEFORE, _AFTER)]
    samples = np.concatenate([pauses[0], loud, pauses[1]]).astype(np.float32)
    phones = [Phone(p.label, p.start + _BEFORE, p.end + _BEFORE) for p in said.phones]
    return samples, normalize_segments(phones, len(samples) / SAMPLE_RATE)


def main() -> int:
    """The command."""
    plan = tyro.cli(Reading, description=__doc__)
    try:
        with progress_bar("another speaker") as progress:
            split = record(plan, progress)
    except GaussianSpeechError as error:
        return print_error(error)
    print_result({part: len(names) for part, names in split.items()}, as_json=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
