# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading FLAME model files (2020, 2023, 2023 Open; pkl and npz) and vertex masks."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import BadInputError
from engine.heads.flame_model import JOINTS, FlameModel, Index
from engine.heads.pickled_arrays import array
from engine.heads.safe_pickle import MAX_BYTES, PickleError, read_pickle

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
_REMEDY = (
    "Choose generic_model.pkl (FLAME 2020), flame2023.pkl or flame2023_Open.pkl from "
    "https://flame.is.tue.mpg.de, or the same arrays as .npz."
)


def read_flame(path: str | Path) -> FlameModel:
    """Read a FLAME model file; nothing in it is run.

    Args:
        path: ``.npz``, or a pickle under any other suffix.

    Raises:
        BadInputError: no such file, not a FLAME model, truncated, wrong shapes, or a pickle that
            names something other than arrays.
    """
    path = Path(path)
    get = _opened(path)
    arrays = {name: _checked(path, name, get(name), shape) for name, shape in _SHAPES.items()}
    faces = _indices(path, "f", arrays["f"], VERTICES)
    uv = uv_faces = None
    if get("vt") is not None and get("ft") is not None:
        uv = np.asarray(get("vt"), np.float32)[:, :2]
        uv_faces = _indices(path, "ft", np.asarray(get("ft")), len(uv))
        if uv_faces.shape != faces.shape:
            raise BadInputError(f"{path}: ft has shape {uv_faces.shape}, f {faces.shape}.", _REMEDY)
    weights = arrays["weights"].astype(np.float32)
    if (weights < -1e-6).any() or np.abs(weights.sum(1) - 1).max() > 1e-3:
        raise BadInputError(f"{path}: the skinning weights do not sum to one.", _REMEDY)
    return FlameModel(
        v_template=arrays["v_template"].astype(np.float32),
        f=faces,
        shapedirs=arrays["shapedirs"].astype(np.float32),
        posedirs=arrays["posedirs"].astype(np.float32),
        J_regressor=arrays["J_regressor"].astype(np.float32),
        parents=_parents(path, arrays["kintree_table"]),
        weights=weights,
        uv=uv,
        uv_faces=uv_faces,
    )


def read_masks(path: str | Path, vertices: int = VERTICES) -> dict[str, Index]:
    """Vertex sets by name, as ``FLAME_masks.pkl`` or an ``.npz`` of the same keys holds them.

    Raises:
        BadInputError: no such file, or not vertex indices of a FLAME mesh.
    """
    path = Path(path)
    names, get = _opened_with_names(path)
    masks = {}
    for name in names:
        found = get(name)
        if found is None or found.ndim != 1 or found.dtype.kind not in "iu":
            raise BadInputError(
                f"{path}: {name!r} is not a list of vertex numbers.",
                "Choose FLAME_masks.pkl from https://flame.is.tue.mpg.de.",
            )
        masks[name] = np.unique(_indices(path, name, found, vertices))
    return masks


_Get = Callable[[str], NDArray[Any] | None]


def _opened(path: Path) -> _Get:
    return _opened_with_names(path)[1]


def _opened_with_names(path: Path) -> tuple[tuple[str, ...], _Get]:
    """The names of a file and a function that gives the array of a name, or ``None``."""
    if path.suffix.lower() == ".npz":
        content = _npz(path)
        return tuple(content), content.get
    records = read_pickle(path)

    def get(name: str) -> NDArray[Any] | None:
        try:
            return array(records[name]) if name in records else None
        except PickleError as error:
            raise BadInputError(f"{path}: {name} cannot be read: {error}.", _REMEDY) from error

    return tuple(records), get


def _npz(path: Path) -> Mapping[str, NDArray[Any]]:
    if not path.is_file():
        raise BadInputError(f"There is no file {path}.", "Check the path.")
    content = {}
    try:
        with zipfile.ZipFile(path) as archive:
            # The directory tells the unpacked size: a small file must not fill the memory.
            if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
                raise BadInputError(f"{path} unpacks to more than {MAX_BYTES >> 20} MB.", _REMEDY)
        with np.load(path, allow_pickle=False) as data:
            for name in data.files:
                try:
                    content[name] = data[name]
                except ValueError as error:
                    if name in _SHAPES or "allow_pickle" not in str(error):
                        raise
    except (
        OSError,
        ValueError,
        EOFError,
        KeyError,
        zipfile.BadZipFile,
        NotImplementedError,
    ) as error:
        raise BadInputError(f"{path} cannot be read as a model: {error}.", _REMEDY) from error
    return content


def _checked(
    path: Path, name: str, value: NDArray[Any] | None, shape: tuple[int, ...]
) -> NDArray[Any]:
    if value is None:
        raise BadInputError(f"{path} is no FLAME model: it has no {name}.", _REMEDY)
    if value.shape != shape:
        raise BadInputError(
            f"{path} is no FLAME model: {name} has the shape {value.shape} instead of {shape}.",
            _REMEDY,
        )
    if value.dtype.kind not in "iuf" or not np.isfinite(value).all():
        raise BadInputError(f"{path}: {name} holds values that are not finite numbers.", _REMEDY)
    return value


def _indices(path: Path, name: str, value: NDArray[Any], count: int) -> Index:
    if value.dtype.kind not in "iuf" or (value.size and (value.min() < 0 or value.max() >= count)):
        raise BadInputError(f"{path}: {name} refers to vertices that do not exist.", _REMEDY)
    return value.astype(np.int32)


def _parents(path: Path, kintree: NDArray[Any]) -> Index:
    """The first row of the table; the root's parent is −1 or 2³² − 1 there."""
    parents = kintree[0].astype(np.int64)
    parents[0] = -1
    if any(not -1 < parent < joint for joint, parent in enumerate(parents.tolist()) if joint):
        raise BadInputError(f"{path}: kintree_table is not a tree of joints.", _REMEDY)
    return np.asarray(parents, np.int32)
