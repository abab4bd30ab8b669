# SPDX-License-Identifier: GPL-3.0-or-later
"""The wire protocol between Blender and the engine process; both sides import this module.

A message is: 4 bytes ``GSP1``, uint32 little-endian header length, the header as UTF-8 JSON, then
the array buffers in the order of ``header["arrays"]``, raw, little-endian, C-contiguous. The header
is ``{"type": str, "id": int, "body": {...}, "arrays": [{"name", "dtype", "shape"}, ...]}``.
Sizes are bounded and checked before anything is allocated. docs/protocol.md lists the messages.

Standard library and numpy only, and no import of the engine outside :mod:`engine.core`.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .checks import shown
from .json_values import LARGEST_WHOLE, parse_json

VERSION = 2
"""Raised whenever a message changes its meaning; both sides must agree."""

MAGIC = b"GSP1"
MAX_HEADER = 4 << 20
MAX_ARRAYS = 256
MAX_PAYLOAD = 4 << 30
MAX_NAME = 300
"""Characters of a message's type and of an array's name."""
DTYPES = frozenset({"<f4", "<f8", "<i4", "<i8", "<u4", "|u1", "|i1", "|b1", "<f2", "<u2", "<i2"})

_PREFIX = struct.Struct("<4sI")


class ProtocolError(Exception):
    """Bytes that are not a message, or a message that cannot be sent.

    Where :func:`read` raises it, the start of the next message is unknown: the connection ends.
    """


@dataclass(frozen=True, eq=False)
class Message:
    """One message.

    Attributes:
        type: ``hello``, ``request``, ``progress``, ``frames``, ``result``, ``error``, ``cancel``,
            ``ping``, ``pong`` or ``shutdown``.
        id: of the request it belongs to; 0 for messages of the connection.
        body: JSON values.
        arrays: named arrays.
    """

    type: str
    id: int = 0
    body: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)


def write(stream: BinaryIO, message: Message) -> None:
    """Write one message and flush.

    Raises:
        ProtocolError: an array's dtype cannot travel, the body is not JSON, or the message is over
            the bounds; nothing was written.
    """
    buffers, entries = [], []
    for name, value in message.arrays.items():
        array = np.ascontiguousarray(value)
        array = array.astype(array.dtype.newbyteorder("<"), copy=False).reshape(np.shape(value))
        entries.append({"name": name, "dtype": array.dtype.str, "shape": list(array.shape)})
        buffers.append(array)
    _checked_sizes(entries)
    content = {"type": message.type, "id": message.id, "body": message.body, "arrays": entries}
    try:
        header = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ProtocolError(f"The body of {message.type} is not JSON: {error}.") from error
    if len(header) > MAX_HEADER:
        raise ProtocolError(f"A header of {len(header)} bytes is over the bound of {MAX_HEADER}.")
    stream.write(_PREFIX.pack(MAGIC, len(header)) + header)
    for array in buffers:
        if array.size:
            stream.write(array.reshape(-1).view(np.uint8).data)
    stream.flush()


def read(stream: BinaryIO) -> Message | None:
    """Read one message; ``None`` at a clean end of the stream.

    Raises:
        ProtocolError: bytes that are not this protocol, sizes over the bounds, or an end in the
            middle of a message. No other exception but the stream's own ``OSError``.
    """
    prefix = stream.read(_PREFIX.size)
    if not prefix:
        return None
    prefix += _exactly(stream, _PREFIX.size - len(prefix))
    magic, length = _PREFIX.unpack(prefix)
    if magic != MAGIC:
        raise ProtocolError(f"Expected a message, found {prefix!r}.")
    if length > MAX_HEADER:
        raise ProtocolError(f"A header of {length} bytes is over the bound of {MAX_HEADER}.")
    header = _header(bytes(_exactly(stream, length)))
    arrays = {}
    for entry, size in zip(header["arrays"], _checked_sizes(header["arrays"]), strict=True):
        buffer = _exactly(stream, size)
        if entry["dtype"] == "|b1" and buffer.translate(None, b"\0\1"):
            raise ProtocolError(f"Array {entry['name']!r} holds bytes that are no truth values.")
        arrays[entry["name"]] = np.frombuffer(buffer, entry["dtype"]).reshape(entry["shape"])
    return Message(header["type"], header["id"], header["body"], arrays)


def _header(data: bytes) -> dict[str, Any]:
    try:
        header = parse_json(data)
    except ValueError as error:
        raise ProtocolError(f"The header is not JSON: {error}.") from error
    expected: Mapping[str, type] = {"type": str, "id": int, "body": dict, "arrays": list}
    if not isinstance(header, dict) or any(
        type(header.get(key)) is not kind for key, kind in expected.items()
    ):
        raise ProtocolError("The header lacks type, id, body or arrays.")
    if len(header["type"]) > MAX_NAME or not 0 <= header["id"] <= LARGEST_WHOLE:
        raise ProtocolError(
            f"The header has the type {shown(header['type'])} and the id {shown(header['id'])}."
        )
    return header


def _checked_sizes(entries: list[Any]) -> list[int]:
    """Bytes of each array.

    Raises:
        ProtocolError: a description that numpy could not follow, or more than the bounds.
    """
    if len(entries) > MAX_ARRAYS:
        raise ProtocolError(f"{len(entries)} arrays are over the bound of {MAX_ARRAYS}.")
    names: set[str] = set()
    sizes = []
    for entry in entries:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or len(name) > MAX_NAME or name in names:
            raise ProtocolError(f"An array has the name {shown(name)}, or has it twice.")
        names.add(name)
        shape, dtype = entry.get("shape"), entry.get("dtype")
        if (
            not isinstance(shape, list)
            or len(shape) > 8
            or any(type(size) is not int or not 0 <= size <= MAX_PAYLOAD for size in shape)
            # numpy refuses sizes that overflow, though another size is zero.
            or math.prod(size or 1 for size in shape) > MAX_PAYLOAD
        ):
            raise ProtocolError(f"Array {shown(name)} has the shape {shown(shape)}.")
        if not isinstance(dtype, str) or dtype not in DTYPES:
            raise ProtocolError(f"Array {shown(name)} has the dtype {shown(dtype)}.")
        sizes.append(math.prod(shape) * np.dtype(dtype).itemsize)
    if sum(sizes) > MAX_PAYLOAD:
        raise ProtocolError(f"{sum(sizes)} bytes of arrays are over the bound of {MAX_PAYLOAD}.")
    return sizes


def _exactly(stream: BinaryIO, size: int) -> bytearray:
    """Read ``size`` bytes in chunks, so that a lying size allocates no more than what arrives."""
    data = bytearray()
    while len(data) < size:
        chunk = stream.read(min(size - len(data), 1 << 20))
        if not chunk:
            raise ProtocolError(f"The stream ended {size - len(data)} bytes early.")
        data += chunk
    return data
