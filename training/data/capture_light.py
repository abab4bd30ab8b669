# SPDX-License-Identifier: GPL-3.0-or-later
"""``light.npz``: the light that a capture was made in, where it is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.core.npz import open_npz
from engine.core.npz_writing import write_npz
from engine.heads.head import Head

LIGHT = "light.npz"
_REMEDY = "Remove the file: the light is then fitted from the pictures."


def save_light(light: Float, folder: Path) -> None:
    """Write the light of a capture.

    Args:
        light: (V, 3) float32 scene-linear radiance of a white diffuse surface at the vertices of
            the neutral head.
        folder: of the capture.
    """
    write_npz(folder / LIGHT, vertices=light.astype(np.float32))


def load_light(folder: Path, head: Head) -> Float | None:
    """(V, 3) the light of a capture; ``None`` where it says nothing of it.

    Args:
        folder: of the capture.
        head: that it shows.

    Raises:
        BadInputError: the file is damaged, or made for another head; names it.
    """
    path = folder / LIGHT
    if not path.is_file():
        return None
    light = open_npz(path, _REMEDY, ("vertices",)).numbers("vertices", (head.vertex_count, 3))
    if light.min() < 0 or light.max() <= 0:
        raise BadInputError(f"{path}: the light is not positive.", _REMEDY)
    return np.ascontiguousarray(light, np.float32)
