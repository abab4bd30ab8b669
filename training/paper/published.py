# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of the paper's tables (Aneja et al. 2024), and what it printed of them.

Only those figures stand here that were available to copy; the others are left open. The paper's are
of real people at 1100 × 1604 pixels, so a table made elsewhere can be compared in its order alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PSNR, SSIM, LPIPS, GAUSSIANS = "PSNR (dB)", "SSIM", "LPIPS", "Gaussians"


@dataclass(frozen=True)
class PaperRow:
    """A row of a table.

    Attributes:
        name: as it is printed here.
        key: what is trained for it: a row of Table 2's settings, or a preset of speech models.
        printed: the paper's figures.
        in_paper: whether it stands in the paper at all.
    """

    name: str
    key: str
    printed: Mapping[str, float] = field(default_factory=dict)
    in_paper: bool = True


TABLE_2 = (
    PaperRow(
        "GaussianAvatars",
        "baseline",
        {PSNR: 26.53, SSIM: 0.9087, LPIPS: 0.1487, GAUSSIANS: 98_083},
    ),
    PaperRow("w/o perceptual", "w/o perceptual"),
    PaperRow("w/o wrinkle", "w/o wrinkle"),
    PaperRow("w/o mouth subdivision", "w/o mouth subdivision"),
    PaperRow("w/o colour MLP", "w/o colour MLP"),
    PaperRow("full", "full", {PSNR: 29.90, SSIM: 0.9495, LPIPS: 0.1104, GAUSSIANS: 32_379}),
)
MONOCULAR = ("RAD-NeRF", "ER-NeRF", "SyncTalk", "TalkingGaussian", "GaussianTalker")
"""Video systems of Table 3: their own programs train and render them."""
RULES = "rules"
TABLE_3 = (
    PaperRow("FaceFormer + G.A.", "faceformer"),
    PaperRow("CodeTalker + G.A.", "codetalker"),
    PaperRow("Imitator + G.A.", "imitator"),
    PaperRow("ours", "paper"),
    PaperRow("ours, preset personal", "personal", in_paper=False),
    PaperRow("the rules, untrained", RULES, in_paper=False),
)
UNTUNED, JOINT = "w/o colour and latent fine-tuning", "joint"
TABLE_4 = (
    PaperRow("w/o alignment mask", "without_alignment_mask"),
    PaperRow("w/o audio fine-tuning", "without_audio_finetuning"),
    PaperRow("w/o wrinkle features", "without_wrinkle_features"),
    PaperRow(UNTUNED, "paper"),
    PaperRow("full", JOINT),
)
