# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading ``.npz`` and ``.npy`` files from anywhere: every size is checked before it is allocated.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. :func:`numpy.load`
allocates what a header claims, and lets the exceptions of five libraries through.
"""

from __future__ import annotations

import ast
import contextlib
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from .checks import check_range, shown
from .errors import BadInputError

MAX_BYTES = 4 << 30
"""What the arrays of a file may take together, whatever its size."""
ALWAYS_BYTES = 64 << 20
"""What any file may unpack to."""
MAX_RATIO = 100
"""What a larger file may unpack to, in its own size; ours reach 20."""

_MAX_HEADER = 4096
_DTYPE = re.compile(r"[<>=|]?(b1|[iufc]\d{1,2}|[SU]\d{1,8})")
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1
_CHUNK = 1 << 20
_LAST_CHARACTER = 0x10FFFF
_SURROGATES = 0xD800 >> 11
_MAX_EMPTY = 1 << 20
"""Product of the other extents of an array without values: a loop over them must end."""


def read_npz(
    path: str | Path, *, limit: int, hint: str, names: Collection[str] | None = None
) -> dict[str, NDArray[Any]]:
    """The arrays of an npz file.

    Args:
        path: the file.
        limit: most bytes that all arrays read may have together.
        hint: of the error.
        names: the arrays to read, if the file has them; others are not looked at. All by default.

    Returns:
        Arrays of numbers, booleans or text by name.

    Raises:
        BadInputError: no such file, not an npz, truncated, damaged, over the limit, or an array of
            anything else (objects, structures, dates); the message names the file.
    """
    with _archive(Path(path), hint) as archive:
        return _members(archive, limit, names)


def npz_names(path: str | Path, *, hint: str) -> tuple[str, ...]:
    """The names of the arrays of an npz file, of which nothing is read.

    Raises:
        BadInputError: no such file, or not an npz; the message names the file.
    """
    with _archive(Path(path), hint) as archive:
        return tuple(name.removesuffix(".npy") for name in archive.namelist())


@contextlib.contextmanager
def _archive(path: Path, hint: str) -> Iterator[zipfile.ZipFile]:
    with _readable(path, hint), zipfile.ZipFile(path) as archive:
        yield archive


@contextlib.contextmanager
def _readable(path: Path, hint: str) -> Iterator[None]:
    """What reading may raise, as one kind of error."""
    if not path.is_file():
        raise BadInputError(f"There is no file {path}.", "Check the path.")
    try:
        yield
    except (
        OSError,
        ValueError,
        EOFError,
        KeyError,
        IndexError,
        OverflowError,
        NotImplementedError,
        RuntimeError,
        struct.error,
        zlib.error,
        zipfile.BadZipFile,
    ) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadInputError(f"{path} cannot be read: {reason[:120]}.", hint) from error


def _members(
    archive: zipfile.ZipFile, limit: int, names: Collection[str] | None
) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if names is not None and name not in names:
            continue
        if name in arrays:
            raise ValueError("it holds two arrays of one name")
        limit -= member.file_size
        if limit < 0:
            raise ValueError("it unpacks to more than such a file may have")
        # numpy writes no others, and those of LZMA may ask for gigabytes to unpack.
        if member.compress_type not in _COMPRESSIONS or member.flag_bits & _ENCRYPTED:
            raise ValueError("it is compressed as no npz is")
        with archive.open(member) as stream:
            arrays[name] = _array(stream, member.file_size)
    return arrays


def _array(stream: IO[bytes], size: int) -> NDArray[Any]:
    """The array of a member of ``size`` bytes."""
    magic = stream.read(8)
    if magic[:6] != b"\x93NUMPY" or magic[6:] not in (b"\1\0", b"\2\0", b"\3\0"):
        raise ValueError("a member is no array")
    form = "<H" if magic[6:] == b"\1\0" else "<I"
    (length,) = struct.unpack(form, stream.read(struct.calcsize(form)))
    if length > _MAX_HEADER:
        raise ValueError("an array has a header of thousands of letters")
    dtype, shape, order = _header(stream.read(length))
    left = size - 8 - struct.calcsize(form) - length
    if not dtype.itemsize or math.prod(shape) * dtype.itemsize != left:
        raise ValueError(f"an array of {dtype} and {len(shape)} dimensions has {left} bytes")
    if not left and math.prod(extent or 1 for extent in shape) > _MAX_EMPTY:
        raise ValueError("an array without values has no valid shape")
    data = np.empty(left, np.uint8)
    filled = 0
    while chunk := stream.read(_CHUNK):
        data[filled : filled + len(chunk)] = np.frombuffer(chunk, np.uint8)
        filled += len(chunk)
    if filled != left:
        raise ValueError("it ends in the middle")
    if dtype.kind == "U":
        points = data.view(f"{dtype.str[0]}u4")
        if ((points > _LAST_CHARACTER) | (points >> 11 == _SURROGATES)).any():
            raise ValueError("an array holds what is no text")
    return data.view(dtype).reshape(shape, order=order)


def _header(text: bytes) -> tuple[np.dtype[Any], tuple[int, ...], Any]:
    """Type, shape and order; the header is a literal dictionary of Python 2 or 3."""
    try:
        header = ast.literal_eval(re.sub(rb"(?<=\d)L(?=[,)])", b"", text).decode("latin-1").strip())
        code, shape, fortran = (header[key] for key in ("descr", "shape", "fortran_order"))
    except (SyntaxError, TypeError, MemoryError, RecursionError, KeyError) as error:
        raise ValueError("an array has a damaged header") from error
    if not isinstance(code, str) or not _DTYPE.fullmatch(code):
        raise ValueError("an array holds other than numbers or text")
    if (
        not isinstance(shape, tuple)
        or len(shape) > 16
        or not all(type(extent) is int and 0 <= extent < 1 << 40 for extent in shape)
    ):
        raise ValueError("an array has no valid shape")
    try:
        return np.dtype(code), shape, "F" if fortran else "C"
    except TypeError as error:
        raise ValueError("an array has an unknown type") from error


def open_npz(path: str | Path, hint: str = "", names: Collection[str] | None = None) -> NpzFile:
    """The arrays of an npz file, to be read by name, kind and shape.

    What is read may unpack to :data:`ALWAYS_BYTES`, or to :data:`MAX_RATIO` times the file where
    that is more, and never to more than :data:`MAX_BYTES`.

    Args:
        path: the file.
        hint: of every error about its content.
        names: the arrays to read, if the file has them; all by default.

    Raises:
        BadInputError: as :func:`read_npz`.
    """
    return NpzFile(path, read_npz(path, limit=size_limit(path), hint=hint, names=names), hint)


def open_npy(path: str | Path, name: str, hint: str = "") -> NpzFile:
    """The one array of an npy file, under a name for messages.

    Args:
        path: the file.
        name: the array's.
        hint: of every error about its content.

    Raises:
        BadInputError: no such file, not an npy, truncated, damaged, or no numbers or text.
    """
    path = Path(path)
    with _readable(path, hint), path.open("rb") as stream:
        return NpzFile(path, {name: _array(stream, path.stat().st_size)}, hint)


def npz_member(name: str) -> zipfile.ZipInfo:
    """The entry of an array that is written: of a fixed date, so that files repeat byte by byte."""
    member = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
    member.compress_type = zipfile.ZIP_DEFLATED
    # The quickest level: an hour of speech has gigabytes of offsets.
    member._compresslevel = 1  # type: ignore[attr-defined]  # noqa: SLF001 - public from 3.13 on.
    return member


def size_limit(path: str | Path) -> int:
    """Bytes that the arrays of a file may unpack to; see :func:`open_npz`.

    Raises:
        BadInputError: no such file.
    """
    try:
        size = Path(path).stat().st_size
    except (OSError, ValueError) as error:
        raise BadInputError(f"There is no file {path}.", "Check the path.") from error
    return min(max(ALWAYS_BYTES, MAX_RATIO * size), MAX_BYTES)


def holds_only_zeros(path: str | Path, name: str) -> bool:
    """Whether an array is absent or holds nothing but zeros, without keeping it in memory.

    A thousand frames of zeros are 60 kB in the file and 60 MB when they are unpacked.

    Raises:
        BadInputError: no such file, or not an npz.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if m.filename == f"{name}.npy"]
            if not members:
                return True
            if len(members) > 1 or members[0].compress_type not in _COMPRESSIONS:
                return False
            with archive.open(members[0]) as stream:
                # The header is text, and ends at its newline.
                start = stream.read(_MAX_HEADER)
                chunk = start[start.find(b"\n") + 1 :]
                while chunk and not chunk.strip(b"\0"):
                    chunk = stream.read(_CHUNK)
                return not chunk
    # zipfile and zlib raise exceptions of many kinds.
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        raise BadInputError(f"{path} cannot be read: {reason}.", "Copy it again.") from error


