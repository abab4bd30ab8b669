# SPDX-License-Identifier: GPL-3.0-or-later
"""How an avatar is trained: settings with their defaults, and named presets.

Learning rates and thresholds are those of GaussianAvatars (Qian et al., CVPR 2024); what there is
a number of iterations of 600,000 is here a fraction of the schedule, so that a short run goes
through the same stages.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from engine.core.errors import BadInputError
from training.losses.config import AvatarLossConfig
from training.run.options import (
    COUNT,
    COUNT_OR_NONE,
    FRACTION,
    GIGABYTES,
    RATE,
    SEED,
    THREADS,
    WEIGHT,
    check_ranges,
)

UNSEEN = "never visible (%)"
"""In the scores of an avatar: of its Gaussians, those that no training picture showed."""


@dataclass(frozen=True)
class Rates:
    """Learning rates of Adam.

    Attributes:
        positions: at the start, in units of the triangle's size.
        positions_end: at the end; between them the rate falls exponentially.
        log_scales: of the logarithm of the standard deviations.
        quats: of the rotations.
        opacity_logits: of the opacities.
        harmonics: of the constant colour of spherical harmonics; a twentieth for the others.
        latents: of the latent z.
        network: of the colour network.
        color_end: factor that the rates of the colours end at.
    """

    positions: float = 5e-3
    positions_end: float = 5e-5
    log_scales: float = 1.7e-2
    quats: float = 1e-3
    opacity_logits: float = 5e-2
    harmonics: float = 2.5e-3
    latents: float = 1e-2
    network: float = 6e-3
    color_end: float = 0.1

    def __post_init__(self) -> None:
        """Check the rates.

        Raises:
            BadInputError: names the option.
        """
        check_ranges(self, dict.fromkeys(self.__dataclass_fields__, RATE))


@dataclass(frozen=True)
class Density:
    """When Gaussians are added and taken away; times are fractions of the schedule.

    Attributes:
        start: first densification.
        stop: last one.
        rounds: how many densifications lie between.
        gradient: mean gradient of the loss by the place on the screen, in half image sizes, above
            which a Gaussian is cloned or split.
        extent: what sizes are parts of: "head", its height; or "cameras", 1.1 times the distance of
            the farthest camera from the middle of all, as 3D Gaussian Splatting has it.
        split_above: largest standard deviation, as part of the extent, above which it is split.
        budget: Gaussians kept by the pruning by volume before each densification, so that the
            avatar ends with those and what the last densification adds; 0 prunes by opacity
            instead, after each.
        least_opacity: below this a Gaussian is dropped where opacity prunes.
        largest: standard deviation, as part of the extent, above which a Gaussian is dropped where
            opacity prunes, from the first reset on; 0 drops none.
        resets: how often all opacities are lowered while there is densification.
        reset_to: what they are lowered to, between 0 and 1. An opacity close to 1 hardly comes
            down by itself; half is enough to lose Gaussians that stick out beside the head, and
            leaves more of the mouth's interior than 0.01.
        keep_faces: every triangle that had a Gaussian keeps one.
        keep_hidden: what no picture shows is kept. Without, it goes at each pruning, but for the
            inside of the mouth: an avatar that is only seen from where the cameras stood.
        grow: at most this part of the present number is added at once.
    """

    start: float = 0.1
    stop: float = 0.6
    rounds: int = 12
    gradient: float = 2e-4
    extent: Literal["head", "cameras"] = "head"
    split_above: float = 0.006
    budget: int = 25_000
    least_opacity: float = 0.005
    largest: float = 0.0
    resets: int = 3
    reset_to: float = 0.5
    keep_faces: bool = True
    keep_hidden: bool = True
    grow: float = 0.3

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            BadInputError: names the option.
        """
        ranges = {
            "start": FRACTION,
            "stop": FRACTION,
            "rounds": COUNT_OR_NONE,
            "gradient": (0.0, math.inf),
            "split_above": (0.0, math.inf),
            "budget": COUNT_OR_NONE,
            "least_opacity": FRACTION,
            "largest": WEIGHT,
            "resets": COUNT_OR_NONE,
            "grow": WEIGHT,
        }
        check_ranges(self, ranges)
        if self.stop < self.start:
            raise BadInputError(
                f"Densification cannot stop at {self.stop} and start at {self.start}.",
                "Give --stop the larger fraction.",
            )
        if not 0 < self.reset_to < 1:
            raise BadInputError(
                f"Opacities cannot be lowered to {self.reset_to}.",
                "Give --reset-to between 0 and 1, or --resets 0.",
            )


@dataclass(frozen=True)
class Tuning:
    """What of a capture of a FLAME head is refined while the avatar learns.

    Captures with ``head_param`` are synthetic: they say what was true, and are left as they are.
    The rates are of steps that see a timestep or a camera; they fall to a tenth. GaussianAvatars'
    go with 600,000 steps in which moments move every timestep, 30 times as far as the step itself.

    Attributes:
        tune_tracking: whether expression, pose and translation of every timestep are refined.
        expression_rate: learning rate of FLAME's coefficients.
        pose_rate: of the rotations of head, neck, jaw and eyes, radians.
        translation_rate: metres.
        tune_cameras: whether each camera gets an affine map of colours.
        camera_rate: learning rate of that.
    """

    tune_tracking: bool = True
    expression_rate: float = 2e-2
    pose_rate: float = 1e-3
    translation_rate: float = 2e-4
    tune_cameras: bool = True
    camera_rate: float = 2e-3

    def __post_init__(self) -> None:
        """Check the rates.

        Raises:
            BadInputError: names the option.
        """
        names = ("expression_rate", "pose_rate", "translation_rate", "camera_rate")
        check_ranges(self, dict.fromkeys(names, RATE))


