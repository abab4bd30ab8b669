# SPDX-License-Identifier: GPL-3.0-or-later
"""Several views of one scene, and what two backends are compared by."""

from __future__ import annotations

import torch

from engine.splatting.backend import BlendSettings, Splats
from tests.engine.splatting import reference
from tests.engine.splatting.scenes import camera_of

BACKGROUND = torch.tensor([0.1, 0.2, 0.3])
SIZE = (50, 41)


def cameras(count=3, *, orthographic=False):
    return [
        camera_of(*SIZE, shift=0.1 * index, orthographic=orthographic, turn=0.4 * index)
        for index in range(count)
    ]


def colored(splats, views):
    """Splats with a colour for each view."""
    random = torch.Generator().manual_seed(1)
    colors = torch.rand(views, len(splats.means), 3, generator=random)
    return splats._replace(colors=colors)


def sure_pixels(splats, views):
    """(C, H, W) pixels that are not within rounding of a cut-off, where either side is right."""
    colors = splats.colors if splats.colors.ndim == 3 else [splats.colors] * len(views)
    found = [
        reference.render(splats._replace(colors=seen), view, BACKGROUND, BlendSettings()).edge
        for seen, view in zip(colors, views, strict=True)
    ]
    return ~torch.stack(found)


def gradients(backend, splats, views, sure):
    """Gradients by the splats, on the CPU, of a random weighting of everything at ``sure``."""
    leaves = Splats(*(t.to(backend.device, copy=True).requires_grad_() for t in splats))
    random = torch.Generator().manual_seed(2)
    loss = torch.zeros((), device=backend.device)
    for tensor in backend.render_views(leaves, views, BACKGROUND):
        weights = torch.randn((*sure.shape, tensor[0, 0, 0].numel()), generator=random)
        weights = (weights * sure[..., None]).to(backend.device)
        loss = loss + (tensor.reshape(weights.shape) * weights).sum()
    found = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
    return [gradient.cpu() for gradient in found]
