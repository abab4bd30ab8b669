# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of others as TorchScript or ONNX files, which the user makes or gets (docs/weights.md).

A TorchScript archive holds the network with its weights, so that no architecture is built here.
It is a program, too: loading runs its ``__setstate__``, and both loading and running may read and
write files. Only archives are handed to torch, which neither imports nor runs Python for them.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.core.errors import BadInputError
from training.onnx_network import OnnxNetwork

ONNX = ".onnx"
_UNFIT = (RuntimeError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError)
"""What operators raise that get something else than they can take."""
_MEMBERS = {"constants.pkl", "data.pkl"}
"""What the folder of a TorchScript archive has; a state dict has no constants."""
_PICKLE = b"\x80"
"""First byte of state dicts that PyTorch before 1.6 wrote."""
_REMEDY = "Make a TorchScript file with torch.jit.trace or torch.jit.script (docs/weights.md)."


class ScriptedNetwork(nn.Module):
    """A frozen network of a TorchScript or ONNX file, in evaluation mode, its outputs checked.

    Args:
        path: the user's own file, ONNX where its name ends in ``.onnx``; load TorchScript from
            people you trust only.
        what: the network, for messages.
        outputs: number of dimensions that an output may have, and the words for its shape.

    Raises:
        BadInputError: there is no such file, or it is damaged or neither; one of weights without
            their network is named as such.
    """

    def __init__(self, path: str | Path, what: str, outputs: dict[int, str]) -> None:
        super().__init__()
        self.path, self.what, self.outputs = Path(path), what, outputs
        self.script = OnnxNetwork(path) if self.path.suffix == ONNX else _script(self.path, what)
        for parameter in self.script.parameters():  # TorchScript has no requires_grad_ for all.
            parameter.requires_grad = False
        self.eval()

    def train(self, mode: bool = True) -> ScriptedNetwork:  # noqa: ARG002, FBT001, FBT002
        """Stay in evaluation mode."""
        return super().train(mode=False)

    def forward(self, inputs: Tensor, method: str = "forward") -> list[Tensor]:
        """The outputs of the network, one or several.

        Args:
            inputs: (B, …).
            method: of the network.

        Returns:
            Each (B, …) with a number of dimensions that ``outputs`` names.

        Raises:
            BadInputError: the network cannot take the inputs, or gives something else.
        """
        shape = tuple(inputs.shape)
        if not hasattr(self.script, method):
            raise self._unusable(f"has no method '{method}'")
        try:
            found = getattr(self.script, method)(inputs)
        except torch.OutOfMemoryError:
            raise
        except (torch.jit.Error, *_UNFIT) as error:
            reason = str(error).strip().rpartition("\n")[2].strip()
            raise self._unusable(f"cannot take {shape}: {reason[:120]}") from error
        layers = list(found) if isinstance(found, list | tuple) else [found]
        for layer in layers:
            if not isinstance(layer, Tensor):
                raise self._unusable(f"gives {type(layer).__name__} for {shape}")
            if layer.ndim not in self.outputs or len(layer) != len(inputs):
                raise self._unusable(f"gives {tuple(layer.shape)} for {shape}")
        if not layers:
            raise self._unusable(f"gives nothing for {shape}")
        return layers

    def _unusable(self, how: str) -> BadInputError:
        return BadInputError(
            f"{self.what} {self.path} {how}.",
            f"It must give {' or '.join(self.outputs.values())}, or a tuple of such tensors "
            "(docs/weights.md).",
        )


def load_detector(path: str | Path) -> ScriptedNetwork:
    """A learned wrinkle detector: (B, 3, H, W) sRGB in [0, 1] to maps or features.

    Raises:
        BadInputError: there is no such file, or it is not TorchScript.
    """
    outputs = {4: "(B, N, H, W) maps", 2: "(B, N) features"}
    return ScriptedNetwork(path, "The wrinkle detector", outputs)


def _script(path: Path, what: str) -> nn.Module:
    _check_archive(path, what)
    load: Any = torch.jit.load
    try:
        network: nn.Module = load(str(path), map_location="cpu")
    except Exception as error:  # The reader lets through whatever its parts raise.
        raise BadInputError(f"{path} is a damaged TorchScript file.", _REMEDY) from error
    return network


def _check_archive(path: Path, what: str) -> None:
    """Refuse what is no sound TorchScript archive before torch's reader sees it."""
    if not path.is_file():
        raise BadInputError(f"There is no file {path}.", _REMEDY)
    try:
        with path.open("rb") as file:
            pickled = file.read(1) == _PICKLE
        names = _members(path) if zipfile.is_zipfile(path) else set()
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}.", _REMEDY) from error
    except Exception as error:  # zipfile, zlib and struct have a dozen kinds for damaged files.
        raise BadInputError(f"{path} is a damaged archive.", _REMEDY) from error
    if names >= _MEMBERS:
        return
    if "data.pkl" in names or pickled or path.suffix == ".safetensors":
        raise BadInputError(
            f"{path} holds weights alone, without their network.",
            f"{what} is read from a TorchScript file; docs/weights.md shows how to make it from "
            "these weights.",
        )
    raise BadInputError(f"{path} is not a TorchScript file.", _REMEDY)


def _members(path: Path) -> set[str]:
    """What the only folder of an archive has, each whole by its checksum."""
    with zipfile.ZipFile(path) as archive:
        if archive.testzip() is not None:
            raise zipfile.BadZipFile
        return {name.partition("/")[2] for name in archive.namelist()}
