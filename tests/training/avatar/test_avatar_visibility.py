# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import torch

from engine.splatting.backend import Splats
from engine.splatting.camera import look_at
from engine.splatting.cpu.backend import CpuBackend
from training.avatar.visibility import hidden


def scene(depths, *, sizes=0.002, x=0.0):
    """A wall at z = 0 that a camera at z = 1 looks at, and Gaussians at other depths."""
    wall = torch.stack(
        torch.meshgrid(torch.linspace(-0.1, 0.1, 15), torch.linspace(-0.1, 0.1, 15), indexing="xy"),
        -1,
    ).view(-1, 2)
    wall = torch.cat([wall, torch.zeros(len(wall), 1)], 1)
    others = torch.tensor([[x, 0.0, depth] for depth in depths])
    means = torch.cat([others, wall])
    count = len(means)
    scales = torch.full((count, 3), 0.012)
    scales[: len(depths)] = sizes
    scales[len(depths) :, 2] = 0.0005
    quats = torch.tensor([[1.0, 0, 0, 0]]).expand(count, 4)
    splats = Splats(means, quats, scales, torch.full((count,), 0.95), torch.ones(count, 3))
    eye = np.array([0, 0, 1], np.float32)
    camera = look_at(eye, np.zeros(3, np.float32), width=40, height=40, vertical_fov=0.18)
    return splats, camera


def found(depths, **options):
    splats, camera = scene(depths, **options)
    image = CpuBackend().render(splats, camera)
    return hidden(splats, image, camera)[: len(depths)].tolist()


def test_what_lies_well_behind_the_surface_is_hidden():
    assert [found([depth])[0] for depth in (0.05, -0.005, -0.05)] == [False, False, True]


def test_what_reaches_forward_to_it_is_not():
    assert found([-0.05], sizes=0.03) == [False]


def test_what_stands_beside_the_picture_is_not():
    assert found([-0.05], x=0.5) == [False]


def test_nothing_is_hidden_where_there_is_nothing_in_front():
    splats, camera = scene([-0.05])
    alone = Splats(*(tensor[:1] for tensor in splats))
    assert hidden(alone, CpuBackend().render(alone, camera), camera).tolist() == [False]
