# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours that pictures show of Gaussians."""

import torch

from engine.rendering.frames import portrait_camera
from training.data.color_gathering import ColorGathering


def gathered(head, image, depth):
    camera = portrait_camera(head, 32, 32)
    gathering = ColorGathering(2)
    middle = torch.tensor([0.0, 0.0, 0.08])
    means = torch.stack([middle, middle - torch.tensor([0.0, 0.0, 0.05])])
    normals = torch.tensor([0.0, 0.0, 1.0]).expand(2, 3)
    viewmat = torch.from_numpy(camera.viewmat)
    z = float((means[0] @ viewmat[:3, :3].T + viewmat[:3, 3])[2])
    gathering.add(
        means, normals, torch.full((32, 32), z + depth), image, torch.ones(32, 32), camera
    )
    return gathering


def test_colours_come_from_where_a_gaussian_is_seen(head):
    red = torch.tensor([0.9, 0.1, 0.2]).expand(32, 32, 3)
    gathering = gathered(head, red, 0.0)
    assert gathering.seen.tolist() == [True, False]
    places, groups = torch.zeros(2, 3), torch.zeros(2, dtype=torch.long)
    assert torch.allclose(gathering.colors(places, groups), red[:2, 0])


def test_nothing_is_lent_to_another_part_of_the_head_that_was_seen(head):
    gathering = gathered(head, torch.full((32, 32, 3), 0.3), 0.1)
    gathering.total[1], gathering.weight[1] = torch.tensor([0.8, 0.8, 0.8]), 1.0
    places, groups = torch.zeros(2, 3), torch.tensor([0, 1])
    colors = gathering.colors(places, groups)
    assert torch.allclose(colors, torch.tensor([[0.3] * 3, [0.8] * 3]))


def test_what_is_not_seen_changes_as_its_neighbours_do(head):
    red = torch.tensor([0.9, 0.1, 0.2]).expand(32, 32, 3)
    before = torch.tensor([[0.5, 0.2, 0.2], [0.1, 0.3, 0.3]])
    places, groups = torch.zeros(2, 3), torch.zeros(2, dtype=torch.long)
    changes = gathered(head, red, 0.0).changes(places, groups, before)
    assert torch.allclose(changes, torch.tensor([[0.4, -0.1, 0.0]]).expand(2, 3))


def test_pictures_that_show_nothing_change_nothing(head):
    red = torch.tensor([0.9, 0.1, 0.2]).expand(32, 32, 3)
    nothing = gathered(head, red, -0.1)
    assert not nothing.seen.any()
    places, groups = torch.zeros(2, 3), torch.zeros(2, dtype=torch.long)
    assert (nothing.changes(places, groups, torch.ones(2, 3)) == 0).all()
