# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME's parameters by timestep: as a tracker left them, or as an avatar training refined them.

A tracker leaves one file a timestep, ``flame_param/00000.npz``. What is refined is one
``flame_param.npz``, GaussianAvatars' file of all timesteps in their order, with an array
``timestep`` (T,) that names them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.core.npz import open_npz
from engine.core.npz_writing import write_npz
from engine.heads.flame_param import MOVING, FlameParam, load_flame_param

TRACKING = "flame_param.npz"
CAMERAS_TUNED = "colours of the cameras"
"""In the provenance of an avatar whose cameras had maps of colours while it was trained."""

_TIMESTEP = "timestep"
_MOST = 10**7
_REMEDY = f"Give the {TRACKING} that 'gaussianspeech train avatar' wrote for this capture."


@dataclass(frozen=True, eq=False)
class Tracking:
    """Refined parameters.

    Attributes:
        param: T frames.
        row: frame by timestep.
    """

    param: FlameParam
    row: Mapping[int, int]

    def at(self, timestep: int, stored: FlameParam) -> FlameParam:
        """One timestep: as refined, or as stored where it was not.

        Args:
            timestep: which.
            stored: its parameters as the tracker left them, one frame.
        """
        row = self.row.get(timestep)
        if row is None:
            return stored
        return replace(stored, **{name: getattr(self.param, name)[row][None] for name in MOVING})

    def of_sequence(self, timesteps: Mapping[int, int], stored: FlameParam) -> FlameParam:
        """A sequence with the frames that were refined.

        Args:
            timesteps: timestep by frame of the sequence.
            stored: the sequence as the tracker left it.
        """
        arrays = {name: getattr(stored, name).copy() for name in MOVING}
        for frame, step in timesteps.items():
            row = self.row.get(step)
            if row is not None:
                for name, array in arrays.items():
                    array[frame] = getattr(self.param, name)[row]
        return replace(stored, **arrays)


def save_tracking(param: FlameParam, timesteps: Sequence[int], path: Path, fps: float) -> None:
    """Write refined parameters, whole or not at all.

    Args:
        param: T frames.
        timesteps: of the frames.
        path: final name.
        fps: frames per second.
    """
    arrays: dict[str, NDArray[np.generic]] = {
        field.name: getattr(param, field.name) for field in fields(param)
    }
    rest = {_TIMESTEP: np.array(timesteps, np.int32), "fps": np.array(fps, np.float32)}
    write_npz(path, **rest, **arrays)


def load_tracking(path: str | Path) -> Tracking:
    """Read refined parameters.

    Raises:
        BadInputError: no such file, or it does not name its timesteps.
    """
    param = load_flame_param(path)
    data = open_npz(path, _REMEDY, (_TIMESTEP,))
    if _TIMESTEP not in data:
        raise data.wrong("it does not say which timesteps its frames are")
    steps = data.numbers(_TIMESTEP, (param.frames,))
    if (steps < 0).any() or (steps > _MOST).any() or len(np.unique(steps)) < len(steps):
        raise data.wrong("its timesteps are no list of different whole numbers")
    return Tracking(param, {int(step): row for row, step in enumerate(steps)})
