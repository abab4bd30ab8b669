# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars and speech models as safetensors, Gaussians as PLY."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch

from engine.avatar import MlpColor, ShColor, load_avatar, save_avatar
from engine.avatar.gaussian_avatars import save_point_cloud
from engine.avatar.pipeline import AvatarPipeline
from engine.core.tensor_arrays import read_tensor_arrays
from engine.heads.head import Head, Skeleton
from tests.engine.avatar.conftest import avatar_on
from tests.fuzz.harness import Harness
from tests.fuzz.structure import damage_header, damage_tensors


@cache
def _head() -> Head:
    template = 0.1 * np.array(
        [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], np.float32
    )
    sides = [(0, 2, 4), (2, 1, 4), (1, 3, 4), (3, 0, 4), (2, 0, 5), (1, 2, 5), (3, 1, 5), (0, 3, 5)]
    return Head(
        id="octahedron",
        template=template,
        faces=np.array(sides, np.int32),
        uv=np.zeros((1, 2), np.float32),
        uv_faces=np.zeros((8, 3), np.int32),
        expression_basis=np.full((2, 6, 3), 0.01, np.float32),
        expression_names=("jawOpen", "mouthPucker"),
        skeleton=Skeleton(
            ("root",),
            np.array([-1], np.int32),
            np.zeros((1, 3), np.float32),
            np.ones((6, 1), np.float32),
        ),
        regions={"lips": np.array([0, 4], np.int32)},
    )


def _numbers(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)))


def _avatars(folder: Path) -> None:
    sh = avatar_on(_head(), ShColor(0.2 * _numbers(24, 4, 3)))
    mlp = avatar_on(
        _head(),
        MlpColor(_numbers(24, 5), _numbers(16, 10), _numbers(16), _numbers(3, 16), _numbers(3)),
    )
    save_avatar(sh, folder / "sh.safetensors")
    save_avatar(mlp, folder / "mlp.safetensors", half=True)


def _read_avatar(path: Path) -> None:
    avatar = load_avatar(path, _head(), other_identity=True)
    splats = AvatarPipeline(avatar, "cpu").splats(_head().template, eye=np.ones(3, np.float32))
    for name in ("means", "quats", "scales", "opacities", "colors"):
        assert torch.isfinite(getattr(splats, name)).all(), name


def _read_arrays(path: Path) -> None:
    about, arrays = read_tensor_arrays(path, ("gaussianspeech-avatar-2", "x"), "avatar", "hint")
    assert isinstance(about, dict)
    assert all(np.isfinite(array).all() for array in arrays.values())


def _clouds(folder: Path) -> None:
    save_point_cloud(avatar_on(_head(), ShColor(0.2 * _numbers(24, 4, 3))), folder / "a.ply")
    save_point_cloud(avatar_on(_head(), ShColor(0.2 * _numbers(3, 16, 3)), 3), folder / "b.ply")


def _models(folder: Path) -> None:
    from dataclasses import replace

    from engine.motion.model.checkpoint import save_model, set_basis
    from engine.motion.model.config import STARTER, for_head
    from engine.motion.model.network import SpeechModel

    torch.manual_seed(0)
    small = replace(STARTER, dimension=8, heads=1, feed_forward=8, past=4)
    for name, learned in (("a", False), ("b", True)):
        config = replace(for_head(small, _head()), learned_basis=learned)
        model = SpeechModel(config).eval()
        if not learned:
            set_basis(model, _head())
        save_model(folder / f"{name}.safetensors", model, _head(), "voice", {"seed": 3}, half=True)


def _read_model(path: Path) -> None:
    from engine.motion.model.checkpoint import encoder_source_of, load_model

    encoder_source_of(path)
    load_model(path, _head())


HARNESSES = (
    Harness("avatar", "a.safetensors", _avatars, _read_avatar, damage_tensors, memory=128, cost=10),
    Harness("tensor_arrays", "a.safetensors", _avatars, _read_arrays, damage_tensors, cost=3),
    Harness(
        "speech_model", "a.safetensors", _models, _read_model, damage_tensors, memory=128, cost=60
    ),
    Harness(
        "gaussians_ply",
        "point_cloud.ply",
        _clouds,
        _read_avatar,
        damage_header((b"end_header\n",)),
        memory=128,
        cost=6,
    ),
)
