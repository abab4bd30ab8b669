# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech doctor``: what this installation can do, and why not where it cannot."""

from __future__ import annotations

import importlib.util
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from rich.console import Console
from rich.table import Table

from engine import __version__
from engine.commands.console import print_result

_LIBRARIES = ("torch", "numba", "numpy", "soundfile", "pocketsphinx", "av", "transformers", "bpy")


def doctor(*, json: bool = False) -> int:
    """Tell which libraries, devices, splatting backends and assets are at hand.

    Args:
        json: print one JSON object instead of tables.
    """
    report = examine()
    if json:
        print_result(report, as_json=True)
        return 0
    console = Console()
    for title, rows in report.items():
        table = Table(title=title, title_justify="left", show_header=False, min_width=60)
        for name, value in rows.items():
            table.add_row(name, str(value))
        console.print(table)
    return 0


def examine() -> dict[str, dict[str, str]]:
    """The findings by topic."""
    return {
        "system": {
            "gaussianspeech": __version__,
            "python": f"{platform.python_version()} ({sys.executable})",
            "platform": platform.platform(),
        },
        "libraries": {name: _library(name) for name in _LIBRARIES},
        "splatting": _splatting(),
        "assets": _assets(),
    }


def _library(name: str) -> str:
    if importlib.util.find_spec(name) is None:
        optional = {"bpy": "not installed; needed only to write .blend files without Blender"}
        return optional.get(name, f"missing: install it with 'pip install {name}'")
    try:
        return version(name)
    except PackageNotFoundError:
        return "found, version unknown"


def _splatting() -> dict[str, str]:
    from engine.splatting import gsplat_backend
    from engine.splatting.registry import available_backends, choose_backend

    backends = available_backends()
    rows = {
        name: "available" if available else f"not available: {reason} {remedy}"
        for name, available, reason, remedy in backends
    }
    if backends[0].available and not gsplat_backend.kernels_are_built():
        rows["gsplat"] += "; compiles its kernels before the first picture, once, for minutes"
    used = choose_backend("auto").name
    better = next((backend for backend in backends if not backend.available), None)
    rows["used by 'auto'"] = used + (
        f", because {better.name} is not available"
        if better is not None and used != backends[0].name
        else ", the fastest there is"
    )
    return rows


def _assets() -> dict[str, str]:
    from importlib.resources import files

    return {
        item.name: f"{len(item.read_bytes()) / 1e6:.1f} MB"
        for item in sorted(files("engine.assets").iterdir(), key=lambda item: item.name)
        if item.name.endswith((".npz", ".safetensors", ".wav"))
    }
