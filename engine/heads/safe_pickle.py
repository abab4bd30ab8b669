# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a pickle that came from anywhere as data: nothing that it names is imported or run.

Python's own unpickler calls what a file tells it to call, and even with an allow-list in
``find_class`` a file can make it reserve gigabytes (memo indices) or hang (hashes). Here the
operations are lexed with the tables of :mod:`pickletools` and interpreted on plain data: a class or
function in the file becomes a :class:`Global`, a call becomes an :class:`Instance` that records its
arguments. :class:`~engine.heads.pickled_arrays.PickledArrays` turns instances of numpy, scipy and
chumpy arrays into numpy arrays; none of those libraries' own code is used for it.

Byte strings of Python 2 pickles are read as latin-1, as their authors load them.
"""

from __future__ import annotations

import codecs
import io
import pickletools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

MAX_OPERATIONS = 300_000
"""Most operations in a pickle, which bounds its objects; a FLAME model has a few thousand."""

_MAX_NAME = 4096
"""Most bytes of a number in decimal, a key, and a text that is not the bytes of an array."""

_NUMPY = ("numpy.core", "numpy._core")
_ALLOWED: dict[str, str] = {
    **{f"{base}.multiarray _reconstruct": "reconstruct" for base in _NUMPY},
    **{f"{base}.multiarray scalar": "scalar" for base in _NUMPY},
    **{f"{base}.numeric _frombuffer": "frombuffer" for base in _NUMPY},
    "numpy ndarray": "ndarray",
    "numpy dtype": "dtype",
    **{
        f"scipy.sparse{module} {kind}_{form}": kind
        for kind in ("csc", "csr")
        for form in ("matrix", "array")
        for module in ("", f".{kind}", f"._{kind}")
    },
    "chumpy.ch Ch": "chumpy",
    "chumpy Ch": "chumpy",
    "chumpy.reordering Select": "chumpy_select",
    "chumpy.reordering Reshape": "chumpy_reshape",
    "chumpy.reordering transpose": "chumpy_transpose",
    "copy_reg _reconstructor": "reconstructor",
    "copyreg _reconstructor": "reconstructor",
    "_codecs encode": "encode",
    **{
        f"{module} {name}": name
        for module in ("__builtin__", "builtins")
        for name in ("object", "set", "frozenset", "bytes", "bytearray")
    },
}
"""What a file may name, as "module name", and the kind of record that it becomes."""


class PickleError(Exception):
    """The bytes are not a pickle of arrays; callers add the file's name."""


@dataclass(frozen=True, slots=True)
class Global:
    """A class or function named in the file, allowed but never imported."""

    kind: str


@dataclass(slots=True, eq=False)
class Instance:
    """A call that the file asks for, recorded instead of made: ``kind(*args)``, then ``state``."""

    kind: str
    args: tuple[Any, ...]
    state: Any = None


def load(data: bytes) -> dict[str, Any]:
    """The top-level dictionary of a pickle, with records in the place of objects.

    Memory stays within four times the size of the data (five if it is all text in wide characters)
    and 64 MB, time within that of :data:`MAX_OPERATIONS`.

    Args:
        data: a pickle of any protocol, from Python 2 or 3.

    Returns:
        The dictionary by its text keys; values are plain data (sets are lists, so that their
        members are never hashed), :class:`Global` and :class:`Instance`.

    Raises:
        PickleError: not a pickle, truncated, not a dictionary, or it names something that is not
            an array type. Nothing of the data has been run.
    """
    machine = _Machine()
    try:
        for name, operand in _operations(data):
            if name not in _OPERATIONS:
                raise PickleError(f"it holds the operation {name}, which no model has")
            _OPERATIONS[name](machine, operand)
        (content,) = machine.take(1)
    except (ValueError, OverflowError) as error:
        raise PickleError(f"it is damaged: {str(error)[:80]}") from error
    if not isinstance(content, dict):
        raise PickleError(f"it is a {type(content).__name__.lower()}, not a dictionary of arrays")
    return {
        key.decode("latin-1") if isinstance(key, bytes) else str(key): value
        for key, value in content.items()
    }


