# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar that begins as another one, in the colours of the pictures."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from engine.avatar import load_avatar
from engine.avatar.avatar_file import ASSET
from engine.heads import load_head
from engine.splatting.cpu.backend import CpuBackend
from tests.training.avatar.conftest import SMALL
from training.avatar import run
from training.avatar.config import AvatarSettings
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


@pytest.mark.parametrize("shipped", [True, False])
def test_only_an_avatar_that_was_chosen_is_said_to_be_of_another_person(tmp_path, capsys, shipped):
    capture = SimpleNamespace(head=load_head("default#7"))
    start = ASSET if shipped else shutil.copy(ASSET, tmp_path / "ada.safetensors")
    run._initial(AvatarSettings(initial=str(start)), capture)
    assert ("another person's head" in capsys.readouterr().out) == (not shipped)
