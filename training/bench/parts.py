# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the benchmark, and running them: one that cannot run here is left out by name."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.core.errors import GaussianSpeechError, one_line
from engine.core.progress import Progress, no_progress, subprogress
from training.bench.figures import Curve, Figure, Part

TIMEOUT = 3600
"""Seconds after which Blender's part is given up."""


def _speech(part: Part) -> None:
    from training.bench.speech import speech

    speech(part)


def _recognition(part: Part) -> None:
    from training.bench.speech import recognition

    recognition(part)


def _splatting(part: Part) -> None:
    from training.bench.pictures import splatting

    splatting(part)


def _blender(part: Part) -> None:
    """In a process of its own: viewport, bake, playback and F12."""
    out = part.folder / "blender.json"
    # -P: a folder of the user that is called like a package of ours must not be taken for it.
    command = [sys.executable, "-P", "-m", "blender_addon.bench", "--out", str(out)]
    command += ["--quick"] if part.quick else []
    # A fixed module of this package, no shell.
    options: dict[str, Any] = {"capture_output": True, "text": True, "timeout": TIMEOUT}
    try:
        run = subprocess.run(command, check=False, **options)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise GaussianSpeechError(f"Blender did not end within {TIMEOUT} s.") from error
    if run.returncode or not out.is_file():
        said = " ".join(f"{run.stdout}\n{run.stderr}".split()[-40:])
        raise GaussianSpeechError(f"Blender ended with {run.returncode}: {said}")
    for figure in json.loads(out.read_text("utf-8")):
        part.add(*figure)


def _training(part: Part) -> None:
    from training.bench.learning import training_step

    training_step(part)


def _tracking(part: Part) -> None:
    from training.bench.tracking import tracking

    tracking(part)


def _retarget(part: Part) -> None:
    from training.bench.speech import retargeting

    retargeting(part)


def _export(part: Part) -> None:
    from training.bench.speech import export

    export(part)


def _batch(part: Part) -> None:
    from training.bench.lines import batch

    batch(part)


PARTS: dict[str, tuple[Callable[[Part], None], str | None]] = {
    "speech": (_speech, None),
    "recognition": (_recognition, None),
    "splatting": (_splatting, None),
    "blender": (_blender, "bpy"),
    "training": (_training, None),
    "tracking": (_tracking, "mediapipe"),
    "retarget": (_retarget, None),
    "export": (_export, None),
    "batch": (_batch, None),
}
"""By name: the work, and the library that it needs beside those of ``training``."""


@dataclass
class Result:
    """What a benchmark has found.

    Attributes:
        figures: in the order of the parts.
        curves: likewise.
        left_out: why a part has none, by its name.
        seconds: of each part.
    """

    figures: list[Figure] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "figures": [{**vars(one), "ratio": one.ratio} for one in self.figures],
            "curves": [vars(one) for one in self.curves],
            "left_out": self.left_out,
            "seconds": self.seconds,
        }


def run_parts(
    names: Sequence[str], *, quick: bool = False, progress: Progress = no_progress
) -> Result:
    """Run parts of the benchmark.

    Args:
        names: keys of :data:`PARTS`.
        quick: fewer runs, smaller sizes.
        progress: called after each figure.
    """
    result = Result()
    for index, name in enumerate(names):
        work, needs = PARTS[name]
        if needs is not None and importlib.util.find_spec(needs) is None:
            result.left_out[name] = f"{needs} is not installed"
            continue
        step = subprogress(progress, index / len(names), (index + 1) / len(names))
        step(0.0, name)
        start = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="gaussianspeech-bench-") as folder:
            part = Part(Path(folder), quick, step)
            try:
                work(part)
            except GaussianSpeechError as error:
                result.left_out[name] = one_line(error)
        result.figures += part.figures
        result.curves += part.curves
        result.seconds[name] = round(time.perf_counter() - start, 1)
    progress(1.0, "done")
    return result
