# SPDX-License-Identifier: GPL-3.0-or-later
"""``head_param/%05d.npz``: what a head that is not FLAME does at one timestep of a capture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.core.npz import open_npz
from engine.core.npz_writing import write_npz
from engine.heads.head import Head

_REMEDY = (
    "Make the capture again with 'gaussianspeech capture', or write the file as docs/capture.md "
    "says."
)


_ARRAYS = ("head", "expression", "expression_names", "head_matrix", "vertices")


@dataclass(frozen=True, eq=False)
class HeadParam:
    """A head at one timestep.

    Attributes:
        head: id of the head.
        expression: (E,) float32 weights.
        expression_names: E names, those of the head.
        head_matrix: (4, 4) float32 head space to world.
        vertices: (V, 3) float32 in head space, metres, where the head is not just what its
            expression says (lip contact in speech goes beyond it); ``None`` otherwise.
    """

    head: str
    expression: Float
    expression_names: tuple[str, ...]
    head_matrix: Float
    vertices: Float | None = None

    def __post_init__(self) -> None:
        """Check that the arrays fit each other.

        Raises:
            BadInputError: they do not; names the array.
        """
        if self.expression.shape != (len(self.expression_names),):
            raise BadInputError(
                f"expression has the shape {self.expression.shape} for "
                f"{len(self.expression_names)} names."
            )
        if self.head_matrix.shape != (4, 4):
            raise BadInputError(f"head_matrix has the shape {self.head_matrix.shape}, not (4, 4).")
        if self.vertices is not None and self.vertices.shape[1:] != (3,):
            raise BadInputError(f"vertices has the shape {self.vertices.shape}, not (V, 3).")
        for name in ("expression", "head_matrix", "vertices"):
            array = getattr(self, name)
            if array is not None and not np.isfinite(array).all():
                raise BadInputError(f"{name} holds NaN or infinite values.")
        if not abs(float(np.linalg.det(self.head_matrix[:3, :3]))) > 1e-6:
            raise BadInputError("head_matrix flattens the head.")


def save_head_param(param: HeadParam, path: Path) -> None:
    """Write one timestep, whole or not at all."""
    arrays: dict[str, NDArray[np.generic]] = {
        "head": np.array(param.head),
        "expression": param.expression.astype(np.float32),
        "expression_names": np.array(param.expression_names, np.str_),
        "head_matrix": param.head_matrix.astype(np.float32),
    }
    if param.vertices is not None:
        arrays["vertices"] = param.vertices.astype(np.float32)
    write_npz(path, **arrays)


def save_identity(head: Head, path: Path) -> None:
    """Write who is captured: an identity of the default head.

    Args:
        head: of :func:`engine.heads.shaped_head.shaped_head`.
        path: ``canonical_head_param.npz``.
    """
    write_npz(
        path,
        head=np.array(head.id),
        shape=head.source.shape,
        static_offset=head.source.static_offset,
    )


def load_identity(path: Path) -> Head:
    """Read who is captured.

    Raises:
        BadInputError: no such file, damaged, or no identity of the default head.
    """
    from engine.heads.shaped_head import shaped_head

    data = open_npz(path, _REMEDY, ("head", "shape", "static_offset"))
    offset = data.numbers("static_offset", (None, 3))
    try:
        made = shaped_head(data.numbers("shape", (None,)), offset if len(offset) else None)
    except BadInputError as error:
        raise data.wrong(error.message.rstrip(".")) from error
    # The same person, whatever the last digits of a machine's sums are.
    return replace(made, id=data.text("head"))


def load_head_param(path: Path) -> HeadParam:
    """Read one timestep.

    Raises:
        BadInputError: no such file, damaged, or arrays that do not fit; names the file.
    """
    data = open_npz(path, _REMEDY, _ARRAYS)
    try:
        return HeadParam(
            head=data.text("head"),
            expression=data.numbers("expression", (None,)),
            expression_names=data.texts("expression_names"),
            head_matrix=data.numbers("head_matrix", (4, 4)),
            vertices=data.numbers("vertices", (None, 3)) if "vertices" in data else None,
        )
    except BadInputError as error:
        if str(path) in error.message:
            raise
        raise data.wrong(error.message.rstrip(".")) from error
