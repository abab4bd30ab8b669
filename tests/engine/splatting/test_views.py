# SPDX-License-Identifier: GPL-3.0-or-later
"""Several cameras in one call, on the CPU and as gsplat is asked for them."""

import dataclasses
import importlib.util
import inspect
import sys
import types

import pytest
import torch
from scenes import camera_of, splats_of

from engine.core.errors import BadInputError
from engine.splatting import gsplat_backend
from engine.splatting.backend import Splats
from engine.splatting.camera import Camera
from engine.splatting.cpu.backend import CpuBackend
from engine.splatting.gsplat_backend import GsplatBackend, why_unavailable

BACKGROUND = torch.tensor([0.1, 0.2, 0.3])


def cameras(count=3, *, orthographic=False):
    return [
        camera_of(50, 41, shift=0.1 * index, orthographic=orthographic, turn=0.4 * index)
        for index in range(count)
    ]


def colored(splats, views):
    """Splats with a colour for each view."""
    random = torch.Generator().manual_seed(1)
    colors = torch.rand(views, len(splats.means), 3, generator=random)
    return splats._replace(colors=colors)


class Rasterization:
    """gsplat's function, made of the CPU backend; remembers what it was called with."""

    def __init__(self):
        self.calls = []

    def __call__(self, **arguments):
        self.calls.append(arguments)
        colors = arguments["colors"]
        images = []
        for view, (viewmat, K) in enumerate(
            zip(arguments["viewmats"], arguments["Ks"], strict=True)
        ):
            camera = Camera(
                viewmat.numpy(),
                K.numpy(),
                arguments["width"],
                arguments["height"],
                arguments["near_plane"],
                arguments["far_plane"],
                arguments["camera_model"] == "ortho",
            )
            names = ("means", "quats", "scales", "opacities")
            seen = colors[view] if colors.ndim == 3 else colors
            splats = Splats(*(arguments[name] for name in names), seen)
            images.append(CpuBackend().render(splats, camera))
        rgb, alpha, depth = (torch.stack(tensors) for tensors in zip(*images, strict=True))
        return torch.cat([rgb, depth[..., None]], -1), alpha[..., None], {}


@pytest.fixture
def gsplat(monkeypatch):
    """A machine on which gsplat runs, as far as the backend can tell."""
    rasterization = Rasterization()
    monkeypatch.setattr(gsplat_backend, "why_unavailable", lambda: None)
    monkeypatch.setitem(sys.modules, "gsplat", types.SimpleNamespace(rasterization=rasterization))
    return rasterization


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


@pytest.mark.parametrize("per_view", [False, True])
@pytest.mark.parametrize("orthographic", [False, True])
def test_gsplat_is_asked_once_for_all_views(gsplat, per_view, orthographic):
    views, splats = cameras(orthographic=orthographic), splats_of("plain", 120, 3)
    splats = colored(splats, 3) if per_view else splats
    found = GsplatBackend(device="cpu").render_views(splats, views, BACKGROUND)
    assert len(gsplat.calls) == 1
    expected = CpuBackend().render_views(splats, views, BACKGROUND)
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-5)


def test_gradients_pass_through_gsplats_pictures(gsplat):
    views, splats = cameras(2), colored(splats_of("plain", 60, 4), 2)
    weights = weights_for(CpuBackend().render_views(splats, views))
    found = gradients(GsplatBackend(device="cpu"), splats, views, weights)
    expected = gradients(CpuBackend(), splats, views, weights)
    assert len(gsplat.calls) == 1
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-4, rtol=1e-3)


def test_gsplats_settings_are_those_of_the_semantics(gsplat):
    backend = GsplatBackend(device="cpu")
    backend.render(splats_of("plain", 3, 0), cameras(1)[0])
    asked = gsplat.calls[0]
    assert asked["eps2d"] == backend.semantics.eps2d == CpuBackend().semantics.eps2d
    assert asked["rasterize_mode"] == "classic"
    assert asked["render_mode"] == "RGB+ED"
    assert asked["radius_clip"] == 0
    assert asked["sh_degree"] is None


def test_gsplat_keeps_only_what_is_seen_where_there_is_much(gsplat, monkeypatch):
    backend, splats = GsplatBackend(device="cpu"), splats_of("plain", 10, 0)
    monkeypatch.setattr(gsplat_backend, "PACKED_FROM", 25)
    backend.render_views(splats, cameras(2))
    backend.render_views(splats, cameras(3))
    assert [call["packed"] for call in gsplat.calls] == [False, True]


def test_colours_for_several_views_are_refused_where_there_is_one(gsplat):
    with pytest.raises(BadInputError, match="colors"):
        GsplatBackend(device="cpu").render(colored(splats_of("plain", 3, 0), 1), cameras(1)[0])
    assert not gsplat.calls


@pytest.mark.skipif(
    importlib.util.find_spec("gsplat") is None, reason="gsplat is not installed (the 'gpu' extra)"
)
def test_the_installed_gsplat_takes_the_arguments_it_is_given(monkeypatch):
    import gsplat as installed

    signature = inspect.signature(installed.rasterization)
    fake = Rasterization()
    monkeypatch.setattr(gsplat_backend, "why_unavailable", lambda: None)
    monkeypatch.setattr(installed, "rasterization", fake)
    GsplatBackend(device="cpu").render_views(splats_of("plain", 3, 0), cameras(2))
    bound = signature.bind(**fake.calls[0])
    bound.apply_defaults()
    given = set(fake.calls[0])
    # What is not given must be what is meant, should a later gsplat change it.
    assert bound.arguments["covars"] is None
    assert bound.arguments["backgrounds"] is None
    assert not any(bound.arguments[name] for name in ("with_ut", "with_eval3d", "distributed"))
    assert given <= set(signature.parameters)


needs_gsplat = pytest.mark.skipif(
    why_unavailable() is not None, reason="needs CUDA, gsplat and its kernels"
)


@needs_gsplat
@pytest.mark.parametrize("orthographic", [False, True])
def test_a_gpu_gives_the_cpus_pictures(orthographic):
    views, splats = cameras(orthographic=orthographic), colored(splats_of("plain", 150, 3), 3)
    ours = CpuBackend().render_views(splats, views, BACKGROUND)
    theirs = GsplatBackend().render_views(splats, views, BACKGROUND)
    for mine, other in zip(ours, theirs, strict=True):
        # A pixel on the 1/255 cut may fall on either side.
        assert ((mine - other.cpu()).abs() < 1e-3).float().mean() > 0.99


@needs_gsplat
@pytest.mark.parametrize("orthographic", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_a_gpu_gives_the_cpus_gradients(orthographic, packed, monkeypatch):
    monkeypatch.setattr(gsplat_backend, "PACKED_FROM", 0 if packed else 1 << 30)
    views, splats = cameras(orthographic=orthographic), colored(splats_of("plain", 60, 4), 3)
    weights = weights_for(CpuBackend().render_views(splats, views))
    ours = gradients(CpuBackend(), splats, views, weights)
    theirs = gradients(
        GsplatBackend(),
        Splats(*(tensor.cuda() for tensor in splats)),
        views,
        [weight.cuda() for weight in weights],
    )
    for mine, other in zip(ours, theirs, strict=True):
        # Pixels on the 1/255 cut again: a few of thousands.
        assert (mine - other.cpu()).norm() < 2e-2 * mine.norm()
