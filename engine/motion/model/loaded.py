# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech models in use: a model with its audio encoder, kept until one of their files changes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.audio.loading import Speech
from engine.core.progress import Progress, no_progress
from engine.heads.head import Head
from engine.motion.encoders.base import AudioEncoder
from engine.motion.encoders.registry import load_encoder
from engine.motion.model.checkpoint import TrainedModel, encoder_source_of, load_model
from engine.motion.model.inference import infer
from engine.motion.model.live import Frames
from engine.motion.style import Style, model_inputs
from engine.recognition.recognizer import RecognizedSpeech

_FileState = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A speech model and the audio encoder that it was trained with.

    Attributes:
        trained: the model, for one head.
        encoder: its encoder.
    """

    trained: TrainedModel
    encoder: AudioEncoder

    @property
    def basis(self) -> NDArray[np.float32] | None:
        """(K, V, 3) the basis that the model learned; ``None`` where it moves expressions."""
        model = self.trained.model
        if not model.config.learned_basis:
            return None
        return model.mapper.basis.detach().float().cpu().numpy()

    def motion(
        self,
        speech: Speech,
        recognized: RecognizedSpeech,
        fps: float,
        style: Style,
        progress: Progress = no_progress,
    ) -> Frames:
        """What the model makes of a clip: weights of its basis, and of the expressions.

        Args:
            speech: the clip.
            recognized: the clip, recognised.
            fps: frames per second.
            style: the speaker, where the model has an input for it.
            progress: called with the fraction done; may raise to cancel.
        """
        model = self.trained.model
        features = self.encoder.encode(speech, recognized)
        inputs = model_inputs(style, model.config.styles)
        return infer(model, features, fps, inputs, progress)


def loaded_model(path: Path, head: Head) -> LoadedModel:
    """A model with its encoder, read again only when one of their files or the head has changed.

    Args:
        path: of the model.
        head: whose expressions it moves.

    Raises:
        BadInputError: a missing or damaged model, one of another head, or an encoder that it was
            not trained with.
        MissingDependencyError: the encoder's weights are not on this machine.
    """
    source = encoder_source_of(path)
    return _load(path, head, _state(path), _state(Path(source)) if source else ())


@lru_cache(maxsize=8)
def _load(
    path: Path,
    head: Head,
    model_state: _FileState,  # noqa: ARG001 - a key of the cache.
    encoder_state: _FileState,
) -> LoadedModel:
    """Both are read together, so that a changed encoder is held against the model's digest."""
    trained = load_model(path, head)
    config = trained.model.config
    encoder = _encoder(config.encoder, config.encoder_source, config.inner_rate, encoder_state)
    return LoadedModel(trained, encoder)


@lru_cache(maxsize=1)
def _encoder(
    name: str,
    source: str,
    rate: float | None,
    state: _FileState,  # noqa: ARG001 - a key of the cache.
) -> AudioEncoder:
    """Kept by itself: another head or a new model may have the same one."""
    return load_encoder(name, source, rate)


def _state(path: Path) -> _FileState:
    """Name, time and size of a file, or of all files of a folder; empty where there is neither."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    found = ((file, file.stat()) for file in files if file.is_file())
    return tuple((str(file), stat.st_mtime_ns, stat.st_size) for file, stat in found)
