# SPDX-License-Identifier: GPL-3.0-or-later
"""Which views of a capture are to train on and which to test on: by camera, or by timestep."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from engine.core.errors import BadInputError
from training.data.layout import Frame, Split
from training.data.split_file import SPLIT

WATCHED: tuple[Split, ...] = ("val", "test")


def keeps_timesteps(listed: dict[Split, list[Frame]], test_camera: str | None) -> bool:
    """Whether the other files have other timesteps of the very cameras that are trained on.

    So a tracked video is written, or those of several cameras, all of which an avatar needs.
    """
    watched = [frame for name in WATCHED for frame in listed[name]]
    cameras = {frame.camera_id for frame in listed["train"]}
    if len(cameras) == 1 and {frame.camera_id for frame in watched} <= cameras:
        return True
    if test_camera is not None:
        return False
    apart = len(held_out(listed)) == len({frame.timestep for frame in watched})
    return bool(watched) and apart and {frame.camera_id for frame in watched} == cameras


def by_timestep(
    folder: Path, listed: dict[Split, list[Frame]], tested: Collection[int]
) -> dict[Split, list[Frame]]:
    """A head that moves: other timesteps are what is new to the avatar.

    Pictures of recordings that are kept for the test are tested on, wherever in the video they lie.

    Args:
        folder: of the capture.
        listed: frames by file.
        tested: timesteps of recordings that are kept for the test.

    Raises:
        BadInputError: nothing is left to train on.
    """
    train = _untested(folder, listed["train"], tested)
    held = held_out(listed)
    val, test = ([f for f in listed[name] if f.timestep in held] for name in WATCHED)
    spoken = [frame for frame in listed["train"] if frame.timestep in tested]
    return {"train": train, "val": val or test, "test": [*spoken, *(test or val)]}


def by_camera(
    folder: Path, listed: dict[Split, list[Frame]], front: str, tested: Collection[int]
) -> dict[Split, list[Frame]]:
    """All cameras but one are trained on, and that one is tested on.

    Args:
        folder: of the capture.
        listed: frames by file.
        front: id of the camera to test on.
        tested: timesteps of recordings that are kept for the test.

    Raises:
        BadInputError: nothing is left to train on, or to test on.
    """

    def of_front(frames: Sequence[Frame]) -> list[Frame]:
        return [frame for frame in frames if frame.camera_id == front]

    others = [frame for frame in listed["train"] if frame.camera_id != front]
    train = _untested(folder, others, tested)
    test = of_front(listed["test"]) or of_front(listed["val"]) or of_front(listed["train"])
    if not train or not test:
        raise BadInputError(
            f"{folder} has {len(train)} pictures to train on and {len(test)} of the camera "
            f"'{front}' to test on.",
            "Choose another camera to test on.",
        )
    return {"train": train, "val": of_front(listed["val"]) or test, "test": test}


def held_out(listed: dict[Split, list[Frame]]) -> set[int]:
    """Timesteps to watch and test on that are not trained on."""
    trained = {frame.timestep for frame in listed["train"]}
    return {frame.timestep for name in WATCHED for frame in listed[name]} - trained


def _untested(folder: Path, frames: Sequence[Frame], tested: Collection[int]) -> list[Frame]:
    train = [frame for frame in frames if frame.timestep not in tested]
    if frames and not train:
        raise BadInputError(
            f"All pictures of {folder} are of recordings that are kept for the test.",
            f"Name others in {SPLIT}, or film more recordings.",
        )
    return train