class NpzFile:
    """The arrays of a file by name, in native byte order; every access names what is wrong.

    Args:
        path: for messages.
        arrays: by name.
        hint: of every error.
    """

    def __init__(
        self, path: str | Path, arrays: Mapping[str, NDArray[Any]], hint: str = ""
    ) -> None:
        self.path = path
        self._arrays = arrays
        self._hint = hint

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The array as it is in the file.

        Raises:
            BadInputError: there is none of that name.
        """
        if name not in self._arrays:
            raise self.wrong(f"it has no array {name!r}")
        return self._arrays[name]

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def names(self) -> tuple[str, ...]:
        """Of the arrays that were read, in the file's order."""
        return tuple(self._arrays)

    def numbers(
        self,
        name: str,
        shape: tuple[int | None, ...],
        dtype: type[np.generic] = np.float32,
    ) -> NDArray[Any]:
        """Finite numbers.

        Args:
            name: of the array.
            shape: expected sizes; ``None`` for any.
            dtype: converted to it; whole numbers must fit into a whole type.

        Raises:
            BadInputError: missing, of another shape or kind, NaN, infinite, or too large.
        """
        array = self[name]
        fits = array.ndim == len(shape) and all(
            wanted in (None, size) for wanted, size in zip(shape, array.shape, strict=True)
        )
        if not fits or array.dtype.kind not in ("iuf" if issubclass(dtype, np.floating) else "iu"):
            expected = ", ".join("any" if size is None else f"{size}" for size in shape)
            raise self.wrong(
                f"{name!r} is {array.dtype} of shape {shown(array.shape)}, not numbers of shape "
                f"({expected})"
            )
        if array.dtype.kind in "iu" and not issubclass(dtype, np.floating):
            limits: Any = np.iinfo(cast("Any", dtype))
            if array.size and not limits.min <= int(array.min()) <= int(array.max()) <= limits.max:
                raise self.wrong(f"{name!r} holds numbers that are too large")
            return array.astype(dtype, copy=False)
        with np.errstate(over="ignore"):
            converted = array.astype(dtype, copy=False)
        if not np.isfinite(converted).all():
            first = np.argwhere(~np.isfinite(converted))[0].tolist()
            raise self.wrong(f"{name!r} holds NaN or infinite values, first at {first}")
        return converted

    def array(self, name: str) -> NDArray[np.float32]:
        """Numbers of any shape as float32, finite or not: for who says which are not.

        Raises:
            BadInputError: missing, or of another kind.
        """
        value = self[name]
        if value.dtype.kind not in "iuf":
            raise self.wrong(f"{name!r} is {value.dtype}, not numbers")
        with np.errstate(over="ignore"):
            return value.astype(np.float32, copy=False)

    def number(self, name: str, low: float = -math.inf, high: float = math.inf) -> float:
        """One finite number within ``[low, high]``.

        Raises:
            BadInputError: missing, another kind or shape, or outside the range.
        """
        value = self[name]
        if value.shape != () or value.dtype.kind not in "iuf":
            raise self.wrong(f"{name!r} is {value.dtype} of shape {shown(value.shape)}, no number")
        return check_range(f"{self.path}: {name!r}", value.item(), low, high, self._hint)

    def text(self, name: str) -> str:
        """One text.

        Raises:
            BadInputError: missing, or another kind or shape.
        """
        value = self[name]
        if value.shape != () or value.dtype.kind != "U":
            raise self.wrong(f"{name!r} is {value.dtype} of shape {shown(value.shape)}, no text")
        return str(value)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts.

        Raises:
            BadInputError: missing, or another kind or shape.
        """
        value = self[name]
        # numpy gives an empty list of names the type of numbers.
        if value.ndim != 1 or (value.dtype.kind != "U" and value.size):
            raise self.wrong(f"{name!r} is {value.dtype} of shape {shown(value.shape)}, no texts")
        return tuple(map(str, value.tolist()))

    def wrong(self, what: str) -> BadInputError:
        """The error that the file's content is not as it must be."""
        return BadInputError(f"{self.path} cannot be used: {what}.", self._hint)
