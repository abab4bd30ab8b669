# SPDX-License-Identifier: GPL-3.0-or-later
"""The channels of an EXR file: scan lines, one part, 32-bit floats, ZIP; enough for Blender's."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

_MAGIC, _FLOAT, _ZIP, _ZIP_LINES = 20000630, 2, 3, 16


def channels(path: Path) -> dict[str, np.ndarray]:
    """(H, W) arrays by channel name, top row first (https://openexr.com, file layout)."""
    data = path.read_bytes()
    magic, version = struct.unpack_from("<II", data)
    assert (magic, version >> 12 & 1, version >> 9 & 1) == (_MAGIC, 0, 0), "one part, scan lines"
    header, start = _header(data)
    assert header["compression"][0] == _ZIP
    left, bottom, right, top = struct.unpack("<4i", header["dataWindow"])
    width, height, names = right - left + 1, top - bottom + 1, _names(header["channels"])
    image = np.empty((height, len(names), width), np.float32)
    offsets = struct.unpack_from(f"<{-(-height // _ZIP_LINES)}Q", data, start)
    for offset in offsets:
        line, size = struct.unpack_from("<ii", data, offset)
        lines = image[line - bottom : line - bottom + _ZIP_LINES]
        packed = data[offset + 8 : offset + 8 + size]
        raw = packed if size == lines.nbytes else _unzip(packed)
        lines[...] = np.frombuffer(raw, "<f4").reshape(lines.shape)
    return {name: image[:, index] for index, name in enumerate(names)}


def _header(data: bytes) -> tuple[dict[str, bytes], int]:
    header, at = {}, 8
    while data[at]:
        name, _kind, rest = data[at : at + 600].split(b"\0", 2)
        at += len(name) + len(_kind) + 2
        (size,) = struct.unpack_from("<i", rest)
        header[name.decode()] = data[at + 4 : at + 4 + size]
        at += 4 + size
    return header, at + 1


def _names(listed: bytes) -> list[str]:
    names = []
    while listed[0]:
        name, rest = listed.split(b"\0", 1)
        assert struct.unpack_from("<i", rest)[0] == _FLOAT, name
        names.append(name.decode())
        listed = rest[16:]
    return names


def _unzip(packed: bytes) -> bytes:
    """Inflate, then undo the differences of bytes and the halves' interleaving."""
    coded = np.frombuffer(zlib.decompress(packed), np.uint8).astype(np.int64)
    coded[1:] -= 128
    plain = np.cumsum(coded).astype(np.uint8)
    half = (len(plain) + 1) // 2
    mixed = np.empty_like(plain)
    mixed[0::2], mixed[1::2] = plain[:half], plain[half:]
    return mixed.tobytes()
