# SPDX-License-Identifier: GPL-3.0-or-later
"""The speech models of Tables 3 and 4: trained, and measured on recordings that no step saw."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from engine.audio.loading import load_speech
from engine.core.errors import BadInputError
from engine.core.progress import Progress, no_progress
from engine.heads.head import Head
from engine.motion.encoders.base import AudioEncoder
from engine.motion.encoders.registry import WAV2VEC2, load_encoder
from engine.motion.encoders.wav2vec2 import Wav2Vec2Encoder
from engine.motion.model.architectures import build
from engine.motion.model.checkpoint import load_model
from engine.motion.model.config import SpeechModelConfig, for_head
from engine.motion.model.inference import infer
from engine.motion.model.loaded import LoadedModel
from engine.recognition.recognizer import RecognizedSpeech, recognize
from training.data.captured_motion import CapturedHead
from training.data.recorded_motion import recorded_rate
from training.data.recordings import Recordings, find_recordings
from training.evaluation.held_out import held_out_scores
from training.paper.avatars import capture_head
from training.paper.models import reduced
from training.paper.plan import PaperPlan
from training.paper.published import RULES
from training.paper.rows import Result, folder_of
from training.run.checkpoints import STATE
from training.run.options import LARGEST_SEED
from training.speech.baselines import IMITATOR
from training.speech.captures import Captures, load_captures, measured_wrinkles
from training.speech.config import TrainingConfig
from training.speech.personal import for_new_model, with_encoder
from training.speech.presets import NEW_MODELS
from training.speech.trainer import MODEL, SpeechTrainer
from training.speech.wrinkle_measures import Measuring, with_measured

SPEED = "s per s of speech"
"""Seconds of the processor, all threads together, for the motion of a second of speech, without the
encoder."""
ALONE = {
    "LVE, network alone (mm)": "LVE (mm)",
    "mean vertex error, network alone (mm)": "mean vertex error (mm)",
    "opening, network alone": "opening, correlation",
}
"""Figures of the network itself, without contacts of the lips by recognised sounds, and of what."""
_TEST = "test "


@dataclass
class SpeechData:
    """The recordings of a capture, read once for all models.

    Attributes:
        plan: what to run.
        found: the recordings.
        who: whose motion it is.
        recognized: recordings of the test part, by name, once they are recognised.
    """

    plan: PaperPlan
    found: Recordings
    who: CapturedHead
    recognized: dict[str, RecognizedSpeech] = field(default_factory=dict)
    _captures: dict[tuple[object, ...], Captures] = field(default_factory=dict)

    @classmethod
    def open(cls, plan: PaperPlan, progress: Progress = no_progress) -> SpeechData:
        """Find the recordings, and measure wrinkles where they were filmed.

        Raises:
            BadInputError: none, none to test on, or of another head.
        """
        found = find_recordings(plan.data)
        if not found.split()["test"]:
            raise BadInputError(
                f"The recordings in {plan.data} have no test part.",
                "Record at least three, or name some to test on in split.json.",
            )
        head = capture_head(plan)
        found = with_measured(found, Measuring(plan.data, head), plan.out / "wrinkles", progress)
        return cls(plan, found, for_new_model(CapturedHead.load(plan.head), progress))

    @property
    def head(self) -> Head:
        """Who speaks."""
        return self.who.trained

    def config(self, preset: str) -> SpeechModelConfig:
        """The configuration of a preset at the plan's size, for this head and encoder.

        Raises:
            MissingDependencyError: the encoder's weights are not on this machine.
        """
        plan = self.plan
        base = for_head(reduced(NEW_MODELS[preset], plan.size.dimension), self.head)
        source = plan.encoder_source or (base.encoder_source if plan.encoder == WAV2VEC2 else "")
        rate = recorded_rate(self.found.named(self.found.split()["training"][0]))
        config = with_encoder(base, plan.encoder, source, rate)
        wrinkles = measured_wrinkles(self.found) or config.wrinkles
        return SpeechModelConfig.from_dict(config.to_dict() | {"wrinkles": wrinkles})

    def captures(self, config: SpeechModelConfig, progress: Progress) -> Captures:
        """The recordings as a model takes them."""
        timed = config.architecture == IMITATOR  # It knows where p, b and m are.
        kind = (timed, config.components, config.inner_rate, config.tunes_audio)
        if kind not in self._captures:
            encoder = encoder_of(config)
            self._captures[kind] = load_captures(self.found, self.who, config, encoder, progress)
        return self._captures[kind]


def encoder_of(config: SpeechModelConfig) -> AudioEncoder:
    """The audio encoder of a model."""
    return load_encoder(config.encoder, config.encoder_source, config.inner_rate)


def model_file(plan: PaperPlan, preset: str, seed: int) -> Path:
    """Where the model of a row lies."""
    return folder_of(plan.out, "speech", preset, seed) / MODEL


def loaded(data: SpeechData, preset: str, seed: int) -> LoadedModel | str:
    """The model of a row, in use."""
    return RULES if preset == RULES else loaded_from(data, model_file(data.plan, preset, seed))


def loaded_from(data: SpeechData, file: Path) -> LoadedModel:
    """The model of a file, in use."""
    trained = load_model(file, data.head)
    return LoadedModel(trained, encoder_of(trained.model.config))


def train_row(data: SpeechData, preset: str, seed: int, progress: Progress = no_progress) -> Result:
    """Train the model of a row, or continue a training that broke off, and measure it.

    Raises:
        BadInputError: recordings or settings that do not fit.
        MissingDependencyError: weights that are not on this machine.
        CancelledError: ``progress`` raised it; the training can be resumed.
    """
    if preset == RULES:
        return Result(_motion_figures(data, RULES))
    trainer = _trainer(data, preset, seed, progress)
    trainer.run(progress)
    seconds = trainer.loop.seconds
    model = loaded(data, preset, seed)
    assert isinstance(model, LoadedModel)
    figures = _motion_figures(data, model) | alone_figures(data, model)
    figures |= {SPEED: _speed(data, model)}
    parameters = sum(p.numel() for p in model.trained.model.parameters())
    return Result(figures, parameters, seconds)


def _trainer(data: SpeechData, preset: str, seed: int, progress: Progress) -> SpeechTrainer:
    """The training of a row, resumed where it broke off."""
    plan, size = data.plan, data.plan.size
    folder, config = folder_of(plan.out, "speech", preset, seed), data.config(preset)
    captures = data.captures(config, progress)
    torch.manual_seed(seed)
    model = build(config)
    if config.learned_basis:
        model.mapper.basis.data.copy_(torch.from_numpy(captures.basis))
    encoder = encoder_of(config) if config.tunes_audio else None
    settings = TrainingConfig(
        steps=size.speech_steps,
        batch=size.batch,
        frames=size.frames,
        warm_up=min(50, max(1, size.speech_steps // 10)),
        validate_every=size.validate_every,
        patience=size.patience,
        seed=seed % LARGEST_SEED,
        device=plan.device,
    )
    trainer = SpeechTrainer(
        model,
        data.head,
        captures.training,
        captures.validation,
        settings,
        folder,
        name=preset,
        basis=captures.basis,
        encoder=encoder if isinstance(encoder, Wav2Vec2Encoder) else None,
    )
    if (folder / STATE).is_file():
        trainer.resume()
    return trainer


def _motion_figures(data: SpeechData, model: LoadedModel | str) -> dict[str, float]:
    scores = held_out_scores(data.found, data.who, model, recognized=data.recognized)
    assert scores is not None
    figures = scores.figures().items()
    return {name.removeprefix(_TEST): value for name, value in figures if math.isfinite(value)}


def alone_figures(data: SpeechData, model: LoadedModel) -> dict[str, float]:
    """What the network itself makes of the test recordings, by :data:`ALONE`."""
    scores = held_out_scores(data.found, data.who, model, recognized=data.recognized, alone=True)
    assert scores is not None
    figures = scores.figures()
    found = {name: figures[_TEST + of] for name, of in ALONE.items()}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _speed(data: SpeechData, model: LoadedModel) -> float:
    recording = data.found.named(data.found.split()["test"][0])
    speech = load_speech(recording.audio)
    known = data.recognized.get(recording.name) or recognize(speech, recording.text)
    features = model.encoder.encode(speech, known)
    fps = model.trained.model.config.motion_rate
    began = time.process_time()
    infer(model.trained.model, features, fps)
    return (time.process_time() - began) / speech.duration
