# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of others, as local files: where they belong and what they are (docs/weights.md).

The project ships none of them and downloads nothing: who wants a term or a metric that needs one
puts the file into :func:`weights_folder`. A file that is missing is never replaced by random
numbers; :func:`why_missing` says what is missing, under which licence it stands and where it goes.

Importing this module is light: torch is imported when a file is read.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.core.errors import BadInputError, MissingDependencyError
from engine.core.runtime import cache_folder

if TYPE_CHECKING:
    from torch import Tensor

ENVIRONMENT = "GAUSSIANSPEECH_WEIGHTS"
"""Environment variable with the folder of the weight files."""


@dataclass(frozen=True)
class WeightFile:
    """One file.

    Attributes:
        name: what it is called here.
        files: names under which it is looked for, the preferred one first.
        what: the network.
        source: who publishes it.
        licence: under which terms.
        sha256: of the file with the first name; empty where the user makes it, as TorchScript.
    """

    name: str
    files: tuple[str, ...]
    what: str
    source: str
    licence: str
    sha256: str = ""


WEIGHTS: dict[str, WeightFile] = {
    entry.name: entry
    for entry in (
        WeightFile(
            "vgg16",
            ("vgg16-397923af.pth", "vgg16.pth", "vgg16.safetensors"),
            "VGG16 trained on ImageNet",
            "torchvision, vgg16 IMAGENET1K_V1",
            "BSD-3-Clause code; trained on ImageNet, whose images are for research",
            sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        ),
        WeightFile(
            "alexnet",
            ("alexnet-owt-7be5be79.pth", "alexnet.pth", "alexnet.safetensors"),
            "AlexNet trained on ImageNet",
            "torchvision, alexnet IMAGENET1K_V1",
            "BSD-3-Clause code; trained on ImageNet, whose images are for research",
            # torchvision names its files by the start of their SHA-256.
            sha256="7be5be79",
        ),
        WeightFile(
            "arcface",
            (
                "arcface.pt",
                "arcface.onnx",
                "model_ir_se50.pth",
                "arcface.pth",
                "arcface.safetensors",
            ),
            "face recognition by ArcFace",
            "InsightFace_Pytorch's model_ir_se50.pth or insightface's arcface_torch",
            "for non-commercial research",
        ),
        WeightFile(
            "syncnet",
            ("syncnet.pt", "syncnet_v2.model", "syncnet.pth", "syncnet.safetensors"),
            "SyncNet, for LSE-D and LSE-C",
            "joonson/syncnet_python's syncnet_v2.model",
            "MIT code; weights trained on BBC broadcasts, for research",
        ),
    )
}
"""All files by name."""


def weights_folder() -> Path:
    """Where the files belong: ``$GAUSSIANSPEECH_WEIGHTS``, else a folder in the user's cache."""
    chosen = os.environ.get(ENVIRONMENT)
    return Path(chosen) if chosen else cache_folder() / "weights"


def find_weights(name: str, folder: Path | None = None) -> Path | None:
    """The file of a network; ``None`` where there is none.

    Args:
        name: key of :data:`WEIGHTS`.
        folder: where to look instead of :func:`weights_folder`.
    """
    paths = ((folder or weights_folder()) / file for file in WEIGHTS[name].files)
    return next((path for path in paths if path.is_file()), None)


def why_missing(name: str, folder: Path | None = None) -> tuple[str, str] | None:
    """Message and remedy where a file is missing; ``None`` where it is there."""
    if find_weights(name, folder) is not None:
        return None
    error = missing_error(name, folder)
    return error.message, error.hint


def missing_error(name: str, folder: Path | None = None) -> MissingDependencyError:
    """What to raise for a missing file: which it is, its source, its licence, where it goes."""
    entry = WEIGHTS[name]
    path = (folder or weights_folder()) / entry.files[0]
    if entry.sha256:
        how = f"Put the file at {path} (from {entry.source}; {entry.licence}; its SHA-256 begins "
        how += f"with {entry.sha256[:8]})."
    else:
        how = f"Make {path} as docs/weights.md shows (from {entry.source}; {entry.licence})."
    return MissingDependencyError(f"There are no weights of {entry.what}.", how)


def load_weights(name: str, folder: Path | None = None) -> dict[str, Tensor]:
    """The tensors of a network by their keys, on the CPU.

    Args:
        name: key of :data:`WEIGHTS`, of a file that is no TorchScript.
        folder: where to look instead of :func:`weights_folder`.

    Raises:
        MissingDependencyError: there is no such file; says which and where it goes.
        BadInputError: it cannot be read, or bears the name of a published file that it is not.
    """
    path = find_weights(name, folder)
    if path is None:
        raise missing_error(name, folder)
    _check_published(path, WEIGHTS[name])
    return read_tensors(path)


def _check_published(path: Path, entry: WeightFile) -> None:
    """A file that bears the published name must be the published file; own names are free."""
    if not entry.sha256 or path.name != entry.files[0]:
        return
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if not digest.hexdigest().startswith(entry.sha256):
        raise BadInputError(
            f"{path} is not {entry.what}: its SHA-256 begins with {digest.hexdigest()[:8]}, not "
            f"with {entry.sha256[:8]}.",
            f"Fetch it again from {entry.source}, or name your own weights {entry.files[1]}.",
        )


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file or of a state dict of PyTorch, read without running code.

    Raises:
        BadInputError: it is neither, or holds no tensors.
    """
    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise _unreadable(path) from error
    except Exception as error:
        if type(error).__name__ == "SafetensorError":
            raise _unreadable(path) from error
        raise
    while isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise _unreadable(path)
    tensors = {
        str(key).removeprefix("module."): value
        for key, value in content.items()
        if isinstance(value, torch.Tensor)
    }
    if not tensors:
        raise _unreadable(path)
    return tensors


def _unreadable(path: Path) -> BadInputError:
    return BadInputError(
        f"{path} holds no weights that can be read.",
        "Give a state dict saved with torch.save, or a safetensors file.",
    )


def fitting(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: str
) -> dict[str, Tensor]:
    """Those tensors that a network expects, checked.

    Args:
        tensors: by key, as read; others than the expected are left out.
        expected: the network's own state dict.
        what: names the network in errors.

    Raises:
        BadInputError: a key is missing or has another shape.
    """
    chosen = {}
    for key, own in expected.items():
        tensor = tensors.get(key)
        if tensor is None and key.endswith("num_batches_tracked"):
            tensor = own
        if tensor is None or tensor.shape != own.shape:
            found = "is missing" if tensor is None else f"has shape {tuple(tensor.shape)}"
            raise BadInputError(
                f"The weights do not fit {what}: '{key}' {found}, expected {tuple(own.shape)}.",
                "Use a file of the layout that the documentation names.",
            )
        chosen[key] = tensor
    return chosen
