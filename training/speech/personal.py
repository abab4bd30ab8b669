# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's own speech model, from captures (:mod:`training.speech.captures`).

Training starts from the shipped model, from another model's file, or from nothing. The shipped
model speaks in the default head's expressions; a head that lacks them is given them by retargeting,
so what the model starts with are its own targets, retargeted to that head.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from engine.core.errors import BadInputError
from engine.core.json_values import read_json
from engine.core.progress import Progress, no_progress, subprogress
from engine.heads.head import Head
from engine.heads.retarget import with_arkit_expressions
from engine.motion.encoders.base import AudioEncoder
from engine.motion.encoders.registry import ENCODERS, WAV2VEC2, load_encoder
from engine.motion.encoders.wav2vec2 import Wav2Vec2Encoder
from engine.motion.model.architectures import build
from engine.motion.model.checkpoint import head_for_model, load_model
from engine.motion.model.config import SEQUENCE, SpeechModelConfig, for_head
from engine.motion.model.ids import STARTER, STARTER_FILE
from engine.motion.model.loaded import LoadedModel
from engine.motion.model.network import SpeechNetwork
from training.data.captured_motion import CapturedHead
from training.data.flame_tracking import load_tracking
from training.data.recorded_motion import recorded_rate, with_lips
from training.data.recordings import Recordings, find_recordings
from training.evaluation.held_out import HeldOutScores, held_out_scores, write_held_out_scores
from training.run.checkpoints import STATE, write_json
from training.run.loop import Watch, unwatched
from training.run.options import differences
from training.speech.captures import load_captures, measured_wrinkles
from training.speech.config import TrainingConfig
from training.speech.presets import NEW_MODELS
from training.speech.stages import LIPS, Stage, stages_of
from training.speech.trainer import MODEL, SpeechTrainer
from training.speech.wrinkle_measures import MEASURED, Measuring, with_measured

SCRATCH = "none"
RECORD = "training.json"

_HEAD_MADE, _READ, _TRAINED = 0.05, 0.15, 0.95
"""Parts of the progress after which the head is made, the captures are read, and the model is
trained."""


