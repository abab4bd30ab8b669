# SPDX-License-Identifier: GPL-3.0-or-later
"""How a person is trained. Light: importing it does not import torch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from engine.core.errors import BadInputError
from training.avatar.config import PRESETS, AvatarSettings
from training.joint.config import JointSettings
from training.run.options import COUNT_OR_NONE, SEED, THREADS, check_ranges

_REFINING = 3
"""Part of the avatar's steps that refining takes: poses are found before the last detail is."""


@dataclass(frozen=True)
class PersonSettings:
    """Settings of a person's training; what is not here is as the single stages have it.

    Attributes:
        preset: of the avatar, as 'train avatar' has them; only the default one is refined in the
            joint stage.
        avatar_steps: steps of the avatar; 0 for the preset's.
        speech_steps: steps of the speech model at most; 0 leaves the speech model out.
        joint_rounds: rounds in which both are refined for each other; 0 leaves that out.
        start: what the speech model starts from: "starter", a file, or "none" for a new one; by
            default the starter for heads with ARKit's expressions, a new one for others and where
            there is an encoder_source.
        encoder_source: folder or hub id of wav2vec 2.0 for a new speech model; without it a new one
            reads phones and loudness alone.
        scale: size of the pictures beside the capture's; 0 for the preset's.
        refine: rounds in which what was tracked in a video is refined by its pictures, each a
            training of a third of the avatar's steps; of a FLAME capture, whether tracking and
            cameras' colours are refined with the avatar. 0 takes the tracker's word.
        seed: of all that is drawn by chance.
        backend: rasteriser.
        device: where the speech model is trained.
        threads: of the CPU; 0 takes the cores that are free.
    """

    preset: Literal["default", "quick", "baseline"] = "default"
    avatar_steps: int = 0
    speech_steps: int = 1500
    joint_rounds: int = 20
    start: str = ""
    encoder_source: str = ""
    scale: float = 0.0
    refine: int = 1
    seed: int = 0
    backend: Literal["auto", "gsplat", "cpu"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = 0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            BadInputError: names the option.
        """
        ranges = {
            "avatar_steps": COUNT_OR_NONE,
            "speech_steps": COUNT_OR_NONE,
            "joint_rounds": COUNT_OR_NONE,
            "refine": COUNT_OR_NONE,
            "scale": (0.0, 1.0),
            "seed": SEED,
            "threads": THREADS,
        }
        check_ranges(self, ranges)
        if self.encoder_source and self.start not in ("", "none"):
            raise BadInputError(
                f"--encoder-source is of a new speech model; --start {self.start} brings its own.",
                "Give --start none, or leave out --encoder-source.",
            )
        if self.start not in ("", "starter", "none") and not Path(self.start).is_file():
            raise BadInputError(
                f"There is no speech model {self.start}.", "Give --start a file, starter or none."
            )

    @property
    def avatar(self) -> AvatarSettings:
        """Settings of the avatar's stage."""
        chosen = PRESETS[self.preset]
        steps = self.avatar_steps or chosen.steps
        return replace(
            chosen,
            steps=steps,
            scale=self.scale or chosen.scale,
            tuning=replace(
                chosen.tuning, tune_tracking=self.refine > 0, tune_cameras=self.refine > 0
            ),
            seed=self.seed,
            backend=self.backend,
            threads=self.threads,
        )

    @property
    def refinement(self) -> AvatarSettings:
        """Settings of a round that refines what was tracked."""
        avatar = self.avatar
        return replace(avatar, steps=math.ceil(avatar.steps / _REFINING))

    @property
    def joint(self) -> JointSettings:
        """Settings of the joint stage."""
        return JointSettings(
            rounds=max(1, self.joint_rounds),
            scale=self.avatar.scale,
            seed=self.seed,
            backend=self.backend,
            device=self.device,
            threads=self.threads,
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)
