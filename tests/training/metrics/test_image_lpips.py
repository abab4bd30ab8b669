# SPDX-License-Identifier: GPL-3.0-or-later
"""LPIPS against its definition where the package is, and what is said where it is not."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from torch.nn.functional import conv2d, max_pool2d

from engine.core.errors import BadInputError, MissingDependencyError
from tests.training.losses.weight_files import VGG16, alexnet_tensors, vgg16_tensors
from training.metrics.image_lpips import Lpips

INSTALLED = importlib.util.find_spec("lpips") is not None
with_package = pytest.mark.skipif(not INSTALLED, reason="lpips is not here: nox -s lpips has it")
ALEXNET = {0: (4, 2), 3: (1, 2), 6: (1, 1), 8: (1, 1), 10: (1, 1)}
"""Stride and padding of its convolutions."""


@pytest.fixture(scope="module", autouse=True)
def _operators_of_torchvision():
    """Declared, so that lpips can be imported beside a torch for CPUs, too."""
    operators = torch.library.Library("torchvision", "FRAGMENT")
    for schema in (
        "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    ):
        with contextlib.suppress(RuntimeError):
            operators.define(schema)
    return operators


@pytest.fixture
def weights(tmp_path):
    torch.save(vgg16_tensors(), tmp_path / "vgg16.pth")
    torch.save(alexnet_tensors(), tmp_path / "alexnet.pth")
    return tmp_path


@pytest.fixture(scope="module")
def pictures():
    chance = torch.Generator().manual_seed(4)
    return torch.rand(70, 66, 3, generator=chance), torch.rand(70, 66, 3, generator=chance)


def linear_layers(net):
    """The weights that the package brings along."""
    import lpips

    path = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
    return torch.load(path, map_location="cpu")


def features(net, values):
    """What VGG16 or AlexNet see, layer by layer."""
    tensors = vgg16_tensors() if net == "vgg" else alexnet_tensors()
    for index in VGG16 if net == "vgg" else ALEXNET:
        stride, padding = (1, 1) if net == "vgg" else ALEXNET[index]
        if net == "vgg" and index in {5, 10, 17, 24}:
            values = max_pool2d(values, 2)
        if net == "alex" and index in {3, 6}:
            values = max_pool2d(values, 3, 2)
        name = f"features.{index}"
        values = conv2d(
            values, tensors[f"{name}.weight"], tensors[f"{name}.bias"], stride, padding
        ).relu()
        if net == "alex" or index in {2, 7, 14, 21, 28}:
            yield values / (values.pow(2).sum(1, keepdim=True).sqrt() + 1e-10)


@with_package
@pytest.mark.parametrize("net", ["vgg", "alex"])
def test_the_distance_is_the_definition(weights, pictures, net):
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1)
    first, second = ((p.permute(2, 0, 1)[None] * 2 - 1 - shift) / scale for p in pictures)
    linear = linear_layers(net)
    pairs = zip(features(net, first), features(net, second), strict=True)
    expected = sum(
        float(((a - b) ** 2 * linear[f"lin{layer}.model.1.weight"]).sum(1).mean())
        for layer, (a, b) in enumerate(pairs)
    )
    metric = Lpips(net, weights)
    assert metric(*pictures) == pytest.approx(expected, rel=1e-4)
    assert metric(pictures[0], pictures[0]) == 0.0


@with_package
def test_weights_of_another_network_are_refused(weights):
    torch.save(alexnet_tensors(), weights / "vgg16.pth")
    with pytest.raises(BadInputError, match="do not fit VGG16"):
        Lpips("vgg", weights)


@pytest.mark.parametrize(("net", "name"), [("vgg", "VGG16"), ("alex", "AlexNet")])
def test_without_weights_there_is_no_lpips(tmp_path, net, name):
    with pytest.raises(MissingDependencyError, match=name) as caught:
        Lpips(net, tmp_path)
    assert str(tmp_path) in caught.value.hint


@pytest.mark.parametrize("failure", ["ImportError('no such package')", "RuntimeError('no nms')"])
def test_without_the_package_its_extra_is_named(weights, monkeypatch, failure):
    for name in [name for name in sys.modules if name.partition(".")[0] == "lpips"]:
        monkeypatch.delitem(sys.modules, name)
    (weights / "lpips.py").write_text(f"raise {failure}", encoding="utf-8")
    monkeypatch.syspath_prepend(weights)
    with pytest.raises(MissingDependencyError, match=r"lpips cannot be imported: no \w+") as caught:
        Lpips("vgg", weights)
    assert "gaussianspeech[perceptual]" in caught.value.hint