@dataclass(frozen=True)
class PersonalTraining:
    """What to train.

    Attributes:
        data: folder of recordings, or of a multi-view capture with some
            (:mod:`training.data.recordings`).
        out: folder of the run; a broken run in it is resumed.
        head: id or file of the head that was captured.
        tracking: ``flame_param.npz`` of an avatar training on the capture: its refined parameters
            in place of the capture's.
        start: "starter", the file of a model, or "none".
        preset: configuration where training starts from nothing, one of
            :data:`training.speech.presets.NEW_MODELS`.
        encoder: "phonetic" or "wav2vec2" in place of the preset's.
        encoder_source: hub id or folder of wav2vec 2.0, in place of the preset's.
        name: id of the trained model.
        alignment_mask: Eq. 11; false is a row of Table 4.
        finetune_audio: whether an encoder that has weights is trained too; false is a row.
        wrinkle_features: whether there is a wrinkle encoder; false is a row.
        wrinkles: "auto" measures them on the capture's pictures where it has any, "mesh" never.
        training: settings.
    """

    data: Path
    out: Path
    head: str = "default"
    tracking: Path | None = None
    start: str = STARTER
    preset: str = "personal"
    encoder: str = ""
    encoder_source: str = ""
    name: str = "personal"
    alignment_mask: bool = True
    finetune_audio: bool = True
    wrinkle_features: bool = True
    wrinkles: str = "auto"
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(steps=1500, learning_rate=5e-4, warm_up=50)
    )

    def __post_init__(self) -> None:
        """Check what is chosen by name.

        Raises:
            BadInputError: there is none of that name.
        """
        for what, found, known in (
            ("preset", self.preset, tuple(NEW_MODELS)),
            ("audio encoder", self.encoder, ("", *ENCODERS)),
            ("way to wrinkles", self.wrinkles, ("auto", "mesh")),
        ):
            if found not in known:
                raise BadInputError(
                    f"There is no {what} {found!r}.",
                    f"Choose from: {', '.join(filter(None, known))}.",
                )

    def to_dict(self) -> dict[str, Any]:
        """For JSON, all but the folder that it lies in."""
        values = {k: getattr(self, k) for k in self.__dataclass_fields__ if k != "out"}
        tracking = None if self.tracking is None else str(self.tracking)
        rest = {"data": str(self.data), "tracking": tracking}
        return values | rest | {"training": self.training.to_dict()}


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        model: file of the best model.
        before, after: validation LVE, millimetres, of what it started from and of the best model.
        test: on the recordings of the test part; ``None`` where there is none.
        residual: largest distance of a captured vertex from what the basis can show, millimetres.
        seed: that everything random came from.
    """

    model: Path
    before: float
    after: float
    test: HeldOutScores | None
    residual: float
    seed: int


def train_personal(
    plan: PersonalTraining, progress: Progress = no_progress, watch: Watch = unwatched
) -> Outcome:
    """Train, or continue an interrupted training.

    Args:
        plan: what to train.
        progress: called with the share done; may raise to cancel.
        watch: called at every step; may raise to cancel.

    Raises:
        BadInputError: captures, model or settings that do not fit; names file, expected and found.
        MissingDependencyError: weights that are not on this machine.
        CancelledError: ``progress`` or ``watch`` raised it; the run can be resumed.
    """
    data = find_recordings(plan.data)
    tracking = None if plan.tracking is None else load_tracking(plan.tracking)
    data = _with_wrinkles(plan, data, progress)
    wrinkles = measured_wrinkles(data)
    who = _heads(plan, subprogress(progress, 0.0, _HEAD_MADE))
    model = _model(plan, who.trained, wrinkles, data)
    encoder = _encoder(model.config)
    _check_encoder(encoder, model)
    reading = subprogress(progress, _HEAD_MADE, _READ)
    captures = load_captures(data, who, model.config, encoder, reading, tracking)
    if model.config.learned_basis and plan.start == SCRATCH:
        model.mapper.basis.data.copy_(torch.from_numpy(captures.basis))
    trainer = SpeechTrainer(
        model,
        who.trained,
        captures.training,
        captures.validation,
        plan.training,
        plan.out,
        name=plan.name,
        basis=captures.basis,
        encoder=encoder if isinstance(encoder, Wav2Vec2Encoder) else None,
        stages=_stages(plan, model),
    )
    before = _resumed(plan, trainer)
    if before is None:
        before = trainer.validation_lve()
        record = {"plan": plan.to_dict(), "validation_lve_mm": before}
        write_json(plan.out / RECORD, record)
    after = trainer.run(subprogress(progress, _READ, _TRAINED), watch)
    best = load_model(plan.out / MODEL, who.trained)
    loaded = LoadedModel(best, _encoder(best.model.config))
    test = held_out_scores(data, who, loaded, tracking, subprogress(progress, _TRAINED, 1.0))
    figures = {"validation LVE before (mm)": before, "validation LVE after (mm)": after}
    write_held_out_scores(plan.out, plan.name, test, figures)
    residual = captures.residual * 1000.0
    return Outcome(plan.out / MODEL, before, after, test, residual, plan.training.seed)


def _resumed(plan: PersonalTraining, trainer: SpeechTrainer) -> float | None:
    """Resume the run in the folder; the LVE that it started with, ``None`` where there is none."""
    path = plan.out / RECORD
    if not (plan.out / STATE).is_file() or not path.is_file():
        return None
    record = read_json(path, "Start a new run.")
    before: float = record.number("validation_lve_mm")
    kept = dict(record.group("plan").values)
    if different := differences(kept, plan.to_dict()):
        raise BadInputError(
            f"The run in {plan.out} has other settings: {', '.join(different)}.",
            f"Resume with the settings in {path.name}, or train into another folder.",
        )
    trainer.resume()
    return before


def _heads(plan: PersonalTraining, progress: Progress) -> CapturedHead:
    """The head with the expressions that the model is to speak in.

    From nothing a model speaks in the head's own expressions, where it has any.
    """
    who = CapturedHead.load(plan.head)
    if plan.start == SCRATCH:
        return for_new_model(who, progress)
    start = STARTER_FILE if plan.start == STARTER else Path(plan.start)
    return replace(who, trained=head_for_model(start, who.captured, progress))


def for_new_model(who: CapturedHead, progress: Progress = no_progress) -> CapturedHead:
    """The head with the expressions that a model from nothing speaks in.

    Args:
        who: whose motion it is.
        progress: called with the share done.
    """
    head = who.captured
    if not head.expression_names:
        return replace(who, trained=with_arkit_expressions(head, progress=progress))
    return replace(who, trained=with_lips(head, progress))


def _with_wrinkles(plan: PersonalTraining, data: Recordings, progress: Progress) -> Recordings:
    """The recordings with wrinkles that were measured on pictures, where they are wanted."""
    new = plan.start == SCRATCH
    wanted = plan.wrinkle_features and (not new or NEW_MODELS[plan.preset].wrinkle_features)
    if plan.wrinkles != "auto" or not wanted:
        return data
    measuring = Measuring(
        plan.data, None if plan.head == "default" else plan.head, tracking=plan.tracking
    )
    step = subprogress(progress, 0.0, _HEAD_MADE)
    return with_measured(data, measuring, plan.out / MEASURED, step)


def _stages(plan: PersonalTraining, model: SpeechNetwork) -> tuple[Stage, ...]:
    """Those of the model; without fine-tuning a voice that was learned before stays (Table 4)."""
    stages = stages_of(model, plan.training.losses)
    if plan.start != SCRATCH and not model.config.finetune_audio:
        stages = tuple(stage for stage in stages if stage.name != LIPS)
    return stages


def _encoder(config: SpeechModelConfig) -> AudioEncoder:
    return load_encoder(config.encoder, config.encoder_source, config.inner_rate)


def _model(
    plan: PersonalTraining, head: Head, wrinkles: int | None, data: Recordings
) -> SpeechNetwork:
    torch.manual_seed(plan.training.seed)
    if plan.start != SCRATCH:
        path = STARTER_FILE if plan.start == STARTER else Path(plan.start)
        model = load_model(path, head).model
        return fitted(model, _switched(for_head(model.config, head), plan, wrinkles))
    config = _switched(for_head(NEW_MODELS[plan.preset], head), plan, wrinkles)
    name = plan.encoder or config.encoder
    source = plan.encoder_source or (config.encoder_source if name == config.encoder else "")
    # A person's model moves at the rate of the person's recordings.
    first = data.named(data.split()["training"][0])
    rate = recorded_rate(first) if config.learned_basis else config.motion_rate
    return build(with_encoder(config, name, source, rate))


def with_encoder(
    config: SpeechModelConfig, name: str, source: str, rate: float
) -> SpeechModelConfig:
    """A new model's configuration with an audio encoder.

    Args:
        config: all else of it.
        name: id of the encoder.
        source: hub id or folder of its weights, where it has any.
        rate: frames per second of the motion.

    Raises:
        MissingDependencyError: the weights are not on this machine.
    """
    inner = config.inner_interpolation and name == WAV2VEC2
    encoder = load_encoder(name, source, rate if inner else None)
    return replace(
        config,
        encoder=name,
        encoder_source=source,
        motion_rate=rate,
        inner_interpolation=inner,
        features=encoder.size,
        feature_rate=encoder.rate,
        feature_start=encoder.start,
    )


def _switched(
    config: SpeechModelConfig, plan: PersonalTraining, wrinkles: int | None
) -> SpeechModelConfig:
    """The configuration with Table 4's switches, and the size of what was measured on pictures.

    Raises:
        BadInputError: a switch for a network that has no such part.
    """
    switches = {
        "--no-alignment-mask": plan.alignment_mask,
        "--no-wrinkle-features": plan.wrinkle_features,
    }
    off = [name for name, on in switches.items() if not on]
    if config.architecture != SEQUENCE and off:
        raise BadInputError(
            f"{' and '.join(off)} would change nothing: {config.architecture} has no such part.",
            "Leave it out, or choose a preset of the sequence model.",
        )
    return replace(
        config,
        alignment_mask=config.alignment_mask and plan.alignment_mask,
        finetune_audio=config.finetune_audio and plan.finetune_audio,
        wrinkle_features=config.wrinkle_features and plan.wrinkle_features,
        wrinkles=wrinkles or config.wrinkles,
    )


def fitted(model: SpeechNetwork, config: SpeechModelConfig) -> SpeechNetwork:
    """The model in another configuration; what has another shape there starts anew."""
    if config == model.config:
        return model
    made = build(config)
    shapes = {key: value.shape for key, value in made.state_dict().items()}
    kept = {k: v for k, v in model.state_dict().items() if shapes.get(k) == v.shape}
    made.load_state_dict(kept, strict=False)
    return made


def _check_encoder(encoder: AudioEncoder, model: SpeechNetwork) -> None:
    if encoder.size != model.config.features:
        raise BadInputError(
            f"The encoder gives features of size {encoder.size}; the model expects "
            f"{model.config.features}.",
            "Give the encoder that the model was trained with.",
        )
