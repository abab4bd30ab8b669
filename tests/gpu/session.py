# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs each part of :mod:`tests.gpu.parts` in a process and a time of its own.

``session.sh`` starts this file. Whatever becomes of one part, the next one runs; the report is
written anew after each, so that one broken off keeps what there was.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engine.core import runtime

LIMITS = {
    "device": 50,
    "compile": 260,
    "parity": 80,
    "graph": 40,
    "benchmark": 75,
    "training": 90,
    "convergence": 240,
}
"""Seconds of each part at most, in the order in which they run."""
TOTAL, LEAST = 595, 20
"""Seconds of all parts together; with less than the second left a part is not begun."""
COMMAND = [sys.executable, "-m", "tests.gpu.parts"]
PASSED, FAILED, TIMED_OUT, NO_DEVICE = "passed", "failed", "timed out", "no CUDA device"
NO_TIME = "no time left"
NO_DEVICE_CODE = 3
"""Exit code of a part on a machine without CUDA."""


@dataclass
class Result:
    """What became of a part.

    Attributes:
        status: PASSED, FAILED, TIMED_OUT, NO_TIME or NO_DEVICE.
        seconds: it took.
        limit: seconds it had.
        figures: what it measured.
        message: its last line, where it did not pass.
    """

    status: str
    seconds: float = 0.0
    limit: int = 0
    figures: dict[str, Any] = field(default_factory=dict)
    message: str = ""


def run_part(name: str, limit: int, log: Path) -> Result:
    """Run a part, with what it prints appended to the log."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, log.open("ab") as output:
        output.write(f"\n=== {name}, at most {limit} s\n".encode())
        output.flush()
        begin = output.tell()
        figures = Path(folder) / "figures.json"
        process = subprocess.Popen(
            [*COMMAND, name, str(figures)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(limit)
            status = {0: PASSED, NO_DEVICE_CODE: NO_DEVICE}.get(code, FAILED)
        except subprocess.TimeoutExpired:
            status = TIMED_OUT
        finally:
            # Compilers that the part has started belong to its group.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        found = json.loads(figures.read_text()) if figures.is_file() else {}
    printed = log.read_bytes()[begin:].decode(errors="replace").split("\n")
    lines = [line.strip() for line in printed if line.strip()]
    message = "" if status == PASSED or not lines else lines[-1][:500]
    return Result(status, round(time.monotonic() - start, 1), limit, found, message)


def write(folder: Path, results: dict[str, Result]) -> None:
    """The report as it is now, whole or not at all."""
    passed = len(results) == len(LIMITS) and all(r.status == PASSED for r in results.values())
    content = {
        "passed": passed,
        "seconds": round(sum(result.seconds for result in results.values()), 1),
        "parts": {name: asdict(result) for name, result in results.items()},
    }
    temporary = folder / "session.json.part"
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    temporary.replace(folder / "session.json")


def main(folder: Path) -> int:
    """Run all parts; 0 when all of them passed."""
    runtime.prepare()
    log = folder / "session.txt"
    log.write_bytes(b"")
    results: dict[str, Result] = {}
    for name, most in LIMITS.items():
        limit = min(most, int(TOTAL - sum(result.seconds for result in results.values())))
        if results and results["device"].status == NO_DEVICE:
            results[name] = Result(NO_DEVICE, limit=most, message=results["device"].message)
        elif limit < min(most, LEAST):
            results[name] = Result(NO_TIME, message="The parts before took all of it.")
        else:
            results[name] = run_part(name, limit, log)
        write(folder, results)
        line = f"{name}: {results[name].status} {results[name].message}".rstrip()
        print(f"{line} ({results[name].seconds:.0f} s)", flush=True)
    print(f"{folder / 'session.json'}\n{log}")
    return 0 if all(result.status == PASSED for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
