# SPDX-License-Identifier: GPL-3.0-or-later
"""The CSV of Epic's Live Link Face: 52 ARKit weights and 9 angles a line, each with a timecode.

Angles are radians about the axes of the face: yaw to its left, pitch down, roll to its left
shoulder; the head is turned by yaw, then pitch, then roll. A timecode is ``HH:MM:SS:FF.fff``:
frames and thousandths of a frame of the clock that the app runs at, 60 a second by default. numpy
only.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...core.arrays import Double
from ...core.errors import BadInputError
from ...core.files import atomic_write
from ..arkit import ARKIT_NAMES, COLUMN
from ..face.gaze import FULL_ROTATION
from ..face.pose import rotation_vectors, rotations
from .face_curves import (
    RATES,
    FaceCurves,
    arkit_column,
    check_gaps,
    check_length,
    in_order,
    limited,
    resampled,
    usual_rate,
)

_APP_RATE = 60
_SWAPPED = {"jawLeft": "jawRight", "jawRight": "jawLeft", "mouthLeft": "mouthRight",
            "mouthRight": "mouthLeft"}  # fmt: skip
"""Where the app's order of columns differs from ARKit's."""
_ORDER = tuple(COLUMN[_SWAPPED.get(name, name)] for name in ARKIT_NAMES)
_ANGLES = tuple(f"{part}{axis}" for part in ("Head", "LeftEye", "RightEye")
                for axis in ("Yaw", "Pitch", "Roll"))  # fmt: skip
HEADER = (
    "Timecode",
    "BlendshapeCount",
    *(ARKIT_NAMES[column][0].upper() + ARKIT_NAMES[column][1:] for column in _ORDER),
    *_ANGLES,
)
"""Names of the columns as the app writes them."""

_TIMECODE = re.compile(
    r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?:[:;](\d{1,3}(?:\.\d+)?)|(\.\d+))", re.ASCII
)
"""Of frames, or of parts of a second."""
_DAY = 24 * 3600
_MAX_BYTES = 512 << 20
_REMEDY = "Choose a CSV file of Live Link Face: a line of names, then a line for each frame."
_LINE_REMEDY = "Export the recording again, or take the line out of the file."
_DELIMITERS = ",;\t"
_UNICODE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NOTHING = ("", "nan", "null")
"""What cells hold in which there is no number."""
_HEAD = _ANGLES[:3]
_LOWER_HEAD = frozenset(name.lower() for name in _HEAD)


def write_live_link(curves: FaceCurves, path: str | Path) -> None:
    """Write a CSV of Live Link Face that begins at the timecode zero.

    The angles of the eyes are those of the eyeLook… weights.

    Args:
        curves: what is written.
        path: final name; appears only when it is complete.

    Raises:
        BadInputError: the file cannot be written.
    """
    rate = max(1, round(curves.fps))
    angles = np.hstack([_euler(rotations(curves.head_rotation)), _eyes(curves.weights)])
    values = np.hstack([curves.weights[:, _ORDER], angles])
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(HEADER) + "\n")
        for number, row in enumerate(values):
            numbers = ",".join(f"{value:.10g}" for value in np.round(row, 7) + 0.0)
            file.write(f"{_timecode(number / curves.fps, rate)},{len(row)},{numbers}\n")


def read_live_link(
    path: str | Path, fps: float | None = None, rate: float | None = None
) -> FaceCurves:
    """Read a CSV of Live Link Face, or of a program that writes the same.

    Lines are put at the time of their timecodes, whatever the distances, and resampled to regular
    frames. Columns are found by name; those that the file lacks are 0, others and the angles of the
    eyes, which say the same as eyeLook…, are not read. Lines without any weight, which are written
    while no face is seen, are left out, as is a last one that is cut off. Weights are limited to 0
    to 1; percent are weights, too. Spreadsheets' semicolons and decimal commas are read.

    Args:
        path: the file.
        fps: frames per second of the result; that of the file by default.
        rate: frames per second of the timecodes' clock; found by where the seconds change by
            default, and 60 where the file is too short for that.

    Raises:
        BadInputError: no such file, no timecodes or weights in it, or a line that is damaged; names
            the file, the line and what is wrong in it.
    """
    path = Path(path)
    header, lines = _read(path)
    columns = [
        (position, found)
        for position, name in enumerate(header)
        if (found := arkit_column(name)) is not None
    ]
    lowered = [name.lower() for name in header]
    if "timecode" not in lowered or not columns:
        raise BadInputError(f"{path} has no timecodes or no ARKit weights.", _REMEDY)
    clock, values = _parse(path, header, lines, lowered.index("timecode"))
    rate = rate or _rate(clock)
    times, values = in_order(_seconds(clock, rate), values)
    check_gaps(path, times)
    if fps is None:
        fps = usual_rate(times, rate)
    check_length(path, times[-1] - times[0], fps)
    weights = np.zeros((len(times), len(ARKIT_NAMES)))
    for position, column in columns:
        weights[:, column] = values[:, position]
    head = [lowered.index(name.lower()) if name.lower() in lowered else None for name in _HEAD]
    angles = np.zeros((len(times), 3))
    for axis, found in enumerate(head):
        if found is not None:
            angles[:, axis] = np.unwrap(values[:, found])
    return FaceCurves(
        float(fps),
        resampled(times, limited(weights), fps),
        rotation_vectors(_turned(resampled(times, angles, fps).astype(np.float64))),
    )


def _read(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The names of the columns, and the lines that hold anything, with their numbers."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise BadInputError(f"{path} is larger than {_MAX_BYTES >> 20} MB.", _REMEDY)
        data = path.read_bytes()
        text = data.decode("utf-16" if data.startswith(_UNICODE) else "utf-8-sig")
        delimiter = max(_DELIMITERS, key=text.partition("\n")[0].count)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except FileNotFoundError:
        raise BadInputError(f"There is no file {path}.", "Check the path.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInputError(f"{path} cannot be read: {reason}.", _REMEDY) from error
    rows = [(line, row) for line, row in rows if any(row)]
    if len(rows) < 2:
        raise BadInputError(f"{path} holds no frame.", _REMEDY)
    lines = rows[1:]
    if delimiter != ",":
        lines = [(line, [cell.replace(",", ".") for cell in row]) for line, row in lines]
    return rows[0][1], lines


def _parse(
    path: Path, header: list[str], lines: list[tuple[int, list[str]]], timecode: int
) -> tuple[Double, Double]:
    """(N, 2) seconds and frames of the timecodes, and (N, C) numbers of the lines."""
    clock, values = [], []
    weights = {position for position, name in enumerate(header) if arkit_column(name) is not None}
    numeric = weights | {
        position for position, name in enumerate(header) if name.lower() in _LOWER_HEAD
    }
    last = lines[-1][0] if len(lines) > 1 else 0
    for line, row in lines:
        short = len(row) < len(header)
        shown = (row[position] for position in weights if position < len(row))
        if all(cell.lower() in _NOTHING for cell in shown) or (short and line == last):
            continue
        if len(row) != len(header):
            raise _damaged(path, line, f"has {len(row)} cells, and there are {len(header)} names")
        found = _TIMECODE.fullmatch(row[timecode])
        if found is None:
            raise _damaged(
                path, line, f"has the timecode {row[timecode][:40]!r}, which is none: HH:MM:SS:FF"
            )
        hours, minutes, seconds, frames, part = (float(group or 0) for group in found.groups())
        clock.append((hours * 3600 + minutes * 60 + seconds + part, frames))
        numbers = np.zeros(len(header))
        for position in numeric:
            numbers[position] = _number(path, line, header[position], row[position])
        values.append(numbers)
    if not clock:
        raise BadInputError(f"{path} has no weights in any line: no face was seen.", _REMEDY)
    return np.array(clock), np.array(values)


def _number(path: Path, line: int, name: str, text: str) -> float:
    """A finite number that float32 holds."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not abs(number) <= float(np.finfo(np.float32).max):
        raise _damaged(path, line, f"says {name} {text[:40]!r}, which is no finite number")
    return number


