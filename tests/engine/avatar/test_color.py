# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
import torch

from engine.avatar.color import MlpColor, ShColor, sh_basis
from engine.core.errors import BadInputError

RANDOM = torch.Generator().manual_seed(4)


def values(*shape):
    return torch.randn(*shape, generator=RANDOM)


def directions(count):
    return torch.nn.functional.normalize(values(count, 3), dim=-1)


def test_the_harmonics_are_orthonormal_over_the_sphere():
    count = 40000
    golden = np.pi * (3 - np.sqrt(5))
    z = 1 - 2 * (np.arange(count) + 0.5) / count
    angle, radius = golden * np.arange(count), np.sqrt(1 - z * z)
    sphere = torch.tensor(np.stack([radius * np.cos(angle), radius * np.sin(angle), z], 1))
    basis = sh_basis(sphere, 3)
    gram = 4 * np.pi / count * basis.T @ basis
    torch.testing.assert_close(gram, torch.eye(16, dtype=gram.dtype), atol=1e-3, rtol=0)


def test_harmonics_follow_the_published_order_and_signs():
    # Constants as printed in the spherical harmonics of 3D Gaussian Splatting.
    x, y, z = 0.48, -0.6, 0.64
    expected = [0.28209479, -0.48860251 * y, 0.48860251 * z, -0.48860251 * x, 1.09254843 * x * y]
    basis = sh_basis(torch.tensor([[x, y, z]]), 3)[0]
    torch.testing.assert_close(basis[:5], torch.tensor(expected))
    assert basis[9].item() == pytest.approx(-0.59004359 * y * (3 * x * x - y * y), abs=1e-6)
    assert basis[12].item() == pytest.approx(
        0.37317633 * z * (2 * z * z - 3 * x * x - 3 * y * y), abs=1e-6
    )


def test_constant_harmonics_give_back_their_colours_from_everywhere():
    colors = torch.rand(7, 3, generator=RANDOM)
    model = ShColor.constant(colors)
    torch.testing.assert_close(model.colors(), colors)
    torch.testing.assert_close(model.colors(None, directions(7)), colors)


def test_harmonics_of_no_known_degree_are_refused():
    with pytest.raises(BadInputError, match="degree"):
        ShColor(values(4, 5, 3))


@pytest.fixture
def network():
    return MlpColor(values(9, 5), values(16, 12), values(16), values(3, 16), values(3))


def test_the_split_first_layer_equals_the_plain_network(network):
    expression, view = values(4), directions(9)
    x = torch.cat([network.latents, view, expression.expand(9, 4)], 1)
    hidden = torch.relu(x @ network.first_weight.T + network.first_bias)
    expected = torch.sigmoid(hidden @ network.second_weight.T + network.second_bias)
    for _ in range(2):
        torch.testing.assert_close(network.colors(expression, view), expected)


def test_the_network_is_the_same_while_it_trains(network):
    expression, view = values(4), directions(9)
    constant = network.colors(expression, view)
    trained = network.colors(expression.requires_grad_(), view)
    assert trained.requires_grad
    torch.testing.assert_close(trained.detach(), constant)


def test_a_network_of_many_gaussians_and_an_odd_width_is_worked_whole():
    network = MlpColor(values(3001, 5), values(37, 8), values(37), values(3, 37), values(3))
    view = directions(3001)
    x = torch.cat([network.latents, view], 1)
    hidden = torch.relu(x @ network.first_weight.T + network.first_bias)
    expected = torch.sigmoid(hidden @ network.second_weight.T + network.second_bias)
    torch.testing.assert_close(network.colors(None, view), expected, atol=1e-5, rtol=1e-4)


def test_without_expression_and_view_the_network_sees_zeros(network):
    torch.testing.assert_close(network.colors(), network.colors(torch.zeros(4), torch.zeros(9, 3)))


def test_the_network_trains_its_latents(network):
    model = MlpColor(
        network.latents.requires_grad_(),
        *(
            getattr(network, n)
            for n in ("first_weight", "first_bias", "second_weight", "second_bias")
        ),
    )
    with torch.no_grad():
        model.colors(values(4))
    (gradient,) = torch.autograd.grad(model.colors(values(4)).sum(), model.latents)
    assert gradient.abs().sum() > 0


def test_an_expression_of_another_size_is_refused(network):
    with pytest.raises(BadInputError, match="4 expression weights"):
        network.colors(values(5))


def test_layers_that_do_not_fit_are_refused():
    with pytest.raises(BadInputError, match="do not fit"):
        MlpColor(values(9, 5), values(16, 7), values(16), values(3, 16), values(3))
