# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine that figures were taken on, which every benchmark names."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def processor() -> str:
    """Name of the processor."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.is_file() else []
    names = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def vector_bits() -> int:
    """Width of the vectors that numba compiles for: 512 with AVX-512, 256 with AVX, else 128.

    ``NUMBA_CPU_FEATURES`` narrows it, as it does what is compiled.
    """
    from llvmlite.binding import get_host_cpu_features

    features = os.environ.get("NUMBA_CPU_FEATURES") or get_host_cpu_features().flatten()
    return 512 if "+avx512f" in features else 256 if "+avx" in features else 128


def held(process: int | str = "self") -> tuple[float, int]:
    """MiB that a process holds resident, and how many files it has open (Linux)."""
    folder = Path(f"/proc/{process}")
    status = (folder / "status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024, len(list((folder / "fd").iterdir()))
