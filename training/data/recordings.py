# SPDX-License-Identifier: GPL-3.0-or-later
"""The recordings that all trainings read: sounds with their motion, and what was filmed of them.

A folder of recordings has, for each NAME, a sound and its motion side by side: ``NAME.wav`` with
``NAME.performance.npz``, ``NAME.motion.npz`` or ``NAME.flame_param.npz``; or what other programs
recorded, ``NAME.json`` or ``NAME.csv`` of ARKit weights, ``NAME.npz`` or ``NAME.npy`` of FLAME's
parameters or of vertices (:mod:`training.data.foreign_motion`), for which ``offsets.json`` may say
by how many seconds the sound of a NAME begins after the motion.

A sequence is a folder with one sound and one motion: ``flame_param/00000.npz`` and so on, one file
a frame, as GaussianAvatars' tracker writes them, or ``flame_param.npz`` or ``performance.npz`` of
all frames. Its name is the folder's.

Given are one such folder; a folder of sequences; or a multi-view capture, whose recordings are the
sequences that its frames' parameters lie in, and the folder ``speech`` in it. Which timesteps are
frames of a recording follows from the parameters' files; where those are of another kind,
``capture.json`` has ``{"timestep_index": 7, "performance": "speech/NAME.performance.npz", "frame":
31}`` in its list ``timesteps``; and ``language`` of what is said, an ISO 639 code, where it is not
to be found out.

``split.json``, with lists of names under ``training``, ``validation`` and ``test``, says what is
for what; without it the recordings are split 6 : 1 : 1 in the order of their names, as the paper's
300 / 50 / 50.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine.core.errors import BadInputError
from engine.core.files import by_number, is_hidden
from engine.core.json_values import read_json
from engine.motion.performance import MAX_FPS, MIN_FPS
from training.data.layout import FLAME_PARAM, SPLITS, read_transforms, transforms_path
from training.data.split_file import SPLIT, checked
from training.data.transcripts import transcript_beside

RECORD = "capture.json"
SPEECH = "speech"

SOUNDS = (".wav", ".flac", ".ogg", ".mp3")
MOTIONS = (".performance.npz", ".motion.npz", ".flame_param.npz")
FOREIGN = (".json", ".csv", ".npz", ".npy")
"""Endings of motion that other programs recorded."""
OFFSETS = "offsets.json"
_WHOLE = ("performance.npz", "flame_param.npz")
"""Motion of a sequence in one file."""
WRINKLES = "wrinkles.npy"
_FPS = 30.0
"""Of sequences that do not say theirs."""
_REMEDY = (
    "Put a sound beside each motion: NAME.wav with NAME.performance.npz or NAME.flame_param.npz, "
    "or one sound in the folder of each sequence (docs/speech-model.md)."
)


@dataclass(frozen=True, eq=False)
class Recording:
    """A sound with its motion.

    Attributes:
        name: what it is called.
        audio: the sound.
        motion: file of the motion, or folder of one FLAME file a frame.
        fps: frames per second of a motion that does not say its own; ``None`` where it has to.
        timesteps: timestep of the capture by frame that was filmed.
        measured: folder of what was measured on pictures; that of the sound where ``None``.
        offset: seconds by which the sound begins after the motion; ``None`` where that is unknown.
        language: of what is said, an ISO 639 code; ``None`` where unknown.
    """

    name: str
    audio: Path
    motion: Path
    fps: float | None = None
    timesteps: dict[int, int] = field(default_factory=dict)
    measured: Path | None = None
    offset: float | None = None
    language: str | None = None

    @property
    def foreign(self) -> bool:
        """Whether the motion is another program's, which need not begin with the sound."""
        name = self.motion.name
        return name == f"{self.name}{self.motion.suffix}" and name not in _WHOLE

    @property
    def text(self) -> str | None:
        """What is said, where a ``.txt`` beside the sound gives it.

        Raises:
            BadInputError: as :func:`training.data.transcripts.transcript_beside`.
        """
        return transcript_beside(self.audio)

    @property
    def wrinkles(self) -> Path:
        """Where wrinkle features that were measured on pictures belong."""
        return (self.measured or self.audio.parent) / f"{self.name}.{WRINKLES}"


