# SPDX-License-Identifier: GPL-3.0-or-later
"""The formats that an animation can be exported to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        name: as the interface says it.
        description: what it holds, and for whom.
        suffix: of its files.
        is_mesh: whether Blender's own exporter writes it.
        options: of the export that count for it.
    """

    name: str
    description: str
    suffix: str
    is_mesh: bool
    options: tuple[str, ...]


FORMATS: dict[str, Format] = {
    "ABC": Format(
        "Alembic", "Every frame's vertices, for any animation program", ".abc", True, ("sound",)
    ),
    "USD": Format("USD", "Every frame's vertices, with UVs and materials", ".usdc", True,
                  ("sound",)),
    "GLB": Format(
        "GLB",
        "Morph targets with sampled weights, for game engines and browsers",
        ".glb",
        True,
        ("from_zero", "sound"),
    ),
    "FBX": Format(
        "FBX", "Blend shapes with sampled weights, for Unreal, Unity and Maya", ".fbx", True,
        ("sound",),
    ),
    "CSV": Format(
        "Live Link Face",
        "ARKit weights with timecodes as Live Link Face records them, for Unreal and others",
        ".csv",
        False,
        ("sound",),
    ),
    "JSON": Format(
        "ARKit JSON", "ARKit weights of every frame, as Audio2Face writes them", ".json", False,
        ("sound",),
    ),
    "NPZ": Format(
        "Performance",
        "Shape-key values and shapes as numpy arrays",
        ".performance.npz",
        False,
        ("dense", "sound"),
    ),
    "FLAME": Format(
        "FLAME Parameters",
        "Expression, jaw and head of a FLAME head, as GaussianAvatars reads them",
        ".flame_param.npz",
        False,
        (),
    ),
}  # fmt: skip
"""By identifier, in the order of the interface."""

FILE_FILTER = "*.abc;*.usd;*.usda;*.usdc;*.usdz;*.glb;*.fbx;*.csv;*.json;*.npz"
"""What a file dialog shows."""


def format_items() -> tuple[tuple[str, str, str], ...]:
    """The formats as items of a property."""
    return tuple((kind, known.name, known.description) for kind, known in FORMATS.items())


def with_suffix(path: Path, kind: str) -> Path:
    """The path with the suffix of a format, in place of another format's."""
    name = path.name
    known = sorted((form.suffix for form in FORMATS.values()), key=len, reverse=True)
    for suffix in (*known, ".usda", ".usdz", ".usd", ".npz"):
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
            break
    return path.with_name((name or "head") + FORMATS[kind].suffix)
