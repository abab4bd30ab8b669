# SPDX-License-Identifier: GPL-3.0-or-later
"""Damage that knows the format: what is inside changes, and lengths and checksums still hold."""

from __future__ import annotations

import copy
import io
import json
import random
import re
import struct
import zipfile
from collections.abc import Callable
from typing import Any

from tests.fuzz.damage import damage

VALUES = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    3,
    0.5,
    -0.0,
    1e-320,
    1e30,
    1e39,
    -1e300,
    2**31,
    2**32,
    2**53,
    2**62,
    -(2**63),
    10**30,
    10**310,
    float("inf"),
    float("-inf"),
    float("nan"),
    "",
    "x",
    "\0",
    "../../x",
    "/etc/passwd",
    "a" * 5000,
    "\ud800",
    "é" * 70,
    "\n\n",
    "nan",
    "1",
    [],
    {},
    [[]],
    [0],
    [None],
    ["x"],
    {"x": 1},
    [1.5] * 40,
    [[0.0] * 4] * 4,
)
"""Values of JSON, and some that are none."""


def other_tree(tree: Any, rng: random.Random) -> Any:
    """A JSON tree with one value, key or item changed, lost or repeated."""
    places = list(_places(tree))
    if not places:
        return rng.choice(VALUES)
    owner, key = rng.choice(places)
    choice = rng.randrange(8)
    if choice == 0:
        del owner[key]
    elif choice == 1 and isinstance(owner, list):
        owner.insert(key, copy.deepcopy(owner[rng.randrange(len(owner))]))
    elif choice == 1:
        owner[rng.choice(("x", "", "a" * 400, "\0", f"{key}2"))] = copy.deepcopy(owner[key])
    elif choice == 2:
        other, name = rng.choice(places)
        owner[key] = json.loads(json.dumps(other[name]))
    elif choice == 3 and isinstance(owner[key], int | float):
        owner[key] = rng.choice((-owner[key], owner[key] + 1, owner[key] - 1, 2 * owner[key]))
    elif choice == 4 and isinstance(owner, list):
        owner += [copy.deepcopy(owner[key])] * rng.choice((1, 20, 1000 if len(places) < 500 else 1))
    else:
        owner[key] = copy.deepcopy(rng.choice(VALUES))
    return tree


def _places(tree: Any) -> Any:
    stack = [tree]
    while stack:
        owner = stack.pop()
        keys = owner if isinstance(owner, dict) else range(len(owner))
        for key in list(keys):
            yield owner, key
            if isinstance(owner[key], dict | list):
                stack.append(owner[key])


def damage_json(data: bytes, rng: random.Random) -> bytes:
    """Damage to JSON: mostly one to three values of the tree."""
    if rng.random() < 0.25:
        return damage(data, rng)
    tree = json.loads(data)
    for _ in range(rng.randint(1, 3)):
        if isinstance(tree, dict | list):
            tree = other_tree(tree, rng)
    return json.dumps(tree).encode("utf-8", "surrogatepass")


def damage_lines(data: bytes, rng: random.Random) -> bytes:
    """Damage to text of lines: lines that are lost, repeated or exchanged, and other words."""
    if rng.random() < 0.4:
        return damage(data, rng)
    lines = data.splitlines(keepends=True)
    for _ in range(rng.randint(1, 4)):
        at, other = (rng.randrange(len(lines)) for _ in range(2)) if lines else (0, 0)
        match rng.randrange(5):
            case 0 if lines:
                del lines[at]
            case 1 if lines:
                lines[at:at] = [lines[other]] * rng.choice((1, 1, 2, 300))
            case 2 if lines:
                lines[at], lines[other] = lines[other], lines[at]
            case 3 if lines:
                lines[at] = lines[at].strip() + lines[other]
            case _ if lines:
                words = re.split(rb"(\W+)", lines[at])
                words[rng.randrange(len(words))] = rng.choice(_WORDS)
                lines[at] = b"".join(words)
    return b"".join(lines)


