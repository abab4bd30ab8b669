# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing ``.npz`` files, whole or not at all (:mod:`engine.core.npz` reads them)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .files import atomic_write


def write_npz(path: str | Path, **arrays: NDArray[Any]) -> None:
    """Write arrays, compressed.

    They are packed in memory: of an archive on a full disk Python complains once more, with a
    traceback, when it is forgotten.

    Args:
        path: final name.
        arrays: by name.

    Raises:
        BadInputError: the file cannot be written; nothing is left.
    """
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)
    with atomic_write(path) as temporary:
        temporary.write_bytes(packed.getbuffer())
