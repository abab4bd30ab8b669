# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading ``.safetensors`` files as numpy arrays, where there is no torch: inside Blender.

Format: https://github.com/huggingface/safetensors#format: eight bytes with the length of a JSON
header, the header, and the numbers, little-endian.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import shown
from .errors import BadInputError
from .json_values import parse_json

_MAX_HEADER = 1 << 20
"""Bytes; that of an avatar has about two thousand."""
_KINDS = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8", "U8": "u1"}


def read_tensor_arrays(
    path: str | Path, keys: Sequence[str], what: str, hint: str
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What a file says of itself, and its tensors.

    Args:
        path: the file.
        keys: of the metadata's entry that holds a JSON object, whichever there is.
        what: such a file is, for messages.
        hint: of every error about the content.

    Returns:
        The JSON object, and float32 or integer arrays by name.

    Raises:
        BadInputError: no such file, not safetensors, without that entry, damaged, or with values
            that are not finite numbers.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror or error}.", hint) from error
    try:
        header, body = _split(data)
        metadata = header.pop("__metadata__", {})
        about = parse_json(metadata[next((key for key in keys if key in metadata), keys[0])])
        arrays = {name: _array(name, entry, body) for name, entry in header.items()}
    except KeyError as error:
        raise BadInputError(f"{path} is not a {what}: it lacks {error}.", hint) from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise BadInputError(f"{path} cannot be read: {str(error)[:120]}.", hint) from error
    if not isinstance(about, dict):
        raise BadInputError(f"{path} is not a {what}: its metadata is no object.", hint)
    return about, arrays


def _split(data: bytes) -> tuple[dict[str, Any], memoryview]:
    """The header and what follows it."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(_MAX_HEADER, len(data) - 8):
        raise ValueError("it has no header")
    header: dict[str, Any] = parse_json(data[8 : 8 + length])
    return header, memoryview(data)[8 + length :]


def _array(name: str, entry: dict[str, Any], body: memoryview) -> NDArray[Any]:
    kind = _KINDS.get(str(entry["dtype"]))
    if kind is None:
        raise ValueError(f"the tensor {shown(name)} has the type {shown(entry['dtype'])}")
    start, end = entry["data_offsets"]
    shape = tuple(entry["shape"])
    if any(type(size) is not int or size < 0 for size in (*shape, start, end)):
        raise ValueError(f"the tensor {shown(name)} has sizes that are no whole numbers")
    if not start <= end <= len(body):
        raise ValueError(f"the tensor {shown(name)} lies outside the file")
    array = np.frombuffer(body[start:end], kind).reshape(shape)
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise ValueError(f"the tensor {shown(name)} holds values that are not finite numbers")
    return array
