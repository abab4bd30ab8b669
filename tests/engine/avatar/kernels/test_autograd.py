# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled ways of binding and colour against autograd through the tensor forms in float64."""

import dataclasses

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.avatar import GaussianAvatar, MlpColor, splats
from engine.avatar.color import ShColor
from engine.heads.identity import Identity

NAMES = ("positions", "log_scales", "quats", "opacity_logits")
QUICK = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def gradients(avatar, vertices, psi, eye, dtype):
    """The splats, and gradients of a weighted sum of all by everything that goes in."""
    own = {n: getattr(avatar, n).to(dtype, copy=True).requires_grad_() for n in NAMES}
    color = {n: t.to(dtype, copy=True).requires_grad_() for n, t in avatar.color.tensors().items()}
    leaf, weights, camera = (
        tensor.to(dtype, copy=True).requires_grad_() for tensor in (vertices, psi, eye)
    )
    model = type(avatar.color).from_tensors(color)
    trained = dataclasses.replace(avatar, color=model, **own)
    result = splats(trained, leaf, weights, None, camera)
    random = torch.Generator().manual_seed(5)
    # A quaternion and its negative are one rotation.
    result = result._replace(quats=result.quats * result.quats[:, :1].detach().sign())
    loss = sum(
        (tensor * torch.randn(tensor.shape, generator=random, dtype=torch.float64).to(dtype)).sum()
        for tensor in result
    )
    leaves = {"vertices": leaf, "camera": camera, **own, **color}
    if isinstance(model, MlpColor):
        leaves["expression"] = weights
    found = torch.autograd.grad(loss, leaves.values())
    values = {name: tensor.detach() for name, tensor in result._asdict().items()}
    return values, dict(zip(leaves, found, strict=True))


def agree(avatar, vertices, psi, eye):
    splats32, quick = gradients(avatar, vertices, psi, eye, torch.float32)
    splats64, exact = gradients(avatar, vertices, psi, eye, torch.float64)
    for name, mine in splats32.items():
        torch.testing.assert_close(mine.double(), splats64[name], atol=1e-5, rtol=1e-5)
    for name, mine in quick.items():
        error = (mine.double() - exact[name]).norm()
        assert error <= 1e-4 * exact[name].norm() + 1e-6, name


@pytest.mark.parametrize("kind", ["sh_avatar", "mlp_avatar"])
@given(seed=st.integers(0, 2**31))
@QUICK
def test_splats_and_gradients_are_those_of_the_tensor_form_in_float64(kind, seed, request):
    avatar = request.getfixturevalue(kind)
    random = torch.Generator().manual_seed(seed)
    vertices = 0.1 * torch.randn(6, 3, generator=random)
    agree(avatar, vertices, torch.rand(2, generator=random), torch.randn(3, generator=random))


@pytest.mark.parametrize("flat", ["point", "line", "first edge", "second edge"])
def test_triangles_without_area_have_the_gradients_of_the_tensor_form(flat, head, sh_avatar):
    vertices = torch.from_numpy(head.template.copy())
    i, j, k = head.faces[0]
    if flat == "point":
        vertices[[j, k]] = vertices[i].clone()
    elif flat == "line":
        vertices[k] = 2 * vertices[j] - vertices[i]
    elif flat == "first edge":
        vertices[j] = vertices[i]
    else:
        vertices[k] = vertices[i]
    avatar = dataclasses.replace(sh_avatar, binding=torch.zeros_like(sh_avatar.binding))
    agree(avatar, vertices, torch.rand(2), torch.tensor([0.3, 0.1, 2.0]))


@pytest.mark.parametrize("hidden", [16, 5, 37])
def test_a_network_of_any_width_and_many_gaussians_trains_alike(hidden):
    random = torch.Generator().manual_seed(hidden)

    def values(*shape):
        return torch.randn(*shape, generator=random)

    tensors = {
        "latents": values(1100, 6),
        "first_weight": values(hidden, 6 + 3 + 2),
        "first_bias": values(hidden),
        "second_weight": values(3, hidden),
        "second_bias": values(3),
    }
    view, weight = torch.nn.functional.normalize(values(1100, 3), dim=1), values(1100, 3)

    def trained(dtype):
        leaves = {n: t.to(dtype, copy=True).requires_grad_() for n, t in tensors.items()}
        directions = view.to(dtype, copy=True).requires_grad_()
        colors = MlpColor.from_tensors(leaves).colors(torch.ones(2, dtype=dtype), directions)
        loss = (colors * weight.to(dtype)).sum()
        return torch.autograd.grad(loss, [*leaves.values(), directions])

    for mine, exact in zip(trained(torch.float32), trained(torch.float64), strict=True):
        assert (mine.double() - exact).norm() <= 1e-5 * exact.norm()


def test_gradients_are_equal_to_the_bit_each_time(head):
    random = torch.Generator().manual_seed(3)
    count = 4000

    def values(*shape):
        return torch.randn(*shape, generator=random)

    avatar = GaussianAvatar(
        Identity.of(head),
        torch.from_numpy(head.faces),
        torch.randint(0, 8, (count,), generator=random, dtype=torch.int32),
        values(count, 3),
        values(count, 3),
        values(count, 4),
        values(count),
        MlpColor(values(count, 8), values(16, 13), values(16), values(3, 16), values(3)),
    )
    inputs = (torch.from_numpy(head.template), values(2), values(3), torch.float32)
    (_, first), (_, second) = gradients(avatar, *inputs), gradients(avatar, *inputs)
    for name, gradient in first.items():
        assert torch.equal(gradient, second[name])


def test_gaussians_train_on_vertices_that_do_not(head, sh_avatar):
    leaf = sh_avatar.positions.clone().requires_grad_()
    result = splats(
        dataclasses.replace(sh_avatar, positions=leaf, color=ShColor(sh_avatar.color.coefficients)),
        torch.from_numpy(head.template),
    )
    (gradient,) = torch.autograd.grad(result.means.sum(), leaf)
    assert gradient.abs().sum() > 0
