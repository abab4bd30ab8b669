# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of this machine that do tasks; one that dies costs a task's attempt, nothing more."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

import psutil

from engine.batch.tasks import Failure, Outcome, Settings, Task
from engine.core import platforms

_MEMORY = 2 << 30
"""Bytes that a process takes at most with its models, as long as recordings are not hours."""
_GRACE = 2.0


def default_processes() -> int:
    """As many as there are processors that this process may use and memory for."""
    memory = psutil.virtual_memory().available // _MEMORY
    return max(1, min(platforms.usable_processors(), int(memory)))


class _Worker(NamedTuple):
    process: Any
    connection: Connection


class ProcessPool:
    """An executor (:class:`engine.batch.tasks.Executor`) of processes.

    Args:
        settings: of the batch.
        processes: how many; by default :func:`default_processes`.
        threads: of each; by default its share of the processors.
    """

    def __init__(
        self, settings: Settings, processes: int | None = None, threads: int | None = None
    ) -> None:
        self._settings = settings
        self.slots = processes or default_processes()
        self._threads = threads or max(1, platforms.usable_processors() // self.slots)
        self._idle: list[_Worker] = []
        self._busy: dict[_Worker, Task] = {}

    def submit(self, task: Task) -> None:
        """Begin a task; fewer than :attr:`slots` are running."""
        worker = self._idle.pop() if self._idle else self._start()
        self._busy[worker] = task
        with contextlib.suppress(OSError):  # It has died: `wait` will see it.
            worker.connection.send(task)

    def wait(self, seconds: float) -> list[Outcome | Failure]:
        """What has ended since the last call; waits at most so long for it."""
        ready = wait([worker.connection for worker in self._busy], seconds)
        return [self._ended(worker) for worker in list(self._busy) if worker.connection in ready]

    def _ended(self, worker: _Worker) -> Outcome | Failure:
        task = self._busy.pop(worker)
        try:
            ended: Outcome | Failure = worker.connection.recv()
        except (EOFError, OSError):
            worker.connection.close()
            worker.process.join(_GRACE)
            return Failure(task, f"The process that did it ended with {_how(worker)}.")
        self._idle.append(worker)
        return ended

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        mine, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._settings), daemon=True)
        with _threads(self._threads):
            process.start()
        # So that the end of the process is the end of the connection.
        theirs.close()
        return _Worker(process, mine)

    def close(self) -> None:
        """End the processes."""
        idle, busy = self._idle, list(self._busy)
        self._idle, self._busy = [], {}
        for worker in busy:
            worker.process.kill()
        for worker in idle:
            worker.connection.close()  # Each ends by itself then.
            worker.process.join(_GRACE)
        for worker in [*idle, *busy]:
            worker.process.kill()
            worker.process.join()
            worker.connection.close()


def _how(worker: _Worker) -> str:
    code = worker.process.exitcode
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = "; is the memory full?" if name == "SIGKILL" else ""
        return f"{name}{hint}"
    return f"exit code {code}"


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let processes that start meanwhile compute with so many threads each."""
    wanted = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), str(count))
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(connection: Connection, settings: Settings) -> None:
    """Do the tasks that come; end with the driver, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The driver ends this process.
    sys.stdout = sys.stderr  # Standard output is for results.
    threading.Thread(target=_end_with_parent, daemon=True).start()

    from engine.batch.work import perform
    from engine.core.runtime import prepare

    prepare()
    with contextlib.suppress(EOFError, OSError):
        while True:
            connection.send(perform(connection.recv(), settings))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
