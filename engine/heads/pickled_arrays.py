# SPDX-License-Identifier: GPL-3.0-or-later
"""The numpy arrays that the records of :mod:`engine.heads.safe_pickle` stand for.

Sizes are checked against the bytes that are really there, before anything is allocated.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from engine.heads.safe_pickle import MAX_BYTES, Made, PickleError

_MAX_DEPTH = 16


def array(value: object, depth: int = 0) -> NDArray[Any]:
    """The numpy array that a value of :func:`read_pickle` stands for.

    Args:
        value: a record of a numpy array or scalar, a scipy csc or csr matrix (made dense), a chumpy
            array, or plain numbers in lists.
        depth: of the nesting so far.

    Raises:
        PickleError: no array of numbers or text, or one whose size its bytes do not fill.
    """
    if depth > _MAX_DEPTH:
        _refuse("its arrays are nested too deeply")
    if isinstance(value, Made):
        reader = _READERS.get(value.kind)
        if reader is None:
            _refuse(f"a {value.kind} stands where an array is expected")
        return reader(value, depth + 1)
    if not isinstance(value, (bool, int, float, list, tuple)):
        _refuse(f"a {type(value).__name__} stands where an array is expected")
    return _plain(value)


def _plain(value: Any) -> NDArray[Any]:
    flat = [value] if not isinstance(value, (list, tuple)) else list(value)
    for item in flat:
        entries = item if isinstance(item, (list, tuple)) else [item]
        if not all(type(entry) in (bool, int, float) for entry in entries):
            _refuse("a list holds something other than numbers")
    try:
        result = np.array(value)
    except (ValueError, OverflowError) as error:
        raise PickleError("a list of numbers is ragged or too large") from error
    if result.dtype.hasobject:
        _refuse("a list of numbers is ragged or too large")
    return result


def _refuse(reason: str) -> NoReturn:
    raise PickleError(reason)


# --- numpy -------------------------------------------------------------------------------------


def _dtype(value: object) -> np.dtype[Any]:
    """A plain number or text dtype; object arrays, structures and dates are refused."""
    if not (isinstance(value, Made) and value.kind == "dtype" and value.args):
        _refuse("an array has no dtype")
    code = value.args[0]
    if not isinstance(code, str) or not re.fullmatch(
        r"[<>=|]?(b1|[iufc]\d{1,2}|[SU]\d{1,4})", code
    ):
        _refuse(f"an array has the dtype {code!r}, which holds more than numbers or text")
    order = "="
    if isinstance(value.state, tuple) and len(value.state) > 1:
        order = value.state[1]
    try:
        dtype = np.dtype(code)
        return dtype.newbyteorder(">") if order == ">" else dtype
    except TypeError as error:
        raise PickleError(f"an array has the unknown dtype {code!r}") from error


def _filled(data: object, dtype: np.dtype[Any], shape: object, *, fortran: bool) -> NDArray[Any]:
    if isinstance(data, Made):
        data = _encoded(data)
    if isinstance(data, str):
        data = _latin1(data)
    if not isinstance(data, (bytes, bytearray)):
        _refuse(f"an array holds a {type(data).__name__} instead of bytes")
    if isinstance(shape, int):
        shape = (shape,)
    if (
        not isinstance(shape, tuple)
        or len(shape) > 8
        or any(type(size) is not int or not 0 <= size < 1 << 32 for size in shape)
    ):
        _refuse("an array has no valid shape")
    count = 1
    for size in shape:
        count *= size
    if count * dtype.itemsize != len(data) or not dtype.itemsize:
        _refuse(f"an array of shape {shape} and dtype {dtype} has {len(data)} bytes")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _encoded(made: Made) -> bytes:
    """Bytes as protocol 2 of Python 3 writes them: ``_codecs.encode(text, "latin1")``."""
    if made.kind in ("bytes", "bytearray") and not made.args:
        return b""
    if made.kind == "bytearray" and len(made.args) == 1:
        (data,) = made.args
        return _encoded(data) if isinstance(data, Made) else bytes(_expect_bytes(data))
    if made.kind == "encode" and made.args and isinstance(made.args[0], str):
        return _latin1(made.args[0])
    _refuse(f"a {made.kind} stands where bytes are expected")


def _expect_bytes(data: object) -> bytes | bytearray:
    if not isinstance(data, (bytes, bytearray)):
        _refuse("something other than bytes stands where bytes are expected")
    return data


def _latin1(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise PickleError("text stands where the bytes of an array are expected") from error


def _from_state(made: Made, _depth: int) -> NDArray[Any]:
    if not isinstance(made.state, tuple) or len(made.state) != 5:
        _refuse("an array has no content")
    _, shape, dtype, fortran, data = made.state
    return _filled(data, _dtype(dtype), shape, fortran=bool(fortran))


def _from_buffer(made: Made, _depth: int) -> NDArray[Any]:
    if len(made.args) != 4:
        _refuse("an array has no content")
    data, dtype, shape, order = made.args
    return _filled(data, _dtype(dtype), shape, fortran=order == "F")


def _from_scalar(made: Made, _depth: int) -> NDArray[Any]:
    if len(made.args) != 2:
        _refuse("a number has no content")
    return _filled(made.args[1], _dtype(made.args[0]), (), fortran=False)


# --- scipy.sparse and chumpy -------------------------------------------------------------------


def _attributes(made: Made) -> dict[str, Any]:
    """The object's ``__dict__`` as its pickle kept it."""
    state = made.state
    if isinstance(state, tuple) and state and isinstance(state[0], dict):
        state = state[0]
    if not isinstance(state, dict):
        _refuse(f"a {made.kind} array has no content")
    return state


