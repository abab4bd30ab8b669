# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.benchmarks.personal_speech``: what five minutes of a new speaker are worth.

The speaker is one who articulates otherwise than the starter's teacher: the rules with a wide jaw
and lazy lips, on synthesised speech (flite). The starter is fine-tuned on it; printed are the
validation LVE before and after, and the time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from engine.core.progress import no_progress
from engine.heads import load_head
from engine.motion.predict import predict
from engine.motion.style import Style
from engine.recognition.recognizer import recognize
from training.assets.synthesise import Synthesis, synthesise
from training.data.speech import load_aligned_speech
from training.speech.config import TrainingConfig
from training.speech.personal import PersonalTraining, train_personal
from training.speech.trainer import Step

SPEAKER = Style(jaw=1.5, lips=0.6, upper_face=0.0)
FPS = 50.0


def record_speaker(folder: Path, minutes: float, seed: int, fps: float = FPS) -> int:
    """Recordings with motion, as :mod:`training.speech.captures` reads them; how many."""
    head = load_head("default")
    clips = synthesise(Synthesis(folder, minutes / 60, seed, ("flite",)))
    for path in clips:
        clip = load_aligned_speech(path)
        known = replace(recognize(clip.speech), phones=clip.phones)
        made = predict(clip.speech, head, fps, recognized=known, model="rules", style=SPEAKER)
        made.save(path.with_suffix(".performance.npz"))
    return len(clips)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "data"
        count = record_speaker(data, given.minutes, given.seed)
        settings = TrainingConfig(
            steps=given.steps,
            learning_rate=5e-4,
            warm_up=20,
            validate_every=40,
            seed=given.seed,
            batch=8,
        )
        begun = time.monotonic()

        def watch(step: Step) -> None:
            if step.number % 20 == 0:
                print(f"{time.monotonic() - begun:6.1f} s  {step.message}", flush=True)

        plan = PersonalTraining(data, Path(place) / "run", training=settings)
        made = train_personal(plan, no_progress, watch)
    saved = 100 * (1 - made.after / made.before)
    print(f"{count} recordings, {given.minutes:g} minutes, {given.steps} steps, seed {made.seed}")
    print(f"validation LVE {made.before:.2f} -> {made.after:.2f} mm, {saved:.0f} % lower")


if __name__ == "__main__":
    main()
