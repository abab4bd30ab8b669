# SPDX-License-Identifier: GPL-3.0-or-later
"""gsplat's CUDA operations in plain torch, in the place of its compiled module.

With :func:`install`, all of gsplat's own Python runs on a CPU: argument checks, layouts, packing,
autograd functions, the expected depth. Names, arguments and results are those of gsplat 1.5
(``gsplat/cuda/ext.cpp``, ``csrc/Projection.cpp``, ``Intersect.cpp``, ``Rasterization.cpp``):

- inputs have to be contiguous float32 tensors on one device, as ``CHECK_INPUT`` has it;
- results that a kernel leaves unwritten are NaN here, so that nothing can depend on them;
- without Gaussians, or without pixels, a division by zero ends the process there; here it raises.

The projection is gsplat's own torch function, with the bound by opacity that its kernel adds;
backward passes take autograd through the forward.
"""

from __future__ import annotations

import sys
import types
from itertools import pairwise

import torch
from gsplat.cuda import _torch_impl as theirs

THRESHOLD, OPAQUE, STOP = 1 / 255, 0.999, 1e-4
TILE = 16


def install(monkeypatch, operations):
    """Have gsplat find these operations where it looks for its compiled ones."""
    module = types.SimpleNamespace(_C=operations)
    monkeypatch.setitem(sys.modules, "gsplat.cuda._backend", module)


def checked(*tensors, device=None):
    """``CHECK_INPUT``, and what the kernels read without a check: float32 on one device."""
    device = device or tensors[0].device
    for tensor in tensors:
        assert tensor.device == device, (tensor.device, device)
        assert tensor.is_contiguous(), (tensor.shape, tensor.stride())
        assert tensor.dtype in {torch.float32, torch.int32, torch.int64}, tensor.dtype


