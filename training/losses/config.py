# SPDX-License-Identifier: GPL-3.0-or-later
"""How much each term of an avatar's loss counts. Light: importing it does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
        wrinkle_detector: file of a learned detector (TorchScript); the ridge pyramid without.
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
