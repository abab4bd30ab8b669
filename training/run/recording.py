# SPDX-License-Identifier: GPL-3.0-or-later
"""What a training leaves in its job's folder: curves, TensorBoard, checkpoints, the avatar."""

from __future__ import annotations

import errno
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter

from engine.core.errors import BadInputError, GaussianSpeechError
from engine.core.files import atomic_write
from training.run.curves import save_curves, save_table

AVATAR = "avatar.safetensors"
CONFIG = "config.json"
PREVIEW = "preview.png"
SCORES = "scores.json"
STATE = "last.pt"
_POINT = 25
"""Steps whose mean makes a point of the curves."""
_DRAWN = ("total", "rgb", "position", "scaling", "global", "patch", "wrinkle", "test PSNR (dB)")


class Record:
    """The curves of a training.

    Args:
        folder: of the job.
        title: above the picture of the curves.

    Attributes:
        history: rows with ``step`` and what was measured there.
    """

    def __init__(self, folder: Path, title: str) -> None:
        self.folder, self.title = folder, title
        self.history: list[dict[str, float]] = []
        self._recent: list[dict[str, float]] = []
        self._board = SummaryWriter(str(folder / "tensorboard"))

    def add(self, step: int, terms: Mapping[str, float], gaussians: int) -> None:
        """Take a step's losses; every so many become a point."""
        self._recent.append(dict(terms))
        if step % _POINT:
            return
        names = list(dict.fromkeys(name for row in self._recent for name in row))
        row = {"step": float(step), "gaussians": float(gaussians)}
        for name in names:
            row[name] = float(np.mean([r[name] for r in self._recent if name in r]))
        self._recent.clear()
        self._keep(row)

    def measure(self, step: int, values: Mapping[str, float]) -> None:
        """Take measurements, and draw the curves anew."""
        self._keep({"step": float(step), **values})
        self.draw()

    def draw(self) -> None:
        """Write the curves as a table and a picture."""
        save_table(self.folder / "losses.csv", self.history)
        drawn = [
            {name: row[name] for name in ("step", *_DRAWN) if name in row} for row in self.history
        ]
        save_curves(self.folder / "losses.png", drawn, self.title)
        self._board.flush()

    def state(self) -> dict[str, Any]:
        """What :meth:`restore` goes on from."""
        return {"history": self.history, "recent": self._recent}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.history = list(state["history"])
        self._recent = list(state["recent"])

    def close(self) -> None:
        """End TensorBoard's thread."""
        self._board.close()

    def _keep(self, row: dict[str, float]) -> None:
        self.history.append(row)
        for name, value in row.items():
            if name != "step" and math.isfinite(value):
                self._board.add_scalar(name, value, int(row["step"]))


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint beside the last one, then put it in its place.

    Raises:
        GaussianSpeechError: it cannot be written; the last good one is still there.
    """
    try:
        with atomic_write(path) as temporary:
            torch.save(dict(state), temporary)
    except (OSError, RuntimeError) as error:
        # torch's writer of zip files tells a full disk as a RuntimeError without its number.
        number = getattr(error, "errno", None)
        if isinstance(error, RuntimeError) and "write" not in str(error):
            raise
        full = number == errno.ENOSPC or isinstance(error, RuntimeError)
        why = "the disk is full" if full else str(error)
        kept = "The last good checkpoint is kept." if path.exists() else "There is none before it."
        raise GaussianSpeechError(
            f"The checkpoint {path} cannot be written: {why}. {kept}",
            "Make room, then resume the job.",
        ) from error


_MACHINE = frozenset(
    {
        "threads",
        "memory",
        "backend",
        "device",
        "preview_every",
        "checkpoint_every",
        "evaluate_every",
    }
)
"""Settings that may change on the way: where and how watched a run is, not what it learns."""


def load_checkpoint(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Read a checkpoint of a run with the same settings, but for those of the machine.

    Raises:
        BadInputError: it is damaged, or its run had other settings.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        before = state["settings"]
    except (RuntimeError, KeyError, ValueError, OSError, EOFError) as error:
        raise BadInputError(
            f"The checkpoint {path} cannot be read: {' '.join(str(error).split())[:200]}.",
            "Remove it to train from the start in the same folder.",
        ) from error
    differing = [
        name for name in settings if name not in _MACHINE and before.get(name) != settings[name]
    ]
    if differing:
        raise BadInputError(
            f"The run in {path.parent.parent} had other settings: {', '.join(differing)}.",
            "Resume with the settings of its config.json, or choose a new folder.",
        )
    return state


def write_json(path: Path, content: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write JSON, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2), encoding="utf-8")
