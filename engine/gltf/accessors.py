# SPDX-License-Identifier: GPL-3.0-or-later
"""Accessors of glTF as arrays: strided, sparse, quantised and packed ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Float, Ids
from engine.core.checks import shown
from engine.core.errors import MissingDependencyError
from engine.core.json_values import JsonObject
from engine.gltf.document import Document

FLOAT, UNSIGNED_INT = 5126, 5125
_DTYPES = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", UNSIGNED_INT: "<u4", FLOAT: "<f4"}
_COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_PACKED = ("EXT_meshopt_compression", "KHR_meshopt_compression")


def read_floats(document: Document, index: int, components: int) -> Float:
    """An accessor as (N, components) float32; whole numbers of normalised ones become shares.

    Raises:
        BadInputError: there is none, it is damaged, of another shape, or not finite.
        MissingDependencyError: it is packed in a way that cannot be read.
    """
    entry = document.item("accessors", index)
    array = _read(document, index)
    if array.shape[1] != components:
        raise document.wrong(f"accessor {index} has {array.shape[1]} numbers, not {components}")
    values: Float = array.astype(np.float32)
    if entry.flag("normalized", default=False) and array.dtype.kind in "iu":
        # Table in section 3.6.2.2 and KHR_mesh_quantization.
        values = np.maximum(values / np.iinfo(array.dtype).max, -1.0, dtype=np.float32)
    if not np.isfinite(values).all():
        raise document.wrong(f"accessor {index} holds NaN or infinite values")
    return values


def read_whole_numbers(document: Document, index: int, components: int = 1) -> Ids:
    """An accessor of whole numbers as (N, components) int64.

    Raises:
        BadInputError: there is none, it is damaged, or of another shape or type.
        MissingDependencyError: it is packed in a way that cannot be read.
    """
    array = _read(document, index)
    if array.shape[1] != components or array.dtype.kind not in "iu":
        raise document.wrong(f"accessor {index} holds no {components} whole numbers")
    return array.astype(np.int64)


def _read(document: Document, index: int) -> NDArray[Any]:
    entry = document.item("accessors", index)
    count = entry.whole("count", low=1)
    dtype = np.dtype(_DTYPES[entry.whole("componentType", low=5120, high=FLOAT)])
    kind = entry.text("type")
    if kind not in _COMPONENTS:
        raise document.wrong(f"accessor {index} has the type {shown(kind)}")
    columns = _COMPONENTS[kind]
    # The array itself, and what becomes of it: float32 or int64.
    document.claim(count * columns * (dtype.itemsize + 8))
    if "bufferView" in entry:
        start = entry.whole("byteOffset", 0)
        array = _strided(document, entry.whole("bufferView"), start, dtype, count, columns)
    else:
        array = np.zeros((count, columns), dtype)
    if "sparse" in entry:
        array = array.copy()
        _replace(document, entry.group("sparse"), array)
    return array


def _replace(document: Document, sparse: JsonObject, array: NDArray[Any]) -> None:
    """Put in, in place, the rows that a sparse accessor has beside."""
    count = sparse.whole("count", low=1, high=len(array))
    places, rows = sparse.group("indices"), sparse.group("values")
    dtype = np.dtype(_DTYPES[places.whole("componentType", low=5121, high=UNSIGNED_INT)])
    at = places.whole("bufferView"), places.whole("byteOffset", 0)
    found = _strided(document, *at, dtype, count, 1)[:, 0].astype(np.int64)
    if found.min() < 0 or found.max() >= len(array):
        raise document.wrong("a sparse accessor points outside of itself")
    at = rows.whole("bufferView"), rows.whole("byteOffset", 0)
    array[found] = _strided(document, *at, array.dtype, count, array.shape[1])


def _strided(
    document: Document, view: int, start: int, dtype: np.dtype[Any], count: int, columns: int
) -> NDArray[Any]:
    data = _view(document, view)
    size = dtype.itemsize * columns
    stride = document.item("bufferViews", view).whole("byteStride", size, low=1, high=1 << 16)
    if stride < size or start + stride * (count - 1) + size > len(data):
        raise document.wrong(f"an accessor reaches beyond buffer view {view}")
    strides = (stride, dtype.itemsize)
    return np.ndarray((count, columns), dtype, data, start, strides)


def _view(document: Document, index: int) -> bytes:
    """The bytes of a buffer view, unpacked."""
    if index not in document.views:
        entry = document.item("bufferViews", index)
        length = entry.whole("byteLength", low=1)
        extensions = entry.group("extensions") if "extensions" in entry else None
        packed = [name for name in _PACKED if extensions is not None and name in extensions]
        if extensions is not None and packed:
            document.views[index] = _unpacked(document, extensions.group(packed[0]), length)
        else:
            document.views[index] = _slice(document, entry, length)
    return document.views[index]


def _slice(document: Document, entry: JsonObject, length: int) -> bytes:
    buffer = document.buffer(entry.whole("buffer"))
    start = entry.whole("byteOffset", 0)
    if start + length > len(buffer):
        raise document.wrong("a buffer view reaches beyond its buffer")
    document.claim(length)
    return buffer[start : start + length]


def _unpacked(document: Document, entry: JsonObject, length: int) -> bytes:
    # Deferred: numba takes a second to load, and most files are not packed.
    from engine.gltf.meshopt import decode

    data = _slice(document, entry, entry.whole("byteLength", low=1))
    count, stride = entry.whole("count", low=1), entry.whole("byteStride", low=1, high=256)
    if count * stride != length:
        raise document.wrong("a packed buffer view unpacks to another length than it says")
    document.claim(2 * length)
    try:
        return decode(data, count, stride, entry.text("mode"), entry.text("filter", "NONE"))
    except ValueError as error:
        raise document.wrong(str(error)) from error


def refuse_draco(document: Document, primitive: JsonObject) -> None:
    """Raise where a primitive's triangles are packed by Draco.

    Raises:
        MissingDependencyError: they are.
    """
    if "extensions" in primitive and "KHR_draco_mesh_compression" in primitive.group("extensions"):
        raise MissingDependencyError(
            f"{document.path}: its meshes are packed by Draco, which cannot be read here.",
            "Export it without compression. With --character it speaks as it is.",
        )
