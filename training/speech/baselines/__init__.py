# SPDX-License-Identifier: GPL-3.0-or-later
"""The systems that the paper's Table 3 compares with, on this project's encoders and data.

Each is one file, written from its paper, and a preset of ``train speech``. They learn and are
measured as the sequence model is, and what they learn animates as its does. Light: importing this
does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.motion.model.architectures import register

if TYPE_CHECKING:
    from engine.motion.model.config import SpeechModelConfig
    from engine.motion.model.network import SpeechNetwork

FACEFORMER, CODETALKER, IMITATOR = "faceformer", "codetalker", "imitator"
BASELINES: tuple[str, ...] = (FACEFORMER, CODETALKER, IMITATOR)
"""Names of architectures and presets alike."""


def _faceformer(config: SpeechModelConfig) -> SpeechNetwork:
    from training.speech.baselines.faceformer import FaceFormer

    return FaceFormer(config)


def _codetalker(config: SpeechModelConfig) -> SpeechNetwork:
    from training.speech.baselines.codetalker import CodeTalker

    return CodeTalker(config)


def _imitator(config: SpeechModelConfig) -> SpeechNetwork:
    from training.speech.baselines.imitator import Imitator

    return Imitator(config)


def register_baselines() -> None:
    """Let the engine build them, so that their files animate."""
    for name, build in zip(BASELINES, (_faceformer, _codetalker, _imitator), strict=True):
        register(name, build)
