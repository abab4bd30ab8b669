# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME's parameters of what a FLAME head plays; the engine, which knows FLAME, writes them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import bpy

from ...engine.core.errors import BadInputError
from ..engine_link.future import ThreadFuture, result_unless
from ..engine_link.session import get_engine
from ..heads.properties import engine_name, is_head
from .evaluated import sample_performance


def export_flame(
    context: bpy.types.Context, obj: bpy.types.Object, path: Path, frames: range
) -> FlameExport:
    """Begin to write ``flame_param.npz``.

    Args:
        context: of the scene that plays.
        obj: a FLAME head.
        path: of the file.
        frames: scene frames.

    Returns:
        A future of the size of the file in bytes.

    Raises:
        BadInputError: the head is not FLAME.
    """
    if not is_head(obj) or not obj.gaussianspeech_head.id.startswith("flame-"):
        raise BadInputError(
            f"'{obj.name}' is no FLAME head.",
            "Export a performance and carry it over with 'gaussianspeech retarget'.",
        )
    engine = get_engine(context)  # Without one, no other Blender is to begin.
    return FlameExport(sample_performance(context, obj, frames), engine, engine_name(obj), path)


class FlameExport(ThreadFuture):
    """A performance is sampled, then the engine turns it into FLAME's parameters.

    Args:
        sampled: a future of the performance's file.
        engine: the engine.
        head: what the engine calls the head.
        path: of ``flame_param.npz``.
    """

    def __init__(self, sampled: ThreadFuture, engine: Any, head: str, path: Path) -> None:
        self._sampled, self._engine, self._head, self._path = sampled, engine, head, path
        super().__init__(self._export, f"Exporting {path.name}")

    def poll(self) -> tuple[float, str]:
        """Fraction in [0, 1] and message of the last progress."""
        return (1.0, "writing the file") if self._sampled.done else self._sampled.poll()

    def _export(self, cancelled: threading.Event) -> int:
        performance = result_unless(self._sampled, cancelled)
        try:
            params = {"path": str(performance), "head": self._head, "out": str(self._path)}
            result_unless(self._engine.request("performance.flame", params), cancelled)
        finally:
            performance.unlink(missing_ok=True)
        return self._path.stat().st_size