@dataclass(frozen=True, eq=False)
class Recordings:
    """All recordings of a folder.

    Attributes:
        folder: the folder that was given.
        every: in the order of their names.
    """

    folder: Path
    every: tuple[Recording, ...]

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [recording.name for recording in self.every]

    @property
    def filmed(self) -> tuple[Recording, ...]:
        """Those of which there are pictures."""
        return tuple(recording for recording in self.every if recording.timesteps)

    def named(self, name: str) -> Recording:
        """The recording of a name."""
        return next(recording for recording in self.every if recording.name == name)

    def measured_in(self, folder: Path) -> Recordings:
        """The same, with what is measured on pictures in a folder of its own."""
        every = tuple(replace(recording, measured=folder) for recording in self.every)
        return replace(self, every=every)

    def require_filmed(self) -> tuple[Recording, ...]:
        """Those of which there are pictures.

        Raises:
            BadInputError: there are none.
        """
        if not self.filmed:
            raise BadInputError(
                f"Nothing is said in {self.folder}: no timestep is a frame of a recording.",
                f"Put a sound into the folder of each sequence, or write {RECORD} as "
                "docs/joint-training.md says.",
            )
        return self.filmed

    @property
    def split_file(self) -> Path:
        """What says what is for what, whether it is there or not."""
        inside = self.folder / SPEECH / SPLIT
        return inside if inside.is_file() else self.folder / SPLIT

    def split(self) -> dict[str, list[str]]:
        """Names by part; of one or two recordings nothing is left to test on.

        Raises:
            BadInputError: ``split.json`` is damaged, names what is not there, or one name twice.
        """
        names, path = self.names, self.split_file
        if len(names) == 1:
            return {"training": names, "validation": [], "test": []}
        if path.is_file():
            return checked(path, names)
        each = max(1, round(len(names) / 8))
        test = each if len(names) > 2 else 0
        first = len(names) - each - test
        return {
            "training": names[:first],
            "validation": names[first : first + each],
            "test": names[first + each :],
        }

    @property
    def test_timesteps(self) -> set[int]:
        """Timesteps of the capture that are frames of the test part.

        Raises:
            BadInputError: as :meth:`split`.
        """
        if not self.filmed:
            return set()
        tested = [self.named(name) for name in self.split()["test"]]
        return {step for recording in tested for step in recording.timesteps.values()}


def find_recordings(data: str | Path) -> Recordings:
    """Find the recordings of a folder.

    Args:
        data: a folder of recordings, a sequence, a folder of sequences, or a multi-view capture.

    Raises:
        BadInputError: there are none, a sound has no motion or a motion no sound, a sequence has
            two sounds, two recordings have one name, or ``capture.json`` is damaged or names what
            is not there.
    """
    folder = Path(data)
    found = any_recordings(folder)
    if not found.every:
        raise BadInputError(f"{folder} holds 0 recordings.", _REMEDY)
    return found


