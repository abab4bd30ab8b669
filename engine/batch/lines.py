# SPDX-License-Identifier: GPL-3.0-or-later
"""A line of a manifest: who says what, and what is made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from engine.motion.style import NEUTRAL, Style

PERFORMANCE = "performance"
CURVES = ("csv", "json")
FLAME = "flame"
MESHES = ("glb", "vrm", "fbx", "blend")
FILMS = ("mp4", "mov", "mkv", "png")
"""Kinds that the rasteriser makes: videos, and a still of the frame with the widest mouth."""

KINDS = (PERFORMANCE, *CURVES, FLAME, *MESHES, *FILMS)
"""What can be made of a line (docs/scale.md); a performance always is, for all else is made of
it."""

_SUFFIXES = {PERFORMANCE: ".performance.npz", FLAME: ".flame_param.npz"}


@dataclass(frozen=True)
class BatchLine:
    """One line.

    Attributes:
        number: of the row in the manifest's file, from 1, for messages.
        name: of its results, with ``/`` between folders.
        sound: the recording.
        text: what is said, where it is given.
        language: what is spoken, an ISO 639 code; found out by default.
        person: ``"default"``, a person's folder or an avatar's file.
        head: the file that the person's head is made from, where it is not found by itself.
        model: id or file of a speech model; empty for the person's own.
        character: a file with shape keys or bones that speaks, for the mesh kinds; else the
            person's head does.
        mapping: of the character, where its names do not say it.
        fps: frames per second.
        size: of films, (width, height) in pixels.
        outputs: kinds of :data:`KINDS`, each once.
        style: how it is spoken.
    """

    number: int
    name: str
    sound: Path
    text: str | None = None
    language: str | None = None
    person: str = "default"
    head: str | None = None
    model: str = ""
    character: Path | None = None
    mapping: Path | None = None
    fps: float = 25.0
    size: tuple[int, int] = (720, 720)
    outputs: tuple[str, ...] = (PERFORMANCE,)
    style: Style = field(default=NEUTRAL)

    @property
    def films(self) -> tuple[str, ...]:
        """The kinds that the rasteriser makes."""
        return tuple(kind for kind in self.outputs if kind in FILMS)

    @property
    def spoken(self) -> tuple[str, ...]:
        """The other kinds, the performance first."""
        rest = (kind for kind in self.outputs if kind not in (PERFORMANCE, *FILMS))
        return (PERFORMANCE, *rest)

    def file(self, kind: str) -> str:
        """Name of a result below the folder of results."""
        return self.name + _SUFFIXES.get(kind, f".{kind}")
