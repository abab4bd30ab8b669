# SPDX-License-Identifier: GPL-3.0-or-later
"""A speech model with the audio encoder that was tuned with it, as one pair on disk.

The encoder's folder has its digest in its name, the model's file names the folder and the digest,
and the file is replaced last and at once: whatever breaks it off, a reader finds the old pair or
the new one, never a mixture.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from engine.core import platforms
from engine.core.errors import MissingDependencyError, UnwritableError
from engine.core.files import unwritable
from engine.heads.head import Head
from engine.motion.encoders.wav2vec2 import Wav2Vec2Encoder, encoder_digest, load_wav2vec2
from engine.motion.model.checkpoint import BESIDE, load_model, save_model
from engine.motion.model.ids import MODEL_SUFFIX
from engine.motion.model.network import SpeechNetwork

_SUFFIX = ".wav2vec2"
_DIGITS = 12
"""Of the digest, in the name of the folder."""


def publish(best: Path, path: Path, head: Head, *, tuned: bool) -> None:
    """Put the best model, and an encoder that was tuned with it, where users look for it.

    Args:
        best: what :func:`save_with_encoder` wrote.
        path: final name of the model.
        head: whose expressions it moves.
        tuned: whether there is such an encoder.
    """
    found = load_model(best, head)
    encoder = load_wav2vec2(found.model.config.encoder_source) if tuned else None
    save_with_encoder(path, found.model, head, found.name, found.notes, encoder)


def save_with_encoder(
    path: Path,
    model: SpeechNetwork,
    head: Head,
    name: str,
    notes: dict[str, Any],
    encoder: Wav2Vec2Encoder | None,
) -> None:
    """Save a model, and beside it an encoder that was tuned with it, where there is one.

    Args:
        path: of the model; what is there already is replaced, its encoder removed.
        model: what to save.
        head: whose expressions it moves.
        name: its id.
        notes: how it was trained.
        encoder: that was tuned with it.
    """
    if encoder is None:
        save_model(path, model, head, name, notes)
        _remove_others(path, "")
        return
    folder, digest, is_new = _save_encoder(path, encoder)
    source = BESIDE + folder
    try:
        save_model(path, model, head, name, notes, encoder_source=source, encoder_sha256=digest)
    except BaseException:
        if is_new:
            # It is hundreds of megabytes that no model names.
            platforms.remove_tree(path.with_name(folder))
        raise
    _remove_others(path, folder)


def _save_encoder(path: Path, encoder: Wav2Vec2Encoder) -> tuple[str, str, bool]:
    """Write an encoder beside a model; the folder's name, its digest, and whether it is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".wav2vec2.") as temporary:
        made = Path(temporary) / "model"
        try:
            encoder.save(made)
        except UnwritableError as error:
            raise unwritable(path, error.__cause__ or error) from error
        digest = encoder_digest(made)
        folder = path.with_name(f"{path.stem}-{digest[:_DIGITS]}{_SUFFIX}")
        is_new = not _is_whole(folder, digest)
        if is_new:
            if folder.exists():
                platforms.remove_tree(folder)
            platforms.replace(made, folder)
    return folder.name, digest, is_new


def _is_whole(folder: Path, digest: str) -> bool:
    """Whether a folder holds the encoder of a digest, and not the rest of a broken-off removal."""
    try:
        return encoder_digest(folder) == digest
    except MissingDependencyError:
        return False


def _remove_others(path: Path, kept: str) -> None:
    """Remove the encoders that models of this name had before, and those of 0.1.0."""
    ours = re.compile(
        rf"{re.escape(path.stem)}(-[0-9a-f]{{{_DIGITS}}}|-\d{{6,}})?{re.escape(_SUFFIX)}"
    )
    for folder in path.parent.glob(f"*{_SUFFIX}"):
        # A model of that very name has that folder as its own.
        another = folder.with_suffix(MODEL_SUFFIX)
        mine = another == path or not another.exists()
        if folder.name != kept and ours.fullmatch(folder.name) and mine:
            platforms.remove_tree(folder)
