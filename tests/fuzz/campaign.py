# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of many inputs in watched processes: what dies or hangs is begun again behind that input."""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.fuzz.harness import Harness
from tests.fuzz.watched import AT

_REPOSITORY = Path(__file__).resolve().parents[2]
_CHUNK = 500
_HANG = 5.0
"""Processor seconds of one input after which its process is ended."""
_STUCK = 60.0
"""Seconds of the clock: an input that waits uses no processor."""
_KEPT = 3
"""Inputs kept of one verdict of one harness."""
_MINIMISING = 300
"""Tries at a smaller input."""


@dataclass(frozen=True)
class Finding:
    """An input that broke a rule.

    Attributes:
        harness: its name.
        number: of the input.
        verdict: the rule, and where in the code where that is known.
        detail: one line.
    """

    harness: str
    number: int
    verdict: str
    detail: str


class DiedError(Exception):
    """A watched process ended, or was ended, while it parsed."""


class Watched:
    """One watched process and its scratch folder."""

    def __init__(self) -> None:
        self._scratch = Path(tempfile.mkdtemp(prefix="fuzz-", dir=_memory_disk()))
        work = self._scratch / "work"
        work.mkdir()
        self._at = self._scratch / "at"
        self._at.write_bytes(AT.pack(-1, 0.0))
        self._log = (self._scratch / "log").open("wb")
        environment = os.environ | {
            "PYTHONPATH": str(_REPOSITORY),
            "OMP_NUM_THREADS": "1",
            "NUMBA_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.watched", str(work), str(self._at)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=work,
            env=environment,
        )
        self._answers: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(b"")

    def parse(self, request: list[object]) -> Iterator[tuple[str, int, str, str]]:
        """Findings of a request, and at its end one with the verdict ``done``.

        Raises:
            DiedError: the process did; the message says how.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        seen, since = (-1, 0.0), time.monotonic()
        while True:
            try:
                line = self._answers.get(timeout=0.5)
            except queue.Empty:
                now = self.at()
                if now != seen:
                    seen, since = now, time.monotonic()
                elif now[0] >= 0:
                    self._end_if_hung(now[1], since)
                continue
            if not line:
                raise DiedError(
                    f"signal {-self._process.wait()}" if self._process.wait() < 0 else "exit"
                )
            answer = json.loads(line)
            yield tuple(answer)
            if answer[2] == "done":
                return

    def _end_if_hung(self, began: float, since: float) -> None:
        try:
            times = psutil.Process(self._process.pid).cpu_times()
        except psutil.NoSuchProcess:
            return
        used = times.user + times.system - began
        waited = time.monotonic() - since
        if used > _HANG or waited > _STUCK:
            self._process.kill()
            raise DiedError(f"hang, {used:.0f} s of the processor in {waited:.0f} s")

    def at(self) -> tuple[int, float]:
        """Number of the input that is being parsed (−1: none), and when it began."""
        number, began = AT.unpack(self._at.read_bytes())
        return number, began

    def log(self) -> str:
        """The end of what it printed."""
        return (self._scratch / "log").read_text("utf-8", "replace")[-2000:]

    def close(self) -> None:
        """End it and remove its folder."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        shutil.rmtree(self._scratch, ignore_errors=True)


