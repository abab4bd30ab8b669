# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar that begins as another one, in the colours of the pictures."""

import numpy as np
import torch

from engine.avatar import load_avatar
from engine.splatting.cpu.backend import CpuBackend
from tests.training.avatar.conftest import SMALL
from training.avatar.start import avatar_to_go_on_from
from training.data.color_gathering import inside_of_the_mouth


def test_skin_takes_the_colours_of_the_pictures_and_the_mouth_keeps_its_own(capture):
    """Lips of a tracked head are out by a millimetre: behind them teeth would become lips."""
    given = load_avatar("default", capture.head, other_identity=True)
    before = given.color.colors(None, None).clamp(0.02, 0.98)
    begun = avatar_to_go_on_from(given, capture, SMALL, CpuBackend(), views=2)
    with torch.no_grad():
        directions = torch.zeros(begun.count, 3)
        colors = begun.colors(torch.zeros(len(capture.head.expression_names)), directions)
    inside = torch.from_numpy(inside_of_the_mouth(capture.head))[begun.binding.long()]
    np.testing.assert_allclose(colors[inside], before[inside], atol=1e-4)
    assert (colors - before)[~inside].abs().mean() > 0.01


def test_the_inside_of_the_mouth_is_where_teeth_are(head):
    inside = inside_of_the_mouth(head)
    assert inside[np.isin(head.faces, head.regions["teeth"]).all(1)].all()
    assert not inside[np.isin(head.faces, head.regions["eyeballs"]).all(1)].any()
    assert not inside[np.isin(head.faces, head.regions["lips"]).all(1)].all()
