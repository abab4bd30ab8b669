# SPDX-License-Identifier: GPL-3.0-or-later
"""A head as one small file: npz with the expressions stored sparse and, where exact, as int16."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Float, Index
from engine.core.errors import BadInputError
from engine.core.files import atomic_write
from engine.core.npz import read_npz, size_limit
from engine.heads.head import Head, Skeleton

_FORMAT = "gaussianspeech-head-1"
_REMEDY = "Get the file again, or make it again with 'python -m training.assets.head.default_head'."
# Offsets on this grid (7.6 µm) fit int16 up to a quarter of a metre.
_GRID = 2.0**-17
_MAX_BYTES = 1 << 30
_MAX_VERTICES = 2_000_000
_SETS = ("regions", "landmarks")


def save_head(head: Head, path: str | Path) -> None:
    """Write a head; :func:`load_head_file` reads back the same bits.

    Args:
        head: any head.
        path: final name, ``.npz``; appears only when it is complete.
    """
    moved = np.any(head.expression_basis != 0, axis=2)
    offsets = head.expression_basis[moved]
    steps = offsets.astype(np.float64) / _GRID
    exact = bool(np.all(steps == np.rint(steps)) and np.all(np.abs(steps) <= np.iinfo("i2").max))
    arrays: dict[str, NDArray[Any]] = {
        "template": head.template,
        "faces": head.faces,
        "uv": head.uv,
        "uv_faces": head.uv_faces,
        "offset_mask": np.packbits(moved),
        "offsets": steps.astype(np.int16) if exact else offsets,
        "joint_parents": head.skeleton.parents,
        "joint_positions": head.skeleton.positions,
        "joint_weights": head.skeleton.weights,
    }
    for kind in _SETS:
        for name, indices in getattr(head, kind).items():
            arrays[f"{kind}/{name}"] = indices
    about = {
        "format": _FORMAT,
        "id": head.id,
        "expressions": list(head.expression_names),
        "joints": list(head.skeleton.names),
        "provenance": dict(head.provenance),
    }
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    write_npz(path, arrays)


def write_npz(path: str | Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays so that the same ones give the same bytes; the file appears when complete."""
    with (
        atomic_write(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
    ):
        for name, array in arrays.items():
            # A fixed date: the same head gives the same file.
            member = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(member, "w") as stream:
                contiguous = np.ascontiguousarray(array)
                # numpy 1's stubs leave both functions of this format untyped.
                np.lib.format.write_array(  # type: ignore[no-untyped-call]
                    stream, contiguous, allow_pickle=False
                )


def load_head_file(path: str | Path) -> Head:
    """Read what :func:`save_head` wrote.

    Raises:
        BadInputError: no such file, not a head, truncated, or contents that do not fit each other.
    """
    path = Path(path)
    arrays = read_npz(path, limit=min(_MAX_BYTES, size_limit(path)), hint=_REMEDY)
    try:
        about = json.loads(arrays["about"].tobytes())
        return _checked(_head(about, arrays))
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        reason = str(error)[:120]
        raise BadInputError(f"{path} cannot be read as a head: {reason}.", _REMEDY) from error


def _head(about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Head:
    if about["format"] != _FORMAT:
        raise ValueError(f"unknown format {about['format']!r}")
    template = _of(arrays, "template", np.float32, (-1, 3))
    names = _texts(about["expressions"])
    shape = (len(names), len(template))
    if len(template) > _MAX_VERTICES or shape[0] * shape[1] * 12 > _MAX_BYTES:
        raise ValueError("it has more vertices and expressions than any head")
    bits = _of(arrays, "offset_mask", np.uint8, (-1,))
    if bits.size != (shape[0] * shape[1] + 7) // 8:
        raise ValueError("the expressions do not fit the template")
    moved = np.unpackbits(bits, count=shape[0] * shape[1]).astype(bool).reshape(shape)
    stored = arrays["offsets"]
    if stored.dtype not in (np.int16, np.float32) or stored.shape != (int(moved.sum()), 3):
        raise ValueError("the expressions' offsets have a wrong type or shape")
    basis = np.zeros((*shape, 3), np.float32)
    basis[moved] = stored * np.float32(_GRID) if stored.dtype == np.int16 else stored
    joints = _texts(about["joints"])
    sets: dict[str, dict[str, Index]] = {kind: {} for kind in _SETS}
    for key in arrays:
        kind, _, name = key.partition("/")
        if kind in sets and name:
            sets[kind][name] = _of(arrays, key, np.int32, (-1,))
    provenance = about["provenance"]
    if not isinstance(provenance, dict):
        raise TypeError("its provenance is not a table")
    return Head(
        id=_texts([about["id"]])[0],
        template=template,
        faces=_of(arrays, "faces", np.int32, (-1, 3)),
        uv=_of(arrays, "uv", np.float32, (-1, 2)),
        uv_faces=_of(arrays, "uv_faces", np.int32, (-1, 3)),
        expression_basis=basis,
        expression_names=names,
        skeleton=Skeleton(
            names=joints,
            parents=_of(arrays, "joint_parents", np.int32, (len(joints),)),
            positions=_of(arrays, "joint_positions", np.float32, (len(joints), 3)),
            weights=_of(arrays, "joint_weights", np.float32, (len(template), len(joints))),
        ),
        regions=sets["regions"],
        landmarks=sets["landmarks"],
        provenance={str(key): str(value) for key, value in provenance.items()},
    )


def _of(
    arrays: Mapping[str, NDArray[Any]], name: str, dtype: type, shape: tuple[int, ...]
) -> NDArray[Any]:
    """An array of the file, checked; −1 in the shape stands for any size."""
    array = arrays[name]
    fits = array.ndim == len(shape) and all(
        wanted in (-1, size) for wanted, size in zip(shape, array.shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        raise ValueError(f"{name} is {array.dtype} of shape {array.shape}")
    return array


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError("a name is not text")
    if len(set(values)) != len(values):
        raise ValueError("a name occurs twice")
    return tuple(values)


def _checked(head: Head) -> Head:
    """Refuse a head whose numbers are not finite or whose indices point nowhere."""
    floats: dict[str, Float] = {
        "template": head.template,
        "uv": head.uv,
        "expression_basis": head.expression_basis,
        "joint_positions": head.skeleton.positions,
        "joint_weights": head.skeleton.weights,
    }
    for name, values in floats.items():
        if not np.isfinite(values).all():
            raise ValueError(f"{name} holds values that are not finite")
    count = head.vertex_count
    if not count or not len(head.faces) or head.faces.shape != head.uv_faces.shape:
        raise ValueError("its faces and texture faces do not match")
    _within("faces", head.faces, 0, count)
    _within("uv_faces", head.uv_faces, 0, len(head.uv))
    # A parent comes before its children, so that poses compose in order.
    parents = head.skeleton.parents
    if not len(parents) or parents[0] != -1 or (parents[1:] >= np.arange(1, len(parents))).any():
        raise ValueError("its joints are not a tree")
    _within("joint_parents", parents, -1, len(parents))
    for sets in (head.regions, head.landmarks):
        for name, indices in sets.items():
            _within(name, indices, 0, count)
    return head


def _within(name: str, indices: Index, low: int, high: int) -> None:
    if indices.size and (indices.min() < low or indices.max() >= high):
        raise ValueError(f"{name} points outside the head")