@dataclass(frozen=True)
class AvatarSettings:
    """Settings of an avatar training.

    Attributes:
        steps: steps of the optimiser, one view each and process.
        seed: of all random numbers.
        scale: size of the training images beside the capture's.
        coarse: until these fractions of the schedule the images are a quarter and half that size.
        backdrop: what stands behind the head while training.
        color: "mlp" is the paper's network of latent, expression and view; "sh" are harmonics.
        latent: size of the latent z.
        hidden: width of the network's hidden layer.
        degree: of the harmonics.
        degree_every: part of the schedule after which the harmonics of each next degree join in; 0
            has all from the start.
        opacity: of the first Gaussians, between 0 and 1.
        subdivide_teeth: four initial Gaussians on each triangle of the teeth.
        coarse_skull: one initial Gaussian on each two triangles of the head beside face, ears and
            mouth, which hair covers.
        initial: an avatar file to start from instead of one Gaussian a triangle.
        rates: learning rates.
        density: adding and taking away of Gaussians.
        tuning: what of the capture is refined.
        losses: weights of the terms of the loss.
        views: pictures a step and process; their gradients are averaged.
        backend: rasteriser.
        device: "auto", "cpu" or "cuda".
        preview_every: steps between preview pictures.
        checkpoint_every: steps between checkpoints.
        evaluate_every: steps between measurements on the held-out camera.
        memory: gigabytes of decoded pictures that are kept.
        threads: of the CPU; 0 takes the cores that are free when the training starts.
        steady: weight of the colour prior, which keeps colours the same in directions without a
            camera.
        finest: standard deviations that visible Gaussians have at least, in pixels of the pictures:
            of finer ones these say nothing, and seen from nearer they are needles (the limit of
            Mip-Splatting's 3D filter, Yu et al. 2024). 0 sets no limit.
        name: id of the avatar in its file.
    """

    steps: int = 30_000
    seed: int = 0
    scale: float = 1.0
    coarse: tuple[float, float] = (0.1, 0.3)
    backdrop: Literal["black", "white", "random"] = "random"
    color: Literal["mlp", "sh"] = "mlp"
    latent: int = 32
    hidden: int = 128
    degree: int = 3
    degree_every: float = 0.0
    opacity: float = 0.9
    subdivide_teeth: bool = True
    coarse_skull: bool = False
    initial: Path | None = None
    rates: Rates = field(default_factory=Rates)
    density: Density = field(default_factory=Density)
    tuning: Tuning = field(default_factory=Tuning)
    losses: AvatarLossConfig = field(default_factory=AvatarLossConfig)
    views: int = 1
    backend: Literal["auto", "gsplat", "cpu"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    preview_every: int = 250
    checkpoint_every: int = 500
    evaluate_every: int = 1_000
    memory: float = 2.0
    threads: int = 0
    steady: float = 0.1
    finest: float = 0.0
    name: str = "avatar"

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            BadInputError: names the option.
        """
        ranges = {
            "steps": COUNT,
            "seed": SEED,
            "scale": (0.001, 1.0),
            "latent": (1, 4096),
            "hidden": (1, 4096),
            "degree": (0, 3),
            "degree_every": FRACTION,
            "opacity": (0.001, 0.999),
            "views": (1, 4096),
            "preview_every": COUNT,
            "checkpoint_every": COUNT,
            "evaluate_every": COUNT,
            "memory": GIGABYTES,
            "threads": THREADS,
            "steady": WEIGHT,
            "finest": (0.0, 10.0),
        }
        check_ranges(self, ranges)
        if not 0 <= self.coarse[0] <= self.coarse[1] <= 1:
            raise BadInputError(
                f"The images cannot be coarse until {self.coarse} of the schedule.",
                "Give --coarse two fractions from 0 to 1, the smaller one first.",
            )

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return json.loads(json.dumps(asdict(self), default=str))  # type: ignore[no-any-return]


DEFAULT = AvatarSettings()
PRESETS: dict[str, AvatarSettings] = {
    "default": DEFAULT,
    "quick": replace(
        DEFAULT,
        steps=2_000,
        scale=0.5,
        latent=16,
        hidden=64,
        density=Density(start=0.15, rounds=4),
        evaluate_every=500,
    ),
    "baseline": replace(
        DEFAULT,
        color="sh",
        coarse=(0.0, 0.0),
        degree_every=1 / 600,
        opacity=0.1,
        subdivide_teeth=False,
        density=Density(
            start=12 / 600,
            stop=598 / 600,
            rounds=294,
            extent="cameras",
            split_above=0.01,
            budget=0,
            largest=0.1,
            resets=9,
            reset_to=0.01,
            grow=1.0,
        ),
        losses=AvatarLossConfig(face=0.0, patch=0.0, wrinkle=0.0),
    ),
}
PRESET_WORDS = {
    "default": "the paper's settings: colour network, pruning by volume, losses as far as their "
    "weights are there",
    "quick": "a small avatar of 2,000 steps at half size, to see whether a capture works",
    "baseline": "in the way of GaussianAvatars: harmonics, pruning by opacity, no perceptual loss",
}