def excerpt(text: str) -> str:
    """Text of a file as a message shows it: quoted, printable, at most 40 characters of it."""
    return repr(text if len(text) <= 40 else f"{text[:39]}…")[:60]


# --- Lexer -------------------------------------------------------------------------------------


class _Stream(io.BytesIO):
    """A pickle whose lines are bounded: the time of a decimal number grows with its square."""

    def readline(self, _size: int | None = None) -> bytes:
        return super().readline(_MAX_NAME)


def _operations(data: bytes) -> Iterator[tuple[str, Any]]:
    """Name and operand of each operation up to STOP, as :func:`pickletools.genops` gives them.

    Its loop is written out because its readers take byte strings of protocol 0 for ASCII before
    Python 3.12.8, and text for as large as it decodes to.
    """
    stream = _Stream(data)
    for _ in range(MAX_OPERATIONS):
        code = stream.read(1)
        if code not in _OPCODES:
            raise PickleError("it is not a pickle" if code else "it ends in the middle")
        opcode = _OPCODES[code]
        if opcode.name == "STOP":
            return
        read = _READERS.get(opcode.name, opcode.arg and opcode.arg.reader)
        yield opcode.name, read and read(stream)
    raise PickleError(f"it has more than {MAX_OPERATIONS:,} operations")


def _text(data: bytes, encoding: str) -> str:
    # One character beyond latin-1 makes all others of its text four times as large.
    if len(data) > _MAX_NAME and re.search(_BEYOND_LATIN_1[encoding], data):
        raise PickleError("a long text stands where the bytes of an array are expected")
    return str(data, encoding, "surrogatepass")


def _whole_line(stream: io.BytesIO) -> bytes:
    line = io.BytesIO.readline(stream)
    if not line.endswith(b"\n"):
        raise PickleError("it ends in the middle")
    return line[:-1]


def _quoted(stream: io.BytesIO) -> str:
    """A byte string of protocol 0, as ``repr`` of Python 2 wrote it."""
    line = _whole_line(stream)
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise PickleError("a text has no quotes")
    return codecs.escape_decode(memoryview(line)[1:-1])[0].decode("latin-1")


_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
_BEYOND_LATIN_1 = {"utf-8": rb"[\xc4-\xff]", "raw-unicode-escape": rb"\\U|\\u(?!00)"}
_READERS: dict[str, Callable[[io.BytesIO], Any]] = {
    "STRING": _quoted,
    "UNICODE": lambda stream: _text(_whole_line(stream), "raw-unicode-escape"),
    "BINUNICODE": lambda stream: _text(pickletools.read_bytes4(stream), "utf-8"),
    "BINUNICODE8": lambda stream: _text(pickletools.read_bytes8(stream), "utf-8"),
}


# --- Interpreter -------------------------------------------------------------------------------