class Operations:
    """The module ``gsplat.csrc``, as far as ``rasterization()`` takes it in our modes.

    Attributes:
        calls: names of the operations, in the order in which they were called.
    """

    PINHOLE, ORTHO = "pinhole", "ortho"
    CameraModelType = types.SimpleNamespace(PINHOLE=PINHOLE, ORTHO=ORTHO)

    def __init__(self):
        self.calls = []

    def projection_ewa_3dgs_fused_fwd(self, means, covars, quats, scales, opacities, *camera):
        self.calls.append("projection")
        assert covars is None
        viewmats, Ks, *settings = camera
        checked(means, quats, scales, opacities, viewmats, Ks)
        radii, *values = projected(means, quats, scales, opacities, viewmats, Ks, *settings)
        unwritten = ~(radii > 0).all(-1)
        for value in values:
            value[unwritten] = torch.nan
        return radii, *values, None

    def projection_ewa_3dgs_fused_bwd(
        self, means, covars, quats, scales, viewmats, Ks, width, height, eps2d, model, radii, *rest
    ):
        self.calls.append("projection backward")
        conics, _, v_means2d, v_depths, v_conics, _, by_viewmats = rest
        assert covars is None
        assert not by_viewmats
        checked(means, quats, scales, viewmats, Ks, conics, v_means2d, v_depths, v_conics)
        cameras, gaussians = (radii > 0).all(-1).nonzero(as_tuple=True)
        incoming = [v[cameras, gaussians] for v in (v_means2d, v_depths, v_conics)]
        settings = (width, height, eps2d, model)
        inputs = (means, quats, scales)
        return pair_gradients(inputs, viewmats, Ks, settings, cameras, gaussians, incoming)

    def projection_ewa_3dgs_packed_fwd(self, means, covars, quats, scales, opacities, *camera):
        self.calls.append("packed projection")
        assert covars is None
        viewmats, Ks, *settings = camera
        checked(means, quats, scales, opacities, viewmats, Ks)
        radii, *values = projected(means, quats, scales, opacities, viewmats, Ks, *settings)
        cameras, gaussians = (radii > 0).all(-1).nonzero(as_tuple=True)
        starts = torch.searchsorted(cameras, torch.arange(len(viewmats) + 1)).int()
        batches = torch.zeros_like(cameras)
        kept = [value[cameras, gaussians] for value in (radii, *values)]
        return starts, batches, cameras, gaussians, *kept, None

    def projection_ewa_3dgs_packed_bwd(
        self, means, covars, quats, scales, viewmats, Ks, width, height, eps2d, model, *rest
    ):
        self.calls.append("packed projection backward")
        _, cameras, gaussians, conics, _, v_means2d, v_depths, v_conics, _, by_viewmats, sparse = (
            rest
        )
        assert covars is None
        assert not by_viewmats
        assert not sparse
        checked(means, quats, scales, viewmats, Ks, conics, v_means2d, v_depths, v_conics)
        settings = (width, height, eps2d, model)
        incoming = [v_means2d, v_depths, v_conics]
        inputs = (means, quats, scales)
        return pair_gradients(inputs, viewmats, Ks, settings, cameras, gaussians, incoming)

    def intersect_tile(self, means2d, radii, depths, image_ids, gaussian_ids, count, *settings):
        self.calls.append("tiles")
        tile_size, columns, rows, sort, segmented = settings
        checked(means2d, radii, depths)
        assert tile_size == TILE
        assert sort
        assert not segmented
        if means2d.ndim == 2:
            checked(image_ids, gaussian_ids)
            images = image_ids
        else:
            images = torch.arange(count).repeat_interleave(means2d.shape[-2])
        shape = depths.shape
        means2d, radii, depths = means2d.view(-1, 2), radii.view(-1, 2), depths.view(-1)
        seen = (radii > 0).all(-1)
        most = torch.tensor([columns, rows])
        # What is not seen has no mean.
        middle = torch.where(seen[:, None], means2d, 0) / tile_size
        reach = radii / tile_size
        low = torch.minimum((middle - reach).floor().clamp(min=0), most).long()
        high = torch.minimum((middle + reach).ceil().clamp(min=0), most).long()
        tiles = (high - low).prod(1) * seen
        flat = torch.arange(len(tiles)).repeat_interleave(tiles)
        within = torch.arange(len(flat)) - (tiles.cumsum(0) - tiles)[flat]
        width = (high - low)[flat, 0]
        tile = (low[flat, 1] + within // width) * columns + low[flat, 0] + within % width
        bits = (columns * rows).bit_length()
        depth = depths[flat].view(torch.int32).long() & 0xFFFFFFFF
        keys, order = ((images[flat] << bits | tile) << 32 | depth).sort(stable=True)
        return tiles.view(shape).int(), keys, flat[order].int()

    def intersect_offset(self, keys, count, columns, rows):
        self.calls.append("offsets")
        return theirs._isect_offset_encode(keys, count, columns, rows)

    def rasterize_to_pixels_3dgs_fwd(self, *arguments):
        self.calls.append("pixels")
        means2d, conics, colors, opacities, backgrounds, masks, *layout = arguments
        checked(means2d, conics, colors, opacities, *layout[3:])
        assert backgrounds is None
        assert masks is None
        images, alphas = blended(means2d, conics, colors, opacities, *layout)
        return images, alphas, torch.zeros(alphas.shape[:-1], dtype=torch.int32)

    def rasterize_to_pixels_3dgs_bwd(self, *arguments):
        self.calls.append("pixels backward")
        means2d, conics, colors, opacities, _, _, *rest = arguments
        *layout, _, _, v_images, v_alphas, absgrad = rest
        checked(means2d, conics, colors, opacities, v_images, v_alphas)
        assert not absgrad
        with torch.enable_grad():
            leaves = [t.detach().requires_grad_() for t in (means2d, conics, colors, opacities)]
            found = blended(*leaves, *layout)
            outgoing = torch.autograd.grad(
                found, leaves, (v_images, v_alphas), allow_unused=True, materialize_grads=True
            )
        return None, *outgoing


class Shapes(Operations):
    """Operations that give results of the right layout and no values: for tensors that have none.

    Args:
        device: where everything has to be.
    """

    def __init__(self, device):
        super().__init__()
        self.device = device

    def projection_ewa_3dgs_fused_fwd(self, means, covars, quats, scales, opacities, *camera):
        self.calls.append("projection")
        viewmats, Ks, *_ = camera
        checked(means, quats, scales, opacities, viewmats, Ks, device=self.device)
        return *self._footprints(len(viewmats), len(means)), None

    def projection_ewa_3dgs_packed_fwd(self, means, covars, quats, scales, opacities, *camera):
        self.calls.append("packed projection")
        viewmats, Ks, *_ = camera
        checked(means, quats, scales, opacities, viewmats, Ks, device=self.device)
        count = len(viewmats) * len(means)
        ids = [self._empty(count, dtype=torch.int64) for _ in range(3)]
        starts = self._empty(len(viewmats) + 1, dtype=torch.int32)
        return starts, *ids, *self._footprints(count), None

    def intersect_tile(self, means2d, radii, depths, image_ids, gaussian_ids, *_):
        self.calls.append("tiles")
        checked(means2d, radii, depths, device=self.device)
        counts = self._empty(*depths.shape, dtype=torch.int32)
        return counts, self._empty(9, dtype=torch.int64), self._empty(9, dtype=torch.int32)

    def intersect_offset(self, keys, count, columns, rows):
        self.calls.append("offsets")
        checked(keys, device=self.device)
        return self._empty(count, rows, columns, dtype=torch.int32)

    def rasterize_to_pixels_3dgs_fwd(self, *arguments):
        self.calls.append("pixels")
        means2d, conics, colors, opacities, _, _, width, height, _, *layout = arguments
        checked(means2d, conics, colors, opacities, *layout, device=self.device)
        size = (*layout[0].shape[:-2], height, width)
        last = self._empty(*size, dtype=torch.int32)
        return self._empty(*size, colors.shape[-1]), self._empty(*size, 1), last

    def _footprints(self, *shape):
        """Radii, means, depths and conics."""
        radii = self._empty(*shape, 2, dtype=torch.int32)
        return radii, self._empty(*shape, 2), self._empty(*shape), self._empty(*shape, 3)

    def _empty(self, *shape, dtype=torch.float32):
        return torch.empty(shape, dtype=dtype, device=self.device)


def projected(means, quats, scales, opacities, viewmats, Ks, width, height, *settings):
    """Radii, means, depths and conics, (C, G, …), as the kernels project."""
    eps2d, near, far, clip, compensated, model = settings
    assert not compensated
    if not len(means) * width * height:
        raise ZeroDivisionError
    with torch.no_grad():
        covariances, _ = theirs._quat_scale_to_covar_preci(quats, scales, compute_preci=False)
        planes = (near, far)
        _, means2d, depths, conics, _ = theirs._fully_fused_projection(
            means, covariances, viewmats, Ks, width, height, eps2d, *planes, camera_model=model
        )
        determinant = conics[..., 0] * conics[..., 2] - conics[..., 1].square()
        spread = torch.stack([conics[..., 2], conics[..., 0]], -1) / determinant[..., None]
        reach = (2 * (opacities / THRESHOLD).clamp(min=1).log()).sqrt().clamp(max=3.33)
        radii = (reach[:, None] * spread.sqrt()).ceil()
        kept = (
            (opacities >= THRESHOLD)
            & (depths >= near)
            & (depths <= far)
            & (radii > clip).any(-1)
            & (means2d + radii > 0).all(-1)
            & (means2d - radii < torch.tensor([width, height])).all(-1)
        )
        return (radii * kept[..., None]).int(), means2d, depths, conics


def pair_gradients(inputs, viewmats, Ks, settings, cameras, gaussians, incoming):
    """Gradients by means, quats and scales of those that a camera sees."""
    width, height, eps2d, model = settings
    with torch.enable_grad():
        leaves = [tensor.detach().requires_grad_() for tensor in inputs]
        means, quats, scales = (leaf[gaussians][:, None] for leaf in leaves)
        covariances, _ = theirs._quat_scale_to_covar_preci(quats, scales, compute_preci=False)
        _, *found, _ = theirs._fully_fused_projection(
            means,
            covariances,
            viewmats[cameras][:, None],
            Ks[cameras][:, None],
            width,
            height,
            eps2d,
            camera_model=model,
        )
        means2d, depths, conics = (tensor[:, 0, 0] for tensor in found)
        v_means, v_quats, v_scales = torch.autograd.grad(
            (means2d, depths, conics), leaves, incoming, allow_unused=True, materialize_grads=True
        )
    return v_means, None, v_quats, v_scales, None


def blended(means2d, conics, colors, opacities, width, height, tile_size, offsets, entries):
    """Images (…, H, W, D) and alphas (…, H, W, 1), tile by tile, differentiable."""
    assert tile_size == TILE
    dims, (rows, columns) = offsets.shape[:-2], offsets.shape[-2:]
    channels = colors.shape[-1]
    means2d, conics = means2d.reshape(-1, 2), conics.reshape(-1, 3)
    colors, opacities = colors.reshape(-1, channels), opacities.reshape(-1)
    bounds = [*offsets.flatten().tolist(), len(entries)]
    tiles = []
    for index, (start, stop) in enumerate(pairwise(bounds)):
        y, x = divmod(index % (rows * columns), columns)
        near = entries[start:stop].long()
        ys, xs = torch.meshgrid(
            torch.arange(y * TILE, (y + 1) * TILE) + 0.5,
            torch.arange(x * TILE, (x + 1) * TILE) + 0.5,
            indexing="ij",
        )
        dx, dy = (torch.stack([xs, ys], -1).view(-1, 1, 2) - means2d[near]).unbind(-1)
        a, b, c = conics[near].unbind(-1)
        sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
        alpha = (opacities[near] * torch.exp(-sigma)).clamp(max=OPAQUE)
        alpha = torch.where((sigma >= 0) & (alpha >= THRESHOLD), alpha, 0)
        left = torch.cumprod(1 - alpha, 1)
        alpha = torch.where(left > STOP, alpha, 0)
        after = torch.cumprod(1 - alpha, 1)
        before = torch.cat([torch.ones(TILE * TILE, 1), after], 1)
        image = (alpha * before[:, :-1]) @ colors[near]
        tiles.append(torch.cat([image, 1 - before[:, -1:]], 1))
    grid = torch.stack(tiles).view(*dims, rows, columns, TILE, TILE, channels + 1)
    picture = grid.transpose(-4, -3).reshape(*dims, rows * TILE, columns * TILE, channels + 1)
    picture = picture[..., :height, :width, :]
    return picture[..., :-1].contiguous(), picture[..., -1:].contiguous()
