# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine that figures were taken on, which every benchmark names."""

from __future__ import annotations

from pathlib import Path

from training.run.machine import processor, vector_bits

__all__ = ["held", "processor", "vector_bits"]


def held(process: int | str = "self") -> tuple[float, int]:
    """MiB that a process holds resident, and how many files it has open (Linux)."""
    folder = Path(f"/proc/{process}")
    status = (folder / "status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024, len(list((folder / "fd").iterdir()))
