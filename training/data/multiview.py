# SPDX-License-Identifier: GPL-3.0-or-later
"""Multi-view captures of a head: what an avatar is trained on.

Opening one checks everything at which training would fail hours later; pictures are decoded
when a view is asked for. The layout is that of :mod:`training.data.layout`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import overload

import numpy as np
import torch

from engine.core.errors import BadInputError
from engine.heads.head import Head
from engine.heads.identity import Identity
from engine.splatting.camera import Camera
from training.data.captured_motion import CapturedHead
from training.data.flame_tracking import load_tracking
from training.data.layout import (
    LAYOUT_REMEDY,
    SPLITS,
    Frame,
    Split,
    read_transforms,
    transforms_path,
)
from training.data.multiview_heads import FlameMotion, HeadMotion, PosedHead, head_motion
from training.data.multiview_pictures import (
    Background,
    check_picture,
    has_alpha,
    load_picture,
    scaled_camera,
)
from training.data.multiview_splits import by_camera, by_timestep, held_out, keeps_timesteps
from training.data.recordings import any_recordings
from training.data.silhouettes import check_silhouettes

_POSES_KEPT = 512
_FACING = 8
"""Timesteps over which the face's direction is averaged when the front camera is looked for."""


@dataclass(frozen=True, eq=False)
class View:
    """One picture of the head, with all that made it.

    Attributes:
        image: (H, W, 3) float32 display-referred sRGB in [0, 1], on the background.
        alpha: (H, W) float32 in [0, 1], the person.
        camera: of the picture at its scale; world is the capture's.
        timestep: its index in the capture.
        camera_id: name of the camera.
        vertices: (V, 3) float32 the head's vertices in the capture's world, metres.
        expression: (E,) float32, in the order of ``capture.head.expression_names``.
        head_matrix: (4, 4) float32 head space to world; already in ``vertices``.
    """

    image: torch.Tensor
    alpha: torch.Tensor
    camera: Camera
    timestep: int
    camera_id: str
    vertices: torch.Tensor
    expression: torch.Tensor
    head_matrix: torch.Tensor


class Views(Sequence[View]):
    """The views of a split. A view's picture is decoded each time it is indexed, and not kept."""

    def __init__(self, capture: MultiViewCapture, frames: Sequence[Frame]) -> None:
        """Use :meth:`MultiViewCapture.split`.

        Args:
            capture: what the frames are of.
            frames: in order.
        """
        self._capture = capture
        self.frames = tuple(frames)

    def __len__(self) -> int:
        return len(self.frames)

    @overload
    def __getitem__(self, index: int) -> View: ...

    @overload
    def __getitem__(self, index: slice) -> Views: ...

    def __getitem__(self, index: int | slice) -> View | Views:
        """The view at an index, loaded; or the views of a slice, none of them loaded.

        Raises:
            BadInputError: a file that became unreadable after the capture was opened.
        """
        if isinstance(index, slice):
            return Views(self._capture, self.frames[index])
        return self._capture.load(self.frames[index])


