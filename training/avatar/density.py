# SPDX-License-Identifier: GPL-3.0-or-later
"""When Gaussians are added and which are taken away: decisions, made on plain tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.splatting.camera import Camera
from training.run.processes import Processes


@dataclass(eq=False)
class ScreenGradients:
    """How strongly the loss pulls each Gaussian across the screen, gathered over steps.

    Attributes:
        total: (G,) sum of the lengths, in loss per half image size.
        seen: (G,) in how many views each took part.
    """

    total: Tensor
    seen: Tensor

    @classmethod
    def empty(cls, count: int, device: torch.device | str = "cpu") -> ScreenGradients:
        """Of G Gaussians, none seen yet."""
        return cls(torch.zeros(count, device=device), torch.zeros(count, device=device))

    @classmethod
    def of_process(
        cls, gathered: tuple[Tensor, Tensor], count: int, processes: Processes
    ) -> ScreenGradients:
        """One process's part of a checkpoint; of another number of processes the first takes all.

        Args:
            gathered: (processes, G) each; (G,) of a checkpoint of version 0.1.0, summed.
            count: G.
            processes: that train now.
        """
        parts = [part.reshape(-1, count).to(processes.device) for part in gathered]
        if len(parts[0]) == processes.count:
            return cls(*(part[processes.rank] for part in parts))
        if processes.rank == 0:
            return cls(*(part.sum(0) for part in parts))
        return cls.empty(count, processes.device)

    def add(self, means: Tensor, v_means: Tensor, camera: Camera) -> None:
        """Take a view's gradients.

        The gradient by the place on the screen follows from that by the mean: a step of one pixel
        sideways is one of z / f metres in the camera's plane.

        Args:
            means: (G, 3) world space.
            v_means: (G, 3) gradient of the loss by them.
            camera: of the view.
        """
        viewmat = torch.from_numpy(camera.viewmat).to(means.device)
        depth = means @ viewmat[2, :3] + viewmat[2, 3]
        sideways = v_means @ viewmat[:2, :3].T
        half = torch.tensor(
            [
                0.5 * camera.width / float(camera.K[0, 0]),
                0.5 * camera.height / float(camera.K[1, 1]),
            ],
            device=means.device,
        )
        length = (sideways * half).norm(dim=1) * depth.abs()
        self.total += length
        self.seen += length > 0

    def mean(self) -> Tensor:
        """(G,) over the views in which each took part; 0 for those never seen."""
        return self.total / self.seen.clamp(min=1)


def to_densify(
    gradients: Tensor, sizes: Tensor, threshold: float, split_above: float, most: int
) -> tuple[Tensor, Tensor]:
    """Which Gaussians to clone and which to split (Kerbl et al. 2023).

    Args:
        gradients: (G,) mean lengths.
        sizes: (G,) largest standard deviation, metres.
        threshold: of the gradient.
        split_above: size above which one is split; below it is cloned.
        most: no more than so many, those with the strongest gradients.

    Returns:
        Indices to clone and to split.
    """
    wanted = (gradients > threshold).nonzero()[:, 0]
    if len(wanted) > most:
        strongest = gradients[wanted].argsort(descending=True, stable=True)[:most]
        wanted = wanted[strongest].sort().values
    large = sizes[wanted] > split_above
    return wanted[~large], wanted[large]


def volumes(opacities: Tensor, scales: Tensor) -> Tensor:
    """(G,) σ·s_x·s_y·s_z: what the paper's pruning goes by."""
    return opacities * scales.prod(dim=1)


def kept_by_volume(
    values: Tensor, budget: int, binding: Tensor | None = None, faces: int = 0
) -> Tensor:
    """The ``budget`` Gaussians of the largest volume.

    Args:
        values: (G,) of :func:`volumes`.
        budget: how many to keep.
        binding: (G,) triangles; where given, each keeps at least its largest Gaussian, and the
            number may exceed the budget by those.
        faces: number of triangles.

    Returns:
        Sorted indices.
    """
    if len(values) <= budget:
        return torch.arange(len(values), device=values.device)
    order = values.argsort(descending=True, stable=True)
    kept = torch.zeros(len(values), dtype=torch.bool, device=values.device)
    if binding is None:
        kept[order[:budget]] = True
    else:
        kept |= _largest_of_each(order, binding, faces)
        free = max(0, budget - int(kept.sum()))
        others = order[~kept[order]]
        kept[others[:free]] = True
    return kept.nonzero()[:, 0]


def kept_by_opacity(
    opacities: Tensor,
    least: float,
    sizes: Tensor,
    largest: float,
    binding: Tensor | None = None,
    faces: int = 0,
) -> Tensor:
    """The Gaussians that are neither all but transparent nor too large, as GaussianAvatars prunes.

    Args:
        opacities: (G,).
        least: opacity that is kept.
        sizes: (G,) largest standard deviation, metres.
        largest: metres above which a Gaussian is dropped; 0 drops none for its size.
        binding: (G,) triangles; where given, each keeps at least one Gaussian.
        faces: number of triangles.

    Returns:
        Sorted indices.
    """
    kept = opacities >= least
    if largest:
        kept &= sizes <= largest
    if binding is not None:
        order = opacities.argsort(descending=True, stable=True)
        kept |= _largest_of_each(order, binding, faces)
    return kept.nonzero()[:, 0]


def _largest_of_each(order: Tensor, binding: Tensor, faces: int) -> Tensor:
    """(G,) whether a Gaussian is the first of its triangle in an order."""
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device)
    face = binding.long()
    first = torch.full((faces,), len(order), dtype=rank.dtype, device=order.device)
    first.scatter_reduce_(0, face, rank, "amin")
    return rank == first[face]
