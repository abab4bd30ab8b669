# SPDX-License-Identifier: GPL-3.0-or-later
"""LPIPS against its definition, and against the package where it is installed."""

from __future__ import annotations

import contextlib
import importlib

import pytest
import torch
from torch.nn.functional import conv2d, max_pool2d

from engine.core.errors import BadInputError, MissingDependencyError
from tests.training.losses.weight_files import VGG16, alexnet_tensors, vgg16_tensors
from training.metrics.image_lpips import Lpips, why_no_lpips

CHANNELS = {"vgg": (64, 128, 256, 512, 512), "alex": (64, 192, 384, 256, 256)}


def heads(net):
    chance = torch.Generator().manual_seed(9)
    return {
        f"lin{index}.model.1.weight": torch.rand(1, count, 1, 1, generator=chance)
        for index, count in enumerate(CHANNELS[net])
    }


@pytest.fixture
def weights(tmp_path):
    torch.save(vgg16_tensors(), tmp_path / "vgg16.pth")
    torch.save(alexnet_tensors(), tmp_path / "alexnet.pth")
    for net in CHANNELS:
        # As a safetensors file is looked for under the second name, the published one stays free.
        from safetensors.torch import save_file

        save_file(heads(net), tmp_path / f"lpips-{net}.safetensors")
    return tmp_path


@pytest.fixture(scope="module")
def pictures():
    chance = torch.Generator().manual_seed(4)
    return torch.rand(70, 66, 3, generator=chance), torch.rand(70, 66, 3, generator=chance)


def vgg_distance(first, second):
    tensors, linear = vgg16_tensors(), heads("vgg")
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1)
    values = [(p.permute(2, 0, 1)[None] * 2 - 1 - shift) / scale for p in (first, second)]
    total, layer = 0.0, 0
    for index in VGG16:
        if index in {5, 10, 17, 24}:
            values = [max_pool2d(v, 2) for v in values]
        name = f"features.{index}"
        values = [
            conv2d(v, tensors[f"{name}.weight"], tensors[f"{name}.bias"], padding=1).relu()
            for v in values
        ]
        if index in {2, 7, 14, 21, 28}:
            a, b = (v / (v.pow(2).sum(1, keepdim=True).sqrt() + 1e-10) for v in values)
            difference = (a - b) ** 2 * linear[f"lin{layer}.model.1.weight"]
            total += float(difference.sum(1).mean())
            layer += 1
    return total


def test_vgg_distance_is_the_definition(weights, pictures):
    ours = Lpips("vgg", weights)(*pictures)
    assert float(ours) == pytest.approx(vgg_distance(*pictures), rel=1e-4)


@pytest.mark.parametrize("net", ["vgg", "alex"])
def test_equal_pictures_have_no_distance(weights, pictures, net):
    metric = Lpips(net, weights)
    assert float(metric(pictures[0], pictures[0])) == 0.0
    assert float(metric(*pictures)) > 0.0


@pytest.mark.parametrize("net", ["vgg", "alex"])
def test_the_package_says_the_same(weights, pictures, net, monkeypatch):
    lpips = importable_lpips()
    theirs = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    tensors = vgg16_tensors() if net == "vgg" else alexnet_tensors()
    own = theirs.net.state_dict()
    published = {key: f"features.{key.split('.', 1)[1]}" for key in own}
    theirs.net.load_state_dict({key: tensors[name] for key, name in published.items()})
    theirs.load_state_dict(heads(net), strict=False)
    # The package keeps its linear layers twice, as lin0 … and in a list.
    planes = [picture.permute(2, 0, 1)[None] for picture in pictures]
    with torch.no_grad():
        expected = float(theirs(*planes, normalize=True))
    assert float(Lpips(net, weights)(*pictures)) == pytest.approx(expected, rel=1e-4)


def importable_lpips():
    """The package, on a torch without torchvision's operators, too."""
    if importlib.util.find_spec("lpips") is None:
        pytest.skip("the package lpips is not installed")
    operators = torch.library.Library("torchvision", "FRAGMENT")
    for schema in (
        "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    ):
        with contextlib.suppress(RuntimeError):
            operators.define(schema)
    return importlib.import_module("lpips")


def test_without_weights_there_is_no_lpips(tmp_path):
    message, hint = why_no_lpips("vgg", tmp_path)
    assert "VGG16" in message
    assert str(tmp_path) in hint
    with pytest.raises(MissingDependencyError, match="VGG16"):
        Lpips("vgg", tmp_path)


def test_nothing_is_missing_where_all_lies(weights):
    assert why_no_lpips("vgg", weights) is None


def test_linear_layers_of_another_network_are_refused(weights):
    from safetensors.torch import save_file

    save_file(heads("alex"), weights / "lpips-vgg.safetensors")
    with pytest.raises(BadInputError, match="lin1"):
        Lpips("vgg", weights)
