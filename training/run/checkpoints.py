# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints of trainings: written whole, and read only by a run with the same settings."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from engine.core.errors import BadInputError, GaussianSpeechError
from engine.core.files import atomic_write, write_text
from engine.core.json_values import without_nan
from training.run.options import MACHINE_SETTINGS

STATE = "checkpoints/last.pt"
"""Where a training's folder keeps the state from which it resumes."""


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint beside the last one, then put it in its place.

    Raises:
        GaussianSpeechError: it cannot be written; the last good one is still there.
    """
    try:
        with atomic_write(path) as temporary:
            torch.save(dict(state), temporary)
    except BadInputError as error:
        kept = "The last good checkpoint is kept." if path.exists() else "There is none before it."
        raise GaussianSpeechError(
            f"The checkpoint {error.message} {kept}", "Make room, then resume the job."
        ) from error


def load_checkpoint(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Read a checkpoint of a run with the same settings, but for those of the machine.

    Raises:
        BadInputError: it is missing or damaged, or its run had other settings.
    """
    if not path.is_file():
        raise BadInputError(f"There is no run to resume in {path.parents[1]}.", "Start a new one.")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        _read_version_0_1(state)
        before = state["settings"]
    # torch's and pickle's own words are of their files, and advise to read them unsafely.
    except (
        RuntimeError,
        LookupError,
        ValueError,
        OSError,
        EOFError,
        TypeError,
        AttributeError,
        pickle.UnpicklingError,
    ) as error:
        reason = f": {error.strerror}" if isinstance(error, OSError) else ", it is damaged"
        raise BadInputError(
            f"The checkpoint {path} cannot be read{reason}.",
            "Remove it to train from the start in the same folder.",
        ) from error
    differing = [
        name
        for name in settings
        if name not in MACHINE_SETTINGS and not _same(before.get(name), settings[name])
    ]
    if differing:
        raise BadInputError(
            f"The run in {path.parents[1]} had other settings: {', '.join(differing)}.",
            "Resume with the settings of its config.json, or choose a new folder.",
        )
    return state


def _same(before: Any, now: Any) -> bool:
    """Whether a setting is as it was; a weight that an earlier version did not know was zero."""
    if not (isinstance(before, Mapping) and isinstance(now, Mapping)):
        return bool(before == now)
    return all(before.get(name, 0) == now.get(name, 0) for name in {*before, *now})


def _read_version_0_1(state: dict[str, Any]) -> None:
    """Bring a speech training's checkpoint of version 0.1 into the present form, in place."""
    if "config" in state:
        settings = dict(state["config"])
        settings["variant_probs"] = settings.pop("hearing", [])
        state.setdefault("settings", settings)
    if "history" in state:
        state.setdefault("record", {"history": state["history"], "recent": state["recent"]})


def write_json(path: Path, content: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write JSON, whole or not at all; ``null`` for what is no finite number."""
    text = json.dumps(without_nan(content), indent=2, allow_nan=False)
    write_text(path, text)
