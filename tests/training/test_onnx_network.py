# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of ONNX files: the same numbers and gradients as the network they were exported from."""

import random
from contextlib import suppress

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.onnx._internal.torchscript_exporter import onnx_proto_utils

from engine.core.errors import BadInputError
from tests.training.losses.weight_files import Stages
from training.losses.perceptual import FaceLoss, WrinkleLoss
from training.onnx_network import OnnxNetwork
from training.torchscript import ScriptedNetwork, load_detector

pytestmark = pytest.mark.filterwarnings("ignore")  # The exporter's, which is an old one.


class Backbone(nn.Module):
    """What detectors are built of: SiLU, split and joined channels, pooling, upsampling."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 8, 3, 2, 1)
        self.norm = nn.BatchNorm2d(8)
        self.norm.running_mean += torch.randn(8)
        self.second = nn.Conv2d(8, 8, 3, 2, 1, groups=2)
        self.dense = nn.Linear(8, 5)

    def forward(self, picture):
        a = functional.silu(self.norm(self.first(picture)))
        left, right = self.second(a).chunk(2, 1)
        b = torch.cat([left, functional.leaky_relu(right)], 1)
        pooled = functional.max_pool2d(b, 5, 1, 2)
        wide = functional.interpolate(pooled, scale_factor=2.0)
        smooth = functional.interpolate(b, scale_factor=2.0, mode="bilinear", align_corners=False)
        return a, wide + smooth, self.dense(b.mean((2, 3)))


class Recognition(nn.Module):
    """What face recognition is built of: PReLU, residuals, an embedding."""

    def __init__(self):
        super().__init__()
        self.stages = Stages()
        self.embedding = nn.Linear(10, 7)
        self.dropout = nn.Dropout(0.5)

    def forward(self, faces):
        last = self.stages(faces)[-1]
        gate = torch.sigmoid(functional.adaptive_avg_pool2d(last, 1))
        mixed = self.dropout(functional.avg_pool2d(last * gate + last, 2))
        return torch.tanh(self.embedding(torch.flatten(mixed, 2).mean(2)))


@pytest.fixture
def export(monkeypatch):
    """Write a network; without onnx's own package, which is for functions nobody uses here."""
    monkeypatch.setattr(onnx_proto_utils, "_add_onnxscript_fn", lambda proto, _opsets: proto)

    def write(network, path, opset=17, size=(1, 3, 32, 48)):
        axes = {"picture": {0: "b", 2: "h", 3: "w"}}
        torch.onnx.export(
            network.eval(),
            (torch.zeros(size),),
            str(path),
            input_names=["picture"],
            dynamic_axes=axes,
            opset_version=opset,
            dynamo=False,
        )
        return path

    return write


@pytest.mark.parametrize("opset", [11, 13, 17])
@pytest.mark.parametrize("network", [Backbone(), Recognition(), Stages()], ids=type)
def test_numbers_and_gradients_are_those_of_the_network(export, tmp_path, network, opset):
    ours = OnnxNetwork(export(network, tmp_path / "network.onnx", opset))
    picture = torch.rand(2, 3, 64, 32, requires_grad=True)
    made, true = ours(picture), network(picture)
    true = [true] if isinstance(true, torch.Tensor) else list(true)
    assert len(made) == len(true)
    for a, b in zip(made, true, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    gradients = [
        torch.autograd.grad(sum((x**2).sum() for x in outputs), picture)[0]
        for outputs in (made, true)
    ]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-4)
    assert not list(ours.parameters())


def test_a_detector_with_several_layers_gives_a_loss_with_a_gradient(export, tmp_path):
    detector = load_detector(export(Backbone(), tmp_path / "detector.onnx"))
    ours = torch.rand(64, 64, 3, requires_grad=True)
    loss = WrinkleLoss(detector)(ours, torch.rand(64, 64, 3), torch.ones(64, 64))
    loss.backward()
    assert loss > 0
    assert ours.grad.abs().max() > 0


def test_an_embedding_is_enough_for_faces(export, tmp_path):
    path = export(Recognition(), tmp_path / "arcface.onnx", size=(1, 3, 32, 32))
    network = ScriptedNetwork(path, "Face recognition", {4: "maps", 2: "features"})
    ours = torch.rand(40, 40, 3, requires_grad=True)
    loss = FaceLoss(network, 32, style=1.0)(ours, torch.rand(40, 40, 3), (4, 36, 4, 36))
    loss.backward()
    assert ours.grad.abs().max() > 0


def test_an_unknown_operator_is_named(export, tmp_path):
    class Erf(nn.Module):
        def forward(self, picture):
            return torch.erf(picture)

    with pytest.raises(BadInputError, match=r"erf\.onnx uses the ONNX operators Erf"):
        load_detector(export(Erf(), tmp_path / "erf.onnx"))


def test_a_picture_that_does_not_fit_is_named(export, tmp_path):
    network = ScriptedNetwork(export(Stages(), tmp_path / "stages.onnx"), "It", {4: "maps"})
    with pytest.raises(BadInputError, match=r"stages\.onnx cannot take \(1, 4, 32, 32\)"):
        network(torch.zeros(1, 4, 32, 32))


def test_whatever_is_in_a_file_is_a_network_or_refused(export, tmp_path):
    whole = export(Stages(), tmp_path / "stages.onnx").read_bytes()
    chance, path = random.Random(0), tmp_path / "damaged.onnx"
    for number in range(150):
        damaged = bytearray(whole)
        if number % 3:
            for _ in range(1 + number % 4):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        else:
            del damaged[chance.randrange(len(damaged)) :]
        path.write_bytes(bytes(damaged))
        with suppress(BadInputError):
            ScriptedNetwork(path, "It", {4: "maps"})(torch.zeros(1, 3, 16, 16))


def test_what_is_no_onnx_file_is_named(tmp_path):
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(BadInputError, match=r"text\.onnx is no sound ONNX file"):
        load_detector(tmp_path / "text.onnx")
    with pytest.raises(BadInputError, match=r"There is no file .*none\.onnx"):
        load_detector(tmp_path / "none.onnx")
