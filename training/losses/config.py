# SPDX-License-Identifier: GPL-3.0-or-later
"""How much each term of an avatar's loss counts. Light: importing it does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.core.errors import BadInputError
from training.run.options import SEED, WEIGHT, check_ranges

TERMS: tuple[str, ...] = ("rgb", "position", "scaling", "global", "patch", "wrinkle")
"""Terms of L_total by the names of the paper's sections."""


@dataclass(frozen=True)
class AvatarLossConfig:
    """Weights of the terms; a weight of 0 takes a term out.

    Attributes:
        dssim: part of D-SSIM in the photometric term; L1 has the rest.
        position: of L_position.
        position_free: distance from its triangle, in the triangle's size, that costs nothing.
        scaling: of L_scaling.
        scaling_free: standard deviation, in the triangle's size, that costs nothing.
        face: of L_global, the face recognition features of the square round the face.
        face_style: of their Gram matrices beside the features themselves.
        face_size: pixels of the square that face recognition looks at.
        patch: of L_patch, the VGG16 features.
        patches: how many patches a view gives.
        patch_size: pixels of their sides.
        wrinkle: of L_wrinkle.
        wrinkle_detector: file of a learned detector (TorchScript or ONNX); the ridge pyramid
            without.
        every: L_global, L_patch and L_wrinkle are taken at each so many-th step, with so many times
            the weight; 0 is 1 on a GPU and 10 on a CPU.
        weights: folder of the weight files; see training.weights.
        require: terms whose missing weights are an error: "global", "patch", "wrinkle".
        patch_seed: of the places of the patches.
    """

    dssim: float = 0.2
    position: float = 0.01
    position_free: float = 1.0
    scaling: float = 1.0
    scaling_free: float = 0.6
    face: float = 0.1
    face_style: float = 1.0
    face_size: int = 112
    patch: float = 0.05
    patches: int = 16
    patch_size: int = 128
    wrinkle: float = 1.0
    wrinkle_detector: Path | None = None
    every: int = 0
    weights: Path | None = None
    require: tuple[str, ...] = ()
    patch_seed: int = 0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            BadInputError: names the setting.
        """
        for name in ("dssim", "position", "scaling", "face", "face_style", "patch", "wrinkle"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise BadInputError(f"The loss weight '{name}' is {value}.", "Give 0 or more.")
        if self.dssim > 1:
            raise BadInputError(f"The part of D-SSIM is {self.dssim}.", "Give 0 to 1.")
        if self.every < 0 or self.patches < 1 or self.patch_size < 16 or self.face_size < 16:
            raise BadInputError(
                "The perceptual terms need patches of 16 pixels or more, and 'every' of 0 or more.",
                "Use the defaults, or larger values.",
            )
        check_ranges(self, {"position_free": WEIGHT, "scaling_free": WEIGHT, "patch_seed": SEED})
        weights = {"global": self.face, "patch": self.patch, "wrinkle": self.wrinkle}
        for term in self.require:
            if term not in weights:
                raise BadInputError(
                    f"The term '{term}' cannot be required.",
                    "Name 'global', 'patch' or 'wrinkle'.",
                )
            if not weights[term]:
                raise BadInputError(
                    f"The term '{term}' is required and has weight 0.", "Give it a weight."
                )
