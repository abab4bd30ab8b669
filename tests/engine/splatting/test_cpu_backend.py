# SPDX-License-Identifier: GPL-3.0-or-later
import math

import numpy as np
import pytest
import reference
import torch
from hypothesis import HealthCheck, given, settings
from scenes import KINDS, camera_of, scenes, splats_of

from engine.core.errors import BadInputError
from engine.splatting.backend import BlendSettings, Splats
from engine.splatting.cpu.backend import CpuBackend

BACKEND = CpuBackend()
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def agree(splats, camera, background, backend=BACKEND):
    image = backend.render(splats, camera, background)
    expected = reference.render(splats, camera, background, backend.blend_settings)
    sure = ~expected.edge
    torch.testing.assert_close(image.rgb[sure].double(), expected.rgb[sure], atol=1e-4, rtol=0)
    torch.testing.assert_close(image.alpha[sure].double(), expected.alpha[sure], atol=1e-4, rtol=0)
    torch.testing.assert_close(image.depth[sure].double(), expected.depth[sure], atol=1e-4, rtol=0)
    return image, sure


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orthographic", [False, True])
def test_image_alpha_and_depth_match_the_float64_reference(kind, orthographic):
    camera = camera_of(70, 41, shift=0.1, orthographic=orthographic, turn=0.4)
    image, sure = agree(splats_of(kind, 150, 3), camera, torch.tensor([0.1, 0.2, 0.3]))
    assert image.alpha.max() > 0.3
    assert sure.float().mean() > 0.7


@given(scenes())
@QUICK
def test_any_scene_matches_the_float64_reference(scene):
    agree(*scene)


def gradients(render, splats, dtype, outputs, sure):
    """Gradients by the splats of a random weighting of ``outputs`` over the ``sure`` pixels."""
    generator = torch.Generator().manual_seed(1)
    leaves = Splats(*(tensor.to(dtype, copy=True).requires_grad_() for tensor in splats))
    image = render(leaves)
    loss = torch.zeros((), dtype=dtype)
    for name in outputs:
        values = getattr(image, name)
        values = values.reshape(*sure.shape, -1) * sure[..., None]
        loss = loss + (values * torch.randn(values.shape, generator=generator)).sum()
    return torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)


ROUNDING = 2.0**-20
"""Relative: eight times that of float32."""


def gradients_agree(scene, outputs, floor):
    splats, camera, background = scene
    sure = ~reference.render(splats, camera, background, BACKEND.blend_settings).edge
    ours = gradients(
        lambda s: BACKEND.render(s, camera, background), splats, torch.float32, outputs, sure
    )

    def exact(splats):
        def render(leaves):
            return reference.render(leaves, camera, background, BACKEND.blend_settings)

        return gradients(render, splats, torch.float64, outputs, sure)

    theirs = exact(splats)
    for number, (name, mine, true) in enumerate(zip(Splats._fields, ours, theirs, strict=True)):
        error = (mine.double() - true).norm()
        if error > 1e-3 * true.norm() + floor:
            # Needles: off by no more than splats that are rounded a little more coarsely have it.
            generator = torch.Generator().manual_seed(2)
            rounded = Splats(
                *(t * (1 + ROUNDING * torch.randn(t.shape, generator=generator)) for t in splats)
            )
            coarser = (exact(rounded)[number] - true).norm()
            assert error <= coarser + floor, (name, error, coarser, true.norm())


@given(scenes(largest=30))
@QUICK
def test_gradients_of_colour_and_alpha_match_float64_autograd(scene):
    gradients_agree(scene, ("rgb", "alpha"), floor=1e-5)


def test_gradients_of_a_needle_are_as_exact_as_its_rounding_lets_them_be():
    needle = Splats(
        means=torch.tensor([[0.033, -0.055, -0.110]]),
        quats=torch.tensor([[-2.491, -1.464, -1.088, -0.632]]),
        scales=torch.tensor([[0.593, 2.4e-4, 8.9e-5]]),
        opacities=torch.tensor([0.83]),
        colors=torch.tensor([[0.67, 0.65, 0.62]]),
    )
    camera = camera_of(66, 33, shift=0.1, orthographic=False, turn=2.3)
    gradients_agree((needle, camera, torch.zeros(3)), ("rgb", "alpha"), floor=1e-5)


@given(scenes(largest=30))
@QUICK
def test_gradients_of_depth_match_float64_autograd(scene):
    # Where one splat is alone its depth does not depend on its shape; float32 leaves a trace.
    gradients_agree(scene, ("depth",), floor=5e-4)


