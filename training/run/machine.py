# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine that figures were taken on, which every benchmark names."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from engine import __version__
from engine.core import platforms

_LIBRARIES = ("torch", "numpy", "numba", "bpy", "mediapipe", "gsplat", "ray", "faster-whisper")


def describe() -> dict[str, Any]:
    """Processor, vectors, cores, memory, load, system and versions, as JSON values."""
    import psutil

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "processor": processor(),
        "vector_bits": vector_bits(),
        "cores": os.cpu_count(),
        "cores_used": platforms.usable_processors(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "gpu": _gpu(),
        "load_before": load,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "gaussianspeech": __version__,
        "libraries": {name: found for name in _LIBRARIES if (found := _version(name))},
    }


def machine_type(machine: dict[str, Any]) -> tuple[Any, ...]:
    """What must be the same for two runs to be compared."""
    return tuple(machine.get(key) for key in ("processor", "vector_bits", "cores_used", "gpu"))


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


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
