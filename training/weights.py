# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of other people's networks, as local files: where they belong and what they are.

The project ships none of them and downloads nothing: who wants a term or a metric that needs one
puts the file into :func:`weights_folder`. A file that is missing is never replaced by random
numbers; :func:`why_missing` says what is missing, under which licence it stands and where it goes.

Importing this module is light: torch is imported when a file is read.
"""

from __future__ import annotations

import hashlib
import importlib.util
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
        files: names under which it is looked for, the original one first.
        what: the network.
        source: who publishes it.
        licence: under which terms.
        sha256: what its checksum begins with; empty where it is not known for certain.
        package: an installed package that brings the file along, and where in it.
    """

    name: str
    files: tuple[str, ...]
    what: str
    source: str
    licence: str
    sha256: str = ""
    package: tuple[str, str] | None = None


WEIGHTS: dict[str, WeightFile] = {
    entry.name: entry
    for entry in (
        WeightFile(
            "vgg16",
            ("vgg16-397923af.pth", "vgg16.pth", "vgg16.safetensors"),
            "VGG16 trained on ImageNet",
            "torchvision, vgg16 IMAGENET1K_V1",
            "BSD-3-Clause code; trained on ImageNet, whose images are for research",
            # torchvision names its files by the start of their SHA-256.
            sha256="397923af",
        ),
        WeightFile(
            "alexnet",
            ("alexnet-owt-7be5be79.pth", "alexnet.pth", "alexnet.safetensors"),
            "AlexNet trained on ImageNet",
            "torchvision, alexnet IMAGENET1K_V1",
            "BSD-3-Clause code; trained on ImageNet, whose images are for research",
            sha256="7be5be79",
        ),
        WeightFile(
            "lpips-vgg",
            ("lpips-vgg.pth", "lpips-vgg.safetensors"),
            "linear layers of LPIPS 0.1 over VGG16",
            "package lpips, weights/v0.1/vgg.pth",
            "BSD-2-Clause",
            sha256="a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
            package=("lpips", "weights/v0.1/vgg.pth"),
        ),
        WeightFile(
            "lpips-alex",
            ("lpips-alex.pth", "lpips-alex.safetensors"),
            "linear layers of LPIPS 0.1 over AlexNet",
            "package lpips, weights/v0.1/alex.pth",
            "BSD-2-Clause",
            sha256="df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
            package=("lpips", "weights/v0.1/alex.pth"),
        ),
        WeightFile(
            "arcface",
            ("model_ir_se50.pth", "arcface.pth", "arcface.safetensors"),
            "face recognition by ArcFace: an IR-SE backbone, or insightface's IResNet",
            "InsightFace_Pytorch (model_ir_se50.pth), or insightface's arcface_torch backbones",
            "for non-commercial research",
        ),
        WeightFile(
            "syncnet",
            ("syncnet_v2.model", "syncnet.pth", "syncnet.safetensors"),
            "SyncNet, for LSE-D and LSE-C",
            "joonson/syncnet_python, syncnet_v2.model",
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
    entry = WEIGHTS[name]
    for file in entry.files:
        path = (folder or weights_folder()) / file
        if path.is_file():
            return path
    if entry.package is not None:
        package, inside = entry.package
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            path = Path(spec.origin).parent / inside
            if path.is_file():
                return path
    return None


def why_missing(name: str, folder: Path | None = None) -> tuple[str, str] | None:
    """Message and remedy where a file is missing; ``None`` where it is there."""
    if find_weights(name, folder) is not None:
        return None
    entry = WEIGHTS[name]
    place = (folder or weights_folder()) / entry.files[0]
    checksum = f"; its SHA-256 begins with {entry.sha256}" if entry.sha256 else ""
    return (
        f"There are no weights of {entry.what}.",
        f"Put the file at {place} (from {entry.source}; {entry.licence}{checksum}).",
    )


def load_weights(name: str, folder: Path | None = None) -> dict[str, Tensor]:
    """The tensors of a network by their keys, on the CPU.

    Args:
        name: key of :data:`WEIGHTS`.
        folder: where to look instead of :func:`weights_folder`.

    Raises:
        MissingDependencyError: there is no such file; says which and where it goes.
        BadInputError: it cannot be read, or bears the name of a published file that it is not.
    """
    path = find_weights(name, folder)
    if path is None:
        missing = why_missing(name, folder)
        assert missing is not None
        raise MissingDependencyError(*missing)
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
