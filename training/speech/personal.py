# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m training.speech.personal --data DIR --out DIR``: a person's own speech model.

The captures' layout is described in :mod:`training.speech.captures`. Training starts from the
shipped model where it speaks for the head, from another model's file, or from nothing with one of
:data:`engine.speech.model_config.PRESETS`.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
import tyro

from engine.audio.encoder import AudioEncoder, load_encoder
from engine.audio.wav2vec2 import Wav2Vec2Encoder
from engine.commands.console import print_error, print_result, progress_bar
from engine.errors import BadInputError, GaussianSpeechError
from engine.files import written_whole
from engine.heads import load_head
from engine.heads.head import Head
from engine.progress import Progress, part, silent
from engine.speech.checkpoint import load_model
from engine.speech.learned import STARTER_FILE
from engine.speech.model import SpeechModel
from engine.speech.model_config import PRESETS, for_head
from engine.speech.predict import STARTER
from training.job_worker import JobHandle
from training.jobs import ENVIRONMENT
from training.speech.captures import load_captures
from training.speech.config import TrainingConfig
from training.speech.trainer import BEST, STATE, SpeechTrainer

SCRATCH = "scratch"
_READ = 0.1
"""Part of the progress that reading the captures takes."""


@dataclass(frozen=True)
class PersonalTraining:
    """What to train.

    Attributes:
        data: folder of the captures.
        out: folder of the run; a broken run in it is resumed.
        head: id or file of the head that was captured.
        start: "starter", the file of a model, or "scratch".
        preset: configuration where training starts from scratch.
        encoder_source: hub id or folder of wav2vec 2.0, in place of the preset's.
        name: id of the trained model.
        training: settings.
    """

    data: Path
    out: Path
    head: str = "default"
    start: str = STARTER
    preset: str = "personal"
    encoder_source: str = ""
    name: str = "personal"
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(steps=1500, learning_rate=5e-4, warm_up=50)
    )


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        model: file of the best model.
        before, after: validation LVE, millimetres, of what it started from and of the best model.
        residual: largest distance of a captured vertex from what the basis can show, millimetres.
    """

    model: Path
    before: float
    after: float
    residual: float


def train_personal(plan: PersonalTraining, progress: Progress = silent) -> Outcome:
    """Train, or go on with a broken training.

    Raises:
        BadInputError: captures, model or settings that do not fit; names file, expected and found.
        MissingDependencyError: weights that are not on this machine.
        CancelledError: ``progress`` raised it; the run can be resumed.
    """
    head = load_head(plan.head)
    model = _model(plan, head)
    encoder = load_encoder(model.config.encoder, model.config.encoder_source)
    _check_encoder(encoder, model)
    captures = load_captures(plan.data, head, model.config, encoder, part(progress, 0.0, _READ))
    if model.config.learned_basis and plan.start == SCRATCH:
        model.mapper.basis.data.copy_(torch.from_numpy(captures.basis))
    trainer = SpeechTrainer(
        model,
        head,
        captures.training,
        captures.validation,
        plan.training,
        plan.out,
        name=plan.name,
        basis=captures.basis,
        encoder=encoder if isinstance(encoder, Wav2Vec2Encoder) else None,
    )
    started = plan.out / "start.json"
    if (plan.out / STATE).is_file() and started.is_file():
        before = float(json.loads(started.read_text(encoding="utf-8"))["validation_lve_mm"])
        trainer.resume()
    else:
        before = trainer.validation_lve()
        with written_whole(started) as temporary:
            temporary.write_text(json.dumps({"validation_lve_mm": before}), encoding="utf-8")
    after = trainer.run(part(progress, _READ, 1.0))
    return Outcome(plan.out / BEST, before, after, captures.residual * 1000.0)


def _model(plan: PersonalTraining, head: Head) -> SpeechModel:
    torch.manual_seed(plan.training.seed)
    if plan.start != SCRATCH:
        path = STARTER_FILE if plan.start == STARTER else Path(plan.start)
        return _fitted(load_model(path, head).model, head)
    if plan.preset not in PRESETS:
        raise BadInputError(
            f"There is no preset {plan.preset!r}.", f"Choose from: {', '.join(PRESETS)}."
        )
    config = for_head(PRESETS[plan.preset], head)
    source = plan.encoder_source or config.encoder_source
    encoder = load_encoder(config.encoder, source)
    return SpeechModel(
        replace(
            config,
            encoder_source=source,
            features=encoder.size,
            feature_rate=encoder.rate,
            feature_start=encoder.start,
        )
    )


def _fitted(model: SpeechModel, head: Head) -> SpeechModel:
    """The model with the sizes of this head; what trains the lip encoder starts anew if it must."""
    config = for_head(model.config, head)
    if config == model.config:
        return model
    fitted = SpeechModel(config)
    shapes = {key: value.shape for key, value in fitted.state_dict().items()}
    kept = {k: v for k, v in model.state_dict().items() if shapes.get(k) == v.shape}
    fitted.load_state_dict(kept, strict=False)
    return fitted


def _check_encoder(encoder: AudioEncoder, model: SpeechModel) -> None:
    if encoder.size != model.config.features:
        raise BadInputError(
            f"The encoder gives features of size {encoder.size}; the model expects "
            f"{model.config.features}.",
            "Give the encoder that the model was trained with.",
        )


def main() -> int:
    """The command; inside a job it reports to the job's folder."""
    plan = tyro.cli(PersonalTraining, description=__doc__)
    try:
        if os.environ.get(ENVIRONMENT):
            with JobHandle.current(total=plan.training.steps) as job:
                train_personal(plan, job.progress)
            return 0
        with progress_bar("train speech") as progress:
            outcome = train_personal(plan, progress)
    except GaussianSpeechError as error:
        return print_error(error)
    print_result(
        {
            "model": outcome.model,
            "validation LVE before (mm)": round(outcome.before, 4),
            "validation LVE after (mm)": round(outcome.after, 4),
            "largest residual of the basis (mm)": round(outcome.residual, 4),
        },
        as_json=False,
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
