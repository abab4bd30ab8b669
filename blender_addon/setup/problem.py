# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report of a problem says."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from pathlib import Path

from ...engine.core.diagnosis import Check, as_text

_LINES = 60
"""Of the end of a log."""
_LONGEST = 1 << 16
"""Bytes of its end that are looked at."""


def problem_text(checks: Sequence[Check], error: str, logs: Sequence[Path]) -> str:
    """A report of a problem with what is needed to look into it, as Markdown.

    The user's folder is written ``~``, for it often holds a name.

    Args:
        checks: the doctor's findings.
        error: what the panel shows, or empty.
        logs: files whose ends are added, where they exist.
    """
    parts = [
        "## What I did, what happened, and what I expected\n\n(please fill in)",
        f"## Error\n\n{error or 'none is shown'}",
        f"## Doctor\n\n```\n{platform.platform()}\n{as_text(checks)}\n```",
    ]
    parts += [f"## {log.name}\n\n```\n{_end(log)}\n```" for log in logs if log.is_file()]
    return _without_home("\n\n".join(parts)) + "\n"


def _without_home(text: str) -> str:
    home = Path.home()
    if home == home.parent:  # A root, as services have it, names nobody and begins every path.
        return text
    written = "|".join(re.escape(form) for form in {str(home), home.as_posix()})
    return re.sub(rf"(?:{written})(?!\w)", "~", text)


def _end(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LONGEST))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "\n".join(lines[-_LINES:])