def _sparse(made: Made, depth: int) -> NDArray[Any]:
    state = _attributes(made)
    shape = state.get("_shape", state.get("shape"))
    if not isinstance(shape, tuple) or len(shape) != 2:
        _refuse("a sparse matrix has no shape")
    rows, columns = (int(array(size, depth)) for size in shape)
    if min(rows, columns) < 0 or rows * columns > MAX_BYTES // 8:
        _refuse(f"a sparse matrix of {rows} × {columns} is too large")
    parts = {name: array(state.get(name), depth) for name in ("data", "indices", "indptr")}
    if any(part.ndim != 1 for part in parts.values()) or any(
        parts[name].dtype.kind not in "iu" for name in ("indices", "indptr")
    ):
        _refuse("a sparse matrix has misshapen arrays")
    form = scipy.sparse.csc_matrix if made.kind == "csc" else scipy.sparse.csr_matrix
    try:
        matrix = form((parts["data"], parts["indices"], parts["indptr"]), (rows, columns))
        matrix.check_format(full_check=True)
    except ValueError as error:
        raise PickleError(f"a sparse matrix is inconsistent ({error})") from error
    return np.asarray(matrix.toarray())


def _chumpy(made: Made, depth: int) -> NDArray[Any]:
    state = _attributes(made)
    if "x" not in state:
        _refuse("a chumpy array has no content")
    return array(state["x"], depth)


def _chumpy_view(made: Made, depth: int) -> NDArray[Any]:
    """A reordering of another chumpy array: selection by flat index, reshape, transpose."""
    state = _attributes(made)
    source = array(state.get("a"), depth)
    try:
        if made.kind == "chumpy_select":
            picked: NDArray[Any] = source.ravel()[array(state.get("idxs"), depth)]
            shape = state.get("preferred_shape")
            return picked if shape is None else picked.reshape(array(shape, depth))
        if made.kind == "chumpy_reshape":
            return source.reshape(array(state.get("newshape"), depth))
        axes = state.get("axes")
        return source.transpose(
            None if axes is None else [int(axis) for axis in array(axes, depth)]
        )
    except (ValueError, IndexError, TypeError) as error:
        raise PickleError(f"a chumpy array is inconsistent ({error})") from error


_READERS: dict[str, Callable[[Made, int], NDArray[Any]]] = {
    "reconstruct": _from_state,
    "frombuffer": _from_buffer,
    "scalar": _from_scalar,
    "csc": _sparse,
    "csr": _sparse,
    "chumpy": _chumpy,
    "chumpy_select": _chumpy_view,
    "chumpy_reshape": _chumpy_view,
    "chumpy_transpose": _chumpy_view,
}
