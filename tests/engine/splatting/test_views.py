# SPDX-License-Identifier: GPL-3.0-or-later
"""Several cameras in one call; test_gsplat_rasterization.py has the same of gsplat."""

import dataclasses

import pytest
import torch
from scenes import splats_of

from engine.core.errors import BadInputError
from engine.splatting.backend import Splats
from engine.splatting.cpu.backend import CpuBackend
from tests.engine.splatting.comparison import BACKGROUND, cameras, colored


def gradients(backend, splats, views, weights):
    leaves = Splats(*(tensor.clone().requires_grad_() for tensor in splats))
    image = backend.render_views(leaves, views, BACKGROUND)
    loss = sum((tensor * weight).sum() for tensor, weight in zip(image, weights, strict=True))
    return torch.autograd.grad(loss, leaves)


def weights_for(image):
    random = torch.Generator().manual_seed(2)
    return [torch.randn(tensor.shape, generator=random) for tensor in image]


@pytest.mark.parametrize("per_view", [False, True])
@pytest.mark.parametrize("orthographic", [False, True])
def test_views_rendered_together_are_those_rendered_alone(per_view, orthographic):
    views, splats = cameras(orthographic=orthographic), splats_of("plain", 120, 3)
    splats = colored(splats, 3) if per_view else splats
    together = CpuBackend().render_views(splats, views, BACKGROUND)
    assert together.rgb.shape == (3, 41, 50, 3)
    for index, camera in enumerate(views):
        alone = splats._replace(colors=splats.colors[index]) if per_view else splats
        image = CpuBackend().render(alone, camera, BACKGROUND)
        for mine, other in zip(together, image, strict=True):
            assert torch.equal(mine[index], other)


@pytest.mark.parametrize("per_view", [False, True])
def test_gradients_of_views_together_are_the_sums_of_those_alone(per_view):
    backend, views, splats = CpuBackend(), cameras(2), splats_of("plain", 60, 4)
    splats = colored(splats, 2) if per_view else splats
    weights = weights_for(backend.render_views(splats, views))
    together = gradients(backend, splats, views, weights)
    alone = [torch.zeros_like(tensor) for tensor in splats]
    for index, camera in enumerate(views):
        part = splats._replace(colors=splats.colors[index]) if per_view else splats
        found = gradients(backend, part, [camera], [weight[index][None] for weight in weights])
        for total, gradient in zip(alone, found, strict=True):
            (total[index] if per_view and gradient is found[4] else total).add_(gradient)
    for mine, expected in zip(together, alone, strict=True):
        torch.testing.assert_close(mine, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("change", [{"width": 51}, {"near": 0.2}, {"orthographic": True}])
def test_cameras_that_are_not_alike_are_refused(change):
    first, second = cameras(2)
    with pytest.raises(BadInputError, match="differ in size"):
        CpuBackend().render_views(
            splats_of("plain", 3, 0), [first, dataclasses.replace(second, **change)]
        )


def test_no_camera_at_all_is_refused():
    with pytest.raises(BadInputError, match="no camera"):
        CpuBackend().render_views(splats_of("plain", 3, 0), [])


def test_colours_for_another_number_of_views_are_refused():
    with pytest.raises(BadInputError, match="colors"):
        CpuBackend().render_views(colored(splats_of("plain", 3, 0), 2), cameras(3))