def test_renders_and_gradients_are_equal_to_the_bit_each_time():
    camera = camera_of(70, 41, shift=0.0, orthographic=False)

    def run():
        leaves = Splats(*(t.clone().requires_grad_() for t in splats_of("plain", 300, 5)))
        image = BACKEND.render(leaves, camera)
        return (*image, *torch.autograd.grad(image.rgb.square().sum(), leaves))

    for first, second in zip(run(), run(), strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize("written", [*Splats._fields, "rgb", "alpha", "depth"])
def test_what_is_written_over_before_the_backward_is_refused(written):
    leaves = Splats(*(tensor.requires_grad_() for tensor in splats_of("plain", 30, 5)))
    splats = Splats(*(tensor * 1 for tensor in leaves))
    image = BACKEND.render(splats, camera_of(33, 33, shift=0.0, orthographic=False))
    loss = sum(tensor.sum() for tensor in image)
    with torch.no_grad():
        (getattr(splats, written) if written in Splats._fields else getattr(image, written)).zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_second_derivatives_are_refused():
    leaves = Splats(*(tensor.requires_grad_() for tensor in splats_of("plain", 30, 5)))
    image = BACKEND.render(leaves, camera_of(33, 33, shift=0.0, orthographic=False))
    first = torch.autograd.grad(image.rgb.square().sum(), leaves, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        sum(gradient.sum() for gradient in first).backward()


def test_where_alpha_is_held_at_its_bound_only_the_colour_has_a_gradient():
    leaves = Splats(
        torch.zeros(1, 3, requires_grad=True),
        torch.tensor([[1.0, 0, 0, 0]], requires_grad=True),
        torch.full((1, 3), 0.05, requires_grad=True),
        torch.ones(1, requires_grad=True),
        torch.full((1, 3), 0.5, requires_grad=True),
    )
    image = BACKEND.render(leaves, camera_of(33, 33, shift=0.0, orthographic=False))
    for pixel, held in (((16, 16), True), ((16, 20), False)):
        *shape, color = torch.autograd.grad(image.rgb[pixel][0], leaves, retain_graph=True)
        assert color[0, 0] == image.alpha[pixel]
        assert (shape[3].item() == 0) == held
        assert (shape[2].abs().sum().item() == 0) == held


def test_the_background_shows_where_nothing_is():
    splats = Splats(*(tensor[:0] for tensor in splats_of("plain", 1, 0)))
    camera = camera_of(17, 9, shift=0.0, orthographic=False)
    image = BACKEND.render(splats, camera, torch.tensor([0.25, 0.5, 0.75]))
    assert torch.equal(image.rgb, torch.tensor([0.25, 0.5, 0.75]).expand(9, 17, 3))
    assert not image.alpha.any()
    assert not image.depth.any()


def test_one_opaque_splat_gives_its_colour_at_its_centre_and_its_planar_depth():
    means = torch.tensor([[0.0, 0.0, 0.2]])
    splats = Splats(
        means,
        torch.tensor([[3.0, 0, 0, 0]]),
        torch.full((1, 3), 0.02),
        torch.tensor([0.9]),
        torch.tensor([[1.0, 0.5, 0.25]]),
    )
    image = BACKEND.render(splats, camera_of(33, 33, shift=0.0, orthographic=False))
    torch.testing.assert_close(image.rgb[16, 16], 0.9 * splats.colors[0], atol=1e-5, rtol=0)
    assert image.depth[16, 16].item() == pytest.approx(0.8, abs=1e-6)


def test_splats_with_nan_or_infinity_are_left_out():
    good, camera = splats_of("plain", 40, 2), camera_of(40, 30, shift=0.0, orthographic=False)
    for field in range(4):
        for value in (math.nan, math.inf):
            if Splats._fields[field] == "opacities" and value == math.inf:
                continue
            bad = Splats(*(torch.cat([tensor, tensor[:1]]) for tensor in good))
            bad[field][-1] = value
            assert torch.equal(BACKEND.render(bad, camera).rgb, BACKEND.render(good, camera).rgb)


def test_the_constants_are_those_of_the_settings():
    loose = CpuBackend(
        BlendSettings(eps2d=0.0, alpha_max=0.9, alpha_min=0.05, transmittance_min=0.1)
    )
    camera = camera_of(40, 30, shift=0.0, orthographic=False)
    image, _ = agree(splats_of("opaque", 80, 4), camera, torch.zeros(3), loose)
    assert not torch.allclose(image.rgb, BACKEND.render(splats_of("opaque", 80, 4), camera).rgb)


def test_constants_outside_what_the_kernels_cover_are_refused():
    with pytest.raises(BadInputError, match="alpha_min"):
        CpuBackend(BlendSettings(alpha_min=1e-4))


def test_attributes_of_different_lengths_are_refused_by_name():
    splats = splats_of("plain", 3, 0)._replace(opacities=torch.ones(2))
    with pytest.raises(BadInputError, match="opacities"):
        BACKEND.render(splats, camera_of(8, 8, shift=0.0, orthographic=False))


def test_an_empty_image_is_refused():
    with pytest.raises(BadInputError, match="empty"):
        BACKEND.render(splats_of("plain", 3, 0), camera_of(0, 8, shift=0.0, orthographic=False))


def test_splats_that_are_not_contiguous_or_float64_render_alike():
    splats, camera = splats_of("plain", 50, 6), camera_of(40, 30, shift=0.0, orthographic=False)
    strided = Splats(*(torch.stack([t, t], -1)[..., 0].double() for t in splats))
    assert torch.equal(BACKEND.render(splats, camera).rgb, BACKEND.render(strided, camera).rgb)


def test_nearest_splat_covers_the_farther_ones():
    count = 20
    means = torch.zeros(count, 3)
    means[:, 2] = torch.linspace(-0.3, 0.3, count)[torch.randperm(count)]
    colors = torch.linspace(0, 1, count)[torch.argsort(torch.argsort(means[:, 2]))]
    splats = Splats(
        means,
        torch.tensor([1.0, 0, 0, 0]).expand(count, 4),
        torch.full((count, 3), 0.05),
        torch.full((count,), 0.999),
        colors[:, None].expand(count, 3),
    )
    image = BACKEND.render(splats, camera_of(21, 21, shift=0.0, orthographic=False))
    assert image.rgb[10, 10, 0].item() == pytest.approx(0.999, abs=1e-3)
    assert np.isfinite(image.depth.numpy()).all()


def test_warm_up_announces_the_wait_before_it_starts():
    reported = []
    CpuBackend().warm_up(
        lambda fraction, message: reported.append((fraction, message)), gradients=True
    )
    assert reported[0][0] == 0
    assert "compiled once" in reported[0][1]
    assert reported[-1][0] == 1
