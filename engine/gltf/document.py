# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON and the buffers of a glTF file; every size is checked before it is allocated."""

from __future__ import annotations

import base64
import binascii
import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from engine.core.checks import shown
from engine.core.errors import BadInputError, GaussianSpeechError
from engine.core.json_values import MAX_BYTES as MAX_JSON
from engine.core.json_values import JsonObject, parse_json

MAX_FILE = 1 << 30
"""Bytes of a file or a buffer; characters with 4K textures reach 200 MB."""
MAX_DECODED = 2 << 30
"""Bytes that all that is read from a file may take together."""

GLTF_SUFFIXES = frozenset({".glb", ".gltf", ".vrm"})
"""Kinds of files that are glTF."""
MAGIC = b"glTF"
JSON_CHUNK, BINARY_CHUNK = b"JSON", b"BIN\0"
REMEDY = "Export it again, as glTF 2.0 (.glb)."


@dataclass(eq=False)
class Document:
    """A glTF file.

    Attributes:
        path: where it lies; relative names in it start from there.
        json: its JSON, unchecked.
        binary: the BIN chunk of a GLB with its padding; empty in a .gltf.
        is_glb: whether it is one file of JSON and BIN chunk.
        rest: the chunks of a GLB after those, which are other programs'.
    """

    path: Path
    json: dict[str, Any]
    binary: bytes
    is_glb: bool
    rest: bytes = b""
    views: dict[int, bytes] = field(default_factory=dict, repr=False)
    _lists: dict[str, list[JsonObject]] = field(default_factory=dict, repr=False)
    _buffers: dict[int, bytes] = field(default_factory=dict, repr=False)
    _decoded: int = 0

    @property
    def root(self) -> JsonObject:
        """The JSON, read by name and type."""
        return JsonObject(self.json, str(self.path), REMEDY)

    def items(self, kind: str) -> list[JsonObject]:
        """A list of the root such as ``"meshes"``; empty where it is missing."""
        if kind not in self._lists:
            root = self.root
            self._lists[kind] = root.groups(kind) if kind in root else []
        return self._lists[kind]

    def item(self, kind: str, index: int) -> JsonObject:
        """One entry of a list of the root.

        Raises:
            BadInputError: there is no such entry.
        """
        entries = self.items(kind)
        if not 0 <= index < len(entries):
            raise self.wrong(f"it has no {index} among its {len(entries)} {kind}")
        return entries[index]

    def claim(self, size: int) -> None:
        """Ask for memory before it is allocated.

        Raises:
            BadInputError: the file asks for more than any character takes.
        """
        self._decoded += size
        if self._decoded > MAX_DECODED:
            raise self.wrong(f"it unpacks to more than {MAX_DECODED >> 30} GB")

    def buffer(self, index: int) -> bytes:
        """The bytes of a buffer: the BIN chunk, inside the JSON, or a file beside.

        Raises:
            BadInputError: missing, shorter than it says, or outside the file's folder.
        """
        if index not in self._buffers:
            entry = self.item("buffers", index)
            length = entry.whole("byteLength", high=MAX_FILE)
            data = self._buffer_data(index, entry.text("uri", None))
            if len(data) < length:
                raise self.wrong(f"buffer {index} has {len(data)} bytes and should have {length}")
            self._buffers[index] = data[:length]
        return self._buffers[index]

    def _buffer_data(self, index: int, uri: str | None) -> bytes:
        if uri is None:
            if not (self.is_glb and index == 0):
                raise self.wrong(f"buffer {index} has no bytes")
            return self.binary
        if uri.startswith("data:"):
            return self._decode_uri(uri)
        file = self.beside(uri)
        try:
            size = file.stat().st_size
            if not file.is_file() or size > MAX_FILE:
                raise self.wrong(f"the buffer {shown(uri)} is no file of at most 1 GB")
            self.claim(size)
            return file.read_bytes()
        except OSError as error:
            raise BadInputError(
                f"{self.path}: the buffer {shown(uri)} cannot be read: {error.strerror}.",
                "Put the files that belong to a .gltf beside it, or export a .glb.",
            ) from error

    def _decode_uri(self, uri: str) -> bytes:
        head, comma, text = uri.partition(",")
        if not comma or not head.endswith(";base64"):
            raise self.wrong("a buffer inside it is not base64")
        self.claim(len(text))
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise self.wrong(f"a buffer inside it is damaged: {error}") from error

    def beside(self, uri: str) -> Path:
        """The file that a relative name means.

        Raises:
            BadInputError: it leads out of the folder, or elsewhere than to a file.
        """
        parts = urlsplit(uri)
        name = PurePosixPath(unquote(parts.path))
        # Windows takes a backslash for a separator, and a colon for a drive or a stream.
        foreign = parts.scheme or parts.netloc or "\\" in str(name) or ":" in str(name)
        if foreign or name.is_absolute() or ".." in name.parts:
            raise self.wrong(f"it refers to {shown(uri)}, which does not lie beside it")
        return self.path.parent / name

    def wrong(self, what: str, hint: str = REMEDY) -> BadInputError:
        """The error that something in the file is not as it must be."""
        return BadInputError(f"{self.path}: {what}.", hint)


