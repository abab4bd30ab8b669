# SPDX-License-Identifier: GPL-3.0-or-later
"""LPIPS 0.1 (Zhang et al. 2018) in plain torch, with weights from local files.

The number depends on the network, so it goes with its name: ``vgg`` (as GaussianAvatars reports)
or ``alex``. The linear layers come with the package ``lpips`` or lie beside the network's file;
see :mod:`training.weights`. Without both there is no LPIPS; nothing is guessed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from engine.core.errors import BadInputError
from training.losses.vgg import FeatureStack, alexnet, vgg16
from training.weights import load_weights, why_missing

Net = Literal["vgg", "alex"]

_BACKBONES = {"vgg": "vgg16", "alex": "alexnet"}
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""LPIPS' own constants for pictures in [−1, 1]."""
_TINY = 1e-10


def why_no_lpips(net: Net = "vgg", folder: Path | None = None) -> tuple[str, str] | None:
    """Message and remedy where a file is missing; ``None`` where LPIPS can be computed."""
    for name in (_BACKBONES[net], f"lpips-{net}"):
        missing = why_missing(name, folder)
        if missing is not None:
            return missing
    return None


class Lpips(nn.Module):
    """The distance of two pictures in the features of a network.

    Args:
        net: which network.
        folder: of the weight files; the user's own by default.

    Raises:
        MissingDependencyError: a file is missing; says which and where it goes.
        BadInputError: a file does not fit.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, net: Net = "vgg", folder: Path | None = None) -> None:
        super().__init__()
        self.net = net
        tensors = load_weights(_BACKBONES[net], folder)
        self.features: FeatureStack = vgg16(tensors) if net == "vgg" else alexnet(tensors)
        heads = load_weights(f"lpips-{net}", folder)
        channels = [layer.out_channels for layer in self._seen_layers()]
        for index, count in enumerate(channels):
            self.register_buffer(f"head{index}", _head(heads, index, count))
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(_SCALE).view(1, 3, 1, 1))
        self.eval()

    def forward(self, ours: Tensor, true: Tensor) -> Tensor:
        """LPIPS of (H, W, 3) pictures in [0, 1], a scalar; 0 for equal ones."""
        first, second = (
            self.features((2 * picture.permute(2, 0, 1)[None] - 1 - self.shift) / self.scale)
            for picture in (ours, true)
        )
        distance = ours.new_zeros(())
        for index, (a, b) in enumerate(zip(first, second, strict=True)):
            head: Tensor = self.get_buffer(f"head{index}")
            distance = distance + ((_unit(a) - _unit(b)).square() * head).sum(1).mean()
        return distance

    def _seen_layers(self) -> list[nn.Conv2d]:
        """The convolution before each place where features are taken."""
        layers: list[nn.Conv2d] = []
        last: nn.Conv2d | None = None
        for index, layer in enumerate(self.features.features.children()):
            if isinstance(layer, nn.Conv2d):
                last = layer
            if index in self.features.layers and last is not None:
                layers.append(last)
        return layers


def _unit(features: Tensor) -> Tensor:
    """Features of each place at length one."""
    return features / (features.square().sum(1, keepdim=True).sqrt() + _TINY)


def _head(heads: dict[str, Tensor], index: int, channels: int) -> Tensor:
    weight = heads.get(f"lin{index}.model.1.weight")
    if weight is None or weight.numel() != channels:
        raise BadInputError(
            f"The linear layers of LPIPS do not fit: 'lin{index}.model.1.weight' should have "
            f"{channels} numbers.",
            "Use the file of the same network from the package lpips, version 0.1.",
        )
    return weight.reshape(1, channels, 1, 1)
