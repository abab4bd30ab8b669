# SPDX-License-Identifier: GPL-3.0-or-later
"""How the speech model is trained."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from engine.core.errors import BadInputError
from training.losses.speech import LossWeights
from training.run.options import RATE, SEED, check_ranges


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a run; saved beside its results.

    Attributes:
        steps: optimiser steps.
        batch: clips in a step.
        frames: motion frames of each.
        learning_rate: highest; warms up linearly, then falls as a cosine to 1 %.
        encoder_rate: that of the audio encoder, where it is fine-tuned.
        warm_up: steps of the warm-up.
        weight_decay: of AdamW.
        clip: norm that gradients are cut to.
        feature_noise: standard deviation of noise on the features.
        variant_probs: how often each feature variant of a clip is drawn, in the order of
            :mod:`training.assets.prepare`; all alike where empty.
        validate_every: steps between validations and checkpoints.
        patience: validations without a better LVE after which training stops.
        seed: of weights, crops and dropout.
        device: ``auto`` takes CUDA where there is one.
        precision: ``auto`` is bfloat16 on CUDA, float32 elsewhere.
        losses: weights of the terms.
    """

    steps: int = 3000
    batch: int = 16
    frames: int = 160
    learning_rate: float = 1e-3
    encoder_rate: float = 1e-5
    warm_up: int = 150
    weight_decay: float = 0.01
    clip: float = 1.0
    feature_noise: float = 0.05
    variant_probs: tuple[float, ...] = ()
    validate_every: int = 250
    patience: int = 8
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    losses: LossWeights = field(default_factory=LossWeights)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            BadInputError: names the setting.
        """
        for name in ("steps", "batch", "frames", "validate_every", "patience"):
            if getattr(self, name) < 1:
                raise BadInputError(
                    f"Training cannot have {name} = {getattr(self, name)}.", "Choose at least 1."
                )
        if self.variant_probs and (min(self.variant_probs) < 0 or sum(self.variant_probs) <= 0):
            raise BadInputError(
                f"Training cannot have variant_probs = {self.variant_probs}.",
                "Choose shares of 0 and more.",
            )
        check_ranges(self, {"learning_rate": RATE, "clip": (1e-12, 1e6), "seed": SEED})

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["variant_probs"] = list(self.variant_probs)
        values["losses"] = {f.name: getattr(self.losses, f.name) for f in fields(self.losses)}
        return values
