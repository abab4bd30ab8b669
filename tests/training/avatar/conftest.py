# SPDX-License-Identifier: GPL-3.0-or-later
import copy
from dataclasses import replace

import pytest
import torch

from engine.splatting.cpu.backend import CpuBackend
from training.avatar.config import PRESETS, Density
from training.avatar.run import use_threads
from training.avatar.start import seeded_avatar
from training.avatar.trainer import AvatarTrainer
from training.data.multiview import MultiViewCapture
from training.losses.avatar import AvatarLoss
from training.losses.config import AvatarLossConfig
from training.run.processes import Processes

ALONE = Processes(torch.device("cpu"))
PLAIN = AvatarLossConfig(face=0.0, patch=0.0, wrinkle=0.0)
SMALL = replace(
    PRESETS["default"],
    steps=60,
    coarse=(0.0, 0.0),
    latent=8,
    hidden=16,
    density=Density(rounds=2, budget=22_000),
    losses=PLAIN,
    threads=1,
    preview_every=1000,
    checkpoint_every=1000,
    evaluate_every=1000,
)


@pytest.fixture(scope="session")
def capture(small_capture):
    return MultiViewCapture.open(small_capture)


@pytest.fixture(scope="session")
def seeded(capture):
    """The first avatar of a training on the small capture, gathered once for settings like it."""
    known = {}

    def of(settings):
        # Nothing of the first avatar follows from these.
        key = replace(settings, steps=1, density=SMALL.density, losses=PLAIN)
        if key not in known:
            known[key] = seeded_avatar(capture, settings, CpuBackend())
        return copy.deepcopy(known[key])

    return of


@pytest.fixture
def trainer_of(capture, seeded):
    """Make a trainer on the small capture."""

    def make(settings=SMALL):
        use_threads(1)
        backend, avatar = CpuBackend(), seeded(settings)
        return AvatarTrainer(capture, avatar, settings, backend, ALONE, AvatarLoss(settings.losses))

    return make
