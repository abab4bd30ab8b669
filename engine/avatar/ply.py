# SPDX-License-Identifier: GPL-3.0-or-later
"""The vertices of binary PLY files as columns of float32, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.avatar.ply_header import PlyHeader, read_header
from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.core.files import atomic_write

_BLOCK = 4096
"""Vertices converted at once."""

__all__ = ["PlyHeader", "read_columns", "read_header", "write_columns"]


def read_columns(path: str | Path, header: PlyHeader, names: Sequence[str]) -> Float:
    """Some properties of every vertex.

    Args:
        path: the file that ``header`` was read from.
        header: of :func:`read_header`.
        names: properties of the header.

    Returns:
        (count, len(names)) float32.

    Raises:
        BadInputError: the file has no such property, has changed, or holds NaN or infinite values.
    """
    path = Path(path)
    missing = [name for name in names if name not in header.names]
    if missing:
        raise BadInputError(
            f"{path} has no property {', '.join(missing)}.", "Choose a file of Gaussian splats."
        )
    result = np.empty((header.count, len(names)), np.float32)
    with path.open("rb") as stream:
        stream.seek(header.offset)
        for start in range(0, header.count, _BLOCK):
            rows = np.fromfile(stream, header.dtype, min(_BLOCK, header.count - start))
            stop = start + len(rows)
            if stop != min(start + _BLOCK, header.count):
                raise BadInputError(f"{path} was cut while it was read.", "Load it again.")
            for column, name in enumerate(names):
                with np.errstate(over="ignore"):
                    result[start:stop, column] = rows[name]
                if not np.isfinite(result[start:stop, column]).all():
                    raise BadInputError(
                        f"{path} holds NaN or infinite values in {name}.",
                        "The training went wrong or the file is damaged: export it again.",
                    )
    return result


def write_columns(
    path: str | Path, names: Sequence[str], columns: Float, comments: Sequence[str] = ()
) -> None:
    """Write float32 properties of vertices as a little-endian PLY, whole or not at all.

    Args:
        path: final name.
        names: properties, in the order of the columns.
        columns: (count, len(names)).
        comments: lines of ASCII text for the header.
    """
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        *(f"comment {comment}" for comment in comments),
        f"element vertex {len(columns)}",
        *(f"property float {name}" for name in names),
        "end_header\n",
    ]
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        stream.write("\n".join(lines).encode("ascii"))
        for start in range(0, len(columns), _BLOCK):
            stream.write(np.ascontiguousarray(columns[start : start + _BLOCK], "<f4").data)
