# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of ArcFace backbones (Deng et al. 2019) in plain torch.

Two layouts are in use, and both load with their own keys: *IR-SE* (``input_layer``, ``body.N``; the
``model_ir_se50.pth`` of many face projects; with or without squeeze and excitation) and *IResNet*
(``conv1``, ``layer1.N`` … ``layer4.N``; insightface's arcface_torch). The number and width of the
blocks are read from the file, so IR-50, 100 and 152 or R18 to R200 are one and the same here. The
embedding after the last stage is not needed and not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

from engine.core.errors import BadInputError
from training.weights import fitting


class SqueezeExcitation(nn.Module):
    """Channels weighted by what the whole picture says (Hu et al. 2018)."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1, bias=False)
        self.relu = nn.ReLU()
        self.fc2 = nn.Conv2d(squeezed, channels, 1, bias=False)
        self.sigmoid = nn.Sigmoid()

    def forward(self, values: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        weights: Tensor = self.sigmoid(self.fc2(self.relu(self.fc1(self.avg_pool(values)))))
        return values * weights


class IrUnit(nn.Module):
    """A residual unit of the IR-SE layout."""

    def __init__(self, channels: int, depth: int, stride: int, squeezed: int) -> None:
        super().__init__()
        self.shortcut_layer: nn.Module = (
            nn.MaxPool2d(1, stride)
            if channels == depth
            else nn.Sequential(
                nn.Conv2d(channels, depth, 1, stride, bias=False), nn.BatchNorm2d(depth)
            )
        )
        excitation = [SqueezeExcitation(depth, squeezed)] if squeezed else []
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, depth, 3, 1, 1, bias=False),
            nn.PReLU(depth),
            nn.Conv2d(depth, depth, 3, stride, 1, bias=False),
            nn.BatchNorm2d(depth),
            *excitation,
        )

    def forward(self, values: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D, H/stride, W/stride)."""
        both: Tensor = self.shortcut_layer(values) + self.res_layer(values)
        return both


class IrBackbone(nn.Module):
    """The IR-SE layout.

    Args:
        width: channels of the input layer.
        units: (channels, depth, stride, squeezed channels or 0) of each unit.
    """

    def __init__(self, width: int, units: list[tuple[int, int, int, int]]) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width)
        )
        self.body = nn.Sequential(*(IrUnit(*unit) for unit in units))
        starts = [index for index, unit in enumerate(units) if unit[2] == 2]
        self.ends = frozenset(index - 1 for index in [*starts[1:], len(units)])

    def forward(self, faces: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [−1, 1] to the features at the end of each stage."""
        seen = []
        values = self.input_layer(faces)
        for index, unit in enumerate(self.body):
            values = unit(values)
            if index in self.ends:
                seen.append(values)
        return seen


class IResUnit(nn.Module):
    """A residual unit of the IResNet layout."""

    def __init__(self, channels: int, depth: int, stride: int, *, projected: bool) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, depth, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(depth)
        self.prelu = nn.PReLU(depth)
        self.conv2 = nn.Conv2d(depth, depth, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(depth)
        self.downsample: nn.Module = (
            nn.Sequential(nn.Conv2d(channels, depth, 1, stride, bias=False), nn.BatchNorm2d(depth))
            if projected
            else nn.Identity()
        )

    def forward(self, values: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D, H/stride, W/stride)."""
        inner = self.prelu(self.bn2(self.conv1(self.bn1(values))))
        both: Tensor = self.downsample(values) + self.bn3(self.conv2(inner))
        return both


class IResNet(nn.Module):
    """The IResNet layout.

    Args:
        width: channels of the first convolution.
        stages: (channels, depth, projected) of each unit of the four stages.
    """

    def __init__(self, width: int, stages: list[list[tuple[int, int, bool]]]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.prelu = nn.PReLU(width)
        self.names = tuple(f"layer{number + 1}" for number in range(len(stages)))
        for name, units in zip(self.names, stages, strict=True):
            layer = nn.Sequential(
                *(
                    IResUnit(channels, depth, 2 if index == 0 else 1, projected=projected)
                    for index, (channels, depth, projected) in enumerate(units)
                )
            )
            self.add_module(name, layer)

    def forward(self, faces: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [−1, 1] to the features at the end of each stage."""
        seen = []
        values = self.prelu(self.bn1(self.conv1(faces)))
        for name in self.names:
            values = self.get_submodule(name)(values)
            seen.append(values)
        return seen


def face_backbone(tensors: Mapping[str, Tensor]) -> nn.Module:
    """A frozen ArcFace backbone with given weights.

    Args:
        tensors: state dict of either layout.

    Raises:
        BadInputError: it is of neither layout, or incomplete.
    """
    if "input_layer.0.weight" in tensors:
        network: nn.Module = _ir(tensors)
    elif "conv1.weight" in tensors and "layer1.0.conv1.weight" in tensors:
        network = _iresnet(tensors)
    else:
        raise BadInputError(
            "The weights are of no face recognition backbone that is known here.",
            "Use a state dict of the IR-SE layout (input_layer, body) or of IResNet (layer1 …).",
        )
    network.load_state_dict(fitting(tensors, network.state_dict(), "an ArcFace backbone"))
    network.requires_grad_(requires_grad=False)
    return network.eval()


def _ir(tensors: Mapping[str, Tensor]) -> IrBackbone:
    units = []
    for index in range(_count(tensors, r"body\.(\d+)\.res_layer\.1\.weight")):
        weight = _conv(tensors, f"body.{index}.res_layer.1.weight")
        channels, depth = weight.shape[1], weight.shape[0]
        excitation = tensors.get(f"body.{index}.res_layer.5.fc1.weight")
        squeezed = 0 if excitation is None else len(excitation)
        # A stage begins where the width changes, and with the first unit; only there is stride 2.
        stride = 2 if index == 0 or channels != depth else 1
        units.append((channels, depth, stride, squeezed))
    return IrBackbone(len(_conv(tensors, "input_layer.0.weight")), units)


def _iresnet(tensors: Mapping[str, Tensor]) -> IResNet:
    stages = []
    for number in range(1, 5):
        prefix = f"layer{number}"
        units = []
        for index in range(_count(tensors, prefix + r"\.(\d+)\.conv1\.weight")):
            weight = _conv(tensors, f"{prefix}.{index}.conv1.weight")
            projected = f"{prefix}.{index}.downsample.0.weight" in tensors
            units.append((weight.shape[1], weight.shape[0], projected))
        stages.append(units)
    return IResNet(len(_conv(tensors, "conv1.weight")), stages)


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    numbers = [int(match[1]) for key in tensors if (match := re.fullmatch(pattern, key))]
    if not numbers:
        raise BadInputError(
            "The weights of the face recognition backbone lack whole stages.",
            "Use the complete state dict.",
        )
    return max(numbers) + 1


def _conv(tensors: Mapping[str, Tensor], key: str) -> Tensor:
    weight = tensors.get(key)
    if weight is None or weight.ndim != 4:
        raise BadInputError(
            f"The weights of the face recognition backbone lack '{key}'.",
            "Use the complete state dict.",
        )
    return weight
