# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading arrays out of a pickle that came from anywhere, running nothing that it names.

Python's own unpickler calls what a file tells it to call, and even with an allow-list in
``find_class`` a file can make it reserve gigabytes (memo indices, lengths) or hang (hashes of
nested tuples). Here a pickle is read as data by a small interpreter of its operations: a class or
function in the file becomes a :class:`Name`, a call becomes a :class:`Made` record of its name and
arguments, and nothing is ever imported or called. :func:`engine.heads.pickled_arrays.array` then
turns the records of numpy arrays, scipy sparse matrices and chumpy arrays into numpy arrays. chumpy
does not have to be installed (it does not import on current numpy).

Byte strings of Python 2 pickles are read as latin-1, as their authors load them.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.core.errors import BadInputError

MAX_BYTES = 1 << 30
"""Largest file read; the FLAME models have 50 to 110 MB."""

MAX_OPERATIONS = 1_000_000
"""Most pickle operations in a file; a FLAME model has a few thousand."""

_NUMPY = ("numpy.core", "numpy._core")
_ALLOWED: dict[tuple[str, str], str] = {
    **{(f"{base}.multiarray", "_reconstruct"): "reconstruct" for base in _NUMPY},
    **{(f"{base}.multiarray", "scalar"): "scalar" for base in _NUMPY},
    **{(f"{base}.numeric", "_frombuffer"): "frombuffer" for base in _NUMPY},
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    **{
        (f"scipy.sparse{module}", f"{kind}_{form}"): kind
        for kind in ("csc", "csr")
        for form in ("matrix", "array")
        for module in ("", f".{kind}", f"._{kind}")
    },
    ("chumpy.ch", "Ch"): "chumpy",
    ("chumpy", "Ch"): "chumpy",
    ("chumpy.reordering", "Select"): "chumpy_select",
    ("chumpy.reordering", "Reshape"): "chumpy_reshape",
    ("chumpy.reordering", "transpose"): "chumpy_transpose",
    ("copy_reg", "_reconstructor"): "reconstructor",
    ("copyreg", "_reconstructor"): "reconstructor",
    ("_codecs", "encode"): "encode",
    **{
        (module, name): name
        for module in ("__builtin__", "builtins")
        for name in ("object", "set", "frozenset", "bytes", "bytearray")
    },
}
"""What a model file may name, and which record it becomes."""


class PickleError(Exception):
    """The bytes are not a pickle of arrays; callers add the file's name."""


@dataclass(frozen=True, slots=True)
class Name:
    """A class or function named in the file, allowed but never imported."""

    kind: str


@dataclass(slots=True, eq=False)
class Made:
    """A call the file asks for, recorded instead of made: ``kind(*args)``, then ``state``."""

    kind: str
    args: tuple[Any, ...]
    state: Any = None


