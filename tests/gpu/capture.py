# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes before the rasteriser, from vertices to splats, captured as a CUDA graph."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from engine.avatar import AvatarPipeline, load_avatar
from engine.heads.default import load_default_head
from tests.benchmarks import splatting, splatting_gpu

_FRAMES = 3
_MOST = 1e-5


def measure(target: str, frames: int) -> dict[str, Any]:
    """Both colour models on a device against the CPU, with a graph and without.

    Raises:
        AssertionError: the splats differ, or a CUDA device took no graph.
    """
    head = load_default_head()
    avatar = load_avatar("default", head)
    models = splatting.color_models(avatar.count, len(head.expression_names))
    figures: dict[str, Any] = {}
    for name, model in models.items():
        colored = replace(avatar, color=model)
        here = AvatarPipeline(colored, "cpu")
        for graph in (False, True):
            there = AvatarPipeline(colored, target, graph=graph)
            worst = 0.0
            for seed in range(_FRAMES):
                inputs = frame(head, seed)
                for mine, expected in zip(there.splats(*inputs), here.splats(*inputs), strict=True):
                    torch.testing.assert_close(mine.cpu(), expected, atol=_MOST, rtol=_MOST)
                    worst = max(worst, float((mine.cpu() - expected).abs().max()))
            assert there._graph == (graph and there.avatar.device.type == "cuda")
            kind = f"{name}, {'graph' if graph else 'one by one'}"
            inputs = frame(head, 0)
            took = splatting_gpu.milliseconds(
                lambda there=there, inputs=inputs: there.splats(*inputs),
                there.avatar.device,
                frames,
            )
            figures[kind] = {"largest difference": worst, "milliseconds": round(took, 4)}
            print(kind, figures[kind])
    return figures


def frame(head, seed):
    """Vertices, expression, matrix and eye of a frame."""
    random = np.random.default_rng(seed)
    psi = random.random(len(head.expression_names), np.float32)
    vertices = (head.template + 1e-3 * random.normal(size=head.template.shape)).astype(np.float32)
    angle = 0.3 * seed
    matrix = np.eye(4, dtype=np.float32)
    matrix[0, [0, 2]] = np.cos(angle), np.sin(angle)
    matrix[2, [0, 2]] = -np.sin(angle), np.cos(angle)
    return vertices, psi, matrix, np.array([0.1, 0.05 * seed, 1.0], np.float32)
