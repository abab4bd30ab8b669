# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of the engine process and the pipe to it. No bpy.

One thread writes and one reads, so that Blender's own thread never waits for a full pipe.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import queue
import re
import subprocess
import threading
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

from ...engine.core import platforms, protocol
from ...engine.core.errors import EngineGoneError, GaussianSpeechError, MissingDependencyError
from .future import EngineFuture

LOG_LINES = 4
"""Last lines of the log that an error shows."""

_SILENCE = 60.0
"""Seconds after which an engine counts as hung that has work, and answers not even a ping."""

_TICK = 1.0
"""Seconds between two looks whether it answers."""

_PIECE = 1 << 20
"""Bytes that are written at once."""

_MISSING_MODULE = re.compile(r"No module named '([^']+)'")


class State(Enum):
    """Where the engine process stands."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    GONE = "gone"


class Connection:
    """One run of the engine process: starts it, writes and reads until it ends."""

    def __init__(
        self,
        command: list[str],
        env: dict[str, str],
        log_path: Path,
        cwd: str | Path | None,
        install_hint: str,
        hello_timeout: float,
    ) -> None:
        self.state = State.STARTING
        self.hello: dict[str, Any] | None = None
        self.error: GaussianSpeechError | None = None
        self._command = command
        self._log_path = log_path
        self._install_hint = install_hint
        self._pending: dict[int, EngineFuture] = {}
        self._next_id = 1
        self._lock = threading.Lock()
        self._greeted = threading.Event()
        self._outbox: queue.SimpleQueue[protocol.Message | None] = queue.SimpleQueue()
        self._passed = 0
        self._gone = threading.Event()
        started: concurrent.futures.Future[platforms.Child] = concurrent.futures.Future()
        threading.Thread(
            target=self._start_and_read, args=(started, env, cwd), name="engine-reader", daemon=True
        ).start()
        self._process = started.result()
        for name, target, *arguments in (
            ("writer", self._write_all),
            ("watcher", self._watch, hello_timeout),
        ):
            threading.Thread(
                target=target, args=arguments, name=f"engine-{name}", daemon=True
            ).start()

    def _start_and_read(
        self,
        started: concurrent.futures.Future[platforms.Child],
        env: dict[str, str],
        cwd: str | Path | None,
    ) -> None:
        """Start the process and read, in a thread that lives as long as the process.

        The process ends with the thread that has started it (:func:`platforms.end_with_parent`),
        and a render's thread, say, that asks for the engine ends before it.
        """
        try:
            self._process = self._spawn(env, cwd)
        except Exception as error:  # noqa: BLE001 - it is raised where the engine is asked for.
            started.set_exception(error)
        else:
            started.set_result(self._process)
            self._read_all()

    def _spawn(self, env: dict[str, str], cwd: str | Path | None) -> platforms.Child:
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        # A former engine that is still ending keeps the file it writes to.
        with contextlib.suppress(OSError):
            self._log_path.unlink()
        try:
            with self._log_path.open("wb") as log:
                return platforms.Child(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=env,
                    cwd=cwd,
                )
        except OSError as error:
            raise MissingDependencyError(
                f"The engine cannot be started: {self._command[0]!r}: {error.strerror or error}.",
                "Set Engine Python in the add-on's preferences to a Python 3.11 or newer with the "
                f"engine's libraries. {self._install_hint}".strip(),
            ) from error

    def wait_ready(self, timeout: float | None) -> dict[str, Any]:
        """The engine's greeting, waited for.

        Raises:
            TimeoutError: it has not come in time.
            GaussianSpeechError: the engine cannot be used, or has ended.
        """
        if not self._greeted.wait(timeout):
            raise TimeoutError(f"The engine has not said hello in {timeout:g} s.")
        if self.hello is None:
            assert self.error is not None
            raise self.error
        return self.hello

    def expect(self, method: str) -> EngineFuture:
        """The future of a new request; failed at once when the engine is gone."""
        with self._lock:
            pending = EngineFuture(self._next_id, method, self.send)
            self._next_id += 1
            if self.state is State.GONE:
                assert self.error is not None
                pending.fail(self.error)
            else:
                self._pending[pending.id] = pending
            return pending

    def send(self, message: protocol.Message) -> None:
        """Queue a message; it is written after the engine said hello."""
        self._outbox.put(message)

    def close(self, timeout: float, *, wait: bool) -> None:
        """Ask the engine to end and kill it after ``timeout`` seconds; wait for that or not."""
        starting = self.state is State.STARTING
        self._outbox.put(protocol.Message("shutdown"))
        self._end(EngineGoneError("The engine was stopped.", "Start the work again."))
        if starting:
            self._process.kill()
        if wait:
            self._reap(timeout)
        else:
            # No daemon: Blender must not quit before the process has ended.
            threading.Thread(target=self._reap, args=(timeout,), name="engine-reaper").start()

    def _reap(self, timeout: float) -> None:
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _write_all(self) -> None:
        self._greeted.wait()
        stdin = _Counted(self._process.stdin, self._count)
        with contextlib.suppress(OSError):  # A broken pipe: the reader finds out why.
            while (message := self._outbox.get()) is not None:
                self._write_one(stdin, message)
        with contextlib.suppress(OSError):
            stdin.close()

    def _write_one(self, stdin: _Counted, message: protocol.Message) -> None:
        try:
            protocol.write(stdin, message)
        except (protocol.ProtocolError, ValueError, TypeError) as error:
            # Raised before anything is written: only this request is lost.
            self._finish(
                protocol.Message(
                    "error", message.id, {"kind": "error", "message": f"Cannot be sent: {error}"}
                )
            )

    def _read_all(self) -> None:
        stdout = _Counted(self._process.stdout, self._count)
        problem = ""
        try:
            while (message := protocol.read(stdout)) is not None:
                if message.type == "hello":
                    self._on_hello(message.body)
                else:
                    self._finish(message)
        except protocol.ProtocolError as error:
            problem = str(error)
            self._process.kill()
        except OSError as error:
            problem = str(error)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:  # It closed its stdout and lives on: of no more use.
            self._process.kill()
            self._process.wait()
        self._end(self._why_gone(problem))
        stdout.close()

    def _on_hello(self, body: dict[str, Any]) -> None:
        if body.get("protocol") != protocol.VERSION:
            self._reject(
                MissingDependencyError(
                    f"The engine speaks protocol {body.get('protocol')}, this add-on "
                    f"{protocol.VERSION}.",
                    "Use the engine that belongs to this version of the add-on.",
                )
            )
        elif not body.get("torch"):
            self._reject(self._no_module("torch", str(body.get("executable") or self._command[0])))
        else:
            self.hello = body
            self.state = State.READY
            self._greeted.set()

    def _reject(self, error: GaussianSpeechError) -> None:
        self._end(error)
        self._process.kill()

    def _finish(self, message: protocol.Message) -> None:
        with self._lock:
            pending = self._pending.get(message.id)
            if pending is not None and message.type in ("result", "error"):
                del self._pending[message.id]
        if pending is not None:
            pending.receive(message)

    def _end(self, error: GaussianSpeechError) -> None:
        with self._lock:
            if self.state is State.GONE:
                return
            self.state = State.GONE
            self.error = error
            lost, self._pending = list(self._pending.values()), {}
        self._gone.set()
        self._greeted.set()
        self._outbox.put(None)
        for pending in lost:
            pending.fail(error)

    def _count(self) -> None:
        self._passed += 1

    def _watch(self, hello_timeout: float) -> None:
        """Give up an engine that does not say hello, or does not answer any more.

        What is added up are these short waits: a machine that sleeps, or whose clock is set, does
        so within one of them.
        """
        waited, passed, longest = 0.0, 0, hello_timeout
        while waited < longest:
            pause = min(_TICK, longest - waited)
            if self._gone.wait(pause):
                return
            waited += pause
            if self.state is State.READY:
                longest = _SILENCE
                if self._passed != passed or not self._pending:
                    waited, passed = 0.0, self._passed
                else:
                    self.send(protocol.Message("ping"))
        what = f"did not answer within {longest:g} s of its start"
        if self.state is State.READY:
            what = f"has not answered for {longest:g} s"
        self._reject(EngineGoneError(f"The engine {what}.", self._log_hint()))

    def _why_gone(self, problem: str) -> GaussianSpeechError:
        missing = _MISSING_MODULE.search(log_tail(self._log_path, 1))
        # A missing module of the engine itself is no library that could be installed.
        if self.hello is None and missing and missing.group(1).partition(".")[0] != "engine":
            return self._no_module(missing.group(1), self._command[0])
        code = self._process.returncode
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        if problem:
            how = f"sent something unexpected ({problem})"
        when = "while it worked" if self.hello else "at its start"
        return EngineGoneError(f"The engine {how} {when}.", self._log_hint())

    def _no_module(self, module: str, python: str) -> MissingDependencyError:
        return MissingDependencyError(
            f"The engine's Python {python} has no {module}.",
            self._install_hint or f'Install it: "{python}" -m pip install {module}',
        )

    def _log_hint(self) -> str:
        tail = log_tail(self._log_path, LOG_LINES)
        last = f"Last in its log: {tail}" if tail else "It left no log."
        return f"Try again; it starts anew. {last} (log: {self._log_path})"


class _Counted:
    """A stream that reports each piece that has passed, also of a message that takes minutes.

    Args:
        stream: one of the process's pipes.
        report: called after each piece.
    """

    def __init__(self, stream: Any, report: Callable[[], None]) -> None:
        self._stream, self._report = stream, report
        self.flush, self.close = stream.flush, stream.close

    def read(self, size: int) -> bytes:
        """As of a file."""
        data: bytes = self._stream.read(size)
        self._report()
        return data

    def write(self, data: bytes | memoryview) -> None:
        """As of a file."""
        for start in range(0, len(data), _PIECE):
            self._stream.write(data[start : start + _PIECE])
            if start:  # What is short fits into the pipe, though nobody reads it.
                self._report()


def log_tail(path: Path, lines: int = LOG_LINES) -> str:
    """The last ``lines`` non-empty lines of a log file, oldest first; empty where there is none."""
    try:
        with path.open("rb") as log:
            log.seek(0, 2)
            log.seek(max(0, log.tell() - 8192))
            text = log.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join([line.rstrip() for line in text.splitlines() if line.strip()][-lines:])
