# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said in a multi-view capture: recordings, and which timesteps are frames of them.

``speech/NAME.wav`` with ``speech/NAME.performance.npz``, the motion that was filmed or tracked, are
a folder of recordings (:mod:`training.speech.captures`). ``capture.json`` has, for each timestep
that shows a frame of one, ``{"timestep_index": 7, "performance": "speech/NAME.performance.npz",
"frame": 31}`` in its list ``timesteps``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.core.errors import BadInputError
from engine.core.json_values import read_json

RECORD = "capture.json"
SPEECH = "speech"
_SUFFIX = ".performance.npz"
_REMEDY = (
    "Give a capture with speech, as 'gaussianspeech capture' makes it, or write the file as "
    "docs/joint-training.md says."
)


@dataclass(frozen=True)
class CapturedSpeech:
    """The recordings of a capture.

    Attributes:
        folder: of the recordings.
        frames: by timestep, the name of the recording and the frame of its motion that was filmed.
    """

    folder: Path
    frames: dict[int, tuple[str, int]]

    @property
    def names(self) -> tuple[str, ...]:
        """Recordings of which there are pictures."""
        return tuple(sorted({name for name, _ in self.frames.values()}))

    def timesteps(self, name: str) -> dict[int, int]:
        """Timestep by frame of one recording."""
        return {frame: step for step, (of, frame) in self.frames.items() if of == name}


def read_captured_speech(capture: str | Path) -> CapturedSpeech:
    """Read which timesteps of a capture show speech.

    Args:
        capture: its folder.

    Raises:
        BadInputError: no or a damaged ``capture.json``, nothing is said, or a recording is missing.
    """
    folder = Path(capture)
    path = folder / RECORD
    if not path.is_file():
        raise BadInputError(f"{folder} has no {RECORD}, which says what is spoken.", _REMEDY)
    try:
        frames = {
            entry.whole("timestep_index"): (_name(entry.text("performance")), entry.whole("frame"))
            for entry in read_json(path, _REMEDY).groups("timesteps")
            if entry.values.get("performance") is not None
        }
    except ValueError as error:
        raise BadInputError(f"{path} cannot be read: {error}.", _REMEDY) from error
    if not frames:
        raise BadInputError(f"Nothing is said in {folder}: {path.name} names no frames.", _REMEDY)
    for name in {name for name, _ in frames.values()}:
        motion = folder / SPEECH / f"{name}{_SUFFIX}"
        if not motion.is_file():
            raise BadInputError(f"{path} names {motion}, which is missing.", _REMEDY)
    return CapturedSpeech(folder / SPEECH, frames)


def _name(performance: str) -> str:
    path = Path(performance)
    if path.parent.as_posix() != SPEECH or not path.name.endswith(_SUFFIX):
        raise ValueError(f"{performance} is not {SPEECH}/NAME{_SUFFIX}")
    return path.name.removesuffix(_SUFFIX)
