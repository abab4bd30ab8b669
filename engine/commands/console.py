# SPDX-License-Identifier: GPL-3.0-or-later
"""How commands talk: progress on stderr, results on stdout, one line for an error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from engine.core.errors import BadInputError, GaussianSpeechError, one_line
from engine.core.progress import Progress

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """A progress bar on stderr; plain lines, one a step, where stderr is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(title)
        return
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[step]}", markup=False),
        TimeElapsedColumn(),
    )
    # What is printed meanwhile stays on stdout where that is a file.
    with Bars(*columns, console=console, redirect_stdout=sys.stdout.isatty()) as bars:
        task = bars.add_task(title, total=1.0, step="")

        def report(fraction: float, message: str) -> None:
            bars.update(task, completed=fraction, step=message)

        yield report
        bars.update(task, completed=1.0, step="done")


def _lines(title: str) -> Progress:
    """A line when a tenth is done or the kind of step changes: a log stays short."""
    last = ("", -1)

    def report(fraction: float, message: str) -> None:
        nonlocal last
        kind, tenth = "".join(filter(str.isalpha, message))[:12], int(10 * fraction)
        if (kind, tenth) != last:
            print(f"{title} {100 * fraction:3.0f} %  {message}", file=sys.stderr, flush=True)
            last = (kind, tenth)

    return report


def print_error(error: GaussianSpeechError) -> int:
    """One line on stderr that names the thing and the remedy; returns the exit code."""
    print(f"gaussianspeech: {one_line(error)}", file=sys.stderr)
    return EXIT_BAD_INPUT if isinstance(error, BadInputError) else EXIT_FAILED


def print_warnings(warnings: tuple[str, ...] | list[str]) -> None:
    """What the user should know though the work succeeded, on stderr."""
    for warning in warnings:
        print(f"gaussianspeech: note: {warning}", file=sys.stderr)


def print_result(lines: dict[str, Any], *, as_json: bool) -> None:
    """Results on stdout: ``name: value`` lines, or one JSON object for programs."""
    if as_json:
        print(json.dumps(lines, default=str))
        return
    width = max(map(len, lines), default=0)
    for name, value in lines.items():
        print(f"{name:<{width}}  {value}")


def existing_folder(path: Path) -> Path:
    """Make the output folder.

    Raises:
        BadInputError: it cannot be made or is a file.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(
            f"The output folder {path} cannot be made: {error.strerror}.",
            "Choose another folder with --out.",
        ) from error
    return path
