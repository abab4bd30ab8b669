# SPDX-License-Identifier: GPL-3.0-or-later
"""The numpy arrays that the records of :mod:`engine.heads.safe_pickle` stand for.

Sizes are checked against the bytes that are really there, before anything is allocated, and sparse
matrices are filled by numpy's own checked indexing: scipy trusts their index pointers.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from engine.heads.safe_pickle import Instance, PickleError, excerpt, load

_MAX_DEPTH = 16
_ALLOWANCE = 16 << 20
_DTYPE = re.compile(r"[<>=|]?(b1|[iufc]\d{1,2}|[SU]\d{1,4})")


class PickledArrays:
    """The arrays of a pickle by name, decoded when they are asked for.

    Records can be shared in a pickle, so that a few bytes stand for any amount of work. Each is
    decoded once, and all arrays together have at most three times the size of the pickle and 16 MB.

    Args:
        data: the pickle.

    Attributes:
        names: the keys of its top-level dictionary.

    Raises:
        PickleError: as of :func:`~engine.heads.safe_pickle.load`.
    """

    def __init__(self, data: bytes) -> None:
        self._records = load(data)
        self._budget = 3 * len(data) + _ALLOWANCE
        self._decoded: dict[int, NDArray[Any]] = {}
        self.names = tuple(self._records)

    def get(self, name: str) -> NDArray[Any] | None:
        """The array of a name, ``None`` if there is no such name.

        It can be stored as a numpy array or scalar, a scipy csc or csr matrix (made dense), a
        chumpy array, or plain numbers in lists.

        Raises:
            PickleError: no array of numbers or text, or one whose size its bytes do not fill.
        """
        return self._decode(self._records[name], 0) if name in self._records else None

    def _decode(self, record: object, depth: int) -> NDArray[Any]:
        if depth > _MAX_DEPTH:
            _refuse("its arrays are nested too deeply")
        if id(record) not in self._decoded:
            self._decoded[id(record)] = self._array(record, depth + 1)
        return self._decoded[id(record)]

    def _array(self, record: object, depth: int) -> NDArray[Any]:
        if isinstance(record, (bool, int, float, list, tuple)):
            return self._numbers(record)
        if not isinstance(record, Instance):
            _refuse(f"a {type(record).__name__} stands where an array is expected")
        state = record.state
        if isinstance(state, tuple) and state and isinstance(state[0], dict):
            state = state[0]  # Of an object with slots: its __dict__, then the slots.
        match record.kind, record.args, state:
            case "reconstruct", _, (_, shape, dtype, fortran, data):
                result = self._filled(data, dtype, shape, fortran=bool(fortran))
            case "frombuffer", (data, dtype, shape, order), _:
                result = self._filled(data, dtype, shape, fortran=order == "F")
            case "scalar", (dtype, data), _:
                result = self._filled(data, dtype, (), fortran=False)
            case "csc" | "csr", _, dict(state):
                result = self._sparse(record.kind, state, depth)
            case "chumpy", _, {"x": x}:
                result = self._decode(x, depth)
            case "chumpy_select" | "chumpy_reshape" | "chumpy_transpose", _, {"a": source}:
                result = self._reordered(record.kind, self._decode(source, depth), state, depth)
            case _:
                _refuse(f"a {record.kind} without content stands where an array is expected")
        return result

    def _spend(self, size: int) -> None:
        self._budget -= size
        if self._budget < 0:
            _refuse("its arrays are larger than the file")

    def _numbers(self, value: Any) -> NDArray[Any]:
        """A number, a list of numbers, or a list of lists of them, which may share rows."""
        rows = [value] if not isinstance(value, (list, tuple)) else value
        nested = bool(rows) and all(isinstance(row, (list, tuple)) for row in rows)
        rows = rows if nested else [rows]
        self._spend(8 * sum(len(row) for row in rows))
        for row in rows:
            if len(row) != len(rows[0]) or not all(type(x) in (bool, int, float) for x in row):
                _refuse("a list is ragged or holds something other than numbers")
        return np.array(value)

    def _filled(
        self, data: object, dtype_record: object, shape: object, *, fortran: bool
    ) -> NDArray[Any]:
        dtype = _dtype(dtype_record)
        shape = (shape,) if isinstance(shape, int) else shape
        if (
            not isinstance(shape, tuple)
            or len(shape) > 8
            or any(type(size) is not int or not 0 <= size < 1 << 32 for size in shape)
        ):
            _refuse("an array has no valid shape")
        buffer = _bytes(data)
        size = dtype.itemsize
        for extent in shape:
            size *= extent
        if size != len(buffer) or not dtype.itemsize:
            _refuse(f"an array of shape {shape} and dtype {dtype} has {len(buffer)} bytes")
        self._spend(size)
        return np.frombuffer(buffer, dtype).reshape(shape, order="F" if fortran else "C")

    def _sparse(self, kind: str, state: dict[Any, Any], depth: int) -> NDArray[Any]:
        """The dense (rows, columns) array of a matrix in compressed columns (csc) or rows (csr)."""
        shape = self._integers(state.get("_shape", state.get("shape")), depth)
        if len(shape) != 2 or not all(0 <= extent < 1 << 32 for extent in shape):
            _refuse("a sparse matrix has no valid shape")
        values, indices, indptr = (
            self._decode(state.get(name), depth) for name in ("data", "indices", "indptr")
        )
        if values.ndim != 1 or values.dtype.kind not in "iuf":
            _refuse("a sparse matrix has misshapen data")
        lines, length = shape[::-1] if kind == "csc" else shape
        self._spend(values.itemsize * lines * length + 8 * (indices.size + lines))
        # Unsigned 64-bit numbers that do not fit become negative and are refused as such.
        where, starts = _whole_numbers(indices), _whole_numbers(indptr)
        if (
            len(starts) != lines + 1
            or starts[0] != 0
            or (starts[1:] < starts[:-1]).any()
            or not starts[-1] == len(where) == len(values)
            or ((where < 0) | (where >= length)).any()
        ):
            _refuse(f"a sparse matrix of {shape[0]} × {shape[1]} is inconsistent")
        dense = np.zeros((lines, length), values.dtype)
        # Entries that occur several times are added up, as scipy does.
        np.add.at(dense, (np.repeat(np.arange(lines), np.diff(starts)), where), values)
        return dense.T if kind == "csc" else dense

    def _reordered(
        self, kind: str, source: NDArray[Any], state: dict[Any, Any], depth: int
    ) -> NDArray[Any]:
        """A reordering of a chumpy array: selection by flat index, reshape, transpose."""
        try:
            if kind == "chumpy_select":
                picked = self._decode(state.get("idxs"), depth)
                self._spend(source.nbytes + picked.size * source.itemsize)
                shape = state.get("preferred_shape")
                result: NDArray[Any] = source.ravel()[picked]
                return result if shape is None else result.reshape(self._integers(shape, depth))
            self._spend(source.nbytes)
            if kind == "chumpy_reshape":
                return source.reshape(self._integers(state.get("newshape"), depth))
            axes = state.get("axes")
            return source.transpose(None if axes is None else self._integers(axes, depth))
        except (ValueError, IndexError) as error:
            raise PickleError(f"a chumpy array is inconsistent: {str(error)[:80]}") from error

    def _integers(self, record: object, depth: int) -> tuple[int, ...]:
        """A shape or axes: few whole numbers, some of which may be numpy's."""
        sizes = record if isinstance(record, (list, tuple)) else [record]
        if len(sizes) > 8:
            _refuse("an array has no valid shape")
        numbers = [_whole_numbers(self._decode(size, depth).ravel()) for size in sizes]
        return tuple(int(number) for part in numbers for number in part[:9])


