# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech models on disk: safetensors with everything that is needed to use them again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from engine.errors import BadInputError, MissingDependencyError
from engine.files import written_whole
from engine.heads.head import Head
from engine.speech.inference import check_head
from engine.speech.model import SpeechModel
from engine.speech.model_config import SpeechModelConfig

_FORMAT = "gaussianspeech-speech-model-1"
_KEY = "gaussianspeech"


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A model ready to use.

    Attributes:
        model: in evaluation mode, on the CPU, with its basis in place.
        name: id that performances carry.
        head: id of the head it speaks for.
        notes: how it was trained, by topic.
    """

    model: SpeechModel
    name: str
    head: str
    notes: dict[str, Any]


def save_model(
    path: str | Path,
    model: SpeechModel,
    head: Head,
    name: str,
    notes: dict[str, Any] | None = None,
    *,
    half: bool = False,
) -> None:
    """Write a model; its file appears only when it is complete.

    Args:
        path: ``.safetensors``.
        model: what to save.
        head: the head it speaks for; a basis that is not learned stays with the head.
        name: id that performances will carry.
        notes: how it was trained; goes through JSON.
        half: store float16, which halves the file.
    """
    kind = torch.float16 if half else torch.float32
    tensors = {
        key: value.detach().to("cpu", kind).contiguous()
        for key, value in model.state_dict().items()
    }
    about = {
        "format": _FORMAT,
        "name": name,
        "head": head.id,
        "expression_names": list(head.expression_names),
        "template_sha256": template_digest(head),
        "config": model.config.to_dict(),
        "notes": notes or {},
    }
    with written_whole(path) as temporary:
        save_file(tensors, str(temporary), metadata={_KEY: json.dumps(about)})


def load_model(path: str | Path, head: Head) -> TrainedModel:
    """Read a model for a head.

    Args:
        path: what :func:`save_model` wrote.
        head: who is to speak; must be the head that the model was trained on.

    Raises:
        MissingDependencyError: there is no such file.
        BadInputError: damaged, no speech model, of another version or of another head; names the
            file, expected and found.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingDependencyError(
            f"There is no speech model {path}.",
            "Train one with 'gaussianspeech train speech', or use the rules.",
        )
    try:
        with safe_open(str(path), framework="pt") as file:
            about = json.loads((file.metadata() or {}).get(_KEY, "{}"))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping.
    except (SafetensorError, OSError, ValueError) as error:
        raise BadInputError(
            f"{path} cannot be read as a speech model: {error}.", "Copy or train it again."
        ) from error
    if about.get("format") != _FORMAT:
        raise BadInputError(
            f"{path} is of format {about.get('format', 'unknown')!r}; expected {_FORMAT!r}.",
            "Give a speech model of this version of GaussianSpeech.",
        )
    config = SpeechModelConfig.from_dict(about["config"])
    _check(path, about, head, config)
    model = SpeechModel(config)
    try:
        model.load_state_dict({key: value.float() for key, value in tensors.items()})
    except RuntimeError as error:
        raise BadInputError(
            f"{path} holds tensors that do not fit its own configuration: {error}",
            "Copy or train it again.",
        ) from error
    set_basis(model, head)
    return TrainedModel(model.eval(), about["name"], about["head"], about["notes"])


def set_basis(model: SpeechModel, head: Head) -> None:
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
    return hashlib.sha256(np.ascontiguousarray(head.template, np.float32).data).hexdigest()


def _check(path: Path, about: dict[str, Any], head: Head, config: SpeechModelConfig) -> None:
    """A learned basis moves the mesh it was trained on; expressions move any head that has them.

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
    if config.learned_basis and ours != theirs:
        raise BadInputError(
            f"{path} is for the mesh {theirs[:12]} of the head {about['head']!r}; {head.id!r} is "
            f"the mesh {ours[:12]}.",
            remedy,
        )
