# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the speech model: seeded, resumable to the same losses, with early stopping."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from engine.core.errors import BadInputError, MissingDependencyError
from engine.core.progress import Progress, no_progress
from engine.heads.head import Head
from engine.motion.encoders.wav2vec2 import Wav2Vec2Encoder
from engine.motion.model.checkpoint import set_basis
from engine.motion.model.live import MotionStream
from engine.motion.model.network import Motion, SpeechModel, SpeechNetwork
from training.losses.speech import MM, LossTerms, SpeechLoss
from training.run.checkpoints import write_json
from training.run.loop import Intervals, Step, TrainingLoop, Watch, unwatched
from training.run.record import CURVES, Record
from training.speech.best import publish, save_with_encoder
from training.speech.config import TrainingConfig
from training.speech.sequences import Batch, SpeechSequence, check_fit, crops, whole
from training.speech.stages import Stage, Staged, first_steps, stages_of

BEST = "checkpoints/best.safetensors"
MODEL = "speech_model.safetensors"
_LEAST_WRINKLE = 0.05
"""Part of the largest wrinkle feature's size that every other counts as at least."""


class SpeechTrainer:
    """A speech model in training, a :class:`~training.run.loop.Trainable`, and its run in a folder.

    ``config.json`` has the settings; ``checkpoints/best.safetensors`` is the model of the lowest
    validation LVE, and in the end ``speech_model.safetensors``. An audio encoder that was
    fine-tuned lies beside each of the two, and they name it.

    Args:
        model: with the configuration and, for fine-tuning, the weights to start from.
        head: who speaks.
        training, validation: sequences in the model's basis.
        config: settings.
        out: folder of the run.
        name: id of the trained model.
        basis: (K, V, 3) basis of the true weights; the head's expression basis by default.
        val_variant: which feature variant of the validation clips is used.
        encoder: wav2vec 2.0 where the model's configuration fine-tunes it; saved with the model.
        stages: what is trained when; as the model asks for by default. The LVE counts in the last.

    Raises:
        BadInputError: sequences that do not fit the model, or no sequences.
        MissingDependencyError: CUDA was asked for and is not there.
    """

    def __init__(
        self,
        model: SpeechNetwork,
        head: Head,
        training: Sequence[SpeechSequence],
        validation: Sequence[SpeechSequence],
        config: TrainingConfig,
        out: Path,
        *,
        name: str = "speech",
        basis: np.ndarray[tuple[int, int, int], np.dtype[np.float32]] | None = None,
        val_variant: int = 1,
        encoder: Wav2Vec2Encoder | None = None,
        stages: Sequence[Stage] = (),
    ) -> None:
        if not training or not validation:
            raise BadInputError(
                f"There are {len(training)} training and {len(validation)} validation sequences.",
                "Give at least one of each.",
            )
        check_fit([*training, *validation], model.config)
        if model.config.tunes_audio:
            _check_tuning(encoder, [*training, *validation])
        self.device = _device(config.device)
        set_basis(model, head)
        self.model = model.to(self.device)
        self.head, self.config, self.out, self.name = head, config, out, name
        self.training, self.validation, self.val_variant = training, validation, val_variant
        scale = _spread(training)
        if isinstance(model, SpeechModel) and model.wrinkle_encoder is not None:
            model.wrinkle_encoder.scale.copy_(scale)
        true_basis = torch.from_numpy(head.expression_basis if basis is None else basis)
        self.loss = SpeechLoss(head, true_basis, scale, config.losses).to(self.device)
        self.generator = torch.Generator().manual_seed(config.seed)
        torch.manual_seed(config.seed)
        self.encoder = encoder.to(self.device) if model.config.tunes_audio and encoder else None
        groups: list[dict[str, Any]] = [
            {"params": list(self.model.parameters()), "rate": config.learning_rate}
        ]
        if self.encoder is not None:
            tuned = [p for p in self.encoder.parameters() if p.requires_grad]
            groups.append({"params": tuned, "rate": config.encoder_rate})
        self.optimiser = torch.optim.AdamW(groups, weight_decay=config.weight_decay)
        self.step, self.best, self.since_best = 0, math.inf, 0
        self.stages = tuple(stages) or stages_of(model, config.losses)
        self._firsts = first_steps(self.stages, config.steps)
        intervals = Intervals(*(3 * (config.validate_every,)))
        self.record = Record(out, f"{name}: losses (mm²) and LVE")
        self.loop = TrainingLoop(self, out, config.to_dict(), intervals, self.record)

    @property
    def total(self) -> int:
        """Steps wanted."""
        return self.config.steps

    @property
    def finished(self) -> bool:
        """Whether all steps are done, or patience with the LVE is."""
        return self.step >= self.config.steps or self.since_best >= self.config.patience

    @property
    def message(self) -> str:
        """The stage, and the lowest LVE so far."""
        if math.isfinite(self.best):
            return f"best LVE {self.best:.3f} mm"
        return f"learning {self.stages[self._current].name}" if self._firsts[1:] else "training"

    @property
    def _current(self) -> int:
        """Number of the stage that the next step belongs to."""
        return max(i for i, first in enumerate(self._firsts) if first <= self.step or i == 0)

    def _enter_stage(self) -> float:
        """Let those parts learn that the stage is about; the factor of the learning rate."""
        number = self._current
        stage, first = self.stages[number], self._firsts[number]
        self.loss.weigh = stage.weights
        if isinstance(self.model, Staged):
            self.model.stage = stage.name
        self.model.train()
        for name, part in self.model.named_children():
            part.train(not stage.parts or name in stage.parts)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(not stage.parts or name.split(".")[0] in stage.parts)
        if self.encoder is not None:
            self.encoder.train(stage.audio)
        end = [*self._firsts, self.config.steps][number + 1]
        return _schedule(self.step - first, end - first, self.config.warm_up)

    def run(self, progress: Progress = no_progress, watch: Watch = unwatched) -> float:
        """Train to the end, or until the validation LVE stops falling.

        Args:
            progress: called after every step; may raise to cancel.
            watch: called after every step; may raise to cancel.

        Returns:
            The lowest validation LVE, millimetres.

        Raises:
            CancelledError: ``progress`` or ``watch`` raised it; the state was saved.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        self._write_config()

        def both(step: Step) -> None:
            watch(step)
            text = f"training, step {step.number}, loss {step.loss:.4g}, {step.message}"
            progress(step.number / step.total, text)

        self.loop.run(both)
        publish(self.out / BEST, self.out / MODEL, self.head, tuned=self.encoder is not None)
        return self.best

    def resume(self) -> None:
        """Resume the run of this folder, to the same losses as one that was never interrupted.

        Raises:
            BadInputError: nothing to resume, a damaged file, or other settings.
        """
        self.loop.resume()

    def advance(self) -> dict[str, float]:
        """One step of the optimiser; returns the terms of the loss."""
        config = self.config
        batch = crops(
            self.training,
            self.model.config,
            config.batch,
            config.frames,
            self.generator,
            config.variant_probs,
        )
        noise = torch.randn(batch.features.shape, generator=self.generator).to(self.device)
        batch = batch.to(self.device)
        factor = self._enter_stage()
        for group in self.optimiser.param_groups:
            group["lr"] = group["rate"] * factor
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._mixed()):
            features = self._features(batch)
            motion = self._predict(batch, features + config.feature_noise * noise)
        terms = self._terms(motion, batch)
        self.optimiser.zero_grad(set_to_none=True)
        terms.total.backward()  # type: ignore[no-untyped-call]
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        norm = torch.nn.utils.clip_grad_norm_(parameters, config.clip)
        if torch.isfinite(norm):
            self.optimiser.step()
        self.step += 1
        values = {f.name: float(getattr(terms, f.name).detach()) for f in fields(terms)}
        if not math.isfinite(values["total"]):
            raise BadInputError(
                f"The loss is {values['total']} at step {self.step}.",
                "Lower the learning rate, or look for wild values in the data.",
            )
        return values

    def _features(self, batch: Batch) -> Tensor:
        """The features of the batch, made anew where the encoder is being trained."""
        if self.encoder is None or batch.samples is None:
            return batch.features
        with torch.set_grad_enabled(self.encoder.training and torch.is_grad_enabled()):
            features = cast("Tensor", self.encoder(self.encoder.prepared_batch(batch.samples)))
        return features[:, : batch.features.shape[1]]

    def _predict(self, batch: Batch, features: Tensor, *, taught: bool = True) -> Motion:
        truth = batch.weights if taught else None
        motion: Motion = self.model(features, batch.weights.shape[1], batch.style, truth)
        return motion

    def _terms(self, motion: Motion, batch: Batch) -> LossTerms:
        exact = Motion(*(None if x is None else x.float() for x in motion))  # type: ignore[arg-type]
        terms: LossTerms = self.loss(
            self.model,
            exact,
            batch.weights,
            batch.expression,
            batch.wrinkles,
            batch.present,
            batch.bilabials,
        )
        return terms

    def _mixed(self) -> bool:
        chosen = self.config.precision
        return chosen == "bfloat16" or (chosen == "auto" and self.device.type == "cuda")

    def validate(self) -> dict[str, float]:
        """Measure the LVE, and keep the model where it is the lowest so far.

        Before the last stage the loss of the stage is measured instead.
        """
        if self._current < len(self.stages) - 1:
            return {f"validation {self.stages[self._current].name}": self.validation_loss()}
        lve = self.validation_lve()
        if lve < self.best:
            self.best, self.since_best = lve, 0
            notes = {"validation_lve_mm": lve, "step": self.step, "seed": self.config.seed}
            save_with_encoder(
                self.out / BEST, self.model, self.head, self.name, notes, self.encoder
            )
        else:
            self.since_best += 1
        return {"validation LVE (mm)": lve}

    def preview(self) -> Path:
        """The curves."""
        return self.out / CURVES

    def _eval(self) -> None:
        self.model.eval()
        if self.encoder is not None:
            self.encoder.eval()

    @torch.no_grad()
    def validation_loss(self) -> float:
        """Mean loss of the current stage on the validation clips."""
        self._enter_stage()
        self._eval()
        total = 0.0
        for sequence in self.validation:
            batch = whole(sequence, self.val_variant).to(self.device)
            total += float(self._terms(self._predict(batch, self._features(batch)), batch).total)
        return total / len(self.validation)

    @torch.no_grad()
    def validation_lve(self) -> float:
        """Mean over frames of the largest lip vertex distance on the validation clips, mm."""
        self._eval()
        if isinstance(self.model, Staged):
            self.model.stage = self.stages[-1].name
        lips = self.loss.lips
        true_basis = self.loss.basis[:, lips]
        ours = self.model.mapper.basis[:, lips] * MM
        total = frames = 0.0
        for sequence in self.validation:
            batch = whole(sequence, self.val_variant).to(self.device)
            features = self._features(batch)
            if self.model.config.autoregressive:
                weights = self._fed_back(features, sequence)
            else:
                weights = self._predict(batch, features, taught=False).weights.float()
            difference = torch.einsum("btk,kvc->btvc", weights, ours) - torch.einsum(
                "btk,kvc->btvc", batch.weights, true_basis
            )
            total += float(difference.norm(dim=-1).amax(dim=-1).sum())
            frames += sequence.frames
        return total / frames

    def _fed_back(self, features: Tensor, sequence: SpeechSequence) -> Tensor:
        """(1, T, K) weights of the autoregressive variant from its own frames, as it is used."""
        assert isinstance(self.model, SpeechModel)
        names = self.model.config.styles
        style = dict(zip(names, sequence.style.tolist(), strict=True))
        stream = MotionStream(self.model, style)
        made = [stream.push(features[0].float().cpu().numpy()), stream.finish(sequence.frames)]
        weights = np.concatenate([frames.weights for frames in made])[: sequence.frames]
        return torch.from_numpy(weights)[None].to(self.device)

    def state(self) -> dict[str, Any]:
        """What :meth:`restore` resumes from."""
        return {
            "model": self.model.state_dict(),
            "encoder": {} if self.encoder is None else self.encoder.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "best": self.best,
            "since_best": self.since_best,
            "crops": self.generator.get_state(),
            "dropout": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if self.device.type == "cuda" else [],
            "recordings": self._recordings(),
        }

    def _recordings(self) -> list[list[str | int]]:
        """Names and frames."""
        return [[s.name, s.frames] for s in (*self.training, *self.validation)]

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from a state, with the recordings that it was begun with."""
        now = self._recordings()
        if (before := state.get("recordings", now)) != now:
            other = next((r[0] for r in [*now, *before] if (r in now) != (r in before)), "others")
            raise ValueError(f"{other} was not there, or as long, when it was begun.")
        self.model.load_state_dict(state["model"])
        if self.encoder is not None:
            self.encoder.load_state_dict(state["encoder"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.best = state["step"], state["best"]
        self.since_best = state["since_best"]
        self.generator.set_state(state["crops"])
        torch.set_rng_state(state["dropout"])
        if state["cuda"] and self.device.type == "cuda":
            torch.cuda.set_rng_state_all(state["cuda"])

    def _write_config(self) -> None:
        about = {
            "name": self.name,
            "head": self.head.id,
            "model": self.model.config.to_dict(),
            "training": self.config.to_dict(),
            "sequences": {"training": len(self.training), "validation": len(self.validation)},
        }
        write_json(self.out / "config.json", about)


def _check_tuning(encoder: Wav2Vec2Encoder | None, sequences: Sequence[SpeechSequence]) -> None:
    remedy = "Give both, or set finetune_audio to false."
    if encoder is None:
        raise BadInputError("The audio encoder is to be fine-tuned but is not given.", remedy)
    for sequence in sequences:
        if sequence.samples is None:
            raise BadInputError(
                f"The audio encoder is to be fine-tuned, but {sequence.name} has no sound.", remedy
            )


def _schedule(step: int, steps: int, warm_up: int) -> float:
    """Factor of the learning rate: linear warm-up, cosine to 1 %."""
    if step < warm_up:
        return (step + 1) / warm_up
    part = (step - warm_up) / max(1, steps - warm_up)
    return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(part, 1.0)))


def _spread(sequences: Sequence[SpeechSequence]) -> Tensor:
    """(W,) root mean square of the wrinkle features; a region at rest must not outweigh others."""
    square = sum(np.square(s.wrinkles.astype(np.float64)).sum(axis=0) for s in sequences)
    spread = np.sqrt(np.asarray(square) / sum(s.frames for s in sequences))
    least = max(float(spread.max()) * _LEAST_WRINKLE, 1e-6)
    return torch.from_numpy(np.maximum(spread, least).astype(np.float32))


def _device(asked: str) -> torch.device:
    if asked == "cuda" and not torch.cuda.is_available():
        raise MissingDependencyError("There is no CUDA device.", "Train with device 'cpu'.")
    if asked == "auto":
        asked = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(asked)
