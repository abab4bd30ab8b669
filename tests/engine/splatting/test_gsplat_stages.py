# SPDX-License-Identifier: GPL-3.0-or-later
"""Each stage before the blending against gsplat's own functions in plain torch."""

import numpy as np
import pytest
import torch
from gsplat.cuda import _torch_impl as theirs
from scenes import KINDS, camera_of, splats_of

from engine.avatar.binding import quaternion_product
from engine.avatar.color import ShColor
from engine.splatting.backend import BlendSettings, Splats
from engine.splatting.cpu import backend as cpu
from engine.splatting.cpu.layout import DEPTH, MEAN_X, MEAN_Y, PRECISION, PRECISION_Y, SLOPE

SETTINGS = BlendSettings()


def projected(splats, camera):
    """gsplat's projection in float64: means, covariances (2D), depths, conics, radii."""
    double = Splats(*(tensor.double() for tensor in splats))
    covariances, _ = theirs._quat_scale_to_covar_preci(
        double.quats, double.scales, compute_preci=False
    )
    radii, means, depths, conics, _ = theirs._fully_fused_projection(
        double.means,
        covariances,
        torch.from_numpy(camera.viewmat).double()[None],
        torch.from_numpy(camera.K).double()[None],
        camera.width,
        camera.height,
        SETTINGS.eps2d,
        camera.near,
        camera.far,
        camera_model="ortho" if camera.orthographic else "pinhole",
    )
    return means[0], depths[0], conics[0], (radii[0] > 0).all(-1)


def ours(splats, camera):
    prepared = cpu.prepare([tensor.numpy() for tensor in splats], camera, SETTINGS)
    return prepared.order.astype(np.int64), torch.from_numpy(prepared.rows).double()


def conics_of(rows):
    """(N, 3) the inverse covariance from the footprints' factors."""
    a = rows[:, PRECISION]
    b = -a * rows[:, SLOPE]
    return torch.stack([a, b, rows[:, PRECISION_Y] + a * rows[:, SLOPE] ** 2], 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orthographic", [False, True])
def test_projected_means_depths_and_conics_agree(kind, orthographic):
    splats = splats_of(kind, 400, 7)
    camera = camera_of(96, 64, shift=0.2, orthographic=orthographic, turn=0.3)
    order, rows = ours(splats, camera)
    means, depths, conics, _ = projected(splats, camera)
    assert len(order) > 20
    torch.testing.assert_close(
        rows[:, [MEAN_X, MEAN_Y]], means[order], atol=1e-3, rtol=1e-6, check_dtype=False
    )
    torch.testing.assert_close(rows[:, DEPTH], depths[order], atol=0, rtol=1e-6)
    # Relative to the size of the matrix: of a needle's conic one entry nearly vanishes.
    size = conics[order].norm(dim=1, keepdim=True)
    error = (conics_of(rows) - conics[order]) / size
    # gsplat's determinant as a difference loses a needle's width; 1e-5 holds where it does not.
    assert error.abs().max() < (1e-2 if kind == "needle" else 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_what_gsplat_drops_and_we_keep_cannot_be_seen_and_the_other_way_round(kind):
    splats = splats_of(kind, 400, 8)
    camera = camera_of(96, 64, shift=0.0, orthographic=False)
    order, _ = ours(splats, camera)
    kept = np.zeros(400, bool)
    kept[order] = True
    *_, theirs_kept = projected(splats, camera)
    only_ours = kept & ~theirs_kept.numpy()
    assert not only_ours.any()
    # What gsplat keeps and we drop: too transparent, or outside by the tighter bound.
    only_theirs = Splats(*(tensor[~torch.from_numpy(kept)] for tensor in splats))
    assert not cpu.CpuBackend().render(only_theirs, camera).alpha.any()


def test_depth_order_is_that_of_gsplats_depths():
    splats = splats_of("coincident", 400, 9)
    camera = camera_of(96, 64, shift=0.0, orthographic=False)
    order, _ = ours(splats, camera)
    _, depths, _, _ = projected(splats, camera)
    kept = np.sort(order)
    expected = kept[torch.sort(depths[kept].float(), stable=True).indices.numpy()]
    np.testing.assert_array_equal(order, expected)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_harmonics_agree(degree):
    random = torch.Generator().manual_seed(degree)
    coefficients = 0.1 * torch.randn(500, 16, 3, generator=random)
    view = torch.nn.functional.normalize(torch.randn(500, 3, generator=random), dim=-1)
    model = ShColor(coefficients[:, : (degree + 1) ** 2].contiguous())
    expected = (theirs._spherical_harmonics(degree, view, coefficients) + 0.5).clamp(min=0)
    torch.testing.assert_close(model.colors(None, view), expected, atol=1e-6, rtol=1e-5)


def test_a_product_of_quaternions_is_the_product_of_gsplats_matrices():
    random = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 200, 4, generator=random)
    product = theirs._quat_to_rotmat(quaternion_product(first, second))
    expected = theirs._quat_to_rotmat(first) @ theirs._quat_to_rotmat(second)
    torch.testing.assert_close(product, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("orthographic", [False, True])
def test_gradients_of_the_projection_agree_with_autograd_through_gsplats(orthographic):
    camera = camera_of(96, 64, shift=0.2, orthographic=orthographic, turn=0.3)
    splats = splats_of("plain", 60, 11)
    order, _ = ours(splats, camera)
    weights = torch.randn(len(order), 5, generator=torch.Generator().manual_seed(2)).double()
    leaves = [t.double().requires_grad_() for t in (splats.means, splats.quats, splats.scales)]
    scene = Splats(*leaves, splats.opacities, splats.colors)
    means, depths, conics, _ = projected(scene, camera)
    a, b, c = conics[order].unbind(1)
    det = a * c - b * b
    covariances = torch.stack([c / det, -b / det, a / det], 1)
    loss = (weights[:, :2] * means[order]).sum() + (weights[:, 2:] * covariances).sum()
    loss = loss + (weights[:, 0] * depths[order]).sum()
    expected = torch.autograd.grad(loss, leaves)
    found = projection_gradients(splats, camera, order, weights)
    for mine, true in zip(found, expected, strict=True):
        assert (mine.double() - true).norm() < 1e-4 * true.norm()


def projection_gradients(splats, camera, order, weights):
    """Gradients by means, quats and scales from those by the footprints."""
    from engine.splatting.cpu import layout, projection

    incoming = np.zeros((len(order), layout.GRADIENTS), np.float32)
    columns = [
        layout.G_MEAN_X,
        layout.G_MEAN_Y,
        layout.G_COV_XX,
        layout.G_COV_XY,
        layout.G_COV_YY,
    ]
    incoming[:, columns] = weights
    incoming[:, layout.G_DEPTH] = weights[:, 0]
    arrays = [tensor.numpy() for tensor in splats]
    out = [np.zeros_like(array) for array in arrays]
    view = cpu._View.of(camera)
    projection.project_backward(
        *arrays[:3],
        view.viewmat,
        view.K,
        view.size,
        view.orthographic,
        order.astype(np.int32),
        incoming,
        *out,
    )
    return [torch.from_numpy(values) for values in out[:3]]