def _memory_disk() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Campaign:
    """A run over harnesses.

    Args:
        harnesses: which.
        seed: of the inputs.
        out: where inputs with findings go; ``None`` keeps none.
    """

    def __init__(
        self, harnesses: Sequence[Harness], seed: int = 0, out: Path | None = None
    ) -> None:
        self.findings: list[Finding] = []
        self.inputs: Counter[str] = Counter()
        self.spent: Counter[str] = Counter()
        self._harnesses = harnesses
        self._seed = seed
        self._out = out
        self._seen: Counter[tuple[str, str]] = Counter()
        self._watched: Watched | None = None

    def run(self, *, inputs: int | None = None, seconds: float | None = None) -> None:
        """Parse ``inputs`` of each harness, by ``cost`` fewer, or as many as ``seconds`` allow."""
        end = math.inf if seconds is None else time.monotonic() + seconds
        left = {
            harness.name: math.inf if inputs is None else max(inputs // harness.cost, 1)
            for harness in self._harnesses
        }
        while any(left.values()) and time.monotonic() < end:
            for harness in self._harnesses:
                count = int(min(left[harness.name], max(_CHUNK // harness.cost, 5)))
                if count and time.monotonic() < end:
                    self._chunk(harness, count)
                    left[harness.name] -= count
            if inputs is None:
                print(self.table().splitlines()[-1], file=sys.stderr, flush=True)

    def _chunk(self, harness: Harness, count: int) -> None:
        first = self.inputs[harness.name]
        stop = first + count
        while first < stop:
            watched = self._watched or Watched()
            self._watched = watched
            try:
                for _, number, verdict, detail in watched.parse(
                    [harness.name, self._seed, first, stop - first]
                ):
                    if verdict == "done":
                        self.spent[harness.name] += float(detail)
                        first = stop
                    else:
                        self._note(Finding(harness.name, number, verdict, detail))
            except DiedError as death:
                number = watched.at()[0]
                log = watched.log()
                self.close()
                if number < 0:
                    raise RuntimeError(
                        f"The harness {harness.name} cannot start:\n{log}"
                    ) from death
                self._note(Finding(harness.name, number, str(death).split(",")[0], str(death)))
                first = number + 1
        self.inputs[harness.name] = stop

    def _note(self, finding: Finding) -> None:
        if finding.verdict.startswith(("slow", "hang")) and not self._repeats(finding):
            return
        kind = finding.harness, finding.verdict
        self._seen[kind] += 1
        if self._seen[kind] > _KEPT:
            return
        self.findings.append(finding)
        if self._out is None:
            return
        harness = next(one for one in self._harnesses if one.name == finding.harness)
        data = harness.input(self._seed, finding.number)
        if self._seen[kind] == 1:
            data = self._smallest(harness, data, finding.verdict)
        self._out.mkdir(parents=True, exist_ok=True)
        name = f"{finding.harness}-{self._seed}-{finding.number}"
        (self._out / f"{name}-{harness.file}").write_bytes(data)
        line = f"{finding.verdict}: {finding.detail}\n"
        (self._out / f"{name}.txt").write_text(line, "utf-8")
        print(f"{name}: {line}", end="", file=sys.stderr, flush=True)

    def _repeats(self, finding: Finding) -> bool:
        """Whether an input that took long takes long again: the machine may have been busy."""
        request: list[object] = [finding.harness, self._seed, finding.number, 1]
        with contextlib.closing(Watched()) as watched:
            try:
                found = [answer[2] for answer in watched.parse(request)]
            except DiedError:
                return True
        return finding.verdict in found

    def _smallest(self, harness: Harness, data: bytes, verdict: str) -> bytes:
        """Fewer bytes with the same verdict, by leaving out ever smaller stretches."""
        slow = verdict.startswith(("hang", "signal", "exit", "slow", "memory"))
        tries = _MINIMISING // 30 if slow else _MINIMISING
        with contextlib.ExitStack() as stack:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "input"
            watched = stack.enter_context(contextlib.closing(Watched()))
            size = max(len(data) // 2, 1)
            while size and tries:
                at = 0
                while at < len(data) and tries:
                    tries -= 1
                    path.write_bytes(data[:at] + data[at + size :])
                    try:
                        found, *_ = (
                            a[2] for a in watched.parse([harness.name, 0, 0, 1, str(path)])
                        )
                    except DiedError as death:
                        found = str(death).split(",")[0]
                        watched = stack.enter_context(contextlib.closing(Watched()))
                    if found == verdict:
                        data = path.read_bytes()
                    else:
                        at += size
                size //= 2
        return data

    def table(self) -> str:
        """Inputs, processor seconds and findings by harness, and the sum."""
        lines = [f"{'harness':<18}{'inputs':>10}{'seconds':>10}{'findings':>10}"]
        for harness in self._harnesses:
            name = harness.name
            found = sum(count for (one, _), count in self._seen.items() if one == name)
            lines.append(f"{name:<18}{self.inputs[name]:>10,}{self.spent[name]:>10.1f}{found:>10,}")
        total, spent = self.inputs.total(), sum(self.spent.values())
        lines.append(f"{'all':<18}{total:>10,}{spent:>10.1f}{self._seen.total():>10,}")
        return "\n".join(lines)

    def close(self) -> None:
        """End the watched process."""
        if self._watched is not None:
            self._watched.close()
            self._watched = None
