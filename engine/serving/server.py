# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine process: answers Blender's requests over stdin and stdout (docs/protocol.md).

The main thread works off requests one after the other; a second thread reads messages meanwhile, so
that ping, cancel and shutdown are answered while work runs, a third one answers requests about
jobs, and a live session has a thread of its own. The process ends when stdin closes.
"""

from __future__ import annotations

import logging
import os
import platform
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, BinaryIO

from numpy.typing import NDArray

from engine import __version__
from engine.core import platforms, protocol
from engine.core.checks import shown
from engine.core.errors import (
    CancelledError,
    GaussianSpeechError,
    MissingDependencyError,
    one_line,
)
from engine.core.files import refused_by_system
from engine.core.json_values import JsonObject
from engine.core.runtime import prepare
from engine.serving.request import Method, Request, Send

log = logging.getLogger(__name__)

_Requests = queue.SimpleQueue[tuple[protocol.Message, threading.Event] | None]
"""Requests, each with what is set when it is cancelled."""

_PROGRESS_INTERVAL = 0.05
"""Seconds between two progress messages."""

_CANCEL = 0.25
"""Seconds that cancelled work gets to stop before the request is answered without it."""

_GRACE = 5.0
"""Seconds that running work gets to stop after stdin has closed."""


def serve() -> int:
    """Serve the process's own stdin and stdout until stdin closes.

    Returns:
        Exit code: 0 after ``shutdown`` or the end of stdin, 1 when the stream is broken.
    """
    stdout = claim_stdout()
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    prepare()
    from engine.serving.jobs import job_methods
    from engine.serving.live import run_live
    from engine.serving.methods import make_methods

    server = Server(
        sys.stdin.buffer,
        stdout,
        make_methods(),
        job_methods(),
        {"live.run": run_live},
        on_close=_leave_after_grace,
    )
    return server.run(describe_engine())


def claim_stdout() -> BinaryIO:
    """Keep stdout for the protocol, let what prints write to stderr, and end with the reader."""
    platforms.end_with_parent()
    sys.stdout.flush()
    stdout = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return stdout


def describe_engine() -> dict[str, Any]:
    """The body of ``hello``."""
    try:
        import torch
    except ImportError:
        # Without torch the greeting still goes out: Blender then names the remedy.
        log.exception("torch cannot be used")
        torch_version, devices, backends = None, [], []
    else:
        from engine.serving.devices import list_backends, list_devices

        torch_version, devices, backends = torch.__version__, list_devices(), list_backends()
    return {
        "protocol": protocol.VERSION,
        "package": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "torch": torch_version,
        "devices": devices,
        "backends": backends,
        "pid": os.getpid(),
    }


class Server:
    """Answers the messages of one stream.

    Args:
        stdin: where messages come from.
        stdout: where answers go.
        methods: by name; answered one after the other.
        prompt_methods: by name; answered one after the other by a thread of their own, while any
            other method works.
        lasting_methods: by name; each request gets a thread of its own, until it is cancelled.
        on_close: called with the exit code when the stream from Blender has ended.
    """

    def __init__(
        self,
        stdin: BinaryIO,
        stdout: BinaryIO,
        methods: Mapping[str, Method],
        prompt_methods: Mapping[str, Method] = MappingProxyType({}),
        lasting_methods: Mapping[str, Method] = MappingProxyType({}),
        on_close: Callable[[int], None] = lambda _code: None,
    ) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self._methods = {**methods, **prompt_methods, **lasting_methods}
        self._prompt_methods = tuple(prompt_methods)
        self._lasting_methods = tuple(lasting_methods)
        self._on_close = on_close
        self._requests: _Requests = queue.SimpleQueue()
        self._prompt_requests: _Requests = queue.SimpleQueue()
        # By id, from the request's arrival to its answer; set when it is cancelled.
        self._pending: dict[int, threading.Event] = {}
        self._pending_lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._closing = threading.Event()
        self._exit_code = 0

    def run(self, hello: dict[str, Any]) -> int:
        """Say hello and work until the stream ends; returns the exit code."""
        self._send(protocol.Message("hello", body=hello))
        threading.Thread(target=self._read_all, name="reader", daemon=True).start()
        threading.Thread(
            target=self._answer_all, args=(self._prompt_requests,), name="jobs", daemon=True
        ).start()
        self._answer_all(self._requests)
        return self._exit_code

    def _answer_all(self, requests: _Requests) -> None:
        while (waiting := requests.get()) is not None:
            self._answer(*waiting)

    def _read_all(self) -> None:
        """Read until the stream ends; whatever happens here ends the process."""
        exit_code = 1
        try:
            while (message := protocol.read(self._stdin)) is not None:
                if message.type == "shutdown":
                    break
                self._receive(message)
            exit_code = 0
        except protocol.ProtocolError as error:
            log.error("The engine ends, for it was sent what is no message: %s", error)  # noqa: TRY400
        except Exception:
            log.exception("The engine ends: it cannot read from Blender.")
        finally:
            self._exit_code = exit_code
            self._closing.set()
            self._requests.put(None)
            self._prompt_requests.put(None)
            self._on_close(exit_code)

    def _receive(self, message: protocol.Message) -> None:
        if message.type == "request":
            if not message.id or message.id in self._pending:
                raise protocol.ProtocolError(f"The id {message.id} of a request is 0 or in use.")
            pending = self._pending[message.id] = threading.Event()
            # Tuples: a method's name that is no text has no hash perhaps, and is in no tuple.
            name = message.body.get("method")
            if name in self._lasting_methods:
                threading.Thread(
                    target=self._answer, args=(message, pending), name="live", daemon=True
                ).start()
            else:
                prompt = name in self._prompt_methods
                (self._prompt_requests if prompt else self._requests).put((message, pending))
        elif message.type == "cancel":
            if cancelled := self._pending.get(message.id):
                cancelled.set()
                timer = threading.Timer(_CANCEL, self._give_up, (message.id, cancelled))
                timer.daemon = True
                timer.start()
        elif message.type == "ping":
            self._send(protocol.Message("pong", message.id))
        else:
            log.warning("unexpected message of type %s", shown(message.type))

    def _take(self, request_id: int, pending: threading.Event) -> bool:
        """Whether a request has yet to be answered; its id is free from then on.

        Before the answer: whoever has it may use the id again.
        """
        with self._pending_lock:
            if self._pending.get(request_id) is not pending:
                return False
            del self._pending[request_id]
            return True

    def _give_up(self, request_id: int, pending: threading.Event) -> None:
        """Answer a cancelled request, though a library that asks nobody is still at its work."""
        if self._take(request_id, pending):
            self._send(_refusal(request_id, CancelledError()))

    def _answer(self, message: protocol.Message, pending: threading.Event) -> None:
        name = message.body.get("method")
        name = name if isinstance(name, str) and name in self._methods else shown(name)
        try:
            reply = self._reply_to(message, name, pending)
        finally:
            unanswered = self._take(message.id, pending)
        if not unanswered:
            log.info("%s had been cancelled", name)
            return
        try:
            self._send(reply)
        except Exception as error:
            log.exception("The answer of %s cannot be sent", name)
            self._send(_failure(message.id, name, error))

    def _reply_to(
        self, message: protocol.Message, name: str, cancelled: threading.Event
    ) -> protocol.Message:
        started = time.perf_counter()
        try:
            reply = self._work(message, name, cancelled)
        except GaussianSpeechError as error:
            log.info("%s: %s: %s", name, error.kind, one_line(error))
            return _refusal(message.id, error)
        except OSError as error:
            log.exception("%s failed", name)
            return _refusal(message.id, refused_by_system(error))
        except ModuleNotFoundError as error:
            log.exception("%s failed", name)
            return _refusal(message.id, _missing(error))
        except Exception as error:
            log.exception("%s failed", name)
            return _failure(message.id, name, error)
        log.info("%s took %.3f s", name, time.perf_counter() - started)
        return reply

    def _work(
        self, message: protocol.Message, name: str, cancelled: threading.Event
    ) -> protocol.Message:
        method = self._methods.get(name)
        if method is None:
            raise GaussianSpeechError(
                f"The engine has no method {name}.", f"It knows: {', '.join(self._methods)}."
            )
        progress = self._progress_of(message.id, cancelled)
        progress(0.0, "")
        params = JsonObject(message.body.get("params") or {}, name)
        send = self._sender_of(message.id, cancelled)
        request = Request(name, params, message.arrays, progress, send)
        reply = method(request)
        return protocol.Message("result", message.id, reply.body, reply.arrays)

    def _progress_of(
        self, request_id: int, cancelled: threading.Event
    ) -> Callable[[float, str], None]:
        last = (-_PROGRESS_INTERVAL, "")

        def progress(fraction: float, text: str) -> None:
            nonlocal last
            if cancelled.is_set() or self._closing.is_set():
                raise CancelledError
            now = time.monotonic()
            if text != last[1] or now - last[0] >= _PROGRESS_INTERVAL:
                last = (now, text)
                body = {"fraction": min(max(float(fraction), 0.0), 1.0), "message": text}
                self._send(protocol.Message("progress", request_id, body))

        return progress

    def _sender_of(self, request_id: int, cancelled: threading.Event) -> Send:
        def send(body: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
            if cancelled.is_set() or self._closing.is_set():
                raise CancelledError
            self._send(protocol.Message("frames", request_id, body, arrays))

        return send

    def _send(self, message: protocol.Message) -> None:
        try:
            with self._write_lock:
                protocol.write(self._stdout, message)
        except OSError:
            # Blender is gone; the reader ends the process.
            if not self._closing.is_set():
                log.warning("%s could not be sent: nobody reads", message.type)


def _failure(request_id: int, name: str, error: Exception) -> protocol.Message:
    """The answer to what failed in a way that nobody foresaw."""
    what = f"{name} failed: {traceback.format_exception_only(error)[-1].strip()}"
    return _refusal(request_id, GaussianSpeechError(what, "The engine's log says more."))


def _refusal(request_id: int, error: GaussianSpeechError) -> protocol.Message:
    body = {"kind": error.kind, "message": error.message, "hint": error.hint}
    return protocol.Message("error", request_id, body)


def _missing(error: ModuleNotFoundError) -> MissingDependencyError:
    return MissingDependencyError(
        f"The engine's Python {sys.executable} has no {error.name}.",
        f'Install it: "{sys.executable}" -m pip install {error.name}',
    )


def _leave_after_grace(exit_code: int) -> None:
    """End the process though a library is still at work: nobody waits for its result."""

    def leave() -> None:
        logging.shutdown()
        os._exit(exit_code)

    timer = threading.Timer(_GRACE, leave)
    timer.daemon = True
    timer.start()
