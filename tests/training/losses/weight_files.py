# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of random numbers: VGG16 and AlexNet as published, and a small TorchScript file."""

from __future__ import annotations

import torch

VGG16 = {0: 64, 2: 64, 5: 128, 7: 128, 10: 256, 12: 256, 14: 256, 17: 512, 19: 512, 21: 512}
VGG16 |= {24: 512, 26: 512, 28: 512}
"""Output channels of torchvision's vgg16 by index in ``features``."""


def vgg16_tensors(seed=0):
    chance = torch.Generator().manual_seed(seed)
    tensors, channels = {}, 3
    for index, width in VGG16.items():
        spread = (2 / (9 * channels)) ** 0.5
        weight = torch.randn(width, channels, 3, 3, generator=chance) * spread
        tensors[f"features.{index}.weight"] = weight
        tensors[f"features.{index}.bias"] = 0.1 * torch.randn(width, generator=chance)
        channels = width
    tensors["classifier.0.weight"] = torch.zeros(1, 1)
    return tensors


def alexnet_tensors(seed=0):
    chance = torch.Generator().manual_seed(seed)
    layers = {
        0: (64, 3, 11),
        3: (192, 64, 5),
        6: (384, 192, 3),
        8: (256, 384, 3),
        10: (256, 256, 3),
    }
    tensors = {}
    for index, (width, channels, size) in layers.items():
        spread = (2 / (size * size * channels)) ** 0.5
        weight = torch.randn(width, channels, size, size, generator=chance) * spread
        tensors[f"features.{index}.weight"] = weight
        tensors[f"features.{index}.bias"] = 0.1 * torch.randn(width, generator=chance)
    return tensors


class Stages(torch.nn.Module):
    """Strided convolutions with norms; the features after each, as of face recognition."""

    def __init__(self, widths=(6, 8, 10), seed=0):
        super().__init__()
        self.stages = torch.nn.ModuleList()
        chance = torch.Generator().manual_seed(seed)
        channels = 3
        for width in widths:
            conv, norm = torch.nn.Conv2d(channels, width, 3, 2, 1), torch.nn.BatchNorm2d(width)
            for values in (conv.weight, conv.bias, norm.bias, norm.running_mean):
                values.data = 0.3 * torch.randn(values.shape, generator=chance)
            self.stages.append(torch.nn.Sequential(conv, norm, torch.nn.PReLU(width)))
            channels = width
        self.eval()

    def forward(self, faces):
        features = []
        for stage in self.stages:
            faces = stage(faces)
            features.append(faces)
        return tuple(features)


def save_stages(path, size=32):
    """The file that the user is to make; returns the network it was made from."""
    network = Stages()
    torch.jit.trace(network, torch.zeros(1, 3, size, size)).save(str(path))
    return network
