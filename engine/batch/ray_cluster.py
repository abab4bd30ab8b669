# SPDX-License-Identifier: GPL-3.0-or-later
"""A Ray cluster that does tasks: https://docs.ray.io. A node that dies costs a task's attempt."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import os
import socket
import sys
from pathlib import Path
from typing import Any

from engine import __version__
from engine.batch.folder import FOLDER, check_seen
from engine.batch.tasks import Failure, Outcome, Settings, Task
from engine.core.errors import GaussianSpeechError, MissingDependencyError, one_line
from engine.core.files import write_text

_QUEUED = 2
"""Tasks for each one that can run: nodes need not wait for the driver, and new nodes find some."""

_ANSWERS = 10.0
"""Seconds within which a cluster's head accepts a connection."""


class RayCluster:
    """An executor (:class:`engine.batch.tasks.Executor`) of a cluster's nodes.

    Each task gets its processors, and a film its part of a GPU where the cluster has some, as Ray's
    resources. Ray keeps a worker process for the next task, so models are loaded once in each.

    Args:
        settings: of the batch.
        address: ``"auto"``, ``"HOST:PORT"``, or ``"local"`` for a cluster of this machine alone.
        cpus: processors of a task.
        gpus: part of a GPU of a film.

    Raises:
        MissingDependencyError: Ray is not installed.
        GaussianSpeechError: no cluster answers there.
    """

    def __init__(
        self, settings: Settings, address: str = "auto", cpus: float = 1.0, gpus: float = 0.25
    ) -> None:
        if importlib.util.find_spec("ray") is None:
            raise MissingDependencyError(
                "Ray is not installed.", "Install it: pip install 'gaussianspeech[cluster]'."
            )
        import ray

        self._ray, self._settings = ray, settings
        self._printing = contextlib.ExitStack()
        # Ray prints what happens on nodes there, and standard output is for results.
        self._printing.enter_context(contextlib.redirect_stdout(sys.stderr))
        self._cpus, self._gpus = cpus, gpus
        try:
            _reach(address)
            # What workers print is no result of ours.
            ray.init(address=address, log_to_driver=False, logging_level="error")
        except (OSError, OverflowError, RuntimeError, ValueError) as error:
            self._printing.close()
            raise GaussianSpeechError(
                f"No Ray cluster answers at {address}: {one_line(error)[:120]}",
                "Start one with 'ray start --head', and give its address.",
            ) from error
        self._perform = ray.remote(max_retries=0)(_perform)
        self._running: dict[Any, Task] = {}

    @property
    def slots(self) -> int:
        """How many tasks are handed out at a time; more when nodes join."""
        total = self._ray.cluster_resources().get("CPU", 0.0)
        return max(1, _QUEUED * int(total / self._cpus))

    def submit(self, task: Task) -> None:
        """Begin a task; fewer than :attr:`slots` are running."""
        options: dict[str, Any] = {"num_cpus": self._cpus}
        if task.stage == "film" and self._ray.cluster_resources().get("GPU", 0.0) > 0:
            options["num_gpus"] = self._gpus
        if task.avoid and (other := self._other_node(task)):
            from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

            # Soft: elsewhere where that node is full for good, or gone meanwhile.
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(other, soft=True)
        threads = max(1, math.ceil(self._cpus))
        reference = self._perform.options(**options).remote(
            task, self._settings, threads, __version__
        )
        self._running[reference] = task

    def _other_node(self, task: Task) -> str | None:
        nodes = [node["NodeID"] for node in self._ray.nodes() if node["Alive"]]
        others = [node for node in nodes if node not in task.avoid]
        return others[task.line.number % len(others)] if others else None

    def wait(self, seconds: float) -> list[Outcome | Failure]:
        """What has ended since the last call; waits at most so long for it."""
        references = list(self._running)
        ready, _ = self._ray.wait(references, num_returns=1, timeout=seconds)
        if ready:
            # All that are done by now, not the first alone.
            ready, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        return [self._ended(reference) for reference in ready]

    def _ended(self, reference: Any) -> Outcome | Failure:
        task = self._running.pop(reference)
        try:
            ended: Outcome | Failure = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            # The worker or its node has died, for want of memory for instance.
            kind = type(error).__name__
            where = _claimed(self._settings.out, task)
            return Failure(task, f"{kind}: {one_line(error)}"[:300], node=where)
        return ended

    def close(self) -> None:
        """Leave the cluster, which ends this batch's tasks and worker processes."""
        self._running.clear()
        self._ray.shutdown()
        self._printing.close()


def _reach(address: str) -> None:
    """See that something answers at ``HOST:PORT``, for which Ray itself waits minutes.

    Raises:
        OSError: nothing does.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), _ANSWERS).close()


def _perform(task: Task, settings: Settings, threads: int, version: str) -> Outcome | Failure:
    """Do a task on a node."""
    import ray

    node: str = ray.get_runtime_context().get_node_id()
    if version != __version__:
        message = f"The node has GaussianSpeech {__version__}, the driver {version}."
        return Failure(task, f"{message} Install the same on both.", node=node)
    # Ray sets OMP_NUM_THREADS itself; nothing of ours has been imported yet the first time.
    os.environ.setdefault("NUMBA_NUM_THREADS", str(threads))

    from engine.batch.work import perform
    from engine.core.runtime import prepare

    prepare()
    claim = _claim(settings.out, task)
    try:
        # Before anything is written: a folder that is not mounted must not be made here.
        check_seen(settings.out, settings.token)
        write_text(claim, json.dumps({"node": node, "pid": os.getpid()}))
        return perform(task, settings, node)
    except GaussianSpeechError as error:
        return Failure(task, one_line(error), node=node)
    finally:
        with contextlib.suppress(OSError):
            claim.unlink(missing_ok=True)


def _claim(out: Path, task: Task) -> Path:
    """Where a node says that it does a task: Ray does not say on which one a worker died."""
    return out / FOLDER / f"{task.line.name}.running"


def _claimed(out: Path, task: Task) -> str:
    try:
        node = json.loads(_claim(out, task).read_text("ascii"))["node"]
    except (OSError, ValueError, TypeError, KeyError):
        return ""
    return str(node)
