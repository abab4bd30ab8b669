# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new speech model can be: the engine's presets and the systems to compare with.

Sizes of the latter are those of their papers for VOCASET, as far as those tell.
"""

from __future__ import annotations

from dataclasses import replace

from engine.motion.model.config import PAPER, PRESETS
from training.speech.baselines import CODETALKER, FACEFORMER, IMITATOR, register_baselines

register_baselines()

_FACEFORMER = replace(
    PAPER,
    architecture=FACEFORMER,
    dimension=64,
    heads=4,
    feed_forward=128,
    decoder_layers=1,
    components=64,
    wrinkle_features=False,
    lip_feedback=False,
    motion_memory=False,
    staged=False,
)

BASELINE_PRESETS = {
    FACEFORMER: _FACEFORMER,
    CODETALKER: replace(
        _FACEFORMER,
        architecture=CODETALKER,
        dimension=1024,
        heads=8,
        feed_forward=1536,
        expression_layers=6,
        decoder_layers=6,
        components=128,
    ),
    IMITATOR: replace(_FACEFORMER, architecture=IMITATOR),
}

NEW_MODELS = PRESETS | BASELINE_PRESETS
"""By name."""
