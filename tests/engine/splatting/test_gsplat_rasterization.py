# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole of the gsplat backend through gsplat's own Python, its CUDA operations in plain torch.

What a GPU alone can show, the kernels themselves, is in tests/gpu.
"""

import gsplat_operations
import pytest
import torch
from scenes import KINDS, camera_of, splats_of

from engine.core.errors import BadInputError, MissingDependencyError
from engine.splatting import gsplat_backend
from engine.splatting.backend import Splats
from engine.splatting.cpu.backend import CpuBackend
from engine.splatting.gsplat_backend import GsplatBackend
from tests.engine.splatting.comparison import BACKGROUND, cameras, colored, gradients, sure_pixels

CPU = CpuBackend()


@pytest.fixture
def operations(monkeypatch):
    """A machine whose gsplat has its operations in plain torch."""
    operations = gsplat_operations.Operations()
    gsplat_operations.install(monkeypatch, operations)
    monkeypatch.setattr(gsplat_backend, "why_unavailable", lambda: None)
    return operations


@pytest.fixture(params=[False, True], ids=["dense", "packed"])
def packed(request, monkeypatch):
    monkeypatch.setattr(gsplat_backend, "PACKED_FROM", 0 if request.param else 1 << 30)
    return request.param


@pytest.fixture
def backend(operations, packed):
    return GsplatBackend(device="cpu")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orthographic", [False, True])
def test_pictures_are_those_of_the_cpu_backend(backend, kind, orthographic):
    views = cameras(orthographic=orthographic)
    splats = colored(splats_of(kind, 120, 3), len(views))
    sure = sure_pixels(splats, views)
    assert sure.float().mean() > 0.7
    ours = CPU.render_views(splats, views, BACKGROUND)
    theirs = backend.render_views(splats, views, BACKGROUND)
    assert ours.alpha.max() > 0.3
    # gsplat's determinant as a difference loses a needle's width.
    most = 1e-3 if kind == "needle" else 1e-5
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine[sure], other[sure], atol=most, rtol=most)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orthographic", [False, True])
def test_gradients_are_those_of_the_cpu_backend(backend, kind, orthographic):
    views = cameras(2, orthographic=orthographic)
    splats = colored(splats_of(kind, 60, 4), len(views))
    sure = sure_pixels(splats, views)
    ours = gradients(CPU, splats, views, sure)
    theirs = gradients(backend, splats, views, sure)
    most = 1e-3 if kind == "needle" else 1e-4
    for name, mine, other in zip(Splats._fields, ours, theirs, strict=True):
        assert (mine - other).norm() < most * mine.norm() + 1e-5, name


def test_one_colour_for_all_views_and_no_background(backend):
    views, splats = cameras(2), splats_of("plain", 120, 5)
    sure = sure_pixels(splats, views)
    for mine, other in zip(
        CPU.render_views(splats, views), backend.render_views(splats, views), strict=True
    ):
        torch.testing.assert_close(mine[sure], other[sure], atol=1e-5, rtol=1e-5)


def test_one_view_is_that_among_several(backend):
    views, splats = cameras(2), splats_of("plain", 120, 5)
    alone = backend.render(splats, views[1], BACKGROUND)
    for mine, other in zip(alone, backend.render_views(splats, views, BACKGROUND), strict=True):
        torch.testing.assert_close(mine, other[1], atol=1e-6, rtol=0)


def test_all_operations_are_called_once_for_all_views(backend, operations, packed):
    splats = splats_of("plain", 30, 5)
    gradients(backend, splats, cameras(3), torch.ones(3, 41, 50, dtype=torch.bool))
    kind = "packed projection" if packed else "projection"
    forward = [kind, "tiles", "offsets", "pixels"]
    assert operations.calls == [*forward, "pixels backward", f"{kind} backward"]


def test_splats_of_any_layout_and_precision_are_taken(backend):
    splats = splats_of("plain", 60, 6)
    odd = Splats(*(torch.stack([tensor.double()] * 2, -1)[..., 0] for tensor in splats))
    assert not odd.means.is_contiguous()
    camera = cameras(1)[0]
    for mine, other in zip(
        backend.render(splats, camera), backend.render(odd, camera), strict=True
    ):
        assert torch.equal(mine, other)


def test_packed_lists_are_asked_for_where_there_is_much(operations, monkeypatch):
    backend, splats = GsplatBackend(device="cpu"), splats_of("plain", 10, 0)
    monkeypatch.setattr(gsplat_backend, "PACKED_FROM", 25)
    backend.render_views(splats, cameras(2))
    backend.render_views(splats, cameras(3))
    assert [name for name in operations.calls if "projection" in name] == [
        "projection",
        "packed projection",
    ]


def test_everything_is_on_the_device_before_gsplat_is_asked(monkeypatch, packed):
    """PyTorch's "meta" stands in for one: it has no values, and mixes with no other device."""
    device = torch.device("meta")
    operations = gsplat_operations.Shapes(device)
    gsplat_operations.install(monkeypatch, operations)
    monkeypatch.setattr(gsplat_backend, "why_unavailable", lambda: None)
    views, splats = cameras(2), colored(splats_of("plain", 30, 5), 2)
    for background in (None, BACKGROUND):
        image = GsplatBackend("meta").render_views(splats, views, background)
        assert {tensor.device for tensor in image} == {device}
        assert image.rgb.shape == (2, 41, 50, 3)
    kind = "packed projection" if packed else "projection"
    assert operations.calls == [kind, "tiles", "offsets", "pixels"] * 2


