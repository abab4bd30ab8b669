# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
import torch

from engine.avatar import GaussianAvatar, MlpColor, ShColor
from engine.heads.head import Head, Skeleton
from engine.heads.identity import Identity


@pytest.fixture
def head():
    """An octahedron the size of a head: enough of one for avatars."""
    template = 0.1 * np.array(
        [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], np.float32
    )
    sides = [(0, 2, 4), (2, 1, 4), (1, 3, 4), (3, 0, 4), (2, 0, 5), (1, 2, 5), (3, 1, 5), (0, 3, 5)]
    faces = np.array(sides, np.int32)
    skeleton = Skeleton(
        ("root",),
        np.array([-1], np.int32),
        np.zeros((1, 3), np.float32),
        np.ones((6, 1), np.float32),
    )
    return Head(
        id="octahedron",
        template=template,
        faces=faces,
        uv=np.zeros((1, 2), np.float32),
        uv_faces=np.zeros_like(faces),
        expression_basis=np.zeros((2, 6, 3), np.float32),
        expression_names=("jawOpen", "mouthPucker"),
        skeleton=skeleton,
    )


def avatar_on(head, color, count=24, seed=0):
    random = torch.Generator().manual_seed(seed)
    return GaussianAvatar(
        identity=Identity.of(head),
        faces=torch.from_numpy(head.faces),
        binding=torch.randint(0, len(head.faces), (count,), generator=random, dtype=torch.int32),
        positions=0.3 * torch.randn(count, 3, generator=random),
        log_scales=-2 + 0.5 * torch.randn(count, 3, generator=random),
        quats=torch.randn(count, 4, generator=random),
        opacity_logits=torch.randn(count, generator=random),
        color=color,
        provenance={"licence": "CC0-1.0"},
    )


@pytest.fixture
def sh_avatar(head):
    random = torch.Generator().manual_seed(1)
    return avatar_on(head, ShColor(0.2 * torch.randn(24, 4, 3, generator=random)))


@pytest.fixture
def mlp_avatar(head):
    random = torch.Generator().manual_seed(2)

    def values(*shape):
        return torch.randn(*shape, generator=random)

    return avatar_on(
        head, MlpColor(values(24, 5), values(16, 10), values(16), values(3, 16), values(3))
    )