class MultiViewCapture:
    """A capture that was found sound.

    Attributes:
        folder: where it lies.
        head: the head it shows, neutral.
        scale: of the pictures against those on disk.
        background: display-referred sRGB behind the person.
        test_camera: id of the camera kept from training, the front one unless chosen; of a capture
            that keeps timesteps instead those of all its cameras.
        note: what the user should know of how the head lies on the masks; empty where it fits.
    """

    def __init__(
        self,
        folder: Path,
        splits: dict[Split, list[Frame]],
        everything: Sequence[Frame],
        motion: HeadMotion,
        test_camera: str,
        *,
        scale: float,
        background: Background,
        note: str = "",
    ) -> None:
        """Use :meth:`open`, which checks."""
        self.folder, self.scale, self.background = folder, scale, background
        self.head: Head = motion.head
        self.test_camera = test_camera
        self.note = note
        self._splits, self._everything = splits, everything
        self._params = {f.timestep: f.param for split in SPLITS for f in splits[split]}
        self._motion = motion
        self._posed_head = lru_cache(_POSES_KEPT)(motion.at)

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        scale: float = 1.0,
        background: Background = (0.0, 0.0, 0.0),
        head: str | Path | Head | None = None,
        test_camera: str | None = None,
        tracking: str | Path | None = None,
    ) -> MultiViewCapture:
        """Open a capture and check all of it.

        Args:
            folder: with the transforms files.
            scale: of the pictures, (0, 1]; 1 is as they lie on disk.
            background: behind the person, display-referred sRGB in [0, 1].
            head: for captures with ``flame_param``, the user's FLAME model file; for others the
                head or its file where it is not the default one.
            test_camera: id of the camera to test on; by default the one that the files keep from
                training, or none where they keep timesteps of all cameras, else the one before the
                face.
            tracking: ``flame_param.npz`` of an avatar training on this capture: its refined
                parameters in place of the tracker's.

        Raises:
            BadInputError: another layout, missing or unreadable pictures, sizes that differ from
                the JSON, no masks, one camera, a head that does not fit, or one that stands where
                the masks do not show it; names the file.
        """
        folder = Path(folder)
        if not 0 < scale <= 1:
            raise BadInputError(f"The scale {scale} is not in (0, 1].", "Give 1 for full size.")
        if not all(0 <= value <= 1 for value in background):
            raise BadInputError(
                f"The background {background} is no colour.", "Give three numbers from 0 to 1."
            )
        listed = _listed(folder)
        everything = [frame for split in SPLITS for frame in listed[split]]
        _check_cameras(folder, listed)
        refined = None if tracking is None else load_tracking(tracking)
        motion = head_motion(folder, everything, head, refined)
        params = dict.fromkeys(folder / frame.param for frame in everything)
        _check_files(folder, everything)
        for param in params:
            motion.check(param)
        note = check_silhouettes(folder, everything, motion)
        tested = any_recordings(folder).test_timesteps
        front = _test_camera(folder, listed, motion, test_camera)
        if keeps_timesteps(listed, test_camera):
            front = ", ".join(dict.fromkeys(frame.camera_id for frame in listed["train"]))
            splits = by_timestep(folder, listed, tested)
        else:
            splits = by_camera(folder, listed, front, tested)
        return cls(
            folder,
            splits,
            everything,
            motion,
            front,
            scale=scale,
            background=background,
            note=note,
        )

    def split(self, name: Split) -> Views:
        """The views to train on, to watch while training, or to test on.

        ``train`` holds no picture of the test camera and none of a recording of the test part, so
        that all stages are tested on faces that none of them saw; ``val`` and ``test`` hold
        pictures of the test camera alone, and of a capture that keeps timesteps those that
        ``train`` does not: together they are then all pictures.
        """
        return Views(self, self._splits[name])

    def trained_on_all(self, most: int | None = None) -> MultiViewCapture:
        """The same, whose ``train`` is all pictures: for what is not measured afterwards.

        Of more than ``most``, those of some timesteps, evenly spread, are ``val`` instead.
        """
        every = {(f.timestep, f.camera_id): f for f in self._everything}
        steps = np.unique([step for step, _ in every])
        if most is not None and most < len(every):
            count = max(1, most * len(steps) // len(every))
            steps = steps[np.linspace(0, len(steps) - 1, count).round().astype(int)]
        splits = {**self._splits, "train": [], "val": []}
        for key in sorted(every):
            splits["train" if key[0] in steps else "val"].append(every[key])
        return MultiViewCapture(
            self.folder,
            splits,
            self._everything,
            self._motion,
            self.test_camera,
            scale=self.scale,
            background=self.background,
            note=self.note,
        )

    def poses(self) -> dict[int, PosedHead]:
        """The head at each timestep of which there is a picture.

        Raises:
            BadInputError: a file that became unreadable after the capture was opened.
        """
        return {step: self._posed_head(self.folder / param) for step, param in self._params.items()}

    def identity(self) -> Identity:
        """The head, with the mean and range of the expressions of the training views.

        Raises:
            BadInputError: a file that became unreadable after the capture was opened.
        """
        params = dict.fromkeys(self.folder / frame.param for frame in self._splits["train"])
        expressions = np.stack([self._motion.expression(param) for param in params])
        return Identity.of(self.head, expressions)

    @property
    def flame(self) -> FlameMotion | None:
        """The parameters of a FLAME head; ``None`` of any other."""
        return self._motion if isinstance(self._motion, FlameMotion) else None

    def captured_head(self) -> CapturedHead:
        """The head as recordings of this capture are read on."""
        return CapturedHead(self.head, self.head, None if self.flame is None else self.flame.model)

    @property
    def timesteps(self) -> frozenset[int]:
        """Those of which there is a picture in ``train``, ``val`` or ``test``.

        Of a recording of the test part only what the test camera saw is in one of them.
        """
        return frozenset(self._params)

    def in_the_world(self, timestep: int, vertices: torch.Tensor) -> torch.Tensor:
        """Another face in the pose of a timestep.

        Args:
            timestep: one of :attr:`timesteps`.
            vertices: (V, 3) in head space, metres.

        Returns:
            (V, 3) in the capture's world, metres.

        Raises:
            BadInputError: a file that became unreadable after the capture was opened.
        """
        return self._motion.in_the_world(self.folder / self._params[timestep], vertices)

    def load(self, frame: Frame) -> View:
        """Load one view.

        Raises:
            BadInputError: a file that became unreadable after the capture was opened.
        """
        camera = scaled_camera(frame.camera, self.scale)
        image, alpha = load_picture(
            self.folder / frame.image,
            None if frame.mask is None else self.folder / frame.mask,
            (camera.width, camera.height),
            self.background,
        )
        posed: PosedHead = self._posed_head(self.folder / frame.param)
        return View(
            image=torch.from_numpy(image),
            alpha=torch.from_numpy(alpha),
            camera=camera,
            timestep=frame.timestep,
            camera_id=frame.camera_id,
            vertices=torch.from_numpy(posed.vertices),
            expression=torch.from_numpy(posed.expression),
            head_matrix=torch.from_numpy(posed.head_matrix),
        )


def _listed(folder: Path) -> dict[Split, list[Frame]]:
    if not folder.is_dir():
        raise BadInputError(f"There is no folder {folder}.", f"Check the path. {LAYOUT_REMEDY}")
    if not transforms_path(folder, "train").is_file():
        raise BadInputError(
            f"{folder} is no multi-view capture: {transforms_path(folder, 'train').name} is "
            "missing.",
            LAYOUT_REMEDY,
        )
    listed: dict[Split, list[Frame]] = {}
    for split in SPLITS:
        path = transforms_path(folder, split)
        listed[split] = read_transforms(path) if path.is_file() else []
    if not listed["train"]:
        raise BadInputError(f"{transforms_path(folder, 'train')} lists no frames.", LAYOUT_REMEDY)
    return listed


def _check_cameras(folder: Path, listed: dict[Split, list[Frame]]) -> None:
    frames = [frame for split in SPLITS for frame in listed[split]]
    if len({frame.camera_id for frame in frames}) < 2 and not held_out(listed):
        raise BadInputError(
            f"{folder} has pictures of one camera only ('{frames[0].camera_id}'), and all of them "
            "are to train on.",
            "Give a capture of at least two cameras, or list timesteps to test on in "
            "transforms_test.json, as 'gaussianspeech track' does.",
        )
    if len({frame.kind for frame in frames}) > 1:
        raise BadInputError(
            f"{folder} has frames with FLAME parameters and frames with others.",
            "Put one kind of head in a capture.",
        )


def _check_files(folder: Path, frames: Sequence[Frame]) -> None:
    if not any(
        frame.mask is not None and (folder / frame.mask).is_file() for frame in frames
    ) and not has_alpha(folder / frames[0].image):
        raise BadInputError(
            f"{folder} has no foreground masks (fg_mask_path, fg_masks/).",
            "Export the capture with masks, or as pictures with an alpha channel.",
        )
    for frame in frames:
        size = (frame.camera.width, frame.camera.height)
        alpha = check_picture(folder / frame.image, size, what="picture")
        if frame.mask is not None:
            check_picture(folder / frame.mask, size, what="mask")
        elif not alpha:
            raise BadInputError(
                f"The picture {folder / frame.image} has neither a mask nor an alpha channel.",
                "Export the capture with masks.",
            )


def _test_camera(
    folder: Path,
    listed: dict[Split, list[Frame]],
    motion: HeadMotion,
    wanted: str | None,
) -> str:
    cameras = {frame.camera_id: frame for split in SPLITS for frame in listed[split]}
    if wanted is not None:
        if wanted not in cameras:
            raise BadInputError(
                f"{folder} has no camera '{wanted}'.",
                f"Its cameras are {', '.join(sorted(cameras))}.",
            )
        return wanted
    trained = {frame.camera_id for frame in listed["train"]}
    kept = {frame.camera_id for frame in listed["val"] or listed["test"]} - trained
    if len(kept) == 1:
        return kept.pop()
    params = sorted({folder / frame.param for split in SPLITS for frame in listed[split]})
    some = params[:: max(1, len(params) // _FACING)]
    matrices = [motion.at(param).head_matrix.astype(np.float64) for param in some]
    centre = np.mean([matrix[:3, 3] for matrix in matrices], axis=0)
    ahead = np.mean([matrix[:3, 2] for matrix in matrices], axis=0)

    def before_the_face(camera_id: str) -> float:
        towards = cameras[camera_id].camera.position - centre
        return float(towards @ ahead / np.linalg.norm(towards))

    return max(sorted(cameras), key=before_the_face)
