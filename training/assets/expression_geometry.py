# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m training.assets.expression_geometry``: how the default head's expressions compare.

Writes ``engine/assets/expression_geometry.npz``, by which speech is carried to characters that have
other shapes than ARKit's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.core.arrays import Double
from engine.core.files import atomic_write
from engine.heads import load_head
from engine.heads.head import Head
from engine.motion.arkit import ARKIT_NAMES
from engine.motion.characters.mapping import GEOMETRY

_WEIGHTS = {"face": 1.0, "eyelids": 1.0, "tongue": 4.0, "lips": 4.0}
"""Weight of the vertices of each region: what is said is read from lips and tongue."""


def expression_geometry(head: Head) -> dict[str, Double]:
    """Inner products of the expressions, mm² per vertex, and metres by which they part the lips."""
    order = [head.expression_names.index(name) for name in ARKIT_NAMES]
    basis = head.expression_basis[order].astype(np.float64)
    weights = np.zeros(basis.shape[1])
    for region, weight in _WEIGHTS.items():
        weights[head.regions[region]] = weight
    flat = (1000 * basis * np.sqrt(weights / weights.sum())[None, :, None]).reshape(len(order), -1)
    upper = basis[:, head.landmarks["inner_lip_upper"], 1]
    lower = basis[:, head.landmarks["inner_lip_lower"], 1]
    return {"metric": flat @ flat.T, "parting": upper - lower}


def main(path: Path = GEOMETRY) -> None:
    """Write the asset."""
    arrays = expression_geometry(load_head("default"))
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            metric=arrays["metric"].astype(np.float32),
            parting=arrays["parting"].astype(np.float32),
        )


if __name__ == "__main__":
    main()