def test_where_no_camera_sees_anything_there_is_the_background(backend):
    splats = splats_of("plain", 20, 1)
    behind = splats._replace(means=splats.means + torch.tensor([0.0, 0.0, 5.0]))
    leaves = Splats(*(tensor.requires_grad_() for tensor in behind))
    image = backend.render(leaves, cameras(1)[0], BACKGROUND)
    assert torch.equal(image.rgb, BACKGROUND.expand(41, 50, 3))
    assert not image.alpha.any()
    assert not image.depth.any()
    for gradient in torch.autograd.grad(image.rgb.sum() + image.depth.sum(), leaves):
        assert not gradient.any()


def test_no_splats_at_all_leave_the_background(backend, operations):
    """gsplat divides by their number, which ends the process."""
    nothing = Splats(*(tensor[:0].requires_grad_() for tensor in splats_of("plain", 1, 0)))
    image = backend.render_views(nothing, cameras(2), BACKGROUND)
    expected = CPU.render_views(nothing, cameras(2), BACKGROUND)
    for mine, other in zip(image, expected, strict=True):
        assert torch.equal(mine, other)
    (gradient,) = torch.autograd.grad(image.rgb.sum(), nothing.means)
    assert gradient.shape == (0, 3)
    assert not operations.calls


def test_colours_for_several_views_are_refused_where_there_is_one(backend, operations):
    with pytest.raises(BadInputError, match="colors"):
        backend.render(colored(splats_of("plain", 3, 0), 1), cameras(1)[0])
    assert not operations.calls


@pytest.mark.parametrize("size", [(0, 10), (10, 0), (-1, 10)])
def test_an_empty_image_is_refused_before_gsplat_divides_by_its_size(backend, operations, size):
    camera = camera_of(*size, shift=0.0, orthographic=False)
    for method in (backend.render, CPU.render):
        with pytest.raises(BadInputError, match="is empty"):
            method(splats_of("plain", 3, 0), camera)
    assert not operations.calls


def test_warming_up_renders_through_all_operations(operations):
    GsplatBackend(device="cpu").warm_up()
    assert operations.calls == ["projection", "tiles", "offsets", "pixels"]


def test_what_gsplat_itself_refuses_becomes_one_clear_message(operations, monkeypatch):
    def refuse(*_):
        raise RuntimeError("CUDA error: no kernel image is available\nfor this device")

    monkeypatch.setattr(operations, "intersect_tile", refuse, raising=False)
    with pytest.raises(MissingDependencyError, match="no kernel image is available for this"):
        GsplatBackend(device="cpu").render(splats_of("plain", 3, 0), cameras(1)[0])
