# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loop of the speech model: seeded, resumable to the same losses, early stopping."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from engine.core.errors import BadInputError, MissingDependencyError
from engine.core.files import atomic_write
from engine.core.progress import Progress, no_progress
from engine.heads.head import Head
from engine.motion.encoders.wav2vec2 import Wav2Vec2Encoder
from engine.motion.model.checkpoint import set_basis
from engine.motion.model.inference import MotionStream
from engine.motion.model.network import Motion, SpeechModel
from training.losses.speech import MM, LossTerms, SpeechLoss
from training.run.curves import save_curves, save_table
from training.run.recording import save_checkpoint
from training.speech.best import keep_best, publish
from training.speech.config import TrainingConfig
from training.speech.sequences import Batch, SpeechSequence, check_fit, crops, whole

STATE = "checkpoints/last.pt"
BEST = "checkpoints/best.safetensors"
MODEL = "speech_model.safetensors"
CURVES = "losses.png"
_LEAST_WRINKLE = 0.05
"""Part of the largest wrinkle feature's size that every other counts as at least."""
_SMOOTHED = 25
"""Steps whose mean makes a point of the curves."""


@dataclass(frozen=True)
class Step:
    """A step that was made.

    Attributes:
        number: steps made in all runs together.
        total: steps wanted.
        loss: what was minimised.
        message: for people.
    """

    number: int
    total: int
    loss: float
    message: str


Watch = Callable[[Step], None]
"""Told of every step; may raise :class:`engine.core.errors.CancelledError`."""


def unwatched(_step: Step) -> None:
    """A watch that looks away."""