def _damaged(path: Path, line: int, what: str) -> BadInputError:
    return BadInputError(f"Line {line} of {path} {what}.", _LINE_REMEDY)


def _rate(clock: Double) -> float:
    """Frames a second of the timecodes' clock, from where their seconds change."""
    seconds, frames = clock.T
    within = np.diff(seconds) == 0
    step = float(np.median(np.diff(frames)[within])) if within.any() else 1.0
    changes = np.flatnonzero(np.diff(seconds) == 1)
    highest = frames.max()
    if len(changes) and step > 0:
        estimate = float(np.median(frames[changes] - frames[changes + 1] + step))
    else:
        estimate = _APP_RATE
    possible = [rate for rate in RATES if rate > highest] or [math.floor(highest) + 1]
    return float(min(possible, key=lambda rate: abs(rate - estimate)))


def _seconds(clock: Double, rate: float) -> Double:
    """Seconds of the lines from the first on, past midnight too."""
    times: Double = clock[:, 0] + clock[:, 1] / rate
    steps = np.diff(times, prepend=times[0])
    times = times + _DAY * np.cumsum(steps < -_DAY / 2)
    since_first: Double = times - times[0]
    return since_first


def _timecode(seconds: float, rate: int) -> str:
    thousandths = round(seconds * rate * 1000)
    whole, rest = divmod(thousandths, 1000 * rate)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours % 24:02}:{minute:02}:{second:02}:{rest // 1000:02}.{rest % 1000:03}"


def _euler(matrices: Double) -> Double:
    """(T, 3) yaw, pitch and roll of R = R_y(yaw) · R_x(pitch) · R_z(roll)."""
    yaw = np.arctan2(matrices[:, 0, 2], matrices[:, 2, 2])
    pitch = np.arcsin(np.clip(-matrices[:, 1, 2], -1.0, 1.0))
    roll = np.arctan2(matrices[:, 1, 0], matrices[:, 1, 1])
    return np.stack([yaw, pitch, roll], axis=1)


def _turned(angles: Double) -> Double:
    """(T, 3, 3) rotations of (T, 3) yaw, pitch and roll."""
    about = {"yaw": (0, 1, 0), "pitch": (1, 0, 0), "roll": (0, 0, 1)}
    turns = [
        rotations((angles[:, [column]] * np.array(axis)).astype(np.float64))
        for column, axis in enumerate(about.values())
    ]
    result: Double = turns[0] @ turns[1] @ turns[2]
    return result


def _eyes(weights: NDArray[np.float32]) -> Double:
    """(T, 6) yaw, pitch and roll of the left and of the right eye, radians."""

    def turned(direction: str, side: str) -> Double:
        degrees = FULL_ROTATION[direction] * weights[:, COLUMN[f"eyeLook{direction}{side}"]]
        return np.radians(degrees.astype(np.float64))

    angles = []
    for side, to_left, to_right in (("Left", "Out", "In"), ("Right", "In", "Out")):
        angles.append(turned(to_left, side) - turned(to_right, side))
        angles.append(turned("Down", side) - turned("Up", side))
        angles.append(np.zeros(len(weights)))
    return np.stack(angles, axis=1)