def _refuse(reason: str) -> NoReturn:
    raise PickleError(reason)


def _dtype(record: object) -> np.dtype[Any]:
    """A plain number or text dtype; object arrays, structures and dates are refused."""
    match record:
        case Instance("dtype", (str(code), *_), state):
            if not _DTYPE.fullmatch(code):
                _refuse(
                    f"an array has the dtype {excerpt(code)}, which holds more than numbers or text"
                )
            big_endian = isinstance(state, tuple) and len(state) > 1 and state[1] == ">"
            try:
                return np.dtype(code).newbyteorder(">") if big_endian else np.dtype(code)
            except TypeError:
                _refuse(f"an array has the unknown dtype {excerpt(code)}")
    _refuse("an array has no dtype")


def _bytes(data: object) -> bytes | bytearray:
    """Bytes as the protocols of Python 2 and 3 write them."""
    match data:
        case Instance("bytearray", (inner,)):
            data = inner
    match data:
        case Instance("bytes" | "bytearray", ()):
            return b""
        case Instance("encode", (str(text), *_)) | str(text):
            try:
                return text.encode("latin-1")
            except UnicodeEncodeError:
                _refuse("text stands where the bytes of an array are expected")
        case bytes() | bytearray():
            return data
    _refuse("something other than bytes stands where the bytes of an array are expected")


def _whole_numbers(values: NDArray[Any]) -> NDArray[np.int64]:
    if values.ndim != 1 or values.dtype.kind not in "iu":
        _refuse("an array has an index that is no whole number")
    return values.astype(np.int64)