@contextlib.contextmanager
def damage_named(document: Document) -> Iterator[None]:
    """Turn whatever reading a malformed file runs into into an error that names the file."""
    try:
        yield
    except GaussianSpeechError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise document.wrong(f"it is damaged: {str(error)[:120]}") from error


def read_document(path: str | Path) -> Document:
    """Read a .glb, .vrm or .gltf file; buffers beside it are read when they are needed.

    Raises:
        BadInputError: no such file, not glTF 2.0, truncated, or too large.
    """
    path = Path(path)
    data = _bytes(path)
    text, binary, rest = _chunks(path, data) if data[:4] == MAGIC else (data, b"", b"")
    if len(text) > MAX_JSON:
        raise BadInputError(f"{path}: its JSON is larger than {MAX_JSON >> 20} MB.", REMEDY)
    try:
        values = parse_json(text.decode("utf-8-sig"))
    except ValueError as error:
        raise BadInputError(
            f"{path} cannot be read as glTF: {str(error)[:120]}.", REMEDY
        ) from error
    values = dict(JsonObject(values, str(path), REMEDY).values)
    document = Document(path, values, binary, data[:4] == MAGIC, rest)
    version = document.root.group("asset").text("version")
    if not version.startswith("2."):
        raise document.wrong(f"it is glTF {shown(version)}, not 2.0")
    return document


def _bytes(path: Path) -> bytes:
    if not path.is_file():
        raise BadInputError(f"There is no file {path}.", "Check the path.")
    size = path.stat().st_size
    if size > MAX_FILE:
        raise BadInputError(f"{path} is larger than {MAX_FILE >> 30} GB.", "Use smaller textures.")
    return path.read_bytes()


def _chunks(path: Path, data: bytes) -> tuple[bytes, bytes, bytes]:
    """JSON, BIN chunk and what comes after them in a GLB."""

    def wrong(what: str) -> BadInputError:
        return BadInputError(f"{path} cannot be read as GLB: {what}.", REMEDY)

    if len(data) < 20:
        raise wrong("it is cut off")
    version, length = struct.unpack_from("<II", data, 4)
    if version != 2:
        raise wrong(f"it is of version {version}, not 2")
    if length > len(data):
        raise wrong(f"it is cut off: {len(data)} of {length} bytes are there")
    found: list[tuple[bytes, bytes]] = []
    at = 12
    while at + 8 <= length and len(found) < 2:
        size, kind = struct.unpack_from("<I4s", data, at)
        if size > length - at - 8 or (found and kind != BINARY_CHUNK):
            break
        found.append((kind, data[at + 8 : at + 8 + size]))
        at += 8 + size
    if not found or found[0][0] != JSON_CHUNK:
        raise wrong("it does not begin with JSON")
    return found[0][1], found[1][1] if len(found) > 1 else b"", data[at:length]
