# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches: lines a second and core, beside one process on one core."""

from __future__ import annotations

from contextlib import closing
from importlib.resources import as_file, files
from pathlib import Path

from engine.batch import BatchLine, Settings, run_batch
from engine.batch.folder import opened
from engine.batch.process_pool import ProcessPool, default_processes
from engine.core.errors import GaussianSpeechError
from engine.motion.style import Style
from training.bench.figures import Part


def batch(part: Part) -> None:
    """The same lines by one process and by all, of one thread each, with their models loaded."""
    each, most = (4 if part.quick else 12), default_processes()
    with as_file(files("engine.assets") / "sample_voice.wav") as sound:
        rates = {}
        for processes in sorted({1, *(2**k for k in range(1, 8) if 2**k < most), most}):
            rates[float(processes)] = _rate(part.folder, sound, processes, each)
    cores = f"{most} processes" if most > 1 else "one process"
    part.add(
        "batch.core",
        f"a line of the batch by {cores}, times their number",
        most / rates[float(most)],
        "s",
        "the same line by one process",
        1 / rates[1.0],
    )
    part.grow(
        *("batch.processes", "Lines a second by processes"),
        *(("processes", "lines a second"), rates),
    )


def _rate(folder: Path, sound: Path, processes: int, each: int) -> float:
    """Lines a second, so many for each process, once each has had one before."""
    out, count = folder / f"batch-{processes}", each * processes
    lines = [BatchLine(n, f"l{n}", sound, style=Style(seed=n)) for n in range(count + processes)]
    with opened(out) as token:
        settings = Settings(out, token, recognizer="phones")
        with closing(ProcessPool(settings, processes, threads=1)) as pool:
            first = run_batch(lines[:processes], pool)
            report = run_batch(lines[processes:], pool)
    for failure in (*first.failed, *report.failed):
        raise GaussianSpeechError(failure.message)
    return count / report.seconds