_WORDS = (
    b"",
    b"-1",
    b"0",
    b"1e400",
    b"nan",
    b"inf",
    b"9" * 30,
    b"9" * 5000,
    b"0.5",
    b"\xff\xfe",
    b"\0",
    b"\xef\xbb\xbf",
    b"x" * 3000,
    b"'",
    b'"',
    b"..",
    b"/",
    b"1e-400",
    b"0x10",
    b"\xe2\x80\xa8",
    b"-",
    b"4294967296",
    b"1_0",
    b"\xd9\xa3",
)


def damage_npz(data: bytes, rng: random.Random) -> bytes:
    """Damage to the arrays of an npz, whose checksums hold; at times to the file itself."""
    if rng.random() < 0.2:
        return damage(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for _ in range(rng.randint(1, 3)):
        name = rng.choice(list(members))
        match rng.randrange(10):
            case 0 if len(members) > 1:
                del members[name]
            case 1:
                members[rng.choice(list(members))] = members[name]
            case 2:
                members[rng.choice(("x.npy", "../x.npy", "/x.npy", "a/b/c.npy", "x", "é.npy"))] = (
                    members[name]
                )
            case _:
                members[name] = _other_array(members[name], rng)
    out = io.BytesIO()
    kind = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(out, "w", kind, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


_TYPES = (
    "<f8",
    "<f4",
    "<f2",
    ">f4",
    "<i4",
    "<i8",
    "|u1",
    "|b1",
    "<c16",
    "<U4",
    "|S3",
    "|O",
    "<M8[s]",
    "|V4",
    "<f16",
    "<U0",
    "<U99999999",
)


def _other_array(data: bytes, rng: random.Random) -> bytes:
    """A member: its header, shape or values changed."""
    (length,) = struct.unpack("<H", data[8:10])
    header, body = data[10 : 10 + length], data[10 + length :]
    match rng.randrange(6):
        case 0:
            header = damage(header, rng)
        case 1:
            header = re.sub(rb"'[<>|=][^']*'", f"'{rng.choice(_TYPES)}'".encode(), header)
        case 2:
            header, body = _other_shape(header, body, rng)
        case 3:
            header = header.replace(b"False", b"True")
        case 4 if body:
            at = rng.randrange(0, len(body), 4)
            number = struct.pack(
                "<f", rng.choice((0.0, -1.0, 1e30, 3e38, float("nan"), float("inf"), 1e-40))
            )
            value = rng.choice((number, struct.pack("<i", rng.choice((-1, 2**31 - 1, 4, 300)))))
            body = body[:at] + value + body[at + 4 :]
        case _:
            body = _other_text(body, rng) if body[:4].isascii() else damage(body, rng)
    header = header[:65535]
    return data[:8] + struct.pack("<H", len(header)) + header + body


def _other_shape(header: bytes, body: bytes, rng: random.Random) -> tuple[bytes, bytes]:
    """Another shape, at times with as many values as it says, which may be very many zeros."""
    found = re.search(rb"\(([\d, ]*)\)", header)
    item = re.search(rb"'[<>|=][a-zA-Z](\d+)", header)
    if not found or not item:
        return header, body
    shape = [int(part) for part in found[1].split(b",") if part.strip()]
    sizes = (0, 1, 2, 3, 5, 7, 100, 5000, 10**6, 2**31, 2**62, 10**30)
    match rng.randrange(4):
        case 0 if shape:
            shape[rng.randrange(len(shape))] = rng.choice(sizes)
        case 1:
            shape.insert(rng.randint(0, len(shape)), rng.choice((0, 1, 2, 3)))
        case 2 if shape:
            del shape[rng.randrange(len(shape))]
        case _ if shape:
            at = rng.randrange(len(shape))
            shape[at] = rng.choice((0, 1, 2, shape[at] + 1, 1000))
    count = int(item[1])
    for size in shape:
        count *= size
    if 0 <= count <= 1 << 22 and rng.random() < 0.7:
        body = body[:count] + bytes(max(count - len(body), 0))
    text = "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
    return header[: found.start()] + text.encode() + header[found.end() :], body


def _other_text(body: bytes, rng: random.Random) -> bytes:
    """JSON in a uint8 array or a text of four bytes a letter; anything else is damaged."""
    try:
        return damage_json(body, rng)
    except ValueError:
        pass
    try:
        text = body.decode("utf-32-le")
        return damage_json(text.encode(), rng).decode("utf-8", "replace").encode("utf-32-le")
    except ValueError:
        return damage(body, rng)


def damage_tensors(data: bytes, rng: random.Random) -> bytes:
    """Damage to a safetensors file: its header, the JSON in its metadata, or its numbers."""
    if rng.random() < 0.15:
        return damage(data, rng)
    (length,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    match rng.randrange(5):
        case 0:
            header = other_tree(header, rng)
        case 1 | 2:
            metadata = header["__metadata__"]
            key = rng.choice(list(metadata))
            metadata[key] = damage_json(metadata[key].encode(), rng).decode("utf-8", "replace")
        case 3:
            entry = header[rng.choice([name for name in header if name != "__metadata__"])]
            _other_tensor(entry, rng)
        case _:
            at = rng.randrange(0, max(len(body), 4), 4)
            number = rng.choice((float("nan"), float("inf"), 3e38, -3e38, 1e-40, 1e30, -1.0))
            body = body[:at] + struct.pack("<f", number) + body[at + 4 :]
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(text)) + text + body


def _other_tensor(entry: dict[str, Any], rng: random.Random) -> None:
    match rng.randrange(3):
        case 0:
            entry["dtype"] = rng.choice(
                ("F16", "BF16", "F64", "I32", "I64", "U8", "BOOL", "F8_E4M3", 5)
            )
        case 1:
            rng.shuffle(entry["shape"])
        case 2:
            entry["shape"] = rng.choice(([], [0], [1], [2**62, 0], [-1], [1e999], [0, 2**40]))
            entry["data_offsets"] = [0, 0] if 0 in entry["shape"] else entry["data_offsets"]


def damage_glb(data: bytes, rng: random.Random) -> bytes:
    """Damage to the JSON or the numbers of a GLB, whose lengths hold."""
    if rng.random() < 0.15:
        return damage(data, rng)
    (size,) = struct.unpack_from("<I", data, 12)
    text, rest = data[20 : 20 + size], data[20 + size :]
    if rng.random() < 0.8:
        text = damage_json(text, rng)
        text += b" " * (-len(text) % 4)
    else:
        rest = rest[:8] + damage(rest[8:], rng)
        rest = struct.pack("<I", len(rest) - 8) + rest[4:]
    total = 20 + len(text) + len(rest)
    return struct.pack("<4sIII4s", b"glTF", 2, total, len(text), b"JSON") + text + rest


def damage_header(marks: tuple[bytes, ...]) -> Callable[[bytes, random.Random], bytes]:
    """Damage mostly to the text at a file's start, which ends with one of the marks."""

    def mutate(data: bytes, rng: random.Random) -> bytes:
        mark = next((mark for mark in marks if mark in data), None)
        if mark is None or rng.random() < 0.3:
            return damage(data, rng)
        end = data.index(mark) + len(mark)
        return damage_lines(data[:end], rng) + data[end:]

    return mutate


def damage_sound(data: bytes, rng: random.Random) -> bytes:
    """Damage that falls onto a sound file's first kilobyte more often than onto the samples."""
    if rng.random() < 0.4:
        return damage(data, rng)
    end = rng.choice((48, 200, 1000, 4000))
    return damage(data[:end], rng) + data[end:]
