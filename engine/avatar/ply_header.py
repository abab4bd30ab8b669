# SPDX-License-Identifier: GPL-3.0-or-later
"""Headers of PLY files (Turk 1994), read without trust: checked against the file's size first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from engine.core.errors import BadInputError

MAX_HEADER = 65536
"""Bytes; that of a 3D Gaussian Splatting scene has about 1,500."""
MAX_PROPERTIES = 512
MAX_VERTICES = 20_000_000
"""Splats; a head has 100,000, the largest published outdoor scenes about 6,000,000."""

_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">"}
_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1",
    "short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2",
    "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
"""The scalar types of PLY and their later names, as numpy's."""


@dataclass(frozen=True, eq=False)
class PlyHeader:
    """What a file with the one element ``vertex`` says of itself.

    Attributes:
        count: vertices.
        dtype: one vertex as it lies in the file.
        offset: bytes of the header; the vertices follow to the end of the file.
        comments: texts of the comment lines.
    """

    count: int
    dtype: np.dtype[np.void]
    offset: int
    comments: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The properties in their order."""
        return self.dtype.names or ()


def read_header(path: str | Path) -> PlyHeader:
    """Read and check a header; nothing is allocated by what it claims.

    Args:
        path: a binary PLY file of either byte order whose only element is ``vertex``, of scalars.

    Raises:
        BadInputError: no such file, another kind of PLY, a damaged header, or vertices that do not
            fill the file exactly.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            lines, offset = _lines(stream, path)
            size = stream.seek(0, 2)
    except OSError as error:
        raise BadInputError(
            f"{path} cannot be read: {error.strerror}.", "Check the path."
        ) from error
    header = _parsed(lines, offset, path)
    expected = offset + header.count * header.dtype.itemsize
    if size != expected:
        what = "truncated" if size < expected else "longer than it says"
        raise BadInputError(
            f"{path} is {what}: {header.count:,} vertices take {expected:,} bytes, "
            f"the file has {size:,}.",
            "Copy or export it again.",
        )
    return header


def _lines(stream: BinaryIO, path: Path) -> tuple[list[list[str]], int]:
    """The header's lines in words, and its length in bytes."""
    data = stream.read(MAX_HEADER)
    if not data.startswith((b"ply\n", b"ply\r\n")):
        raise BadInputError(f"{path} is not a PLY file.", "Choose a point_cloud.ply.")
    lines: list[list[str]] = []
    start = 0
    while (end := data.find(b"\n", start)) >= 0:
        text = data[start:end].decode("ascii", "replace").strip()
        start = end + 1
        if text == "end_header":
            return lines[1:], start
        lines.append(text.split())
    raise _damaged(path, f"it does not end within {MAX_HEADER:,} bytes")


def _parsed(lines: list[list[str]], offset: int, path: Path) -> PlyHeader:
    comments = tuple(" ".join(words[1:]) for words in lines if words[:1] == ["comment"])
    statements = [words for words in lines if words and words[0] not in {"comment", "obj_info"}]
    match statements[:2]:
        case [["format", kind, "1.0"], ["element", "vertex", number]]:
            order, count = _order(kind, path), _count(number, path)
        case _:
            raise _damaged(path, "it does not start with a format 1.0 and the element vertex")
    properties: dict[str, str] = {}
    for words in statements[2:]:
        match words:
            case ["property", kind, name] if kind in _TYPES:
                if name in properties or len(properties) == MAX_PROPERTIES:
                    raise _damaged(path, f"property {name[:40]!r} is repeated or one too many")
                properties[name] = order + _TYPES[kind]
            case ["property", "list", *_]:
                raise _damaged(path, "lists have no place among splats; this may be a mesh")
            case _:
                raise _damaged(path, f"{' '.join(words)[:60]!r} is not expected there")
    if not properties:
        raise _damaged(path, "its vertices have no properties")
    return PlyHeader(count, np.dtype(list(properties.items())), offset, comments)


def _order(kind: str, path: Path) -> str:
    if kind == "ascii":
        raise BadInputError(f"{path} is an ASCII PLY file.", "Save it as a binary PLY.")
    if kind not in _ORDERS:
        raise _damaged(path, f"{kind[:40]!r} is not a format of PLY")
    return _ORDERS[kind]


def _count(number: str, path: Path) -> int:
    # int() would also take "1_000", "+1" and other scripts' digits, and thousands of digits slowly.
    if not (number.isascii() and number.isdecimal() and len(number) <= 12):
        raise _damaged(path, f"{number[:40]!r} is not a number of vertices")
    if int(number) > MAX_VERTICES:
        raise BadInputError(
            f"{path} claims {int(number):,} vertices; up to {MAX_VERTICES:,} are read.",
            "Choose the splats of a head.",
        )
    return int(number)


def _damaged(path: Path, why: str) -> BadInputError:
    return BadInputError(f"The header of {path} cannot be used: {why}.", "Export the file again.")
