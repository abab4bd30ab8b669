# SPDX-License-Identifier: GPL-3.0-or-later
"""Results that are not there yet: of the engine, or of a thread of Blender's own. No bpy."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, Protocol

from ...engine.core import protocol
from ...engine.core.errors import ERROR_KINDS, CancelledError, GaussianSpeechError
from ...engine.core.files import refused_by_system

_CANCEL = 0.45
"""Seconds that the engine gets to answer a cancel."""
_INTERVAL = 0.05
"""Seconds between two checks whether what a thread waits for is to be cancelled."""


class Future(Protocol):
    """A result that is being made; safe to use from any thread."""

    @property
    def done(self) -> bool:
        """Whether :meth:`result` returns or raises at once."""

    def poll(self) -> tuple[float, str]:
        """Fraction in [0, 1] and message of the last progress."""

    def wait(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds; returns :attr:`done`."""

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the result, or raise why there is none.

        Raises:
            GaussianSpeechError: it failed or was cancelled.
            TimeoutError: not done within ``timeout`` seconds.
        """

    def cancel(self) -> None:
        """Ask to stop; it then ends with ``CancelledError``."""


class _EventFuture:
    """What the futures share that another thread completes.

    Args:
        label: what is awaited, for messages.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self._finished = threading.Event()
        self._value: Any = None
        self._error: GaussianSpeechError | None = None

    @property
    def done(self) -> bool:
        """Whether :meth:`result` returns or raises at once."""
        return self._finished.is_set()

    def wait(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds; returns :attr:`done`."""
        return self._finished.wait(timeout)

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the result, or raise why there is none.

        Raises:
            GaussianSpeechError: it failed or was cancelled.
            TimeoutError: not done within ``timeout`` seconds.
        """
        if not self._finished.wait(timeout):
            raise TimeoutError(f"{self.label} has not finished in {timeout:g} s.")
        if self._error is not None:
            raise self._error
        return self._value


class EngineFuture(_EventFuture):
    """The reply to a request, made by :meth:`EngineClient.request`.

    Its result is a message with ``body`` and ``arrays`` as docs/protocol.md lists them.

    Args:
        request_id: of the request.
        method: of the request, for messages.
        send: queues a message to the engine.
    """

    def __init__(
        self, request_id: int, method: str, send: Callable[[protocol.Message], None]
    ) -> None:
        super().__init__(f"The engine's {method}")
        self.id = request_id
        self._send = send
        self._progress = (0.0, "waiting for the engine")
        self._frames: queue.SimpleQueue[protocol.Message] = queue.SimpleQueue()
        self._ending = threading.Lock()

    def poll(self) -> tuple[float, str]:
        """Fraction in [0, 1] and message of the last progress."""
        return self._progress

    def frames(self) -> list[protocol.Message]:
        """The messages of frames that have come since the last call, the oldest first."""
        found = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._frames.get_nowait())
        return found

    def cancel(self) -> None:
        """Ask the engine to stop; it ends soon, though the engine may not answer any more."""
        if not self.done:
            self._send(protocol.Message("cancel", self.id))
            timer = threading.Timer(_CANCEL, self.fail, (CancelledError(),))
            timer.daemon = True
            timer.start()

    def receive(self, message: protocol.Message) -> None:
        """Take a message of this request from the connection."""
        body = message.body
        if message.type == "progress":
            self._progress = (float(body.get("fraction", 0.0)), str(body.get("message", "")))
        elif message.type == "frames":
            self._frames.put(message)
        elif message.type == "result":
            self._end(message, None)
        elif message.type == "error":
            kind = ERROR_KINDS.get(str(body.get("kind")), GaussianSpeechError)
            self.fail(kind(str(body.get("message", "")), str(body.get("hint", ""))))

    def fail(self, error: GaussianSpeechError) -> None:
        """End with an error, unless it has ended."""
        self._end(None, error)

    def _end(self, value: protocol.Message | None, error: GaussianSpeechError | None) -> None:
        with self._ending:
            if not self.done:
                self._value, self._error = value, error
                self._finished.set()


class CompletedFuture:
    """A result that is known already, where a future is expected.

    Args:
        value: the result.
    """

    done = True

    def __init__(self, value: Any) -> None:
        self._value = value

    def poll(self) -> tuple[float, str]:
        """All of it is done."""
        return (1.0, "")

    def wait(self, _timeout: float) -> bool:
        """There is nothing to wait for."""
        return True

    def result(self, _timeout: float | None = None) -> Any:
        """The value."""
        return self._value

    def cancel(self) -> None:
        """There is nothing to stop."""


class ThreadFuture(_EventFuture):
    """What a function returns that runs in a thread of its own.

    Args:
        function: receives an event that is set when the work is cancelled.
        label: what it does, for the progress and for messages.
    """

    def __init__(self, function: Callable[[threading.Event], Any], label: str = "") -> None:
        super().__init__(label)
        self._function = function
        self._cancelled = threading.Event()
        threading.Thread(target=self._run, name=label or None, daemon=True).start()

    def poll(self) -> tuple[float, str]:
        """How far it is cannot be known."""
        return (0.0, self.label)

    def cancel(self) -> None:
        """Ask to stop."""
        self._cancelled.set()

    def _run(self) -> None:
        try:
            self._value = self._function(self._cancelled)
        except GaussianSpeechError as error:
            self._error = error
        except OSError as error:
            self._error = refused_by_system(error)
        except Exception as error:  # noqa: BLE001 - it reaches the caller, as any other failure
            self._error = GaussianSpeechError(f"{self.label} failed: {error!r}.")
        finally:
            self._finished.set()


def result_unless(future: Future, cancelled: threading.Event) -> Any:
    """The result of a future, which is cancelled once the work is that waits for it.

    Raises:
        GaussianSpeechError: it failed or was cancelled.
    """
    while not future.wait(_INTERVAL):
        if cancelled.is_set():
            future.cancel()
            break
    return future.result()
