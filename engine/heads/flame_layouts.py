# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME's parameters over time in the arrays of other programs, as :class:`FlameParam`.

======================================  ==========================================================
GaussianAvatars, VHAP                   ``expr``, ``rotation``, ``neck_pose``, ``jaw_pose``,
                                        ``eyes_pose``, ``translation``, ``shape``, ``static_offset``
DiffPoseTalk                            ``exp`` (T, 50), ``pose`` (T, 6): head and jaw; ``shape``
ARTalk                                  one array (T, 106): expression, head, jaw
======================================  ==========================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Float
from engine.core.npz import NpzFile, npz_names, open_npy, open_npz
from engine.heads.flame_model import EXPRESSIONS, SHAPES
from engine.heads.flame_param import MAX_FRAMES, FlameParam

ARTALK = EXPRESSIONS + 6
"""Columns of ARTalk's motion."""
_NAMES = {
    "expr": ("expr", "exp", "expression"),
    "rotation": ("rotation", "global_orient", "global_pose"),
    "neck_pose": ("neck_pose", "neck"),
    "jaw_pose": ("jaw_pose", "jaw"),
    "eyes_pose": ("eyes_pose", "eyes"),
    "translation": ("translation", "transl"),
}
_WIDTHS = {"expr": EXPRESSIONS, "eyes_pose": 6}
_REMEDY = (
    "It needs FLAME's parameters by frame: 'expr' (or 'exp') with 'jaw_pose' (or 'pose'), as VHAP, "
    "GaussianAvatars and DiffPoseTalk write them, or ARTalk's (T, 106)."
)


def is_flame_layout(path: Path) -> bool:
    """Whether an ``.npz`` has FLAME's expressions by one of their names."""
    names = set(npz_names(path, hint=_REMEDY))
    jaw = names & {*_NAMES["jaw_pose"], "pose"}
    return bool(names & {"expr", "exp"} or ("expression" in names and jaw))


def load_flame_layout(path: str | Path) -> tuple[FlameParam, float | None]:
    """Read parameters.

    Args:
        path: ``.npz`` of GaussianAvatars, VHAP or DiffPoseTalk; or ``.npy`` of ARTalk.

    Returns:
        The parameters, without offsets of single vertices, and the frames per second that the file
        states.

    Raises:
        BadInputError: no such file, no expressions in it, or arrays that do not fit each other.
    """
    path = Path(path)
    if path.suffix.lower() == ".npy":
        file = open_npy(path, "motion", _REMEDY)
        return of_artalk(file.numbers("motion", (None, ARTALK))), None
    wanted = {name for names in _NAMES.values() for name in names} | {"pose", "shape", "fps"}
    file = open_npz(path, _REMEDY, wanted)
    found = {ours: _first(file, theirs) for ours, theirs in _NAMES.items()}
    expression = found["expr"]
    if expression is None:
        raise file.wrong(f"it has none of {', '.join(map(repr, _NAMES['expr']))}")
    if expression.ndim != 2 or not len(expression):
        raise file.wrong(f"its expressions have shape {expression.shape}; expected (T, E)")
    if len(expression) > MAX_FRAMES:
        raise file.wrong(f"it has {len(expression):,} frames; up to {MAX_FRAMES:,} are read")
    if "pose" in file:
        pose = file.numbers("pose", (len(expression), 6))
        found |= {"rotation": pose[:, :3], "jaw_pose": pose[:, 3:]}
    arrays = {name: _fitted(file, name, value, len(expression)) for name, value in found.items()}
    still = FlameParam.neutral(0, len(expression), _shape(file))
    fps = file.number("fps", 1.0, 1000.0) if "fps" in file else None
    return replace(still, **arrays), fps


def is_artalk(path: Path) -> bool:
    """Whether an ``.npy`` has the columns of ARTalk's motion."""
    shape = open_npy(path, "motion", _REMEDY)["motion"].shape
    return len(shape) == 2 and shape[1] == ARTALK


def of_artalk(motion: Float) -> FlameParam:
    """FLAME's parameters of ARTalk's (T, 106) motion."""
    still = FlameParam.neutral(0, len(motion))
    parts = np.split(np.ascontiguousarray(motion, np.float32), [EXPRESSIONS, EXPRESSIONS + 3], 1)
    return replace(still, expr=parts[0], rotation=parts[1], jaw_pose=parts[2])


def _first(file: NpzFile, names: Sequence[str]) -> NDArray[Any] | None:
    name = next((name for name in names if name in file), None)
    return None if name is None else file.numbers(name, (None,) * file[name].ndim)


def _fitted(file: NpzFile, name: str, value: NDArray[Any] | None, frames: int) -> Float:
    """(T, D), zeros in the columns that the file leaves out; one angle of a jaw is that about X."""
    wanted = _WIDTHS.get(name, 3)
    result = np.zeros((frames, wanted), np.float32)
    if value is None:
        return result
    if value.ndim != 2 or len(value) != frames or value.shape[1] > wanted:
        raise file.wrong(f"its {name} has shape {value.shape}; expected ({frames}, {wanted})")
    result[:, : value.shape[1]] = value
    return result


def _shape(file: NpzFile) -> Float | None:
    """(≤ 300,) the identity, of the first frame where there is one for each."""
    if "shape" not in file:
        return None
    shape = file.numbers("shape", (None,) * file["shape"].ndim)
    if not shape.size:
        raise file.wrong("its shape has no coefficient")
    shape = shape.reshape(-1, shape.shape[-1])[0] if shape.ndim else shape.reshape(1)
    if len(shape) > SHAPES:
        raise file.wrong(f"its shape has {len(shape)} coefficients; FLAME has {SHAPES}")
    return np.asarray(shape, np.float32)
