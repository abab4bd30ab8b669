# SPDX-License-Identifier: GPL-3.0-or-later
"""How a video is tracked. Light: importing it imports neither torch nor a decoder."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from engine.core.errors import BadInputError
from engine.core.files import file_digest
from engine.recognition.text_file import read_text_file
from training.run.options import check_file, check_ranges


def flame_of(head: str | None) -> Path | None:
    """The FLAME model that ``--head`` names; ``None`` for the default head."""
    return None if head in (None, "default") else Path(head).resolve()


@dataclass(frozen=True)
class TrackSettings:
    """How a video is tracked.

    Attributes:
        largest: pixels of the larger side, at most, of the pictures that are tracked, and of those
            of the head that are kept: they are cut out of the file's own.
        pictures: views that are kept at most, evenly spread; the motion is of all frames.
        focal: focal length in pixels of the video, the first of several; estimated by default.
        text: file of what is said, text or subtitles; it is recognised by default. Of several
            videos what is said in all, in their order.
        language: what is spoken, for example "de" ('gaussianspeech languages' lists the codes). By
            default English, unless a recogniser of other languages has been downloaded.
        masks: folder with a mask for each frame, in the order of their names; made by default.
            Of several videos a folder for each in it, named as the video.
        landmark_model: MediaPipe's face_landmarker.task, for versions that have no models inside.
        cameras: calibration of cameras that film at the same time, a transforms JSON or the folder
            of a capture; several videos without it are taken one after another.
        offsets: seconds by which each of several videos begins after the first; found by their
            sound by default.
    """

    largest: int = 1280
    pictures: int = 600
    focal: float | None = None
    text: Path | None = None
    language: str = ""
    masks: Path | None = None
    landmark_model: Path | None = None
    cameras: Path | None = None
    offsets: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            BadInputError: names the option.
        """
        ranges = {"largest": (160.0, 8192.0), "pictures": (20.0, 1e6)}
        check_ranges(self, ranges if self.focal is None else {**ranges, "focal": (50.0, 1e5)})
        if self.text is not None and not self.text.is_file():
            raise BadInputError(
                f"There is no file {self.text}.",
                "Give --text the path of a text file with what is said.",
            )
        if self.language:
            # Deferred: it loads the library of pronunciations.
            from engine.recognition.language import voice_of

            voice_of(self.language)
        check_file(self.landmark_model, "--landmark-model")
        if self.cameras is not None and not self.cameras.is_dir():
            check_file(self.cameras, "--cameras")
        if self.cameras is not None and self.focal is not None:
            raise BadInputError(
                "The calibration given with --cameras has the focal length.", "Leave out --focal."
            )
        if not all(math.isfinite(at) for at in self.offsets):
            raise BadInputError("The times given with --offsets are no numbers.", "Give seconds.")
        if self.masks is not None and not self.masks.is_dir():
            raise BadInputError(
                f"There is no folder {self.masks}.", "Check the path given with --masks."
            )

    @property
    def said(self) -> str | None:
        """The text.

        Raises:
            BadInputError: its file cannot be read, or is no text.
        """
        if self.text is None:
            return None
        return " ".join(cue.text for cue in read_text_file(self.text))

    def check_videos(self, videos: Sequence[Path]) -> None:
        """See that the options are for so many videos.

        Raises:
            BadInputError: no video, one twice, two of one name, masks without a folder for one, or
                offsets that are not of these.
        """
        if not videos:
            raise BadInputError("There is no video to track.", "Give a video of a talking head.")
        if self.offsets and self.cameras is None:
            raise BadInputError(
                "--offsets are of cameras that film at the same time.",
                "Give their calibration with --cameras, or leave --offsets out.",
            )
        _check_names(videos)
        if self.masks is not None:
            for folder in self.mask_folders(videos):
                if not folder.is_dir():
                    raise BadInputError(
                        f"There is no folder {folder}.",
                        "Put the masks of each video into a folder of its name in that of --masks.",
                    )
        if self.offsets and len(self.offsets) != len(videos):
            raise BadInputError(
                f"--offsets has {len(self.offsets)} times for {len(videos)} videos.",
                "Give one for each video, 0 for the first.",
            )

    def mask_folders(self, videos: Sequence[Path]) -> list[Path]:
        """Where the masks of each video lie; none where none are given."""
        if self.masks is None or len(videos) == 1:
            return [] if self.masks is None else [self.masks]
        return [self.masks / video.stem for video in videos]

    @property
    def given(self) -> list[str]:
        """Names of the options that are not as they are by default."""
        return [
            f"--{field.name.replace('_', '-')}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        ]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it, with the text itself and what the calibration's files hold."""
        several: dict[str, Any] = {}
        if self.cameras is not None:
            files = sorted(self.cameras.glob("transforms_*.json")) or [self.cameras]
            digests = [file_digest(path) for path in files if path.is_file()]
            several["cameras"] = {"path": str(self.cameras), "sha256": digests}
        if self.offsets:
            several["offsets"] = list(self.offsets)
        return several | {
            "largest": self.largest,
            "pictures": self.pictures,
            "focal": self.focal,
            "text": self.said,
            "language": self.language,
            "masks": None if self.masks is None else str(self.masks),
            "landmark_model": None if self.landmark_model is None else str(self.landmark_model),
        }


def _check_names(videos: Sequence[Path]) -> None:
    """See that each video has a name of its own.

    Raises:
        BadInputError: one is there twice, or two are of one name.
    """
    for first, second in itertools.combinations(videos, 2):
        if first.absolute() == second.absolute():
            raise BadInputError(f"{second} is given twice.", "Give each video once.")
        if first.stem == second.stem:
            raise BadInputError(
                f"{first} and {second} are both called {second.stem}.",
                "Give each a name of its own.",
            )
