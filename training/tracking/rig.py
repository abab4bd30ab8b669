# SPDX-License-Identifier: GPL-3.0-or-later
"""The calibrated cameras of several videos: a transforms JSON, as captures and NeRFs have it.

Of each frame the camera counts (docs/capture.md): ``camera_index`` and ``camera_id``, ``w``, ``h``,
``fl_x``, ``fl_y``, ``cx``, ``cy`` and ``transform_matrix``, metres. A video's camera is the one
whose ``camera_id``, or the name of whose ``file_path``, is the video's name; where no name is, the
cameras are the videos' in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from engine.core.arrays import Double
from engine.core.errors import BadInputError
from engine.core.json_values import JsonObject, read_json
from engine.splatting.camera import Camera
from training.data.layout import SPLITS, camera_of, transforms_path
from training.tracking.film import Film

_REMEDY = (
    "Give the cameras as a transforms JSON has them (docs/tracking.md), one for each video, with "
    "camera_id as the video is named or in the videos' order."
)
_DISTORTION = ("k1", "k2", "k3", "k4", "p1", "p2")
_SAME = 1e-4


@dataclass(frozen=True, eq=False)
class RigCamera:
    """One of the cameras.

    Attributes:
        id: its name.
        camera: of the video's pictures as they are given out; world is the calibration's.
    """

    id: str
    camera: Camera


def read_rig(path: Path, films: Sequence[Film]) -> tuple[RigCamera, ...]:
    """The cameras of videos, in the videos' order.

    Args:
        path: the JSON, or the folder of a capture whose cameras they are.
        films: the videos.

    Raises:
        BadInputError: no such file, a damaged one, a camera that moves or whose lens distorts, a
            video without a camera, another number of cameras, or other sizes.
    """
    known = _cameras(path)
    ids = _matched(path, known, [film.path for film in films])
    found = []
    for film, camera_id in zip(films, ids, strict=True):
        camera = known[camera_id][0]
        if (camera.width, camera.height) != film.file_size:
            width, height = film.file_size
            raise BadInputError(
                f"{film.path} has {width}×{height} pixels, its camera '{camera_id}' in {path} "
                f"{camera.width}×{camera.height}.",
                "Give the video as the camera recorded it, or scale the calibration with it.",
            )
        found.append(RigCamera(camera_id, _shown(camera, film)))
    return tuple(found)


def relative(cameras: Sequence[RigCamera]) -> list[Double]:
    """(4, 4) from the first camera's space to that of each."""
    first = np.linalg.inv(cameras[0].camera.viewmat.astype(np.float64))
    return [camera.camera.viewmat.astype(np.float64) @ first for camera in cameras]


def _shown(camera: Camera, film: Film) -> Camera:
    """The camera of smaller pictures."""
    ratio = np.diag([film.width / camera.width, film.height / camera.height, 1.0])
    K = (ratio @ camera.K).astype(np.float32)
    return replace(camera, K=K, width=film.width, height=film.height)


def _cameras(path: Path) -> dict[str, tuple[Camera, str]]:
    """Cameras with the names of the files that they took, by their ids, in order."""
    files = [path]
    if path.is_dir():
        files = [p for p in (transforms_path(path, split) for split in SPLITS) if p.is_file()]
    found: dict[str, tuple[int, Camera, str]] = {}
    for file in files:
        content = read_json(file, _REMEDY)
        shared = {key: value for key, value in content.values.items() if key != "frames"}
        for number, entry in enumerate(content.groups("frames")):
            where = f"{file.name}, frame {number}"
            values = JsonObject(shared | dict(entry.values), where, _REMEDY)
            index = values.whole("camera_index", number)
            name = PurePosixPath(values.text("file_path", "")).stem
            camera_id = values.label("camera_id", f"{index:02d}")
            camera = _undistorted(values)
            if camera_id in found and not _same(found[camera_id][1], camera):
                raise values.wrong(
                    f"the camera '{camera_id}' is not as in the frames before: cameras that move "
                    "cannot be used"
                )
            found.setdefault(camera_id, (index, camera, name))
    if not found:
        raise BadInputError(f"{path} lists no cameras.", _REMEDY)
    ordered = sorted(found.items(), key=lambda item: item[1][0])
    return {camera_id: (camera, name) for camera_id, (_, camera, name) in ordered}


def _undistorted(values: JsonObject) -> Camera:
    if bent := [name for name in _DISTORTION if values.number(name, 0.0)]:
        raise BadInputError(
            f"{values.where}: the lens distorts ({', '.join(bent)}).",
            "Undistort the videos, and give the calibration of what comes out.",
        )
    return camera_of(values)


def _same(one: Camera, other: Camera) -> bool:
    pairs = ((one.K / one.width, other.K / one.width), (one.viewmat, other.viewmat))
    return all(np.abs(a - b).max() < _SAME for a, b in pairs)


def _matched(path: Path, known: dict[str, tuple[Camera, str]], videos: Sequence[Path]) -> list[str]:
    """The ids of the videos' cameras."""
    named = [_named(video, known) for video in videos]
    if not any(named):
        if len(known) != len(videos):
            raise BadInputError(
                f"{path} has {len(known)} cameras ({', '.join(known)}) for {len(videos)} videos, "
                "and none has the name of a video.",
                _REMEDY,
            )
        return list(known)
    for video, camera_id in zip(videos, named, strict=True):
        if camera_id is None:
            raise BadInputError(
                f"{path} has no camera for {video}: it has {', '.join(known)}.", _REMEDY
            )
        if named.count(camera_id) > 1:
            raise BadInputError(
                f"The camera '{camera_id}' of {path} took more than one of the videos.",
                "Give each camera's video once.",
            )
    return [camera_id for camera_id in named if camera_id is not None]


def _named(video: Path, known: dict[str, tuple[Camera, str]]) -> str | None:
    stems = (video.stem, video.stem.removeprefix("cam_"))
    for camera_id, (_, name) in known.items():
        if camera_id in stems or name == video.stem:
            return camera_id
    return None