class SpeechTrainer:
    """A run in a folder.

    ``config.json`` says how, ``losses.csv`` and ``losses.png`` tell how it went,
    ``checkpoints/last.pt`` is where it goes on, ``checkpoints/best.safetensors`` the model of the
    lowest validation LVE; when all is done that is ``speech_model.safetensors``. An audio encoder
    that was fine-tuned lies beside each of the two, and they name it.

    Args:
        model: with the configuration and, for fine-tuning, the weights to start from.
        head: who speaks.
        training, validation: sequences in the model's basis.
        config: settings.
        out: folder of the run.
        name: id of the trained model.
        basis: (K, V, 3) basis of the true weights; the head's expression basis by default.
        hears: the way in which validation clips are heard.
        encoder: wav2vec 2.0 where the model's configuration fine-tunes it; saved with the model.

    Raises:
        BadInputError: sequences that do not fit the model, or no sequences.
        MissingDependencyError: CUDA was asked for and is not there.
    """

    def __init__(
        self,
        model: SpeechModel,
        head: Head,
        training: Sequence[SpeechSequence],
        validation: Sequence[SpeechSequence],
        config: TrainingConfig,
        out: Path,
        *,
        name: str = "speech",
        basis: np.ndarray[tuple[int, int, int], np.dtype[np.float32]] | None = None,
        hears: int = 1,
        encoder: Wav2Vec2Encoder | None = None,
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
        self.training, self.validation, self.hears = training, validation, hears
        scale = _spread(training)
        if model.wrinkle_encoder is not None:
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
        self.history: list[dict[str, float]] = []
        self._recent: list[dict[str, float]] = []
        self._board: Any = SummaryWriter(str(out / "tensorboard"))  # type: ignore[no-untyped-call]

    def run(self, progress: Progress = no_progress, watch: Watch = unwatched) -> float:
        """Train to the end, or until the validation LVE stops falling.

        A cancel, raised by the progress or the watch, leaves a checkpoint to go on from.

        Args:
            progress: told how far it is.
            watch: told of every step.

        Returns:
            The lowest validation LVE, millimetres.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        self._write_config()
        try:
            while self.step < self.config.steps and self.since_best < self.config.patience:
                terms = self.advance()
                self._record(terms)
                last = self.step == self.config.steps
                if self.step % self.config.validate_every == 0 or last:
                    self._validate()
                    self.save()
                message = f"training, step {self.step}, loss {terms['total']:.4g}"
                if math.isfinite(self.best):
                    message += f", best LVE {self.best:.3f} mm"
                watch(Step(self.step, self.config.steps, terms["total"], message))
                progress(self.step / self.config.steps, message)
        except BaseException:
            self.save()
            raise
        publish(self.out / BEST, self.out / MODEL, self.head, tuned=self.encoder is not None)
        return self.best

    def advance(self) -> dict[str, float]:
        """One step of the optimiser; returns the terms of the loss."""
        config = self.config
        batch = crops(
            self.training,
            self.model.config,
            config.batch,
            config.frames,
            self.generator,
            config.hearing,
        )
        noise = torch.randn(batch.features.shape, generator=self.generator).to(self.device)
        batch = batch.to(self.device)
        for group in self.optimiser.param_groups:
            group["lr"] = group["rate"] * _schedule(self.step, config)
        self.model.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._mixed()):
            features = self._heard(batch)
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

    def _heard(self, batch: Batch) -> Tensor:
        """The features of the batch, made anew where the encoder is being trained."""
        if self.encoder is None or batch.samples is None:
            return batch.features
        self.encoder.train(self.model.training)
        features = cast("Tensor", self.encoder(self.encoder.prepared_batch(batch.samples)))
        return features[:, : batch.features.shape[1]]

    def _predict(self, batch: Batch, features: Tensor) -> Motion:
        before = None
        if self.model.config.autoregressive:
            before = torch.nn.functional.pad(batch.weights[:, :-1], (0, 0, 1, 0))
        motion: Motion = self.model(features, batch.weights.shape[1], batch.style, before)
        return motion

    def _terms(self, motion: Motion, batch: Batch) -> LossTerms:
        exact = Motion(*(None if x is None else x.float() for x in motion))  # type: ignore[arg-type]
        terms: LossTerms = self.loss(
            self.model, exact, batch.weights, batch.expression, batch.wrinkles, batch.present
        )
        return terms

    def _mixed(self) -> bool:
        chosen = self.config.precision
        return chosen == "bfloat16" or (chosen == "auto" and self.device.type == "cuda")

    def _record(self, terms: dict[str, float]) -> None:
        self._recent.append(terms)
        if self.step % _SMOOTHED == 0:
            row = {"step": float(self.step)}
            row |= {k: float(np.mean([r[k] for r in self._recent])) for k in terms}
            self.history.append(row)
            self._recent.clear()
            self._show(row)

    def _show(self, row: dict[str, float]) -> None:
        for name, value in row.items():
            if name != "step":
                self._board.add_scalar(name, value, int(row["step"]))
        self._board.flush()

    def _validate(self) -> None:
        lve = self.validation_lve()
        row = {"step": float(self.step), "validation LVE (mm)": lve}
        self.history.append(row)
        self._show(row)
        if lve < self.best:
            self.best, self.since_best = lve, 0
            notes = {"validation_lve_mm": lve, "step": self.step, "seed": self.config.seed}
            keep_best(
                self.out / BEST, self.model, self.head, self.name, notes, self.encoder, self.step
            )
        else:
            self.since_best += 1
        save_table(self.out / "losses.csv", self.history)
        save_curves(self.out / CURVES, self.history, f"{self.name}: losses (mm²) and LVE")

    @torch.no_grad()
    def validation_lve(self) -> float:
        """Mean over frames of the largest lip vertex distance on the validation clips, mm."""
        self.model.eval()
        lips = self.loss.lips
        true_basis = self.loss.basis[:, lips]
        ours = self.model.mapper.basis[:, lips] * MM
        total = frames = 0.0
        for sequence in self.validation:
            batch = whole(sequence, self.hears).to(self.device)
            features = self._heard(batch)
            if self.model.config.autoregressive:
                weights = self._fed_back(features, sequence)
            else:
                weights = self._predict(batch, features).weights.float()
            difference = torch.einsum("btk,kvc->btvc", weights, ours) - torch.einsum(
                "btk,kvc->btvc", batch.weights, true_basis
            )
            total += float(difference.norm(dim=-1).amax(dim=-1).sum())
            frames += sequence.frames
        return total / frames

    def _fed_back(self, features: Tensor, sequence: SpeechSequence) -> Tensor:
        """(1, T, K) weights of the autoregressive variant from its own frames, as it is used."""
        names = self.model.config.styles
        style = dict(zip(names, sequence.style.tolist(), strict=True))
        stream = MotionStream(self.model, style)
        made = [stream.push(features[0].float().cpu().numpy()), stream.finish(sequence.frames)]
        weights = np.concatenate([frames.weights for frames in made])[: sequence.frames]
        return torch.from_numpy(weights)[None].to(self.device)

    def save(self) -> None:
        """Write the state from which :meth:`resume` goes on.

        Raises:
            GaussianSpeechError: it cannot be written; the last good one is still there.
        """
        save_checkpoint(self.out / STATE, self.state())

    def state(self) -> dict[str, Any]:
        """What :meth:`restore` goes on from."""
        return {
            "model": self.model.state_dict(),
            "encoder": {} if self.encoder is None else self.encoder.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "best": self.best,
            "since_best": self.since_best,
            "history": self.history,
            "recent": self._recent,
            "crops": self.generator.get_state(),
            "dropout": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if self.device.type == "cuda" else [],
            "config": self.config.to_dict(),
        }

    def resume(self) -> None:
        """Go on where a run in this folder stopped, to the same losses as an unbroken one.

        Raises:
            BadInputError: nothing to resume, a damaged file, or other settings.
        """
        path = self.out / STATE
        if not path.is_file():
            raise BadInputError(f"There is no run to resume in {self.out}.", "Start a new one.")
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            self.restore(state)
        except (RuntimeError, KeyError, ValueError, OSError, EOFError) as error:
            raise BadInputError(
                f"{path} does not fit this run: {error}", "Start a new run in another folder."
            ) from error

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state.

        Raises:
            BadInputError: it is of a run with other settings.
            RuntimeError, KeyError, ValueError: it does not fit the model.
        """
        if state["config"] != self.config.to_dict():
            raise BadInputError(
                f"The run in {self.out} has other settings than these.",
                "Resume with the settings of its config.json.",
            )
        self.model.load_state_dict(state["model"])
        if self.encoder is not None:
            self.encoder.load_state_dict(state["encoder"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.best = state["step"], state["best"]
        self.since_best, self.history = state["since_best"], state["history"]
        self._recent = state["recent"]
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
        with atomic_write(self.out / "config.json") as temporary:
            temporary.write_text(json.dumps(about, indent=2), encoding="utf-8")


def _check_tuning(encoder: Wav2Vec2Encoder | None, sequences: Sequence[SpeechSequence]) -> None:
    remedy = "Give both, or set finetune_audio to false."
    if encoder is None:
        raise BadInputError("The audio encoder is to be fine-tuned but is not given.", remedy)
    for sequence in sequences:
        if sequence.samples is None:
            raise BadInputError(
                f"The audio encoder is to be fine-tuned, but {sequence.name} has no sound.", remedy
            )


def _schedule(step: int, config: TrainingConfig) -> float:
    """Factor of the learning rate: linear warm-up, cosine to 1 %."""
    if step < config.warm_up:
        return (step + 1) / config.warm_up
    part = (step - config.warm_up) / max(1, config.steps - config.warm_up)
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
