# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of VGG16 (Simonyan, Zisserman 2015) and AlexNet (Krizhevsky 2012) in plain torch.

The keys are those of torchvision's state dicts (``features.0.weight`` …), so that the published
files load as they are, without torchvision.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from training.weights import fitting

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pictures, which torchvision's networks were trained on."""

_VGG16: tuple[int | str, ...] = (
    *(64, 64, "M", 128, 128, "M", 256, 256, 256, "M"),
    *(512, 512, 512, "M", 512, 512, 512),
)
VGG16_LAYERS: dict[str, int] = {
    "relu1_2": 3,
    "relu2_2": 8,
    "relu3_3": 15,
    "relu4_3": 22,
    "relu5_3": 29,
}
"""Layers by the paper's names: index in ``features``."""

ALEXNET_LAYERS: dict[str, int] = {"relu1": 1, "relu2": 4, "relu3": 7, "relu4": 9, "relu5": 11}


class FeatureStack(nn.Module):
    """The convolutions of a network, frozen, and what they see at chosen layers.

    Args:
        features: the layers, named as in the published state dict.
        layers: indices after which the features are taken, rising.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, features: list[nn.Module], layers: tuple[int, ...]) -> None:
        super().__init__()
        self.features = nn.Sequential(*features[: layers[-1] + 1])
        self.layers = frozenset(layers)
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(requires_grad=False)
        self.eval()

    def load(self, tensors: Mapping[str, Tensor], what: str) -> None:
        """Take weights from a published state dict.

        Raises:
            BadInputError: they do not fit.
        """
        self.load_state_dict(fitting(tensors, self.state_dict(), what))

    def normalised(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) sRGB in [0, 1] as the network was trained on."""
        return (pictures - self.mean) / self.std

    def forward(self, normalised: Tensor) -> list[Tensor]:
        """(B, 3, H, W) normalised pictures to the features of each chosen layer."""
        seen = []
        values = normalised
        for index, layer in enumerate(self.features):
            values = layer(values)
            if index in self.layers:
                seen.append(values)
        return seen


def vgg16(
    tensors: Mapping[str, Tensor],
    layers: tuple[str, ...] = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"),
) -> FeatureStack:
    """VGG16's convolutions with given weights.

    Args:
        tensors: torchvision's state dict; the classifier is not looked at.
        layers: keys of :data:`VGG16_LAYERS`.

    Raises:
        BadInputError: the weights do not fit.
    """
    stack: list[nn.Module] = []
    channels = 3
    for entry in _VGG16:
        if isinstance(entry, str):
            stack.append(nn.MaxPool2d(2))
        else:
            stack += [nn.Conv2d(channels, entry, 3, padding=1), nn.ReLU()]
            channels = entry
    network = FeatureStack(stack, tuple(VGG16_LAYERS[name] for name in layers))
    network.load(tensors, "VGG16")
    return network


def alexnet(tensors: Mapping[str, Tensor]) -> FeatureStack:
    """AlexNet's convolutions with given weights, all five layers.

    Args:
        tensors: torchvision's state dict; the classifier is not looked at.

    Raises:
        BadInputError: the weights do not fit.
    """
    stack: list[nn.Module] = [
        nn.Conv2d(3, 64, 11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(),
    ]
    network = FeatureStack(stack, tuple(ALEXNET_LAYERS.values()))
    network.load(tensors, "AlexNet")
    return network
