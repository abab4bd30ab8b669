# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor finds: one line for each thing that was looked at, with a remedy.

Standard library only: Blender and the engine both find things out.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

Level = Literal["ok", "warning", "error"]
LEVELS: tuple[Level, ...] = ("ok", "warning", "error")

_LITTLE = 2e9
"""Bytes of free disk under which a training or a bake may not fit."""


class Check(NamedTuple):
    """One finding.

    Attributes:
        topic: what it belongs to, such as ``libraries``.
        name: what was looked at.
        level: ``ok``, ``warning`` (something is less than it could be) or ``error``.
        text: what was found.
        remedy: what to do; empty where nothing needs to be done.
    """

    topic: str
    name: str
    level: Level
    text: str
    remedy: str = ""


def worst(checks: Iterable[Check]) -> Level:
    """The worst level of some checks."""
    return max((check.level for check in checks), key=LEVELS.index, default="ok")


def as_text(checks: Sequence[Check]) -> str:
    """The findings as plain text, a line each and remedies below, for a message to somebody."""
    lines = []
    for check in checks:
        lines.append(f"[{check.level}] {check.topic}: {check.name}: {check.text}")
        if check.remedy:
            lines.append(f"    {check.remedy}")
    return "\n".join(lines)


def writable_folder(topic: str, name: str, folder: Path) -> Check:
    """Whether a folder, which need not exist yet, can be written and has room."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    if not os.access(there, os.W_OK):
        return Check(topic, name, "error", f"{folder} cannot be written", f"Allow it for {there}.")
    free = shutil.disk_usage(there).free
    text = f"{folder}, {free / 1e9:.1f} GB free"
    if free < _LITTLE:
        return Check(topic, name, "warning", text, "Free some space: trainings take gigabytes.")
    return Check(topic, name, "ok", text)