def any_recordings(folder: Path) -> Recordings:
    """The same, of a folder that may hold none.

    Raises:
        BadInputError: as :func:`find_recordings`.
    """
    if not folder.is_dir():
        raise BadInputError(f"There is no folder {folder}.", "Give the folder of the recordings.")
    if transforms_path(folder, "train").is_file():
        found = [*_beside(folder / SPEECH), *_captured_sequences(folder)]
    elif (folder / RECORD).is_file() and (folder / SPEECH).is_dir():
        found = _beside(folder / SPEECH)
    else:
        found = _plain(folder)
    names = [recording.name for recording in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadInputError(f"{folder} holds two recordings called {twice[0]}.", "Rename one.")
    if (folder / RECORD).is_file():
        found = _with_record(folder / RECORD, found)
    return Recordings(folder, tuple(sorted(found, key=lambda recording: recording.name)))


def parameter_files(folder: Path) -> list[Path]:
    """The files of a sequence that has one a frame, in their order."""
    return sorted((f for f in folder.glob("*.npz") if not is_hidden(f)), key=by_number)


def motion_file(folder: Path, name: str) -> Path:
    """The file of the motion of a recording; a :class:`BadInputError` where there is none."""
    paths = [folder / f"{name}{suffix}" for suffix in (*MOTIONS, *FOREIGN)]
    for path in paths:
        if path.is_file():
            return path
    raise BadInputError(
        f"The recording {name} in {folder} has no motion.",
        f"Put {', '.join(path.name for path in paths[:-1])} or {paths[-1].name} beside it.",
    )


def _plain(folder: Path) -> list[Recording]:
    if (alone := _sequence(folder)) is not None:
        return [alone]
    sequences = (_sequence(inside) for inside in sorted(folder.iterdir()) if inside.is_dir())
    return [*_beside(folder), *(found for found in sequences if found is not None)]


def _beside(folder: Path) -> list[Recording]:
    """NAME.wav with its motion.

    Raises:
        BadInputError: a sound without a motion, or where there are sounds, a motion without one.
    """
    sounds = _sounds(folder)
    names = {audio.stem for audio in sounds}
    for path in sorted(folder.iterdir()) if sounds else ():
        if is_hidden(path):
            continue
        kind = next((end for end in MOTIONS if path.name.endswith(end)), None)
        if kind is not None and (name := path.name.removesuffix(kind)) not in names:
            raise BadInputError(
                f"The motion {path} has no sound.",
                f"Put {name}.wav beside it, or take it out of the folder.",
            )
    offsets = _offsets(folder / OFFSETS, [audio.stem for audio in sounds])
    return [
        Recording(
            audio.stem,
            audio,
            motion_file(folder, audio.stem),
            offset=offsets.get(audio.stem),
        )
        for audio in sounds
    ]


def _offsets(path: Path, names: Sequence[str]) -> dict[str, float]:
    """Seconds by name.

    Raises:
        BadInputError: a damaged file, or a name that is no recording's.
    """
    if not path.is_file():
        return {}
    given = read_json(path, "It must be an object of seconds by name.")
    offsets = {name: float(given.number(name, low=-3600.0, high=3600.0)) for name in given.values}
    if unknown := sorted(set(offsets) - set(names)):
        raise BadInputError(
            f"{path} names {unknown[0]!r}, but there is no such recording.", "Correct the name."
        )
    return offsets


def _sounds(folder: Path) -> list[Path]:
    """One sound by each name; of several kinds the first."""
    if not folder.is_dir():
        return []
    paths = [
        path for path in folder.iterdir() if path.suffix.lower() in SOUNDS and not is_hidden(path)
    ]
    paths.sort(key=lambda path: SOUNDS.index(path.suffix.lower()))
    by_name: dict[str, Path] = {}
    for path in paths:
        by_name.setdefault(path.stem, path)
    return [by_name[name] for name in sorted(by_name)]


def _sequence(folder: Path) -> Recording | None:
    """The recording of a sequence's folder; ``None`` of one that is silent or none.

    Raises:
        BadInputError: there are several sounds.
    """
    motion = next((folder / name for name in _WHOLE if (folder / name).is_file()), None)
    if parameter_files(folder / FLAME_PARAM):
        motion = folder / FLAME_PARAM
    sounds = _sounds(folder) or _sounds(folder / "audio")
    if motion is None or not sounds:
        return None
    if len(sounds) > 1:
        raise BadInputError(
            f"The sequence {folder} has several sounds: {sounds[0].name}, {sounds[1].name}.",
            "Leave the one that was recorded with it.",
        )
    return Recording(folder.name, sounds[0], motion, sequence_rate(folder))


def sequence_rate(folder: Path) -> float:
    """Frames per second of a sequence: ``fps`` of its transforms file, else 30.

    Raises:
        BadInputError: a damaged file, or no rate of a face.
    """
    path = transforms_path(folder, "train")
    if not path.is_file():
        return _FPS
    rate: float = read_json(path).number("fps", _FPS, MIN_FPS, MAX_FPS)
    return rate


def _captured_sequences(folder: Path) -> list[Recording]:
    """The sequences that a capture's frames lie in, with the timesteps that they are."""
    steps: dict[Path, int] = {}
    for split in SPLITS:
        path = transforms_path(folder, split)
        for frame in read_transforms(path) if path.is_file() else ():
            if frame.kind == "flame":
                steps[(folder / frame.param).resolve()] = frame.timestep
    found = []
    for parameters in sorted({path.parent for path in steps}):
        recording = _sequence(parameters.parent)
        if recording is None or parameters.name != FLAME_PARAM:
            continue
        files = {path.name: number for number, path in enumerate(parameter_files(parameters))}
        timesteps = {
            files[path.name]: step
            for path, step in steps.items()
            if path.parent == parameters and path.name in files
        }
        found.append(replace(recording, timesteps=timesteps))
    return found


def _with_record(path: Path, found: Sequence[Recording]) -> list[Recording]:
    """The recordings with the timesteps and the language that ``capture.json`` names."""
    by_name = {recording.name: recording for recording in found}
    record = read_json(path, _REMEDY)
    for entry in record.groups("timesteps") if "timesteps" in record else ():
        if entry.values.get("performance") is None:
            continue
        given = Path(entry.text("performance"))
        name = next(
            (given.name.removesuffix(end) for end in MOTIONS if given.name.endswith(end)), ""
        )
        if given.parent.as_posix() != SPEECH or not name:
            raise BadInputError(
                f"{path} cannot be read: {given} is not {SPEECH}/NAME{MOTIONS[0]}.", _REMEDY
            )
        if name not in by_name:
            raise BadInputError(
                f"{path} names {path.parent / given}, but {SPEECH} has no sound of {name}.",
                _REMEDY,
            )
        by_name[name].timesteps[entry.whole("frame")] = entry.whole("timestep_index")
    language = record.text("language", "") or None
    return [replace(recording, language=language) for recording in by_name.values()]
