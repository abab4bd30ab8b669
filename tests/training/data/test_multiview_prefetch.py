# SPDX-License-Identifier: GPL-3.0-or-later
import itertools
import threading

import pytest
import torch

from engine.core.errors import BadInputError
from training.data.multiview import MultiViewCapture
from training.data.multiview_prefetch import prefetched


class Counted:
    """Stands for views; remembers what was asked for."""

    def __init__(self, broken=()):
        self.asked, self.broken = [], broken

    def __getitem__(self, index):
        self.asked.append(index)
        if index in self.broken:
            raise BadInputError(f"The picture {index} cannot be read.")
        return index


def test_views_come_in_the_order_wanted(small_capture):
    views = MultiViewCapture.open(small_capture).split("train")
    order = [5, 0, 0, 8]
    for index, view in zip(order, prefetched(views, order), strict=True):
        assert view.camera_id == views[index].camera_id
        assert torch.equal(view.image, views[index].image)


def test_no_more_is_loaded_than_is_allowed_ahead():
    views = Counted()
    stream = prefetched(views, itertools.count(), ahead=3, workers=2)
    assert list(itertools.islice(stream, 5)) == [0, 1, 2, 3, 4]
    stream.close()
    assert len(views.asked) <= 5 + 3


def test_leaving_the_loop_ends_the_threads():
    others = set(threading.enumerate())
    stream = prefetched(Counted(), itertools.count(), ahead=3)
    next(stream)
    ours = [thread for thread in set(threading.enumerate()) - others if "views" in thread.name]
    stream.close()
    assert ours
    assert not any(thread.is_alive() for thread in ours)


def test_a_broken_view_is_reported_when_its_turn_comes():
    stream = prefetched(Counted(broken={2}), range(5))
    assert [next(stream), next(stream)] == [0, 1]
    with pytest.raises(BadInputError, match="picture 2"):
        next(stream)
