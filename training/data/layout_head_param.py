# SPDX-License-Identifier: GPL-3.0-or-later
"""``head_param/%05d.npz``: what a head that is not FLAME does at one timestep of a capture."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import BadInputError
from engine.core.files import atomic_write

Float = NDArray[np.float32]

_REMEDY = (
    "Make the capture again with 'gaussianspeech capture', or write the file as docs/capture.md "
    "says."
)


@dataclass(frozen=True, eq=False)
class HeadParam:
    """A head at one moment.

    Attributes:
        head: id of the head.
        expression: (E,) float32 weights.
        expression_names: E names, those of the head.
        head_matrix: (4, 4) float32 head space to world.
        vertices: (V, 3) float32 in head space, metres, where the head is not just what its
            expression says (speech seals the lips beyond it); ``None`` otherwise.
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
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


def load_head_param(path: Path) -> HeadParam:
    """Read one timestep.

    Raises:
        BadInputError: no such file, damaged, or arrays that do not fit; names the file.
    """
    if not path.is_file():
        raise BadInputError(f"There is no file {path}.", _REMEDY)
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as data:
            return HeadParam(
                head=str(data["head"]),
                expression=data["expression"].astype(np.float32),
                expression_names=tuple(str(name) for name in data["expression_names"]),
                head_matrix=data["head_matrix"].astype(np.float32),
                vertices=data["vertices"].astype(np.float32) if "vertices" in data else None,
            )
    except BadInputError as error:
        raise BadInputError(f"{path}: {error.message}", error.hint or _REMEDY) from error
    except KeyError as error:
        raise BadInputError(f"{path}: {error.args[0]}.", _REMEDY) from error
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise BadInputError(f"{path} cannot be read: {error}.", _REMEDY) from error
