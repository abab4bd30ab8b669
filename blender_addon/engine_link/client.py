# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's end of the connection to the engine process.

No bpy here: this is used and tested without Blender. Nothing in it blocks the caller but
:meth:`EngineClient.wait_ready`, :meth:`EngineFuture.result` and :meth:`EngineClient.shutdown`, and
these take a timeout.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ...engine.core import protocol
from ...engine.core.errors import CancelledError, EngineGoneError, GaussianSpeechError
from .connection import LOG_LINES, Connection, State, log_tail
from .future import EngineFuture, ThreadFuture, result_unless

HELLO_TIMEOUT = 120.0
"""Seconds: a first start compiles bytecode and imports torch from a cold disk."""


class EngineClient:
    """Starts the engine process and talks to it.

    Args:
        command: the process to start, for example ``[python, "-m", "engine", "serve"]``, or an
            ``ssh`` command that starts the engine elsewhere.
        env: the whole environment of the process.
        log_path: file that receives the engine's stderr; begun anew at each start.
        cwd: working folder of the process.
        install_hint: what to do where the engine's libraries are missing, for error messages.
        hello_timeout: seconds the engine may take to say hello.
    """

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        log_path: str | Path,
        *,
        cwd: str | Path | None = None,
        install_hint: str = "",
        hello_timeout: float = HELLO_TIMEOUT,
    ) -> None:
        self.command = list(command)
        self.log_path = Path(log_path)
        self._env = dict(env)
        self._cwd = cwd
        self._install_hint = install_hint
        self._hello_timeout = hello_timeout
        self._lock = threading.RLock()
        self._connection: Connection | None = None

    @property
    def state(self) -> State:
        """Where the process stands."""
        return self._connection.state if self._connection else State.STOPPED

    @property
    def hello(self) -> dict[str, Any] | None:
        """The engine's greeting (protocol, package, python, torch, devices, backends, pid)."""
        return self._connection.hello if self._connection else None

    @property
    def error(self) -> GaussianSpeechError | None:
        """Why the engine is gone."""
        return self._connection.error if self._connection else None

    def start(self) -> None:
        """Start the process unless it runs; returns at once.

        Raises:
            MissingDependencyError: there is no such program.
        """
        with self._lock:
            if self.state in (State.STARTING, State.READY):
                return
            self._connection = Connection(
                self.command,
                self._env,
                self.log_path,
                self._cwd,
                self._install_hint,
                self._hello_timeout,
            )

    def wait_ready(self, timeout: float | None = None) -> dict[str, Any]:
        """Wait for the engine's greeting and return it.

        Raises:
            GaussianSpeechError: the engine ended or does not fit.
            TimeoutError: no greeting within ``timeout`` seconds.
        """
        connection = self._connection
        if connection is None:
            raise EngineGoneError("The engine is not running.", "Start it first.")
        return connection.wait_ready(timeout)

    def greeting(self) -> HelloFuture:
        """The engine's start as something to wait for; starts it where needed."""
        self.start()
        return HelloFuture(self)

    def request(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        arrays: Mapping[str, NDArray[Any]] | None = None,
    ) -> EngineFuture:
        """Send a request, starting the engine where needed; returns at once.

        Args:
            method: one of docs/protocol.md.
            params: JSON values.
            arrays: named arrays; they must not change until the request is done.

        Raises:
            MissingDependencyError: the engine cannot be started.
        """
        with self._lock:
            self.start()
            assert self._connection is not None
            pending = self._connection.expect(method)
        body = {"method": method, "params": dict(params or {})}
        message = protocol.Message("request", pending.id, body, dict(arrays or {}))
        self._connection.send(message)
        return pending

    def send(self, message: protocol.Message) -> None:
        """Queue a message; nothing happens when the engine is not running."""
        if self._connection is not None:
            self._connection.send(message)

    def shutdown(self, timeout: float = 2.0, *, wait: bool = True) -> None:
        """End the process; requests under way fail at once, and the next one starts it anew.

        Args:
            timeout: seconds that the process gets to end by itself before it is killed.
            wait: for the process to end; otherwise a thread does.
        """
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close(timeout, wait=wait)

    def log_tail(self, lines: int = LOG_LINES) -> str:
        """The last non-empty lines of the log, oldest first."""
        return log_tail(self.log_path, lines)


class PreparedFuture(ThreadFuture):
    """The reply to a request whose parameters take a while to make, which a thread does.

    Args:
        client: the engine.
        method: one of docs/protocol.md.
        prepare: gives parameters and arrays; runs in the thread.
        label: what ``prepare`` does, for the progress.
    """

    def __init__(
        self,
        client: EngineClient,
        method: str,
        prepare: Callable[[], tuple[Mapping[str, Any], Mapping[str, NDArray[Any]]]],
        label: str,
    ) -> None:
        self._client, self._method, self._prepare = client, method, prepare
        self._request: EngineFuture | None = None
        super().__init__(self._ask, label)

    def poll(self) -> tuple[float, str]:
        """Fraction in [0, 1] and message of the last progress."""
        return super().poll() if self._request is None else self._request.poll()

    def _ask(self, cancelled: threading.Event) -> protocol.Message:
        params, arrays = self._prepare()
        if cancelled.is_set():
            raise CancelledError
        self._request = self._client.request(self._method, params, arrays)
        reply: protocol.Message = result_unless(self._request, cancelled)
        return reply


class HelloFuture(ThreadFuture):
    """The engine's ``hello``, once it has started.

    Args:
        client: the engine, which is starting.
    """

    def __init__(self, client: EngineClient) -> None:
        self._client = client
        super().__init__(lambda _cancelled: client.wait_ready(), "Starting the engine")

    def cancel(self) -> None:
        """End the engine."""
        self._client.shutdown(wait=False)
