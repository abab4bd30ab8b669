# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds colours where no picture shows them."""

import numpy as np
import pytest
import torch

from engine.avatar.expression import softly_clamped
from engine.heads.identity import Identity
from training.avatar.color_prior import ColorPrior
from training.avatar.coloring import NetworkColor
from training.avatar.model import SHAPE, TrainableAvatar

COUNT = 300


@pytest.fixture
def learned(head):
    """An avatar whose colours follow all expressions, as after a training; half was visible."""
    size = len(head.expression_names)
    color = NetworkColor(8, 16, size)
    with torch.no_grad():
        chance = torch.Generator().manual_seed(1)
        color.second_weight += 0.3 * torch.randn(3, 16, generator=chance)
    rows = {name: torch.zeros(COUNT, 3) for name in SHAPE}
    rows["quats"] = torch.zeros(COUNT, 4)
    rows["opacity_logits"] = torch.zeros(COUNT)
    grey = torch.full((COUNT, 3), 0.4)
    rows |= color.rows(grey, torch.zeros(COUNT, 3), torch.zeros(COUNT, 3), torch.Generator())
    avatar = TrainableAvatar(head, color, torch.arange(COUNT), rows)
    avatar.ever_visible[: COUNT // 2] = True
    return avatar


def held(avatar, identity, steps=500):
    """Train by the prior, and by pictures of the mean face, whose colours are to stay."""
    prior, view = ColorPrior(identity, "cpu"), torch.zeros(COUNT, 3)
    mean = torch.from_numpy(identity.mean_expression)
    shown = avatar.colors(mean, view).detach()
    optimiser = torch.optim.Adam(avatar.color.parameters(), lr=5e-3)
    for step in range(steps):
        optimiser.zero_grad()
        wrong = (avatar.colors(mean, view) - shown)[avatar.ever_visible].square().mean()
        (prior(avatar, torch.Generator().manual_seed(step)) + wrong).backward()
        optimiser.step()


def test_a_face_that_was_not_filmed_gets_the_colours_of_what_was(learned, head):
    """Somebody who always smiles: the neutral face is in no picture, but its colours are known."""
    learned.ever_visible[:] = True
    filmed = np.zeros((5, len(head.expression_names)), np.float32)
    filmed[:, :6] = np.linspace(0.6, 1.0, 5)[:, None]
    mean = torch.from_numpy(filmed.mean(axis=0))

    def colors(expression):
        with torch.no_grad():
            return learned.colors(expression, torch.zeros(COUNT, 3))

    # As an avatar is rendered with it.
    neutral = softly_clamped(torch.zeros_like(mean), *map(torch.from_numpy, _range(filmed)))
    known, before = colors(mean), colors(neutral)
    held(learned, Identity.of(head, filmed))
    away = (before - known).abs().mean()
    assert (colors(neutral) - known).abs().mean() < 0.3 * away
    assert (colors(mean) - known).abs().mean() < 0.3 * away


def _range(filmed):
    return filmed.min(axis=0), filmed.max(axis=0)


def test_what_was_never_visible_keeps_its_first_colour(learned, head):
    filmed = np.eye(len(head.expression_names), dtype=np.float32)
    held(learned, Identity.of(head, filmed))
    with torch.no_grad():
        colors = learned.colors(torch.zeros(len(filmed)), torch.zeros(COUNT, 3))
    assert (colors[COUNT // 2 :] - 0.4).abs().mean() < 0.05


def test_it_needs_to_know_what_was_filmed(head):
    with pytest.raises(ValueError, match="Identity"):
        ColorPrior(Identity.of(head), "cpu")
