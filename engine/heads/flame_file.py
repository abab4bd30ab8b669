# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading FLAME model files (2020, 2023, 2023 Open; pkl and npz) and vertex masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Float, Index
from engine.core.errors import BadInputError
from engine.core.npz import read_npz
from engine.heads.flame_model import JOINTS, FlameModel
from engine.heads.pickled_arrays import PickledArrays
from engine.heads.safe_pickle import PickleError, excerpt

VERTICES = 5023
FACES = 9976
_SHAPES: dict[str, tuple[int, ...]] = {
    "v_template": (VERTICES, 3),
    "f": (FACES, 3),
    "shapedirs": (VERTICES, 3, 400),
    "posedirs": (VERTICES, 3, 36),
    "J_regressor": (len(JOINTS), VERTICES),
    "kintree_table": (2, len(JOINTS)),
    "weights": (VERTICES, len(JOINTS)),
}
_TEXTURE = ("vt", "ft")
_MAX_PICKLE = 1 << 30
_MAX_NPZ = 1 << 27
"""FLAME's arrays have 55 MB in float64; its pickles with everything else 50 to 110 MB."""

_FARTHEST = 1e6
_REMEDY = (
    "Choose generic_model.pkl, flame2023.pkl or flame2023_Open.pkl from "
    "https://flame.is.tue.mpg.de, or their arrays as .npz."
)
_MASKS_REMEDY = "Choose FLAME_masks.pkl from https://flame.is.tue.mpg.de."


def read_flame(path: str | Path) -> FlameModel:
    """Read a FLAME model file; nothing in it is run.

    Args:
        path: ``.npz``, or a pickle under any other suffix.

    Raises:
        BadInputError: no such file, not a FLAME model, truncated, wrong shapes, or a pickle that
            names something other than arrays.
    """
    path = Path(path)
    _, get = _open(path, _REMEDY, (*_SHAPES, *_TEXTURE))
    arrays = {name: _required(path, name, get(name), shape) for name, shape in _SHAPES.items()}
    faces = _indices(path, "f", arrays["f"], VERTICES)
    weights = _floats(path, "weights", arrays["weights"])
    if (weights < -1e-6).any() or np.abs(weights.sum(1) - 1).max() > 1e-3:
        raise BadInputError(f"{path}: the skinning weights do not sum to one.", _REMEDY)
    uv, uv_faces = _texture(path, get("vt"), get("ft"))
    return FlameModel(
        v_template=_floats(path, "v_template", arrays["v_template"]),
        f=faces,
        shapedirs=_floats(path, "shapedirs", arrays["shapedirs"]),
        posedirs=_floats(path, "posedirs", arrays["posedirs"]),
        J_regressor=_floats(path, "J_regressor", arrays["J_regressor"]),
        parents=_parents(path, arrays["kintree_table"]),
        weights=weights,
        uv=uv,
        uv_faces=uv_faces,
    )


def read_masks(path: str | Path) -> dict[str, Index]:
    """Vertex sets by name, as ``FLAME_masks.pkl`` or an ``.npz`` of the same keys holds them.

    Raises:
        BadInputError: no such file, or not vertex indices of a FLAME mesh.
    """
    path = Path(path)
    names, get = _open(path, _MASKS_REMEDY)
    masks = {}
    for name in names:
        found = get(name)
        if found is None or found.ndim != 1 or found.dtype.kind not in "iu":
            raise BadInputError(
                f"{path}: {excerpt(name)} is not a list of vertex numbers.",
                _MASKS_REMEDY,
            )
        inside = np.zeros(VERTICES, bool)
        inside[_indices(path, name, found, VERTICES)] = True
        masks[name] = np.flatnonzero(inside).astype(np.int32)
    return masks


_Get = Callable[[str], NDArray[Any] | None]


def _open(
    path: Path, hint: str, wanted: tuple[str, ...] | None = None
) -> tuple[tuple[str, ...], _Get]:
    """The names of a file and a function that gives the array of a name, or ``None``."""
    if path.suffix.lower() == ".npz":
        content = read_npz(path, limit=_MAX_NPZ, hint=hint, names=wanted)
        return tuple(content), content.get
    try:
        arrays = PickledArrays(_read(path, hint))
    except PickleError as error:
        raise BadInputError(f"{path} cannot be read as a pickle: {error}.", hint) from error

    def get(name: str) -> NDArray[Any] | None:
        try:
            return arrays.get(name)
        except PickleError as error:
            raise BadInputError(f"{path}: {excerpt(name)} is no array: {error}.", hint) from error

    return arrays.names, get


def _read(path: Path, hint: str) -> bytes:
    try:
        size = path.stat().st_size if path.is_file() else None
        data = path.read_bytes() if size is not None and size <= _MAX_PICKLE else b""
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}.", hint) from error
    if size is None:
        raise BadInputError(f"There is no file {path}.", "Check the path.")
    if size > _MAX_PICKLE:
        raise BadInputError(f"{path} has over {_MAX_PICKLE >> 20} MB, as no model has.", hint)
    return data


def _required(
    path: Path, name: str, value: NDArray[Any] | None, shape: tuple[int, ...]
) -> NDArray[Any]:
    if value is None:
        raise BadInputError(f"{path} is no FLAME model: it has no {name}.", _REMEDY)
    if value.shape != shape:
        raise BadInputError(
            f"{path} is no FLAME model: {name} has the shape {str(value.shape)[:60]} instead of "
            f"{shape}.",
            _REMEDY,
        )
    return value


def _floats(path: Path, name: str, value: NDArray[Any]) -> Float:
    numbers = value.dtype.kind in "iuf"
    if not numbers or not ((value > -_FARTHEST) & (value < _FARTHEST)).all():
        raise BadInputError(
            f"{path}: {name} holds values that are not finite numbers of a head's size.", _REMEDY
        )
    return value.astype(np.float32)


def _indices(path: Path, name: str, value: NDArray[Any], count: int) -> Index:
    """Whole numbers from 0 to ``count`` − 1, which some files hold as floats."""
    fault = None
    if value.dtype.kind not in "iuf":
        fault = "holds values that are not numbers"
    elif not ((value >= 0) & (value < count)).all() or (value % 1 != 0).any():
        fault = "refers to elements that do not exist"
    if fault:
        raise BadInputError(f"{path}: {excerpt(name)} {fault}.", _REMEDY)
    return value.astype(np.int32)


def _texture(
    path: Path, vt: NDArray[Any] | None, ft: NDArray[Any] | None
) -> tuple[Float | None, Index | None]:
    """Texture coordinates and the triangles of them, where the file has both."""
    if vt is None or ft is None:
        return None, None
    if vt.ndim != 2 or vt.shape[1] not in (2, 3) or ft.shape != (FACES, 3):
        raise BadInputError(
            f"{path}: vt and ft have the shapes {str(vt.shape)[:40]} and {str(ft.shape)[:40]} "
            f"instead of (…, 2) and {(FACES, 3)}.",
            _REMEDY,
        )
    return _floats(path, "vt", vt[:, :2]), _indices(path, "ft", ft, len(vt))


def _parents(path: Path, kintree: NDArray[Any]) -> Index:
    """The first row of the table; the root's parent is −1 or 2³² − 1 there."""
    parents = np.full(len(JOINTS), -1, np.int32)
    parents[1:] = _indices(path, "kintree_table", kintree[0, 1:], len(JOINTS))
    if (parents >= np.arange(len(JOINTS))).any():
        raise BadInputError(f"{path}: kintree_table is not a tree of joints.", _REMEDY)
    return parents
