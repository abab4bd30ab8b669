# SPDX-License-Identifier: GPL-3.0-or-later
"""Seconds per second of speech for the steps of ``animate``: printed, never asserted.

    python -m tests.benchmarks.animate [AUDIO...]

Without files the sample voice is used. The reference of the ratio is decoding the phones alone, in
the same run on the same machine; "cpu" is the time of all cores for the whole.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from engine.audio.loading import load_speech
from engine.heads import load_head
from engine.motion.predict import predict
from engine.recognition.recognizer import recognize

RUNS = 5


def seconds(action, clock=time.perf_counter):
    times = []
    for _ in range(RUNS):
        start = clock()
        action()
        times.append(clock() - start)
    return statistics.median(times)


def main(paths):
    head = load_head("default")
    table = Table(title=f"animate: seconds per second of speech (median of {RUNS})")
    columns = ("file", "speech s", "load", "phones", "whole", "save", "total", "ratio")
    for column in (*columns, "cpu"):
        table.add_column(column, justify="right")
    for path in paths:
        speech = load_speech(path)
        recognize(speech)  # the models are loaded once per process, as in the engine
        performance = predict(speech, head, 25.0)
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "a.performance.npz"
            load = seconds(lambda path=path: load_speech(path))
            phones = seconds(lambda speech=speech: recognize(speech, recognizer="phones"))
            whole = seconds(lambda speech=speech: predict(speech, head, 25.0))
            used = seconds(lambda speech=speech: predict(speech, head, 25.0), time.process_time)
            save = seconds(lambda p=performance, target=target: p.save(target))
        d = speech.duration
        total = load + whole + save
        figures = (load / d, phones / d, whole / d, save / d, total / d, total / phones, used / d)
        table.add_row(path.name, f"{d:.2f}", *(f"{figure:.4f}" for figure in figures))
    Console().print(table)


if __name__ == "__main__":
    sample = Path(__file__).parents[2] / "engine" / "assets" / "sample_voice.wav"
    main([Path(argument) for argument in sys.argv[1:]] or [sample])
