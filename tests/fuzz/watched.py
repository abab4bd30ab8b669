# SPDX-License-Identifier: GPL-3.0-or-later
"""The watched process: parses inputs, and says of each that broke a rule which one it broke.

It reads lines ``harness seed first count`` and answers in lines of JSON. The number of the input
being parsed stands in a file, so that whoever watches knows what a process that died was at.
"""

from __future__ import annotations

import contextlib
import gc
import json
import mmap
import os
import resource
import struct
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.core import runtime
from engine.core.errors import MAX_LENGTH, GaussianSpeechError

runtime.prepare()

AT = struct.Struct("<qd")
"""The number of the input, and the processor seconds of the process when it began."""

_REPOSITORY = Path(__file__).resolve().parents[2]
_SLACK = 512 << 20
_FORBIDDEN = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.spawn",
    "os.posix_spawn",
    "os.fork",
    "os.forkpty",
    "pty.spawn",
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "pickle.find_class",
    "urllib.Request",
    "webbrowser.open",
    "os.putenv",
    "os.kill",
)
_CHANGING = (
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
    "shutil.rmtree",
    "shutil.copyfile",
    "shutil.move",
    "os.chown",
    "tempfile.mkstemp",
    "tempfile.mkdtemp",
)


class Witness:
    """Keeps what the process does that no parser may: run, connect, write outside its folder.

    Args:
        folder: where it may write.
    """

    def __init__(self, folder: Path) -> None:
        self.seen: list[str] = []
        self.watching = False
        self._folder = f"{folder}{os.sep}"
        sys.addaudithook(self._note)

    def _note(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.watching:
            return
        if event in _FORBIDDEN or (event in _CHANGING and self._outside(args[0])):
            self.seen.append(f"{event} {args!r:.120}")
        elif event == "open":
            path, _, flags = args
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
            if writes and self._outside(path):
                self.seen.append(f"open for writing {path!r:.120}")

    def _outside(self, path: Any) -> bool:
        # Compiled kernels and byte code are the interpreter's own doing, whatever the file.
        name = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        own = name.endswith((".pyc", ".nbi", ".nbc")) or "__pycache__" in name or ".tmp." in name
        return bool(name) and not own and not name.startswith(self._folder) and name != os.devnull


class Judge:
    """Parses inputs of harnesses and judges what came of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._witness = Witness(folder)
        self._warm: set[str] = set()

    def warm_up(self, harness: Any) -> None:
        """Load what the parser needs; a valid input must be accepted."""
        if harness.name in self._warm:
            return
        (self._folder / harness.name).mkdir()
        for data in harness.seeds:
            self._parse(harness, data)
        gc.collect()
        self._warm.add(harness.name)

    def verdict(self, harness: Any, data: bytes, *, valid: bool) -> tuple[str, str] | None:
        """The rule that an input broke and how, ``None`` for none."""
        before = _reset_peak()
        began = time.process_time()
        self._witness.seen.clear()
        self._witness.watching = True
        found = None
        try:
            self._parse(harness, data)
        except GaussianSpeechError as error:
            found = _of_refusal(error, harness, valid=valid)
        except harness.errors as error:
            found = ("length", repr(error)[:200]) if len(str(error)) > MAX_LENGTH else None
        except MemoryError:
            found = "memory", "MemoryError"
        except BaseException as error:  # noqa: BLE001 - that is what is looked for.
            found = _of_escape(error)
        finally:
            self._witness.watching = False
        if found:
            return found
        if self._witness.seen:
            return "acts", self._witness.seen[0]
        if (took := time.process_time() - began) > harness.seconds:
            return "slow", f"{took:.2f} s"
        grown = _peak() - before
        if grown > (harness.memory << 20) + 4 * len(data):
            return "memory", f"{grown >> 20} MB for {len(data)} bytes"
        return None

    def _parse(self, harness: Any, data: bytes) -> None:
        path = self._folder / harness.name / harness.file
        path.write_bytes(data)
        harness.parse(path)
        if left := [other.name for other in path.parent.iterdir() if other != path]:
            raise AssertionError(f"it left {left} in its folder")


def _of_refusal(error: GaussianSpeechError, harness: Any, *, valid: bool) -> tuple[str, str] | None:
    text = f"{error.message}{error.hint}"
    if valid:
        return "refused", f"a valid input of {harness.name}: {error.message}"
    if max(len(error.message), len(error.hint)) > MAX_LENGTH:
        return "length", error.message[:200]
    if not text.isprintable():
        return "lines", repr(error.message[:200])
    return None


def _of_escape(error: BaseException) -> tuple[str, str]:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename.startswith(str(_REPOSITORY))]
    inside = [frame for frame in own if "tests" not in Path(frame.filename).parts]
    last = (inside or own or frames)[-1]
    where = f"{Path(last.filename).name}:{last.lineno}"
    return f"escape {type(error).__name__} {where}", " ".join(str(error).split())[:200]


def _reset_peak() -> int:
    """Bytes that are resident; the most of them is counted anew from here."""
    with open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123 - called for every input.
        file.write("5")
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * resource.getpagesize()


def _peak() -> int:
    """The most bytes that were resident since the last reset."""
    with open("/proc/self/status", "rb") as file:  # noqa: PTH123
        line = next(line for line in file if line.startswith(b"VmHWM:"))
    return int(line.split()[1]) << 10


@contextlib.contextmanager
def _bounded(megabytes: int) -> Iterator[None]:
    """Let the process have only so much more memory."""
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123
        size = int(file.read().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + 4 * (megabytes << 20) + _SLACK, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def main() -> None:
    """Answer requests until there are none."""
    folder, at_file = Path(sys.argv[1]), Path(sys.argv[2])
    # What libraries print must not stand between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    from tests.fuzz.harnesses import HARNESSES

    with at_file.open("r+b") as file:
        at = mmap.mmap(file.fileno(), AT.size)
    judge = Judge(folder)
    # What is first imported within a parser would be compiled into files elsewhere.
    sys.dont_write_bytecode = True
    for line in sys.stdin:
        name, seed, first, count, *single = json.loads(line)
        harness = HARNESSES[name]
        judge.warm_up(harness)
        began = time.process_time()
        with _bounded(harness.memory):
            for number in range(first, first + count):
                data = Path(single[0]).read_bytes() if single else harness.input(seed, number)
                AT.pack_into(at, 0, number, time.process_time())
                valid = not single and number % 100 == 0
                if found := judge.verdict(harness, data, valid=valid):
                    print(json.dumps([name, number, *found]), file=answers)
                AT.pack_into(at, 0, -1, 0.0)
        spent = time.process_time() - began
        print(json.dumps([name, -1, "done", f"{spent:.3f}"]), file=answers)


if __name__ == "__main__":
    main()
