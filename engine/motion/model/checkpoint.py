# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech models on disk: safetensors with everything that is needed to use them again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from engine.core.checks import shown
from engine.core.errors import BadInputError
from engine.core.files import atomic_write
from engine.core.progress import Progress, no_progress
from engine.core.tensor_file import read_tensor_file
from engine.heads.default import DEFAULT_HEAD, load_default_head
from engine.heads.head import Head
from engine.heads.retarget import has_arkit_visemes, with_arkit_expressions
from engine.motion.arkit import COLUMN
from engine.motion.model.architectures import build
from engine.motion.model.config import SpeechModelConfig
from engine.motion.model.inference import check_head
from engine.motion.model.network import SpeechNetwork

_FORMAT = "gaussianspeech-speech-model-1"
_KEY = "gaussianspeech"
_REMEDY = "Copy or train it again."
BESIDE = "./"
"""Start of an encoder's source that lies beside the model's file: both can be moved together."""
_BEFORE = {DEFAULT_HEAD: "5a563fc9ac6dddef0b996e76264a141bf34c6273710d7739e09be7ce9c345dee"}
"""Template digest of 0.1.0's head, whose teeth alone stood elsewhere: its models move this one."""


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A model ready to use.

    Attributes:
        model: in evaluation mode, on the CPU, with its basis in place.
        name: id that performances carry.
        head: id of the head it moves.
        notes: how it was trained, by topic.
    """

    model: SpeechNetwork
    name: str
    head: str
    notes: dict[str, Any]


def save_model(
    path: str | Path,
    model: SpeechNetwork,
    head: Head,
    name: str,
    notes: dict[str, Any] | None = None,
    *,
    half: bool = False,
    encoder_source: str | None = None,
    encoder_sha256: str = "",
) -> None:
    """Write a model; its file appears only when it is complete.

    Args:
        path: ``.safetensors``.
        model: what to save.
        head: the head it moves; a basis that is not learned stays with the head.
        name: id that performances will carry.
        notes: how it was trained; goes through JSON.
        half: store float16, which halves the file.
        encoder_source: the audio encoder to name instead of the configuration's; a folder beside
            the model's file as :data:`BESIDE` and its name.
        encoder_sha256: of that folder, by
            :func:`engine.motion.encoders.wav2vec2.encoder_digest`; only an encoder of this digest
            is accepted when the model is loaded.
    """
    kind = torch.float16 if half else torch.float32
    tensors = {
        key: value.detach().to("cpu", kind).contiguous()
        for key, value in model.state_dict().items()
    }
    config = model.config
    if encoder_source is not None:
        config = replace(config, encoder_source=encoder_source)
    about = {
        "format": _FORMAT,
        "name": name,
        "head": head.id,
        "expression_names": list(head.expression_names),
        "template_sha256": template_digest(head),
        "basis_sha256": _digest(_unnamed(head)),
        "config": config.to_dict(),
        "notes": notes or {},
    }
    if encoder_sha256:
        about["encoder_sha256"] = encoder_sha256
    with atomic_write(path) as temporary:
        save_file(tensors, str(temporary), metadata={_KEY: json.dumps(about)})


def load_model(path: str | Path, head: Head) -> TrainedModel:
    """Read a model for a head.

    Args:
        path: what :func:`save_model` wrote.
        head: who is to speak; must be the head that the model was trained on.

    Raises:
        BadInputError: missing, damaged, no speech model, of another version or of another head;
            names the file, expected and found.
    """
    path = Path(path)
    about, tensors = _read(path)
    config = _with_encoder(path, about, SpeechModelConfig.from_dict(about["config"]))
    _check(path, about, head, config)
    _check_shapes(path, config, tensors)
    model = build(config)
    model.load_state_dict({key: value.float() for key, value in tensors.items()})
    set_basis(model, head)
    return TrainedModel(model.eval(), about["name"], about["head"], about["notes"])


def encoder_source_of(path: str | Path) -> str:
    """Where the audio encoder of a model is: a folder, a hub id, or empty where it has no weights.

    Args:
        path: what :func:`save_model` wrote.

    Raises:
        BadInputError: missing, damaged, no speech model, or of another version.
    """
    path = Path(path)
    source = SpeechModelConfig.from_dict(_read(path, tensors=False)[0]["config"]).encoder_source
    return str(_beside(path, source)) if source.startswith(BESIDE) else source


def head_for_model(path: str | Path, head: Head, progress: Progress = no_progress) -> Head:
    """The head with the expressions that a model moves, where it can be given them.

    A model may move a head's own expressions, or the default head's on any other head. A
    FLAME head or a plain mesh gets those once and within a minute.

    Args:
        path: what :func:`save_model` wrote.
        head: who is to speak.
        progress: called with the fraction done; may raise to cancel.

    Returns:
        The head as it is where it has those expressions, or can have none of their names; then
        :func:`load_model` says what does not fit.

    Raises:
        BadInputError: missing, damaged, no speech model, of another version, or the default head's
            face does not fit this head.
    """
    names = tuple(_read(Path(path), tensors=False)[0]["expression_names"])
    if names == head.expression_names or has_arkit_visemes(head):
        return head
    if names != load_default_head().expression_names:
        return head
    return with_arkit_expressions(head, progress=progress)


def _read(path: Path, *, tensors: bool = True) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """What a file says about its model, and its tensors where they are wanted."""
    if not path.is_file():
        raise BadInputError(
            f"There is no speech model {path}.",
            "Train one with 'gaussianspeech train speech', or use the rules.",
        )
    read, held = read_tensor_file(path, _KEY, "speech model", _REMEDY, tensors=tensors)
    found = read.text("format", "unknown")
    if found != _FORMAT:
        raise BadInputError(
            f"{path} is of format {shown(found)}; expected {_FORMAT!r}.",
            "Give a speech model of this version of GaussianSpeech.",
        )
    about = {name: read.text(name) for name in ("name", "head", "template_sha256")}
    about |= {name: dict(read.group(name).values) for name in ("config", "notes")}
    about["expression_names"] = read.texts("expression_names")
    about |= {name: read.text(name, "") for name in ("basis_sha256", "encoder_sha256")}
    return about, held


def _check_shapes(
    path: Path, config: SpeechModelConfig, tensors: Mapping[str, torch.Tensor]
) -> None:
    """Compare the file with the model that its configuration asks for, before that takes memory.

    Raises:
        BadInputError: a tensor is missing, of another shape, or one too many.
    """
    with torch.device("meta"):
        expected = {key: value.shape for key, value in build(config).state_dict().items()}
    found = {key: value.shape for key, value in tensors.items()}
    if wrong := sorted(key for key, _ in expected.items() ^ found.items()):
        raise BadInputError(
            f"{path} holds tensors that do not fit its own configuration: {shown(wrong[0])} is "
            f"{shown(tuple(found.get(wrong[0], ())))}.",
            _REMEDY,
        )


def _with_encoder(
    path: Path, about: dict[str, Any], config: SpeechModelConfig
) -> SpeechModelConfig:
    """The configuration with the path of an encoder that lies beside the model.

    Raises:
        BadInputError: it is not there, or not the one that the model was trained with.
    """
    if not config.encoder_source.startswith(BESIDE):
        return config
    folder = _beside(path, config.encoder_source)
    if not folder.is_dir():
        raise BadInputError(
            f"{path} needs the audio encoder it was trained with, but there is no folder {folder}.",
            f"Copy the folder {folder.name} to where the model is.",
        )
    if expected := about["encoder_sha256"]:
        from engine.motion.encoders.wav2vec2 import encoder_digest

        if (found := encoder_digest(folder)) != expected:
            raise BadInputError(
                f"The audio encoder in {folder} is {found[:12]}; {path} was trained with "
                f"{shown(expected[:12])}.",
                "Copy the model's file and its encoder's folder together again.",
            )
    return replace(config, encoder_source=str(folder))


def _beside(path: Path, source: str) -> Path:
    return path.parent / Path(source.removeprefix(BESIDE)).name


def set_basis(model: SpeechNetwork, head: Head) -> None:
    """Give a model whose basis is not learned its head's own expression basis.

    Raises:
        BadInputError: the head has other vertices or expressions than the model.
    """
    check_head(model, head)
    if not model.config.learned_basis:
        basis = torch.from_numpy(np.ascontiguousarray(head.expression_basis, np.float32))
        model.mapper.basis = basis.to(model.mapper.weights.weight.device)


def template_digest(head: Head) -> str:
    """Tells meshes apart: sha256 of the neutral vertices."""
    return _digest(head.template)


def _unnamed(head: Head) -> NDArray[np.float32]:
    """The basis of the expressions without ARKit names; empty on heads that have those alone."""
    rows = [i for i, name in enumerate(head.expression_names) if name not in COLUMN]
    return head.expression_basis[rows]


def _digest(array: NDArray[np.float32]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array, np.float32).tobytes()).hexdigest()


def _check(path: Path, about: dict[str, Any], head: Head, config: SpeechModelConfig) -> None:
    """A learned basis moves the mesh it was trained on; expressions move any head that has them.

    Only ARKit names mean the same on every head. The numbered components of a FLAME version are
    those of that version alone.

    Raises:
        BadInputError: another head.
    """
    remedy = "Use the head it was trained on and retarget the performance, or train on this head."
    if tuple(about["expression_names"]) != head.expression_names:
        expected, found = about["expression_names"], list(head.expression_names)
        different = [name for name in expected if name not in found] or expected
        raise BadInputError(
            f"{path} is for the head {about['head']!r} with {len(expected)} expressions "
            f"({different[0]} …); {head.id!r} has {len(found)} others, or in another order.",
            remedy,
        )
    ours, theirs = template_digest(head), about["template_sha256"]
    if config.learned_basis and theirs not in (ours, _BEFORE.get(head.id)):
        raise BadInputError(
            f"{path} is for the mesh {theirs[:12]} of the head {about['head']!r}; {head.id!r} is "
            f"the mesh {ours[:12]}.",
            remedy,
        )
    ours, theirs = _digest(_unnamed(head)), about.get("basis_sha256", "")
    if not config.learned_basis and theirs and ours != theirs:
        raise BadInputError(
            f"{path} is for the expressions {theirs[:12]} of the head {about['head']!r}; those of "
            f"{head.id!r} have the same names but are others, {ours[:12]}.",
            remedy,
        )
