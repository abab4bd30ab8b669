# SPDX-License-Identifier: GPL-3.0-or-later
"""Small weight files of random numbers, in the layouts of the published ones."""

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


def _norm(tensors, name, channels, chance):
    tensors[f"{name}.weight"] = 1 + 0.2 * torch.randn(channels, generator=chance)
    tensors[f"{name}.bias"] = 0.1 * torch.randn(channels, generator=chance)
    tensors[f"{name}.running_mean"] = 0.1 * torch.randn(channels, generator=chance)
    tensors[f"{name}.running_var"] = 0.5 + torch.rand(channels, generator=chance)
    tensors[f"{name}.num_batches_tracked"] = torch.tensor(1)


def _conv(tensors, name, width, channels, size, chance):
    spread = (2 / (size * size * channels)) ** 0.5
    tensors[f"{name}.weight"] = torch.randn(width, channels, size, size, generator=chance) * spread


def ir_se_tensors(units=((8, 8), (8, 8), (8, 12), (12, 12), (12, 16)), *, squeeze=4, seed=0):
    """The keys of model_ir_se50.pth with fewer and thinner units, (channels, depth) each."""
    chance = torch.Generator().manual_seed(seed)
    tensors = {}
    _conv(tensors, "input_layer.0", 8, 3, 3, chance)
    _norm(tensors, "input_layer.1", 8, chance)
    tensors["input_layer.2.weight"] = torch.full((8,), 0.25)
    for index, (channels, depth) in enumerate(units):
        unit = f"body.{index}"
        if channels != depth:
            _conv(tensors, f"{unit}.shortcut_layer.0", depth, channels, 1, chance)
            _norm(tensors, f"{unit}.shortcut_layer.1", depth, chance)
        _norm(tensors, f"{unit}.res_layer.0", channels, chance)
        _conv(tensors, f"{unit}.res_layer.1", depth, channels, 3, chance)
        tensors[f"{unit}.res_layer.2.weight"] = torch.full((depth,), 0.25)
        _conv(tensors, f"{unit}.res_layer.3", depth, depth, 3, chance)
        _norm(tensors, f"{unit}.res_layer.4", depth, chance)
        if squeeze:
            _conv(tensors, f"{unit}.res_layer.5.fc1", squeeze, depth, 1, chance)
            _conv(tensors, f"{unit}.res_layer.5.fc2", depth, squeeze, 1, chance)
    tensors["output_layer.3.weight"] = torch.zeros(4, 4)
    return tensors


def iresnet_tensors(stages=((8, 2), (12, 1), (12, 2), (16, 1)), seed=0):
    """The keys of insightface's arcface_torch backbones; (depth, units) of each stage."""
    chance = torch.Generator().manual_seed(seed)
    tensors = {}
    _conv(tensors, "conv1", 8, 3, 3, chance)
    _norm(tensors, "bn1", 8, chance)
    tensors["prelu.weight"] = torch.full((8,), 0.25)
    channels = 8
    for number, (depth, units) in enumerate(stages, start=1):
        for index in range(units):
            unit = f"layer{number}.{index}"
            _norm(tensors, f"{unit}.bn1", channels, chance)
            _conv(tensors, f"{unit}.conv1", depth, channels, 3, chance)
            _norm(tensors, f"{unit}.bn2", depth, chance)
            tensors[f"{unit}.prelu.weight"] = torch.full((depth,), 0.25)
            _conv(tensors, f"{unit}.conv2", depth, depth, 3, chance)
            _norm(tensors, f"{unit}.bn3", depth, chance)
            if index == 0:
                _conv(tensors, f"{unit}.downsample.0", depth, channels, 1, chance)
                _norm(tensors, f"{unit}.downsample.1", depth, chance)
            channels = depth
    tensors["fc.weight"] = torch.zeros(4, 4)
    return tensors
