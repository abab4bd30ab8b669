# SPDX-License-Identifier: GPL-3.0-or-later
"""Buffer views packed by meshoptimizer: ``EXT_`` and ``KHR_meshopt_compression``.

Bitstreams: https://github.com/KhronosGroup/glTF, extensions/2.0/Vendor/EXT_meshopt_compression,
appendix A (attributes of version 0 and 1, triangles, indices) and B (the exponential filter; the
others are of normals, tangents, rotations and colours, which nothing here reads).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from engine.core.arrays import Ids
from engine.core.arrays import Pixels as Bytes

_BLOCK_BYTES, _BLOCK_ELEMENTS, _GROUP = 8192, 256, 16
_TAIL = {0: 32, 1: 24}
"""Least bytes at the end of attributes by version: the first element and, in 1, the channels."""


def decode(data: bytes, count: int, stride: int, mode: str, filter_name: str) -> bytes:
    """Unpack a buffer view.

    Args:
        data: the packed bytes.
        count: elements.
        stride: bytes of an element.
        mode: ``ATTRIBUTES``, ``TRIANGLES`` or ``INDICES``.
        filter_name: ``NONE`` or ``EXPONENTIAL``.

    Returns:
        ``count · stride`` bytes.

    Raises:
        ValueError: truncated, damaged, or of an unknown kind.
    """
    source = np.frombuffer(data, np.uint8)
    if mode == "ATTRIBUTES":
        result = _attributes(source, count, stride)
    elif mode in ("TRIANGLES", "INDICES") and stride in (2, 4):
        indices = np.zeros(count, np.uint32)
        header, unpack = (0xE1, _triangles) if mode == "TRIANGLES" else (0xD1, _sequence)
        if not len(source) or source[0] != header or not unpack(source, indices):
            raise ValueError("its packed indices are damaged")
        result = indices.astype(f"<u{stride}").tobytes()
    else:
        raise ValueError(f"meshopt mode {mode!r} of {stride} bytes is unknown")
    if filter_name == "EXPONENTIAL":
        return _exponential(result)
    if filter_name != "NONE":
        raise ValueError(f"meshopt filter {filter_name!r} is not one of positions or weights")
    return result


def _attributes(source: Bytes, count: int, stride: int) -> bytes:
    version = int(source[0]) - 0xA0 if len(source) else -1
    if version not in _TAIL or stride % 4 or not 4 <= stride <= 256:
        raise ValueError("its packed attributes are of an unknown kind")
    channels = stride // 4 if version else 0
    tail = max(stride + channels, _TAIL[version])
    if len(source) < 1 + tail:
        raise ValueError("its packed attributes are cut off")
    # The first element ends version 0; in version 1 it stands before the channels.
    first = len(source) - stride - channels
    last = source[first : first + stride].copy()
    kinds = source[len(source) - channels :] if channels else np.zeros(stride // 4, np.uint8)
    result = np.zeros((count, stride), np.uint8)
    if not _unpack(source[1 : len(source) - tail], result, last, kinds, version):
        raise ValueError("its packed attributes are damaged")
    return result.tobytes()


def _exponential(data: bytes) -> bytes:
    """Mantissas of 24 and exponents of 8 bits as float32."""
    words = np.frombuffer(data, "<i4")
    mantissa = (words << 8) >> 8
    with np.errstate(over="ignore"):
        values = np.ldexp(mantissa.astype(np.float64), words >> 24).astype("<f4")
    return values.tobytes()


@njit(cache=True)
def _unpack(source: Bytes, result: Bytes, last: Bytes, kinds: Bytes, version: int) -> bool:
    """Attribute blocks: each byte of the elements by itself, four of them make a channel."""
    count, stride = result.shape
    block = min((_BLOCK_BYTES // stride) // _GROUP * _GROUP, _BLOCK_ELEMENTS)
    planes = np.zeros((4, _BLOCK_ELEMENTS), np.uint8)
    at = 0
    for start in range(0, count, block):
        size = min(block, count - start)
        controls = at
        at += stride // 4 if version else 0
        if at > len(source):
            return False
        for low in range(0, stride, 4):
            for byte in range(4):
                kind = (source[controls + low // 4] >> (2 * byte)) & 3 if version else 0
                at = _plane(source, at, planes[byte], size, version, kind)
                if at < 0:
                    return False
            rows = result[start : start + size, low : low + 4]
            _differences(planes, rows, last[low : low + 4], kinds[low // 4])
    return bool(at == len(source))


@njit(cache=True)
def _plane(source: Bytes, at: int, plane: Bytes, size: int, version: int, kind: Any) -> int:
    """One byte of every element of a block: zeros, plain or in groups; where it ends, or −1."""
    if version and kind == 2:
        plane[:] = 0
        return at
    if version and kind == 3:
        if at + size > len(source):
            return -1
        plane[:size] = source[at : at + size]
        return at + size
    return _groups(source, at, plane, size, version, kind)


@njit(cache=True)
def _groups(source: Bytes, at: int, plane: Bytes, size: int, version: int, kind: Any) -> int:
    """Groups of 16 bytes, each of 0, 1, 2, 4 or 8 bits a byte; the position after, or −1."""
    groups = (size + _GROUP - 1) // _GROUP
    header = at
    at += (groups + 3) // 4
    if at > len(source):
        return -1
    for group in range(groups):
        code = (source[header + group // 4] >> (group % 4 * 2)) & 3
        step = code + kind if version else code + (code > 0)
        bits = 1 << (step - 1) if step else 0
        out = plane[group * _GROUP : (group + 1) * _GROUP]
        if bits == 0:
            out[:] = 0
            continue
        extra = at + 2 * bits
        if extra > len(source):
            return -1
        if bits == 8:
            out[:] = source[at:extra]
            at = extra
            continue
        escape = (1 << bits) - 1
        each = 8 // bits
        for i in range(_GROUP):
            # Values of one bit stand from the lowest bit up, others from the highest down.
            slot = i % each if bits == 1 else each - 1 - i % each
            value = (source[at + i // each] >> (slot * bits)) & escape
            if value == escape:
                if extra >= len(source):
                    return -1
                value = source[extra]
                extra += 1
            out[i] = value
        at = extra
    return at


@njit(cache=True)
def _differences(planes: Bytes, rows: Bytes, last: Bytes, kind: Any) -> None:
    """Four planes of differences as elements: of bytes, of 16 bits, or of 32 bits by XOR."""
    width = (1, 2, 4)[kind & 3] if kind & 3 < 3 else 1
    mask = (1 << (8 * width)) - 1
    turn = kind >> 4
    for first in range(0, 4, width):
        value: Any = 0
        for i in range(width):
            value |= np.int64(last[first + i]) << (8 * i)
        for row in range(len(rows)):
            change: Any = 0
            for i in range(width):
                change |= np.int64(planes[first + i, row]) << (8 * i)
            if width == 4:
                value ^= ((change >> turn) | (change << (32 - turn))) & mask
            else:
                value = (value + ((change >> 1) ^ -(change & 1))) & mask
            for i in range(width):
                rows[row, first + i] = (value >> (8 * i)) & 255
        for i in range(width):
            last[first + i] = (value >> (8 * i)) & 255


@njit(cache=True)
def _varint(source: Bytes, at: Any) -> tuple[Any, Any]:
    """An unsigned number of seven bits a byte, and the position after; −1 where it is cut off."""
    value: Any = 0
    for shift in range(0, 35, 7):
        if at >= len(source):
            return 0, -1
        byte = np.int64(source[at])
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    return 0, -1


@njit(cache=True)
def _sequence(source: Bytes, indices: Any) -> bool:
    """Indices as differences to the latest of two runs; four bytes are left over."""
    at = 1
    latest = np.zeros(2, np.int64)
    for i in range(len(indices)):
        value, at = _varint(source, at)
        if at < 0:
            return False
        run, value = value & 1, value >> 1
        latest[run] = (latest[run] + ((value >> 1) ^ -(value & 1))) & 0xFFFFFFFF
        indices[i] = latest[run]
    return at == len(source) - 4


_AT, _EDGE, _VERTEX, _NEXT, _LAST = range(5)
"""What the state of unpacking triangles is made of: the position in the data, how many edges and
vertices were remembered, the first index that was not met yet, the latest that was written out."""


@njit(cache=True)
def _triangles(source: Bytes, indices: Any) -> bool:
    """Triangles by the latest 16 edges and 16 vertices: a code each, then data, then a table."""
    count = len(indices) // 3
    end = len(source) - 16
    state = np.zeros(5, np.int64)
    state[_AT] = 1 + count
    if len(indices) != 3 * count or 1 + count > end:
        return False
    edges, vertices = np.zeros((16, 2), np.int64), np.zeros(16, np.int64)
    for triangle in range(count):
        code = np.int64(source[1 + triangle])
        corners = np.zeros(3, np.int64)
        if code < 0xF0:
            whole = _on_edge(source[:end], code, state, edges, vertices, corners)
        elif code < 0xFE:
            pair = np.int64(source[end + (code & 15)])
            kinds = (0, pair >> 4, pair & 15)
            whole = _of_vertices(source[:end], kinds, 16, state, vertices, corners)
        else:
            whole = _in_full(source[:end], code, state, vertices, corners)
        if not whole:
            return False
        if code >= 0xF0:
            _remember_edge(state, edges, corners[1], corners[0])
        _remember_edge(state, edges, corners[2], corners[1])
        _remember_edge(state, edges, corners[0], corners[2])
        for i in range(3):
            indices[3 * triangle + i] = corners[i] & 0xFFFFFFFF
    return bool(state[_AT] == end)


@njit(cache=True)
def _on_edge(source: Bytes, code: Any, state: Ids, edges: Ids, vertices: Ids, corners: Ids) -> bool:
    """A triangle on one of the latest edges, with a vertex that is new, known or written out."""
    edge = edges[(state[_EDGE] - 1 - (code >> 4)) & 15]
    corners[0], corners[1] = edge[0], edge[1]
    third = code & 15
    if 0 < third < 13:
        corners[2] = vertices[(state[_VERTEX] - 1 - third) & 15]
        return True
    if third == 0:
        corners[2] = state[_NEXT]
        state[_NEXT] += 1
    elif third < 15:
        # One before or after the latest.
        state[_LAST] += 2 * third - 27
        corners[2] = state[_LAST]
    elif _written_out(source, state):
        corners[2] = state[_LAST]
    else:
        return False
    _remember_vertex(state, vertices, corners[2])
    return True


@njit(cache=True)
def _in_full(source: Bytes, code: Any, state: Ids, vertices: Ids, corners: Ids) -> bool:
    """A triangle on no known edge whose pair of four bits stands in the data."""
    if state[_AT] >= len(source):
        return False
    pair = np.int64(source[state[_AT]])
    state[_AT] += 1
    if pair == 0:
        state[_NEXT] = 0
    first = 15 if code == 0xFF else 0
    return bool(_of_vertices(source, (first, pair >> 4, pair & 15), 15, state, vertices, corners))


@njit(cache=True)
def _of_vertices(
    source: Bytes, kinds: Any, written_out: Any, state: Ids, vertices: Ids, corners: Ids
) -> bool:
    """Corners of kinds: 0 the next index, ``written_out`` in the data, else a known vertex."""
    for i in range(3):
        if kinds[i] == 0:
            corners[i] = state[_NEXT]
            state[_NEXT] += 1
        elif kinds[i] != written_out:
            corners[i] = vertices[(state[_VERTEX] - kinds[i]) & 15]
    for i in range(3):
        if kinds[i] == written_out:
            if not _written_out(source, state):
                return False
            corners[i] = state[_LAST]
    for i in range(3):
        if kinds[i] in (0, written_out):
            _remember_vertex(state, vertices, corners[i])
    return True


@njit(cache=True)
def _written_out(source: Bytes, state: Ids) -> bool:
    """Move on to an index that is written as its difference to the latest such."""
    value, at = _varint(source, state[_AT])
    state[_AT] = at
    state[_LAST] += (value >> 1) ^ -(value & 1)
    return bool(at >= 0)


@njit(cache=True)
def _remember_vertex(state: Ids, vertices: Ids, vertex: Any) -> None:
    vertices[state[_VERTEX] & 15] = vertex
    state[_VERTEX] += 1


@njit(cache=True)
def _remember_edge(state: Ids, edges: Ids, start: Any, end: Any) -> None:
    edges[state[_EDGE] & 15, 0], edges[state[_EDGE] & 15, 1] = start, end
    state[_EDGE] += 1
