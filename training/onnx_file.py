# SPDX-License-Identifier: GPL-3.0-or-later
"""ONNX files as data: the nodes, weights and outputs of a graph (github.com/onnx/onnx, onnx.proto).

A few of the format's messages are read here, so that no package is needed for it. Nothing in a file
is run. What is damaged is a ``BadInputError``, never another exception.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import BadInputError

_MOST = 2 << 30
"""Bytes; the format holds no more in one file."""
_KINDS: dict[int, str] = {
    1: "<f4", 2: "u1", 3: "i1", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2", 11: "<f8",
}  # fmt: skip
"""numpy's types by TensorProto.DataType."""
_REMEDY = "Export or copy the file again (docs/weights.md)."

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Node:
    """One operation.

    Attributes:
        kind: its operator.
        inputs: names of what it takes; empty for what is left out.
        outputs: names of what it gives.
        attributes: numbers, lists, texts and arrays by name.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Graph:
    """A network.

    Attributes:
        inputs: names of what it takes besides weights.
        outputs: names of what it gives.
        weights: by name.
        nodes: in an order in which they can be run.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weights: dict[str, Array]
    nodes: tuple[Node, ...]


@dataclass
class _Read:
    """What was read of a graph so far."""

    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    weights: dict[str, Array] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)


def read_onnx(path: str | Path) -> Graph:
    """Read a file.

    Raises:
        BadInputError: there is none, it is damaged or no ONNX, its weights lie in another file, or
            it has an unknown type of number.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInputError(f"There is no file {path}.", _REMEDY)
    if path.stat().st_size > _MOST:
        raise BadInputError(f"{path} is larger than an ONNX file can be.", _REMEDY)
    try:
        graph = _model(path.read_bytes())
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}.", _REMEDY) from error
    except (ValueError, TypeError, IndexError, OverflowError, MemoryError) as error:
        reason = str(error) or "it ends early"
        raise BadInputError(f"{path} is no sound ONNX file: {reason}.", _REMEDY) from error
    if not graph.nodes or not graph.outputs or len(graph.inputs) != 1:
        raise BadInputError(
            f"{path} holds {len(graph.nodes)} operations with {len(graph.inputs)} inputs and "
            f"{len(graph.outputs)} outputs; one input is expected.",
            _REMEDY,
        )
    return graph


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: number, and a whole number or its bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of the unknown kind {kind}")
        if at + size > len(data):
            raise ValueError("it ends early")
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a number without an end")


def _whole(value: int | bytes) -> int:
    """A signed number of 64 bits."""
    if isinstance(value, bytes):
        raise TypeError("bytes where a number belongs")
    return value - (1 << 64) if value >= 1 << 63 else value


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise TypeError("a number where a message belongs")
    return value


def _text(value: int | bytes) -> str:
    return _bytes(value).decode("utf-8")


def _wholes(value: int | bytes) -> list[int]:
    """A repeated number: one by one, or packed."""
    if isinstance(value, int):
        return [_whole(value)]
    found, at = [], 0
    while at < len(value):
        number, at = _varint(value, at)
        found.append(_whole(number))
    return found


def _model(data: bytes) -> Graph:
    read = _Read()
    for number, value in _fields(data):
        if number == 7:
            _graph(_bytes(value), read)
    inputs = tuple(name for name in read.inputs if name not in read.weights)
    return Graph(inputs, tuple(read.outputs), read.weights, tuple(read.nodes))


def _graph(data: bytes, read: _Read) -> None:
    for number, value in _fields(data):
        if number == 1:
            read.nodes.append(_node(_bytes(value)))
        elif number == 5:
            name, array = _tensor(_bytes(value))
            read.weights[name] = array
        elif number in (11, 12):
            names = read.inputs if number == 11 else read.outputs
            names.append(_text(dict(_fields(_bytes(value))).get(1, b"")))


def _node(data: bytes) -> Node:
    inputs: list[str] = []
    outputs: list[str] = []
    attributes: dict[str, Any] = {}
    kind = ""
    for number, value in _fields(data):
        if number in (1, 2):
            (inputs if number == 1 else outputs).append(_text(value))
        elif number == 4:
            kind = _text(value)
        elif number == 5:
            name, held = _attribute(_bytes(value))
            attributes[name] = held
    return Node(kind, tuple(inputs), tuple(outputs), attributes)


def _attribute(data: bytes) -> tuple[str, Any]:
    name, held = "", cast("Any", None)
    floats: list[float] = []
    wholes: list[int] = []
    for number, value in _fields(data):
        if number == 1:
            name = _text(value)
        elif number == 2:
            held = float(np.frombuffer(_bytes(value), "<f4")[0])
        elif number == 3:
            held = _whole(value)
        elif number == 4:
            held = _text(value)
        elif number == 5:
            held = _tensor(_bytes(value))[1]
        elif number == 7:
            floats += np.frombuffer(_bytes(value), "<f4").tolist()
        elif number == 8:
            wholes += _wholes(value)
    if held is None:
        held = floats or wholes
    return name, held


def _tensor(data: bytes) -> tuple[str, Array]:
    dims: list[int] = []
    numbers: list[float] = []
    held: dict[int, int | bytes] = {}
    for number, value in _fields(data):
        if number == 1:
            dims += _wholes(value)
        elif number in (4, 10):
            numbers += np.frombuffer(_bytes(value), "<f4" if number == 4 else "<f8").tolist()
        elif number in (5, 7):
            numbers += _wholes(value)
        else:
            held[number] = value
    if held.get(14) == 1:
        raise ValueError("its weights lie in another file")
    kind, name, raw = _whole(held.get(2, 0)), _text(held.get(8, b"")), _bytes(held.get(9, b""))
    if kind not in _KINDS:
        raise ValueError(f"the tensor '{name[:40]}' has the unknown type {kind}")
    shape = tuple(dims)
    if raw:
        return name, np.frombuffer(raw, _KINDS[kind]).reshape(shape)
    return name, np.array(numbers, _KINDS[kind]).reshape(shape)
