# SPDX-License-Identifier: GPL-3.0-or-later
"""The colours that pictures show of Gaussians."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from engine.heads.head import Head
from engine.splatting.camera import Camera

_CLEARLY = 0.05
"""Sum of squared cosines of view above which a Gaussian counts as seen: once at 77° or less."""
_NEIGHBOURS = 24
"""Nearest seen Gaussians whose mean colour one takes; so many that single ones do not show."""
_BEHIND = 0.006
"""Metres behind the visible surface up to which a Gaussian counts as seen."""


class ColorGathering:
    """Mean colours of Gaussians over the pictures in which they are seen.

    Args:
        count: G.
    """

    def __init__(self, count: int) -> None:
        self.total = torch.zeros(count, 3)
        self.weight = torch.zeros(count)

    @property
    def seen(self) -> Tensor:
        """(G,) whether the pictures showed the Gaussian well enough."""
        return self.weight > _CLEARLY

    def add(
        self,
        means: Tensor,
        normals: Tensor,
        depth: Tensor,
        image: Tensor,
        alpha: Tensor,
        camera: Camera,
    ) -> None:
        """Take the colours that one picture shows.

        Args:
            means: (G, 3) world space.
            normals: (G, 3) of the triangles; those seen head-on count most.
            depth: (H, W) of the avatar as it is, metres; what lies behind is hidden.
            image: (H, W, 3) the picture, or its difference from another one.
            alpha: (H, W) the person in it.
            camera: of the picture.
        """
        viewmat, K = torch.from_numpy(camera.viewmat), torch.from_numpy(camera.K)
        inside = means @ viewmat[:3, :3].T + viewmat[:3, 3]
        z = inside[:, 2].clamp(min=1e-6)
        x = (K[0, 0] * inside[:, 0] / z + K[0, 2]).floor().long()
        y = (K[1, 1] * inside[:, 1] / z + K[1, 2]).floor().long()
        within = (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height)
        x, y = x.clamp(0, camera.width - 1), y.clamp(0, camera.height - 1)
        towards = torch.nn.functional.normalize(torch.from_numpy(camera.position) - means, dim=-1)
        facing = (towards * normals).sum(-1).clamp(min=0) ** 2
        shown = within & (z < depth[y, x] + _BEHIND) & (alpha[y, x] > 0.95)
        weight = torch.where(shown, facing, 0.0)
        self.total += weight[:, None] * image[y, x]
        self.weight += weight

    def colors(self, places: Tensor, groups: Tensor, before: Tensor | None = None) -> Tensor:
        """(G, 3) colours; those not seen take the mean of the nearest seen ones.

        Args:
            places: (G, 3) on the neutral head.
            groups: (G,) part of the head; colours are averaged within a part alone, where
                the part has any.
            before: (G, 3) colours until now, where there are: those never seen change by the mean
                of what their nearest seen ones change.
        """
        if not self.seen.any():
            return torch.full_like(self.total, 0.5) if before is None else before
        base = torch.zeros_like(self.total) if before is None else before
        return (self.changes(places, groups, base) + base).clamp(0, 1)

    def changes(self, places: Tensor, groups: Tensor, before: Tensor | None = None) -> Tensor:
        """(G, 3) what the pictures show against colours until now; zero where they show nothing.

        Args:
            places: see :meth:`colors`.
            groups: likewise.
            before: (G, 3); without it what was added are differences.
        """
        result = self.total / self.weight.clamp(min=1e-9)[:, None]
        if before is not None:
            result -= before
        if not self.seen.any():
            return torch.zeros_like(result)
        for group in set(groups.tolist()):
            here = groups == group
            seen_of_group = here & self.seen
            if not seen_of_group.any():
                seen_of_group = self.seen
            wanting = here & ~self.seen
            if not wanting.any():
                continue
            tree = cKDTree(places[seen_of_group].numpy())
            count = min(_NEIGHBOURS, int(seen_of_group.sum()))
            _, nearest = tree.query(places[wanting].numpy(), k=range(1, count + 1))
            result[wanting] = result[seen_of_group][torch.from_numpy(nearest)].mean(1)
        return result


_MOUTH = ("mouth_interior", "gums", "tongue", "teeth")


def face_groups(head: Head) -> NDArray[np.int64]:
    """(F,) which part of the head each triangle is of: parts whose colours do not mix."""
    groups = np.zeros(len(head.faces), np.int64)
    for number, name in enumerate((*_MOUTH, "eyeballs", "irises", "pupils"), 1):
        inside = np.isin(head.faces, head.regions.get(name, np.empty(0, np.int32))).all(1)
        groups[inside] = number
    return groups


def inside_of_the_mouth(head: Head) -> NDArray[np.bool_]:
    """(F,) whether a triangle is of teeth, gums, tongue, or the cheeks' and lips' inner side."""
    groups = face_groups(head)
    return (groups > 0) & (groups <= len(_MOUTH))
