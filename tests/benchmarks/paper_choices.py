# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.benchmarks.paper_choices``: the paper's way, and where this project's differs.

The speaker is that of :mod:`tests.benchmarks.personal_speech` at 30 frames per second. Models of
one reduced size, with the phonetic encoder, learn from nothing with the same seed: the paper's
preset; the same with one choice changed; the personal preset's choices together; and the three
systems of ``training.speech.baselines``. Printed is the LVE on recordings that no step saw, of the
model with the lowest validation LVE.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from engine.heads import load_head
from engine.heads.head import Head
from engine.motion.encoders.phonetic import PhoneticEncoder
from engine.motion.model.architectures import build
from engine.motion.model.checkpoint import load_model
from engine.motion.model.config import PAPER, SpeechModelConfig, for_head
from tests.benchmarks.personal_speech import record_speaker
from training.data.recordings import find_recordings
from training.paper.models import reduced
from training.speech.captures import Captures, load_captures
from training.speech.config import TrainingConfig
from training.speech.personal import with_encoder
from training.speech.presets import BASELINE_PRESETS
from training.speech.trainer import MODEL, SpeechTrainer

FPS = 30.0
_HERE: dict[str, Any] = {
    "staged": False,
    "lip_feedback": False,
    "motion_memory": False,
    "ahead": 1,
}
VARIANTS: dict[str, Mapping[str, Any]] = {
    "paper": {},
    "personal": _HERE,
    "all parts on one loss": {"staged": False},
    "m refined, audio attended to": {"motion_memory": False},
    "no lips fed back": {"lip_feedback": False},
    "no lips fed back, 1 frame ahead": {"lip_feedback": False, "ahead": 1},
    "without alignment mask": {"alignment_mask": False},
    "without alignment mask, audio attended to": {"alignment_mask": False, "motion_memory": False},
    "without wrinkle features": {"wrinkle_features": False},
}


def configurations(head: Head, d: int, wanted: list[str]) -> dict[str, SpeechModelConfig]:
    """What is compared, by name."""
    presets = {name: replace(PAPER, **changes) for name, changes in VARIANTS.items()}
    made = {
        name: with_encoder(reduced(for_head(preset, head), d), PhoneticEncoder.id, "", FPS)
        for name, preset in (presets | BASELINE_PRESETS).items()
    }
    return {name: config for name, config in made.items() if not wanted or name in wanted}


def learned(
    config: SpeechModelConfig, head: Head, captures: Captures, settings: TrainingConfig, out: Path
) -> tuple[float, int]:
    """LVE on the test part, millimetres, and the number of parameters."""
    torch.manual_seed(settings.seed)
    model = build(config)
    model.mapper.basis.data.copy_(torch.from_numpy(captures.basis))
    parts = (captures.training, captures.validation, settings)
    SpeechTrainer(model, head, *parts, out, basis=captures.basis).run()
    best = load_model(out / MODEL, head).model
    judge = SpeechTrainer(
        best, head, captures.training, captures.test, settings, out, basis=captures.basis
    )
    return judge.validation_lve(), sum(p.numel() for p in best.parameters())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("paper-choices"))
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--frames", type=int, default=90)
    parser.add_argument("--dimension", type=int, default=96)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[])
    given = parser.parse_args()
    head = load_head("default")
    data = given.out / "data"
    if not data.is_dir():
        record_speaker(data, given.minutes, 7, FPS)
    configs = configurations(head, given.dimension, given.only)
    settings = TrainingConfig(
        steps=given.steps,
        batch=given.batch,
        frames=given.frames,
        warm_up=20,
        validate_every=40,
        patience=99,
    )
    read: dict[str, Captures] = {}
    for name, config in configs.items():
        kind = config.architecture if config.architecture == "imitator" else "plain"
        kind += str(config.components)
        if kind not in read:
            found = find_recordings(data)
            read[kind] = load_captures(found, head, config, PhoneticEncoder())
        for seed in range(given.seeds):
            begun = time.monotonic()
            out = given.out / f"{name.replace(' ', '-').replace(',', '')}-{seed}"
            chosen = replace(settings, seed=seed)
            lve, count = learned(config, head, read[kind], chosen, out)
            took = time.monotonic() - begun
            print(f"{name}, seed {seed}: test LVE {lve:.3f} mm, {count:,} parameters, {took:.0f} s")


if __name__ == "__main__":
    main()