def read_pickle(path: str | Path) -> dict[str, Any]:
    """The top-level dictionary of a pickle, with records in the place of objects.

    Args:
        path: a pickle of any protocol, from Python 2 or 3.

    Returns:
        The dictionary by its text keys; values are plain data and records for
        :func:`engine.heads.pickled_arrays.array`.

    Raises:
        BadInputError: no such file, too large, not a pickle, truncated, not a dictionary, or it
            names something that is not an array type. Nothing of the file has been run.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInputError(f"There is no file {path}.", "Check the path.")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise BadInputError(
            f"{path} has {size >> 20} MB, more than the {MAX_BYTES >> 20} MB a model may have.",
            "Choose the model file as it was downloaded.",
        )
    try:
        content = _Interpreter(path.read_bytes()).run()
    except PickleError as error:
        raise BadInputError(
            f"{path} cannot be read as a model pickle: {error}.",
            "Choose the model file as it was downloaded; nothing in this one was run.",
        ) from error
    if not isinstance(content, dict):
        raise BadInputError(
            f"{path} holds a {type(content).__name__}, not a dictionary of arrays.",
            "Choose the model file as it was downloaded.",
        )
    return {str(key): value for key, value in content.items()}


class _Interpreter:
    """The pickle machine: a stack, marks and a memo, on plain data and records only."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The value the pickle ends with."""
        for _ in range(MAX_OPERATIONS):
            code = self.take(1)
            if code == b".":
                return self.pop()
            operation = _OPERATIONS.get(code)
            if operation is None:
                raise PickleError(
                    f"it is not a pickle or holds the operation {code!r} no model has"
                )
            try:
                operation(self)
            except (ValueError, OverflowError, struct.error) as error:
                raise PickleError(f"it is damaged ({error})") from error
        raise PickleError(f"it has more than {MAX_OPERATIONS} operations")

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        end = self.at + count
        if count < 0 or end > len(self.data):
            raise PickleError("it ends in the middle")
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def line(self) -> bytes:
        """The bytes up to the next line feed."""
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise PickleError("it ends in the middle")
        taken = self.data[self.at : end]
        self.at = end + 1
        return taken

    def counted(self, form: str) -> bytes:
        """Bytes after their length, which is packed as ``form``."""
        (count,) = struct.unpack(form, self.take(struct.calcsize(form)))
        return self.take(count)

    def number(self, form: str) -> Any:
        """The next number, packed as ``form``."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def pop(self) -> Any:
        """Take the top of the stack, not past a mark."""
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise PickleError("it takes more values than it has")
        return self.stack.pop()

    def since_mark(self) -> list[Any]:
        """Take what was pushed since the last mark."""
        if not self.marks:
            raise PickleError("it takes more values than it has")
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def top(self, kind: type) -> Any:
        """The top of the stack, left there, checked for its type."""
        top = self.stack[-1] if self.stack else None
        if not isinstance(top, kind):
            raise PickleError(f"a {type(top).__name__} stands where a {kind.__name__} is expected")
        return top

    def fill(self, target: dict[Any, Any], pairs: list[Any]) -> None:
        """Set alternating keys and values."""
        if len(pairs) % 2:
            raise PickleError("a dictionary has a key without a value")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            # Other keys could be nested so that hashing them takes for ever.
            if type(key) not in (str, int, bytes):
                raise PickleError(f"a dictionary has a {type(key).__name__} as a key")
            target[key] = value

    def get(self, index: int) -> None:
        """Push a value of the memo."""
        if index not in self.memo:
            raise PickleError("it refers to a value that it does not have")
        self.push(self.memo[index])

    def put(self, index: int) -> None:
        """Remember the top of the stack; a dictionary, so that no index reserves memory."""
        value = self.pop()
        self.push(value)
        self.memo[index] = value

    def name(self, module: str, name: str) -> None:
        """Push the record of an allowed class or function."""
        kind = _ALLOWED.get((module, name))
        if kind is None:
            raise PickleError(f"it names {module}.{name}, which is no array")
        self.push(Name(kind))

    def call(self) -> None:
        """Push the record of a call or of a new object."""
        args, function = self.pop(), self.pop()
        if not isinstance(function, Name) or not isinstance(args, tuple):
            raise PickleError("it calls something that is no array type")
        if function.kind == "reconstructor":
            if not args or not isinstance(args[0], Name):
                raise PickleError("it calls something that is no array type")
            self.push(Made(args[0].kind, ()))
        else:
            self.push(Made(function.kind, args))

    def build(self) -> None:
        """Give a record the state of its object."""
        state = self.pop()
        self.top(Made).state = state

    def append(self, values: list[Any]) -> None:
        """Extend the list on the stack."""
        self.top(list).extend(values)

    def proto(self) -> None:
        """Check the protocol."""
        (version,) = self.take(1)
        if version > 5:
            raise PickleError(f"it has the pickle protocol {version}")

    def int_text(self) -> None:
        """Push an integer or boolean of protocol 0."""
        text = self.line()
        # Protocol 0 writes booleans as the integers 00 and 01.
        self.push({b"00": False, b"01": True}[text] if text in (b"00", b"01") else int(text))

    def string_text(self) -> None:
        """Push a quoted byte string of protocol 0."""
        quoted = self.line()
        if len(quoted) < 2 or quoted[:1] != quoted[-1:] or quoted[:1] not in (b"'", b'"'):
            raise PickleError("a text has no quotes")
        self.push(codecs.escape_decode(quoted[1:-1])[0].decode("latin-1"))

    def stack_global(self) -> None:
        """Push the record whose name lies on the stack."""
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise PickleError("it names something by other than text")
        self.name(module, name)

    def tuple(self, count: int) -> None:
        """Push the top ``count`` values as a tuple."""
        values = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(values)))

    def set_item(self) -> None:
        """Set one entry of a dictionary."""
        value, key = self.pop(), self.pop()
        self.fill(self.top(dict), [key, value])

    def new_dict(self) -> None:
        """Push a dictionary of what was pushed since the mark."""
        target: dict[Any, Any] = {}
        self.fill(target, self.since_mark())
        self.push(target)

    def append_one(self) -> None:
        """Append to the list on the stack."""
        value = self.pop()
        self.append([value])

    def set_items(self) -> None:
        """Set the entries pushed since the mark."""
        pairs = self.since_mark()
        self.fill(self.top(dict), pairs)

    def appends(self) -> None:
        """Append the values pushed since the mark."""
        values = self.since_mark()
        self.append(values)

    def pop_or_unmark(self) -> None:
        """Drop the top of the stack or a mark with nothing above it."""
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.pop()

    def drop_mark(self) -> None:
        """Drop what was pushed since the mark."""
        self.since_mark()

    def duplicate(self) -> None:
        """Push the top of the stack once more."""
        value = self.pop()
        self.stack += [value, value]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


_Do = Callable[[_Interpreter], None]
_OPERATIONS: dict[bytes, _Do] = {
    # Frame and stack.
    b"\x80": lambda m: m.proto(),
    b"\x95": lambda m: m.number("<Q"),
    b"(": lambda m: m.marks.append(len(m.stack)),
    b"0": lambda m: m.pop_or_unmark(),
    b"1": lambda m: m.drop_mark(),
    b"2": lambda m: m.duplicate(),
    # Numbers and constants.
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"I": lambda m: m.int_text(),
    b"L": lambda m: m.push(int(m.line().rstrip(b"L"))),
    b"F": lambda m: m.push(float(m.line())),
    b"J": lambda m: m.push(m.number("<i")),
    b"K": lambda m: m.push(m.number("<B")),
    b"M": lambda m: m.push(m.number("<H")),
    b"G": lambda m: m.push(m.number(">d")),
    b"\x8a": lambda m: m.push(int.from_bytes(m.counted("<B"), "little", signed=True)),
    b"\x8b": lambda m: m.push(int.from_bytes(m.counted("<i"), "little", signed=True)),
    # Text and bytes.
    b"S": lambda m: m.string_text(),
    b"T": lambda m: m.push(m.counted("<i").decode("latin-1")),
    b"U": lambda m: m.push(m.counted("<B").decode("latin-1")),
    b"V": lambda m: m.push(m.line().decode("raw-unicode-escape")),
    b"X": lambda m: m.push(_text(m.counted("<I"))),
    b"\x8c": lambda m: m.push(_text(m.counted("<B"))),
    b"\x8d": lambda m: m.push(_text(m.counted("<Q"))),
    b"B": lambda m: m.push(m.counted("<I")),
    b"C": lambda m: m.push(m.counted("<B")),
    b"\x8e": lambda m: m.push(m.counted("<Q")),
    b"\x96": lambda m: m.push(m.counted("<Q")),
    # Containers.
    b"]": lambda m: m.push([]),
    b"}": lambda m: m.push({}),
    b")": lambda m: m.push(()),
    b"l": lambda m: m.push(m.since_mark()),
    b"d": lambda m: m.new_dict(),
    b"t": lambda m: m.push(tuple(m.since_mark())),
    b"\x85": lambda m: m.tuple(1),
    b"\x86": lambda m: m.tuple(2),
    b"\x87": lambda m: m.tuple(3),
    b"a": lambda m: m.append_one(),
    b"e": lambda m: m.appends(),
    b"s": lambda m: m.set_item(),
    b"u": lambda m: m.set_items(),
    # Sets are read as lists, so that their members are never hashed.
    b"\x8f": lambda m: m.push([]),
    b"\x90": lambda m: m.appends(),
    b"\x91": lambda m: m.push(m.since_mark()),
    # Memo.
    b"p": lambda m: m.put(int(m.line())),
    b"q": lambda m: m.put(m.number("<B")),
    b"r": lambda m: m.put(m.number("<I")),
    b"\x94": lambda m: m.put(len(m.memo)),
    b"g": lambda m: m.get(int(m.line())),
    b"h": lambda m: m.get(m.number("<B")),
    b"j": lambda m: m.get(m.number("<I")),
    # Names and calls, recorded only.
    b"c": lambda m: m.name(m.line().decode("latin-1"), m.line().decode("latin-1")),
    b"\x93": lambda m: m.stack_global(),
    b"R": lambda m: m.call(),
    b"\x81": lambda m: m.call(),
    b"b": lambda m: m.build(),
}
"""Every operation of protocols 0 to 5 that a pickle of arrays uses; all others are refused."""
