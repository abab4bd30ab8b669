# SPDX-License-Identifier: GPL-3.0-or-later
"""The speech models of Tables 3 and 4 at any size."""

from __future__ import annotations

from dataclasses import replace

from engine.motion.model.config import SpeechModelConfig
from training.speech.baselines import CODETALKER, FACEFORMER, IMITATOR

_COMPONENTS = 64


def reduced(config: SpeechModelConfig, dimension: int) -> SpeechModelConfig:
    """A preset of a smaller hidden size, and of fewer layers.

    FaceFormer's and Imitator's, which are small, grow no larger than they are; CodeTalker's codes
    need twice the size of the others.

    Args:
        config: the preset.
        dimension: d; 0 leaves the preset as it is.
    """
    if not dimension:
        return config
    wide = 2 * dimension if config.architecture == CODETALKER else dimension
    d = min(config.dimension, wide)
    smaller = replace(
        config,
        dimension=d,
        feed_forward=min(config.feed_forward, 2 * d),
        components=min(config.components, _COMPONENTS),
    )
    if config.architecture in (FACEFORMER, IMITATOR):
        return smaller
    return replace(
        smaller,
        lip_layers=min(config.lip_layers, 2),
        expression_layers=min(config.expression_layers, 2),
        decoder_layers=min(config.decoder_layers, 2),
    )
