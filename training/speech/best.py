# SPDX-License-Identifier: GPL-3.0-or-later
"""The best model of a run, and the audio encoder that was tuned with it.

A tuned encoder lies beside the model's file, which names it: whoever loads the model hears with
the encoder it was trained with.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from engine.heads.head import Head
from engine.motion.encoders.wav2vec2 import Wav2Vec2Encoder, load_wav2vec2
from engine.motion.model.checkpoint import BESIDE, load_model, save_model
from engine.motion.model.network import SpeechModel

_SUFFIX = ".wav2vec2"


def keep_best(
    path: Path,
    model: SpeechModel,
    head: Head,
    name: str,
    notes: dict[str, Any],
    encoder: Wav2Vec2Encoder | None,
    step: int,
) -> None:
    """Save the model of a step in place of the one before; whatever breaks it off, the two fit.

    Args:
        path: of the model.
        model: it is.
        head: it speaks for.
        name: its id.
        notes: how it was trained.
        encoder: that was tuned with it, where there is one.
        step: tells its encoder's folder from that of the model before.
    """
    folder = f"{path.stem}-{step:06d}{_SUFFIX}"
    if encoder is not None:
        encoder.save(path.with_name(folder))
    source = None if encoder is None else BESIDE + folder
    save_model(path, model, head, name, notes, encoder_source=source)
    for old in path.parent.glob(f"{path.stem}-*{_SUFFIX}"):
        if encoder is None or old.name != folder:
            shutil.rmtree(old)


def publish(best: Path, path: Path, head: Head, *, tuned: bool) -> None:
    """Put the best model, and an encoder that was tuned with it, where users look for it.

    Args:
        best: what :func:`keep_best` wrote.
        path: final name of the model.
        head: it speaks for.
        tuned: whether there is such an encoder.
    """
    found = load_model(best, head)
    encoder = load_wav2vec2(found.model.config.encoder_source) if tuned else None
    save_with_encoder(path, found.model, head, found.name, found.notes, encoder)


def save_with_encoder(
    path: Path,
    model: SpeechModel,
    head: Head,
    name: str,
    notes: dict[str, Any],
    encoder: Wav2Vec2Encoder | None,
) -> None:
    """Save a model, and beside it an encoder that was tuned with it, where there is one."""
    source = None
    if encoder is not None:
        source = BESIDE + path.stem + _SUFFIX
        encoder.save(path.with_name(path.stem + _SUFFIX))
    save_model(path, model, head, name, notes, encoder_source=source)
