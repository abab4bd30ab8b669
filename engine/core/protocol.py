# SPDX-License-Identifier: GPL-3.0-or-later
"""The wire protocol between Blender and the engine process; both sides import this module.

A message is: 4 bytes ``GSP1``, uint32 little-endian header length, the header as UTF-8 JSON, then
the array buffers in the order of ``header["arrays"]``, raw, little-endian, C-contiguous. The header
is ``{"type": str, "id": int, "body": {...}, "arrays": [{"name", "dtype", "shape"}, ...]}``.
Sizes are bounded and checked before anything is allocated. docs/protocol.md lists the messages.

Standard library and numpy only, and no import of the rest of the engine but its error classes.
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

VERSION = 2
"""Raised whenever a message changes its meaning; both sides must agree."""

MAGIC = b"GSP1"
MAX_HEADER = 4 << 20
MAX_ARRAYS = 256
MAX_PAYLOAD = 4 << 30
DTYPES = frozenset({"<f4", "<f8", "<i4", "<i8", "<u4", "|u1", "|i1", "|b1", "<f2", "<u2", "<i2"})

_PREFIX = struct.Struct("<4sI")


class ProtocolError(Exception):
    """The stream does not hold what the protocol says; the connection cannot go on."""


@dataclass(frozen=True, eq=False)
class Message:
    """One message.

    Attributes:
        type: ``hello``, ``request``, ``progress``, ``result``, ``error``, ``cancel``, ``ping``,
            ``pong`` or ``shutdown``.
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
        ProtocolError: an array's dtype cannot travel, or the message is over the bounds.
    """
    buffers, entries = [], []
    for name, value in message.arrays.items():
        array = np.ascontiguousarray(value)
        array = array.astype(array.dtype.newbyteorder("<"), copy=False).reshape(np.shape(value))
        entries.append({"name": name, "dtype": array.dtype.str, "shape": list(array.shape)})
        buffers.append(array)
    _checked_sizes(entries)
    header = json.dumps(
        {"type": message.type, "id": message.id, "body": message.body, "arrays": entries},
        separators=(",", ":"),
        allow_nan=False,
    ).encode()
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
            middle of a message.
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
        dtype = np.dtype(entry["dtype"])
        buffer = _exactly(stream, size)
        arrays[entry["name"]] = np.frombuffer(buffer, dtype).reshape(entry["shape"])
    return Message(header["type"], header["id"], header["body"], arrays)


def _header(data: bytes) -> dict[str, Any]:
    try:
        header = json.loads(data)
    except ValueError as error:
        raise ProtocolError(f"The header is not JSON: {error}.") from error
    expected: Mapping[str, type] = {"type": str, "id": int, "body": dict, "arrays": list}
    if not isinstance(header, dict) or any(
        not isinstance(header.get(key), kind) for key, kind in expected.items()
    ):
        raise ProtocolError("The header lacks type, id, body or arrays.")
    return header


def _checked_sizes(entries: list[Any]) -> list[int]:
    if len(entries) > MAX_ARRAYS:
        raise ProtocolError(f"{len(entries)} arrays are over the bound of {MAX_ARRAYS}.")
    sizes = []
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise ProtocolError("An array has no name.")
        shape = entry.get("shape")
        if (
            not isinstance(shape, list)
            or len(shape) > 8
            or any(type(size) is not int or size < 0 for size in shape)
        ):
            raise ProtocolError(f"Array {entry['name']!r} has the shape {shape!r}.")
        if entry.get("dtype") not in DTYPES:
            raise ProtocolError(f"Array {entry['name']!r} has the dtype {entry.get('dtype')!r}.")
        sizes.append(math.prod(shape) * np.dtype(entry["dtype"]).itemsize)
    if sum(sizes) > MAX_PAYLOAD:
        raise ProtocolError(f"{sum(sizes)} bytes of arrays are over the bound of {MAX_PAYLOAD}.")
    return sizes


def _exactly(stream: BinaryIO, size: int) -> bytearray:
    """Read ``size`` bytes in pieces, so that a lying size allocates no more than what arrives."""
    data = bytearray()
    while len(data) < size:
        piece = stream.read(min(size - len(data), 1 << 20))
        if not piece:
            raise ProtocolError(f"The stream ended {size - len(data)} bytes early.")
        data += piece
    return data
