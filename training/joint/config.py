# SPDX-License-Identifier: GPL-3.0-or-later
"""How the joint stage is trained. Light: importing it does not import torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from engine.core.errors import BadInputError
from training.losses.config import AvatarLossConfig
from training.run.options import GIGABYTES, RATE, SEED, THREADS, check_ranges


def _photometric() -> AvatarLossConfig:
    # Where Gaussians are and how large stays as it is, so nothing has to hold it.
    return AvatarLossConfig(position=0.0, scaling=0.0)


@dataclass(frozen=True)
class JointSettings:
    """Settings of a joint training.

    Attributes:
        rounds: how often the two take turns.
        speech_steps: steps of the speech model in each round (L_vertices).
        color_steps: steps of the colours in each round (L_photo), one picture each.
        color: whether the colour network and the latents are refined; without, only the speech
            model learns (a row of Table 4).
        tracked: part of the colours' steps that see the tracked face instead of the predicted one,
            on any picture of the capture, so that they do not forget the other faces; 1 is the
            control that shows what predicted faces bring from what more steps bring.
        speech_rate: highest learning rate of the speech model.
        encoder_rate: of its audio encoder, where it is fine-tuned.
        network_rate: learning rate of the colour network θ.
        latent_rate: of the latents z; both fall as a cosine to a tenth.
        batch: clips in a step of the speech model.
        frames: frames of each.
        seed: of everything that is drawn by chance.
        scale: size of the pictures beside the capture's.
        losses: of the pictures.
        backend: rasteriser.
        device: where the speech model is trained; the avatar is where its rasteriser is.
        precision: of the speech model; auto is bfloat16 on CUDA.
        memory: gigabytes of decoded pictures that are kept.
        threads: of the CPU; 0 takes the cores that are free.
        name: id of the speech model.
    """

    rounds: int = 20
    speech_steps: int = 20
    color_steps: int = 60
    color: bool = True
    tracked: float = 0.25
    speech_rate: float = 2e-4
    encoder_rate: float = 5e-6
    network_rate: float = 1e-3
    latent_rate: float = 5e-3
    batch: int = 8
    frames: int = 100
    seed: int = 0
    scale: float = 1.0
    losses: AvatarLossConfig = field(default_factory=_photometric)
    backend: Literal["auto", "gsplat", "cpu"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    memory: float = 2.0
    threads: int = 0
    name: str = "joint"

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            BadInputError: names the setting.
        """
        for name in ("rounds", "speech_steps", "color_steps", "batch", "frames"):
            if getattr(self, name) < 1:
                raise BadInputError(
                    f"Joint training cannot have {name} = {getattr(self, name)}.",
                    "Choose at least 1.",
                )
        ranges = {
            "seed": SEED,
            "scale": (0.001, 1.0),
            "memory": GIGABYTES,
            "threads": THREADS,
            **dict.fromkeys(("speech_rate", "encoder_rate", "network_rate", "latent_rate"), RATE),
        }
        check_ranges(self, ranges)
        if not 0 <= self.tracked <= 1:
            raise BadInputError(
                f"Joint training cannot have tracked = {self.tracked}.", "Choose 0 to 1."
            )

    @property
    def steps(self) -> int:
        """Steps of both together."""
        return self.rounds * (self.speech_steps + (self.color_steps if self.color else 0))

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return json.loads(json.dumps(asdict(self), default=str))  # type: ignore[no-any-return]
