# SPDX-License-Identifier: GPL-3.0-or-later
from itertools import islice

import pytest
import torch

from training.avatar.views import KeptViews, on_backdrop, own_share, reduced, shuffled
from training.data.multiview import MultiViewCapture


class Counting:
    """Views that count how often they are decoded."""

    def __init__(self, views):
        self.views, self.decoded = views, []

    def __len__(self):
        return len(self.views)

    def __getitem__(self, index):
        self.decoded.append(index)
        return self.views[index]


@pytest.fixture
def views(capture):
    return Counting(capture.split("train"))


def test_a_kept_view_is_the_view(views, capture):
    kept = KeptViews(views, 1, 1e9)
    for _ in range(2):
        view = kept[4]
    true = capture.split("train")[4]
    assert views.decoded == [4]
    assert torch.allclose(view.image, true.image, atol=1e-6)
    assert torch.allclose(view.alpha, true.alpha, atol=1e-6)
    assert torch.equal(view.vertices, true.vertices)
    assert (view.timestep, view.camera_id) == (true.timestep, true.camera_id)


def test_beyond_the_memory_views_are_decoded_again(views):
    size = 64 * 44 * 4
    kept = KeptViews(views, 1, 2.5 * size)
    for index in (0, 1, 2, 0, 1, 2):
        kept[index]
    assert views.decoded == [0, 1, 2, 2]


def test_a_reduced_view_is_the_mean_of_its_pixels_and_its_camera_fits(capture):
    view = capture.split("train")[1]
    small = reduced(view, 4)
    assert small.image.shape == (16, 11, 3)
    mean = view.image[:4, :4].mean((0, 1))
    assert torch.allclose(small.image[0, 0], mean, atol=1e-6)
    assert torch.allclose(
        torch.from_numpy(small.camera.K[:2] * 4), torch.from_numpy(view.camera.K[:2])
    )


def test_a_backdrop_shows_where_nobody_stands(small_capture, capture):
    colour = torch.tensor([0.2, 0.4, 0.6])
    ours = on_backdrop(capture.split("train")[2], colour)
    true = MultiViewCapture.open(small_capture, background=(0.2, 0.4, 0.6)).split("train")[2]
    assert torch.allclose(ours.image, true.image, atol=2 / 255)


def test_every_pass_takes_each_view_once_in_an_order_of_its_own():
    drawn = list(islice(shuffled(7, seed=3), 14))
    assert sorted(drawn[:7]) == sorted(drawn[7:]) == list(range(7))
    assert drawn[:7] != drawn[7:]
    assert list(islice(shuffled(7, seed=3, first=9), 5)) == drawn[9:]


def test_processes_share_each_steps_views():
    shares = [list(islice(own_share(iter(range(24)), 2, rank, 3), 8)) for rank in range(3)]
    assert shares[1] == [2, 3, 8, 9, 14, 15, 20, 21]
    assert sorted(index for share in shares for index in share) == list(range(24))
