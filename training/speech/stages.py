# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order the parts of a speech model are trained, and on what.

The paper trains part by part: the lip encoder, with the audio encoder, on the lips alone (Eq. 7);
the wrinkle encoder on audio and lip features (Eq. 8); the expression encoder (Eq. 9); then E and D
on all vertices (Eq. 13, 14). What was learned stays as it is afterwards. This project's way is one
stage with one loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from engine.motion.model.network import SpeechNetwork
from training.losses.speech import LossWeights


@dataclass(frozen=True)
class Stage:
    """Some of the steps of a training.

    Attributes:
        name: what to call it.
        share: of all steps, in any unit.
        weights: of the terms of its loss.
        parts: modules that learn, by the names that the network has for them; all where empty.
        audio: whether an audio encoder that is fine-tuned learns too.
    """

    name: str
    share: float
    weights: LossWeights
    parts: tuple[str, ...] = ()
    audio: bool = True


@runtime_checkable
class Staged(Protocol):
    """A network that brings its own stages, and knows which one it is in."""

    stages: tuple[Stage, ...]
    stage: str


LIPS = "lips"
"""The stage in which the paper's model learns the lips, and with them the person's voice."""


def stages_of(network: SpeechNetwork, weights: LossWeights) -> tuple[Stage, ...]:
    """The stages of a network's training.

    Args:
        network: what is trained.
        weights: of the loss where there is one stage alone.
    """
    if isinstance(network, Staged):
        return network.stages
    config = network.config
    if not config.staged:
        return (Stage("all parts", 1.0, weights),)
    only = LossWeights.only
    motion = ("expression2latent", "decoder", "mapper")
    stages = (
        Stage(LIPS, 3.0, only(lip_norm=1.0), ("audio", "lip_encoder")),
        Stage("wrinkles", 1.0, only(wrinkle=1.0), ("wrinkle_encoder",), audio=False),
        Stage("expressions", 1.5, only(expression=1.0), ("expression_encoder",), audio=False),
        Stage("motion", 4.5, only(vertices=1.0), motion, audio=False),
    )
    return stages if config.wrinkle_features else (stages[0], *stages[2:])


def first_steps(stages: Sequence[Stage], steps: int) -> list[int]:
    """The step that each stage begins with."""
    whole, done, found = sum(stage.share for stage in stages), 0.0, []
    for stage in stages:
        found.append(round(steps * done / whole))
        done += stage.share
    return found