class _Machine:
    """The pickle machine on plain data and records: a stack, the stacks below marks, a memo."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.below_marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def push(self, value: Any) -> None:
        # Larger integers take ever longer to print, and can all be made to have the same hash.
        if type(value) is int and not -(1 << 63) <= value < 1 << 64:
            raise PickleError("a number has more than 64 bits")
        self.stack.append(value)

    def mark(self) -> None:
        self.below_marks.append(self.stack)
        self.stack = []

    def take(self, count: int) -> list[Any]:
        """Take the top ``count`` values, not past a mark."""
        if len(self.stack) < count:
            raise PickleError("it takes more values than it has")
        values = self.stack[-count:]
        del self.stack[-count:]
        return values

    def take_marked(self) -> list[Any]:
        """Take what was pushed since the last mark, and the mark."""
        if not self.below_marks:
            raise PickleError("it takes more values than it has")
        values, self.stack = self.stack, self.below_marks.pop()
        return values

    def top(self, kind: type) -> Any:
        """The top of the stack, left there, checked for its type."""
        if not self.stack:
            raise PickleError("it takes more values than it has")
        if not isinstance(self.stack[-1], kind):
            found = type(self.stack[-1]).__name__
            raise PickleError(f"a {found} stands where a {kind.__name__} is expected")
        return self.stack[-1]

    def extend(self, values: list[Any]) -> None:
        self.top(list).extend(values)

    def set_items(self, pairs: list[Any]) -> None:
        self.top(dict).update(_dictionary(pairs))

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise PickleError("it refers to a value that it does not have")
        self.stack.append(self.memo[index])

    def put(self, index: int) -> None:
        if not 0 <= index <= MAX_OPERATIONS:
            raise PickleError("it numbers more values than it has")
        self.memo[index] = self.top(object)

    def name(self, name: str) -> None:
        """Push the record of an allowed class or function, given as "module name"."""
        if name not in _ALLOWED:
            raise PickleError(f"it names {excerpt(name.replace(' ', '.'))}, which is no array")
        self.stack.append(Global(_ALLOWED[name]))

    def stack_global(self) -> None:
        names = self.take(2)
        if not all(isinstance(name, str) for name in names):
            raise PickleError("it names something by other than text")
        self.name(" ".join(names))

    def call(self) -> None:
        """Push the record of a call or of a new object."""
        function, args = self.take(2)
        if isinstance(function, Global) and function.kind == "reconstructor":
            # copyreg._reconstructor(class, base, state) makes an object of the class.
            function, args = args[0] if isinstance(args, tuple) and args else None, ()
        if not isinstance(function, Global) or not isinstance(args, tuple):
            raise PickleError("it calls something that is no array type")
        self.stack.append(Instance(function.kind, args))

    def build(self) -> None:
        """Give a record the state of its object."""
        (state,) = self.take(1)
        self.top(Instance).state = state


def _dictionary(pairs: Sequence[Any]) -> dict[Any, Any]:
    if len(pairs) % 2:
        raise PickleError("a dictionary has a key without a value")
    for key in pairs[::2]:
        # Others can be nested so that hashing takes for ever, long ones so that comparing does.
        if type(key) not in (str, int, bytes) or (type(key) is not int and len(key) > _MAX_NAME):
            raise PickleError(f"a dictionary has a {type(key).__name__} as a key that is no name")
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


_VALUES = (
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING "
    "UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8"
)
_OPERATIONS: dict[str, Callable[[_Machine, Any], object]] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda _m, _: None),
    **dict.fromkeys(_VALUES.split(), _Machine.push),
    "NONE": lambda m, _: m.push(None),
    "NEWTRUE": lambda m, _: m.push(True),
    "NEWFALSE": lambda m, _: m.push(False),
    **dict.fromkeys(("EMPTY_LIST", "EMPTY_SET"), lambda m, _: m.push([])),
    **dict.fromkeys(("LIST", "FROZENSET"), lambda m, _: m.push(m.take_marked())),
    "APPEND": lambda m, _: m.extend(m.take(1)),
    **dict.fromkeys(("APPENDS", "ADDITEMS"), lambda m, _: m.extend(m.take_marked())),
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "TUPLE": lambda m, _: m.push(tuple(m.take_marked())),
    "TUPLE1": lambda m, _: m.push(tuple(m.take(1))),
    "TUPLE2": lambda m, _: m.push(tuple(m.take(2))),
    "TUPLE3": lambda m, _: m.push(tuple(m.take(3))),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "DICT": lambda m, _: m.push(_dictionary(m.take_marked())),
    "SETITEM": lambda m, _: m.set_items(m.take(2)),
    "SETITEMS": lambda m, _: m.set_items(m.take_marked()),
    "MARK": lambda m, _: m.mark(),
    "POP": lambda m, _: m.take(1) if m.stack else m.take_marked(),
    "POP_MARK": lambda m, _: m.take_marked(),
    "DUP": lambda m, _: m.push(m.top(object)),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.get),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine.put),
    "MEMOIZE": lambda m, _: m.put(len(m.memo)),
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": lambda m, _: m.stack_global(),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), lambda m, _: m.call()),
    "BUILD": lambda m, _: m.build(),
}
"""Every operation of protocols 0 to 5 that a pickle of arrays uses; all others are refused."""
