# SPDX-License-Identifier: GPL-3.0-or-later
"""A head of four vertices, two expressions and two joints."""

from __future__ import annotations

import dataclasses

import numpy as np

from engine.heads import Head, Skeleton


def small_head(**changes):
    rng = np.random.default_rng(7)
    basis = rng.normal(size=(2, 4, 3)).astype(np.float32)
    basis[1, 2:] = 0
    head = Head(
        id="small",
        template=rng.normal(size=(4, 3)).astype(np.float32),
        faces=np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]], np.int32),
        uv=rng.random((4, 2), np.float32),
        uv_faces=np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]], np.int32),
        expression_basis=basis,
        expression_names=("jawOpen", "mouthClose"),
        skeleton=Skeleton(
            names=("root", "jaw"),
            parents=np.array([-1, 0], np.int32),
            positions=np.zeros((2, 3), np.float32),
            weights=np.tile(np.array([1, 0], np.float32), (4, 1)),
        ),
        regions={"lips": np.array([0, 2], np.int32)},
        landmarks={"chin": np.array([3], np.int32)},
        provenance={"source": "a test"},
    )
    return dataclasses.replace(head, **changes)
