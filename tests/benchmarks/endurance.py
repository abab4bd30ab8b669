# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an engine that works all day stays as it is: ``python -m tests.benchmarks.endurance``.

One engine process, as Blender starts it, answers ``speech.predict`` for a short sound again and
again, and now and then is asked for something that fails or is cancelled. Prints what the process
holds resident and how many files and threads it has, and at the end by how much each request made
that grow; asserts nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from engine.core import protocol
from tests.benchmarks.machine import held, processor

RATE = 16_000
SOUNDS = 10
EVERY = 20
"""Of so many requests one is for a file that is missing, and one is cancelled at once."""


class Engine:
    """The process and its pipe."""

    def __init__(self, log: Path) -> None:
        command = [sys.executable, "-m", "engine", "serve"]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with log.open("wb") as errors:
            self.process = subprocess.Popen(command, stderr=errors, **pipes)
        self._next = 0
        assert protocol.read(self.process.stdout).type == "hello"

    def ask(self, params: dict[str, Any], samples=None, *, cancel: bool = False):
        """The answer to a prediction."""
        self._next += 1
        arrays = {} if samples is None else {"samples": samples}
        body = {"method": "speech.predict", "params": params}
        protocol.write(self.process.stdin, protocol.Message("request", self._next, body, arrays))
        if cancel:
            protocol.write(self.process.stdin, protocol.Message("cancel", self._next))
        while (answer := protocol.read(self.process.stdout)).type == "progress":
            pass
        return answer

    def holds(self) -> tuple[float, int, int]:
        """Resident MiB, open files and threads."""
        memory, files = held(self.process.pid)
        return memory, files, len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.process.wait(60)


def sounds(seconds: float) -> list[np.ndarray]:
    """Sounds of several lengths from the sample voice, 16 kHz mono."""
    from engine.audio.loading import load_speech

    path = Path(__file__).resolve().parents[2] / "engine" / "assets" / "sample_voice.wav"
    samples = np.asarray(load_speech(path).samples, np.float32)
    return [samples[: round((seconds + 0.02 * more) * RATE)] for more in range(SOUNDS)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="predictions")
    parser.add_argument("--seconds", type=float, default=0.6, help="of sound in each")
    parser.add_argument("--model", default="rules")
    parser.add_argument("--text", default="the north wind")
    parser.add_argument("--log", type=Path, default=Path("endurance.log"), help="the engine's log")
    options = parser.parse_args()
    engine = Engine(options.log)
    spoken = sounds(options.seconds)
    params = {
        "head": "default",
        "fps": 30.0,
        "rate": RATE,
        "language": "en",
        "text": options.text,
        "model": options.model,
    }
    print(f"{processor()}, {options.count} predictions of {options.seconds:g} s, {options.model}")
    print(f"{'predictions':>11} {'seconds':>8} {'MiB':>8} {'files':>6} {'threads':>8}", flush=True)
    rows, began = [], time.monotonic()
    digests = set()
    for number in range(1, options.count + 1):
        samples = spoken[number % SOUNDS]
        answer = engine.ask(params, samples)
        assert answer.type == "result", answer.body
        digests.add(answer.arrays["key_values"].tobytes())
        if number % EVERY == 0:
            assert engine.ask(params | {"audio": "/no/such.wav"}).body["kind"] == "bad_input"
            assert engine.ask(params, samples, cancel=True).type in ("error", "result")
        if number % max(1, options.count // 20) == 0 or number == 1:
            rows.append((number, *engine.holds()))
            _, memory, files, threads = rows[-1]
            since = time.monotonic() - began
            print(f"{number:>11} {since:>8.0f} {memory:>8.1f} {files:>6} {threads:>8}", flush=True)
    engine.close()
    numbers, memory, files, threads = map(np.array, zip(*rows, strict=True))
    late = numbers > options.count / 4
    slope = np.polyfit(numbers[late], memory[late], 1)[0] * 1024 if late.sum() > 1 else math.nan
    print(
        f"after the first quarter: {slope:+.2f} KiB a prediction; files {files[late].min()} to "
        f"{files[late].max()}, threads {threads[late].min()} to {threads[late].max()}; "
        f"{len(digests)} different result{'s' * (len(digests) != 1)}"
    )


if __name__ == "__main__":
    main()
