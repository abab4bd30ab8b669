# SPDX-License-Identifier: GPL-3.0-or-later
from dataclasses import replace

import pytest
import torch

from engine.avatar import ShColor, load_avatar, splats
from engine.avatar.binding import triangle_frames
from training.avatar.coloring import HarmonicColor, NetworkColor, positional_encoding
from training.avatar.config import PRESETS
from training.avatar.model import first_colors, from_avatar, new_color
from training.avatar.seeding import on_triangles

SETTINGS = replace(PRESETS["default"], latent=8, hidden=16)


@pytest.fixture(scope="module")
def shipped(head):
    """The shipped avatar with constant colours, as avatars of other tools have them."""
    avatar = load_avatar("default", head)
    return replace(avatar, color=ShColor.constant(avatar.color.colors(None, None)))


def a_timestep(head):
    generator = torch.Generator().manual_seed(3)
    expression = torch.rand(len(head.expression_names), generator=generator) * 0.3
    vertices = torch.from_numpy(head.deform(expression.numpy()))
    angle = torch.tensor(0.4)
    matrix = torch.eye(4)
    matrix[0, 0] = matrix[2, 2] = angle.cos()
    matrix[0, 2], matrix[2, 0] = angle.sin(), -angle.sin()
    return vertices, expression, matrix


def test_it_renders_what_the_engine_renders(head, shipped):
    model = from_avatar(shipped, SETTINGS, head)
    with torch.no_grad():
        model.color.second_weight.normal_(0, 0.1)
        model.color.first_weight[:, -len(head.expression_names) :].normal_(0, 0.5)
    vertices, expression, matrix = a_timestep(head)
    eye = torch.tensor([0.3, 0.1, 1.2])
    world = vertices @ matrix[:3, :3].T + matrix[:3, 3]
    ours = model.splats(world, expression, eye, matrix)
    theirs = splats(model.avatar(), vertices, expression, matrix, eye)
    for name in ours._fields:
        assert torch.allclose(getattr(ours, name), getattr(theirs, name), atol=2e-6), name


def test_a_trained_avatar_is_taken_up_as_it_was(head, shipped):
    first = from_avatar(shipped, SETTINGS, head)
    with torch.no_grad():
        first.color.second_weight.normal_(0, 0.1)
    again = from_avatar(first.avatar(), SETTINGS, head)
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_colours_of_another_kind_are_taken_over(head, shipped):
    model = from_avatar(shipped, SETTINGS, head)
    view = torch.nn.functional.normalize(torch.ones(shipped.count, 3), dim=-1)
    colors = model.colors(torch.ones(len(head.expression_names)), view)
    assert torch.allclose(colors, shipped.color.colors().clamp(0.02, 0.98), atol=1e-5)


def test_a_network_of_another_size_lends_its_colours_at_rest(head, shipped):
    trained = from_avatar(shipped, SETTINGS, head).avatar()
    larger = from_avatar(trained, PRESETS["default"], head)
    assert larger.gaussians["latents"].shape[1] == PRESETS["default"].latent
    view = torch.zeros(shipped.count, 3)
    colors = larger.colors(torch.zeros(len(head.expression_names)), view)
    assert torch.allclose(colors, trained.color.colors().clamp(0.02, 0.98), atol=1e-5)


def test_the_network_starts_as_the_colours_it_is_given():
    color = NetworkColor(8, 16, 5)
    colors = torch.rand(50, 3, generator=torch.Generator().manual_seed(0)) * 0.9 + 0.05
    places, normals = torch.rand(50, 3), torch.nn.functional.normalize(torch.randn(50, 3), dim=-1)
    rows = color.rows(colors, places, normals, torch.Generator().manual_seed(0))
    for expression in (torch.zeros(5), torch.ones(5)):
        view = torch.nn.functional.normalize(torch.randn(50, 3), dim=-1)
        assert torch.allclose(color(rows, expression, view), colors, atol=1e-5)


def test_latents_start_out_alike_for_neighbours_and_unlike_for_others():
    random = torch.Generator().manual_seed(2)
    places = torch.rand(200, 3, generator=random) * 2 - 1
    normals = torch.nn.functional.normalize(torch.randn(200, 3, generator=random), dim=-1)
    here = positional_encoding(places, normals, 29)
    assert here.shape == (200, 27)
    beside = positional_encoding(places + 0.005, normals, 29)
    apart = (here[:, None] - here).norm(dim=2) + 1e9 * torch.eye(200)
    assert ((here - beside).norm(dim=1) < 0.5 * apart.amin(dim=1)).float().mean() > 0.95


@pytest.mark.parametrize("size", [0, 1, 3, 8, 9, 21])
def test_what_latents_tell_of_a_place_fits_them(size):
    places, normals = torch.rand(5, 3), torch.nn.functional.normalize(torch.randn(5, 3), dim=-1)
    known = positional_encoding(places, normals, size)
    assert known.shape[1] <= size
    assert known.isfinite().all()


def test_first_latents_tell_the_place_and_keep_the_colour(head):
    binding, shape = on_triangles(head, subdivide_teeth=False)
    settings = PRESETS["default"]
    color = new_color(settings, head)
    colors = torch.full((len(binding), 3), 0.4)
    latents = first_colors(color, head, binding, shape, colors, settings)["latents"]
    centers = torch.from_numpy(head.template[head.faces].mean(1))
    low, high = (torch.from_numpy(v) for v in (head.template.min(0), head.template.max(0)))
    places = (2 * centers - low - high) / (high - low).max()
    normals = triangle_frames(torch.from_numpy(head.template), torch.from_numpy(head.faces))
    known = positional_encoding(places, normals.rotations[:, :, 1], settings.latent - 3)
    assert torch.allclose(latents[:, 3 : 3 + known.shape[1]], known, atol=1e-4)
    view = torch.nn.functional.normalize(torch.randn(len(binding), 3), dim=-1)
    shown = color({"latents": latents}, torch.ones(len(head.expression_names)), view)
    assert torch.allclose(shown, colors, atol=1e-5)


def test_gradients_of_the_network_are_those_of_its_formula():
    generator = torch.Generator().manual_seed(1)
    color = NetworkColor(6, 12, 4)
    with torch.no_grad():
        for parameter in color.parameters():
            parameter.normal_(0, 0.5, generator=generator)
    latents = torch.randn(30, 6, generator=generator, requires_grad=True)
    expression = torch.randn(4, generator=generator)
    view = torch.randn(30, 3, generator=generator)
    incoming = torch.randn(30, 3, generator=generator)
    incoming[::3] = 0  # Not seen.
    leaves = [latents, *color.parameters()]
    ours = torch.autograd.grad(color({"latents": latents}, expression, view), leaves, incoming)
    inputs = torch.cat([latents, view, expression.expand(30, 4)], 1)
    hidden = torch.relu(inputs @ color.first_weight.T + color.first_bias)
    plain = torch.sigmoid(hidden @ color.second_weight.T + color.second_bias)
    true = torch.autograd.grad(plain, leaves, incoming)
    for mine, theirs in zip(ours, true, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)


def test_harmonics_are_the_engines():
    color = HarmonicColor(3)
    rows = {"constant": torch.rand(20, 3) - 0.3, "harmonics": 0.2 * torch.randn(20, 15, 3)}
    view = torch.nn.functional.normalize(torch.randn(20, 3), dim=-1)
    ours = color(rows, torch.zeros(4), view)
    assert torch.allclose(ours, color.model(rows).colors(None, view), atol=1e-6)
