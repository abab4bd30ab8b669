# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of ARKit curves by their suffix. numpy only."""

from __future__ import annotations

from pathlib import Path

from ...core.errors import BadInputError
from .arkit_json import read_arkit_json, write_arkit_json
from .face_curves import FaceCurves
from .live_link import read_live_link, write_live_link

SUFFIXES = (".csv", ".json")
"""Of Live Link Face and of ARKit weights as JSON."""


def is_curve_file(path: str | Path) -> bool:
    """Whether a file's name says that it holds ARKit curves."""
    return Path(path).suffix.lower() in SUFFIXES


def write_curves(curves: FaceCurves, path: str | Path) -> None:
    """Write curves in the format that the file's suffix says.

    Raises:
        BadInputError: another suffix, or the file cannot be written.
    """
    if not is_curve_file(path):
        raise BadInputError(f"The kind of {path} is unknown.", "End it in .csv or .json.")
    write = write_live_link if Path(path).suffix.lower() == ".csv" else write_arkit_json
    write(curves, path)


def read_curves(
    path: str | Path, fps: float | None = None, rate: float | None = None
) -> FaceCurves:
    """Read a ``.csv`` of Live Link Face or a ``.json`` of ARKit weights.

    Args:
        path: the file.
        fps: frames per second of the result; that of the file by default.
        rate: frames per second of the clock of Live Link Face's timecodes, found by default; of
            JSON that has neither times nor a rate those of the file.

    Raises:
        BadInputError: no such file, or a damaged one.
    """
    if Path(path).suffix.lower() == ".csv":
        return read_live_link(path, fps, rate)
    return read_arkit_json(path, fps, rate)
