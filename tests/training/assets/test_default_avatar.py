# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
import torch

from training.assets.default_avatar import starting_avatar


@pytest.fixture(scope="module")
def avatar():
    return starting_avatar(hairs=300, brows=60, lashes=20)


def test_every_triangle_of_the_head_has_a_gaussian(avatar, head):
    assert set(avatar.binding.tolist()) == set(range(len(head.faces)))


def test_strands_are_long_and_thin_beside_the_skin(avatar):
    long = avatar.log_scales.max(1).values - avatar.log_scales.median(1).values
    strands = (long > np.log(4)).nonzero()
    assert 300 < len(strands) < 2000


def test_hair_is_brown_and_skin_is_not(avatar, head):
    colors = avatar.color.colors(None, None)
    middle = head.template[head.faces].mean(1)[avatar.binding.numpy()]
    crown, nose = middle[:, 1] > 0.09, middle[:, 2] > 0.11
    assert colors[torch.from_numpy(crown)].mean() < 0.3
    assert colors[torch.from_numpy(nose)].mean() > 0.5
