# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech doctor``: what this installation can do, and why not where it cannot."""

from __future__ import annotations

from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.commands.console import EXIT_FAILED, print_result
from engine.core.diagnosis import worst
from engine.serving.doctor import examine

_COLORS = {"ok": "green", "warning": "yellow", "error": "red"}


def doctor(*, json: bool = False) -> int:
    """Say which libraries, devices, backends, models and folders there are, and how to mend them.

    Args:
        json: print one JSON object instead of tables.

    Returns:
        0 where nothing is broken, 1 where something is.
    """
    checks = examine()
    if json:
        found = [check._asdict() for check in checks]
        print_result({"level": worst(checks), "checks": found}, as_json=True)
    else:
        console = Console()
        for topic, rows in groupby(checks, key=lambda check: check.topic):
            table = Table(title=topic, title_justify="left", show_header=False, min_width=60)
            for check in rows:
                level = f"[{_COLORS[check.level]}]{check.level}[/]"
                said = f"{check.text}\n{check.remedy}".strip()
                table.add_row(level, Text(check.name), Text(said))
            console.print(table)
    return EXIT_FAILED if worst(checks) == "error" else 0
