# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m training.speech.starter --sequences DIR --out DIR``: the shipped speech model.

Trains on what :mod:`training.speech.prepare` made and writes ``speech_model.safetensors`` with
half-precision weights into the folder of the run. A broken run is resumed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
import tyro

from engine.commands.console import print_error, print_result, progress_bar
from engine.errors import BadInputError, GaussianSpeechError
from engine.heads import load_head
from engine.progress import Progress, silent
from engine.speech.checkpoint import load_model, save_model
from engine.speech.model import SpeechModel
from engine.speech.model_config import STARTER as SIZES
from engine.speech.model_config import for_head
from engine.speech.predict import STARTER
from training.speech.config import TrainingConfig
from training.speech.prepare import RECOGNISED
from training.speech.sequences import SpeechSequence
from training.speech.trainer import BEST, STATE, SpeechTrainer

_SHARES = (0.4, 0.5, 0.1)
"""How often a clip is heard with its true sounds, with recognised ones, and without any."""


@dataclass(frozen=True)
class StarterTraining:
    """What to train on.

    Attributes:
        sequences: folder of prepared sequences.
        out: folder of the run.
        head: id of the head.
        validation: how many of the first sequences are kept for validation.
        start: file of a model to start from, where there is one.
        training: settings.
    """

    sequences: Path
    out: Path
    head: str = "default"
    validation: int = 24
    start: Path | None = None
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            steps=4000, hearing=_SHARES, validate_every=100, patience=30
        )
    )


def train_starter(plan: StarterTraining, progress: Progress = silent) -> Path:
    """Train the model, or go on with a broken training.

    Returns:
        The model's file.

    Raises:
        BadInputError: too few sequences, or sequences that do not fit.
        CancelledError: ``progress`` raised it; the run can be resumed.
    """
    head = load_head(plan.head)
    files = sorted(plan.sequences.glob("*.npz"))
    if len(files) <= plan.validation:
        raise BadInputError(
            f"{plan.sequences} holds {len(files)} sequences.",
            f"More than the {plan.validation} for validation are needed.",
        )
    sequences = [SpeechSequence.load(file) for file in files]
    torch.manual_seed(plan.training.seed)
    model = SpeechModel(for_head(SIZES, head))
    if plan.start is not None:
        model = load_model(plan.start, head).model
    trainer = SpeechTrainer(
        model,
        head,
        sequences[plan.validation :],
        sequences[: plan.validation],
        plan.training,
        plan.out,
        name=STARTER,
        hears=RECOGNISED,
    )
    if (plan.out / STATE).is_file():
        trainer.resume()
    trainer.run(progress)
    best = load_model(plan.out / BEST, head)
    hours = sum(s.frames for s in sequences) / SIZES.motion_rate / 3600
    path = plan.out / "speech_model.safetensors"
    notes = best.notes | {"hours": round(hours, 2)}
    save_model(path, best.model, head, STARTER, notes, half=True)
    return path


def main() -> int:
    """The command."""
    plan = tyro.cli(StarterTraining, description=__doc__)
    try:
        with progress_bar("train starter") as progress:
            path = train_starter(plan, progress)
    except GaussianSpeechError as error:
        return print_error(error)
    print_result({"model": path}, as_json=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
