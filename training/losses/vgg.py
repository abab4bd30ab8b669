# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of VGG16 (Simonyan, Zisserman 2015) in plain torch.

torchvision, whose network it is, cannot be had beside every build of torch (docs/dependencies.md);
its published state dict loads as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from training.weights import fitting

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pictures."""
_WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512)
"""Channels of the convolutions as far as relu4_3; 0 halves the picture."""
_TAKEN = frozenset((3, 8, 15, 22))
"""Positions of relu1_2, relu2_2, relu3_3 and relu4_3 in ``features``."""


class Vgg16Features(nn.Module):
    """VGG16 as far as relu4_3, frozen.

    Args:
        tensors: torchvision's state dict; later layers are not looked at.

    Raises:
        BadInputError: the weights do not fit.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in _WIDTHS:
            if width:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            else:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.load_state_dict(fitting(tensors, self.state_dict(), "VGG16"))
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1))
        self.requires_grad_(requires_grad=False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """(B, 3, H, W) sRGB in [0, 1] to (B, C, h, w) after relu1_2, relu2_2, relu3_3, relu4_3."""
        taken = []
        values = (pictures - self.mean) / self.std
        for index, layer in enumerate(self.features):
            values = layer(values)
            if index in _TAKEN:
                taken.append(values)
        return taken
