# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech batch``: a manifest of lines in, performances, films and meshes out."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from engine.commands.console import (
    EXIT_BAD_INPUT,
    EXIT_FAILED,
    print_result,
    print_warnings,
    progress_bar,
)
from engine.core.checks import check_range
from engine.core.errors import BadInputError
from engine.core.timing import MAX_FPS, MIN_FPS
from engine.recognition.ids import AUTO, DOWNLOADABLE, PHONES
from engine.recognition.ids import DEFAULT as RECOGNIZER

if TYPE_CHECKING:
    from engine.batch import Executor, Report, Settings

_SHOWN = 100
"""Failures and warnings that are printed, each; a second run says the others."""


def batch(
    manifest: Annotated[Path, tyro.conf.Positional],
    out: Path,
    *,
    outputs: str = "performance",
    person: str = "default",
    head: str | None = None,
    fps: float = 25.0,
    size: str = "720x720",
    recognizer: str = RECOGNIZER,
    backend: Literal["auto", "gsplat", "cpu"] = "auto",
    processes: int | None = None,
    ray: str | None = None,
    cpus_per_task: float = 1.0,
    gpus_per_film: float = 0.25,
    retries: int = 2,
    json: bool = False,
) -> int:
    """Animate thousands of lines: what is done is left alone, what fails stops nothing else.

    Run it again after whatever ended it: outputs that are whole, and made of the same inputs, are
    not made again.

    Args:
        manifest: a .csv with a header, or a .jsonl with an object a line. Columns are sound (a
            file), text, person, fps, outputs and others of docs/scale.md; all but sound may be left
            out. File names start from the manifest's folder.
        out: folder for the results; with --ray at the same path on every machine.
        outputs: of lines that do not say: performance, csv, json, flame, glb, vrm, fbx, blend, mp4,
            mov, mkv, png, with commas between.
        person: of lines that do not say: "default", a person's folder or an avatar's file.
        head: the file that the avatar's head is made from, such as the FLAME model, where it is not
            found by itself.
        fps: of lines that do not say.
        size: WIDTHxHEIGHT in pixels of films of lines that do not say.
        recognizer: what writes down speech without a text, as for 'animate'.
        backend: the rasteriser of films; auto takes the GPU where there is one.
        processes: how many work at a time on this machine; by default as many as there are
            processors and memory for.
        ray: do it on a Ray cluster: "auto" for the one that this machine belongs to, HOST:PORT for
            another's; needs the 'cluster' extra.
        cpus_per_task: processors that a task on the cluster gets.
        gpus_per_film: part of a GPU that a film gets on a cluster that has some.
        retries: how many more times a task is tried that failed for no fault of its line.
        json: print the result as JSON.
    """
    from engine.batch import Defaults, Settings, read_manifest, run_batch
    from engine.batch.folder import opened
    from engine.batch.manifest import checked_kinds
    from engine.rendering.picture_size import picture_size

    check_range("--fps", fps, MIN_FPS, MAX_FPS)
    check_range("--retries", retries, 0, 100)
    if processes is not None and ray is not None:
        raise BadInputError("--processes is of this machine alone.", "Leave it out with --ray.")
    kinds = checked_kinds([kind for kind in outputs.replace(",", " ").split() if kind])
    head = None if head is None else _path(head)
    if recognizer not in (AUTO, PHONES, *DOWNLOADABLE):
        recognizer = _path(recognizer)
    lines = read_manifest(manifest, Defaults(kinds, _path(person), head, fps, picture_size(size)))
    with opened(out) as token:
        settings = Settings(out.resolve(), token, recognizer, backend)
        with (
            closing(_executor(settings, processes, ray, cpus_per_task, gpus_per_film)) as executor,
            progress_bar("batch") as progress,
        ):
            report = run_batch(lines, executor, retries=retries, progress=progress)
    _print_problems(report, manifest)
    print_result(_facts(report, out), as_json=json)
    if not report.failed:
        return 0
    return EXIT_BAD_INPUT if all(one.bad_input for one in report.failed) else EXIT_FAILED


def _path(named: str) -> str:
    """What ships by its name, else a file's path for all machines, from the current folder."""
    return named if named == "default" else str(Path(named).expanduser().resolve())


def _executor(
    settings: Settings, processes: int | None, ray: str | None, cpus: float, gpus: float
) -> Executor:
    if ray is not None:
        from engine.batch.ray_cluster import RayCluster

        return RayCluster(
            settings,
            ray,
            check_range("--cpus-per-task", cpus, 0.1, 1024),
            check_range("--gpus-per-film", gpus, 0.0, 8.0),
        )
    from engine.batch.process_pool import ProcessPool

    if processes is not None:
        check_range("--processes", processes, 1, 4096)
    return ProcessPool(settings, processes)


def _print_problems(report: Report, manifest: Path) -> None:
    noted = [f"{name}: {text}" for name, texts in report.warnings.items() for text in texts]
    print_warnings(noted[:_SHOWN])
    for failure in report.failed[:_SHOWN]:
        line, at = failure.task.line, f" (on {failure.node[:12]})" if failure.node else ""
        where = f"{manifest}, line {line.number}, {line.name}"
        print(f"gaussianspeech: {where}: {failure.message}{at}", file=sys.stderr)
    for what, count in (("warnings", len(noted)), ("failures", len(report.failed))):
        if count > _SHOWN:
            print(f"gaussianspeech: and {count - _SHOWN} more {what}.", file=sys.stderr)


def _facts(report: Report, out: Path) -> dict[str, object]:
    return {
        "folder": out,
        "lines": report.lines,
        "made": dict(report.made),
        "there": report.there,
        "failed": [failure.task.line.name for failure in report.failed],
        "retried": report.retried,
        "seconds": round(report.seconds, 3),
        "task_seconds": round(report.busy, 3),
        "typical_seconds": {stage: round(taken, 3) for stage, taken in report.typical.items()},
        "processor_seconds": {stage: round(used, 3) for stage, used in report.processor.items()},
        "speech_seconds": round(report.speech, 3),
    }
