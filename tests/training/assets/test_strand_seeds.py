# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import torch

from engine.avatar import GaussianAvatar, ShColor, splats
from engine.heads.identity import Identity
from training.assets.strand_seeds import along_strands


def seeded(head, points, segments):
    roots = np.full(len(points), 4321)
    binding, shape = along_strands(head, roots, points, segments, 0.0004)
    color = ShColor.constant(torch.full((len(binding), 3), 0.5))
    faces = torch.from_numpy(np.array(head.faces, np.int32))
    avatar = GaussianAvatar(Identity.of(head), faces, binding, color=color, **shape)
    return splats(avatar, torch.from_numpy(head.template))


def test_gaussians_lie_along_their_strand(head):
    start, stop = np.array([0.0, 0.1, 0.05]), np.array([0.006, 0.1, 0.02])
    points = start + np.linspace(0, 1, 6)[:, None] * (stop - start)
    made = seeded(head, points[None], 3)
    middles = start + np.array([1, 3, 5])[:, None] / 6 * (stop - start)
    assert np.abs(made.means.numpy() - middles).max() < 1e-6
    w, x, y, z = made.quats.unbind(-1)
    first = torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)], -1)
    direction = (stop - start) / np.linalg.norm(stop - start)
    assert np.abs(np.abs(first.numpy() @ direction) - 1).max() < 1e-4
    segment = np.linalg.norm(stop - start) / 3
    expected = torch.tensor([1.2 * segment / 12**0.5, 0.0004, 0.0004]).float().expand(3, 3)
    assert torch.allclose(made.scales, expected, rtol=1e-4)


def test_bent_strands_are_followed(head):
    angles = np.linspace(0, np.pi / 2, 9)
    arc = 0.02 * np.stack([np.cos(angles), np.sin(angles), np.zeros(9)], 1)
    made = seeded(head, np.stack([arc, 2 * arc]), 4)
    radius = made.means.norm(dim=1)
    assert torch.allclose(radius[:4], torch.tensor(0.02), rtol=0.03)
    assert torch.allclose(radius[4:], torch.tensor(0.04), rtol=0.03)
