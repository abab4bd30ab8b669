# SPDX-License-Identifier: GPL-3.0-or-later
"""The on-disk layout of multi-view captures, read and written: GaussianAvatars' of NeRSemble.

::

    transforms_train.json   transforms_val.json   transforms_test.json
    images/00000_00.jpg     fg_masks/00000_00.png
    flame_param/00000.npz   canonical_flame_param.npz      FLAME heads, one file a timestep
    head_param/00000.npz   canonical_head_param.npz        other heads, one file a timestep

Cameras are written as that layout has them, camera to world with OpenGL axes (x right, y up,
z backward), and read as world to camera with OpenCV axes. ``cx`` and ``cy`` are honoured. What
holds for a whole file may stand once beside ``frames``; paths are relative to the folder.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from engine.core.files import write_text
from engine.core.json_values import JsonObject, read_json
from engine.splatting.camera import Camera

Split = Literal["train", "val", "test"]
Kind = Literal["flame", "head"]

SPLITS: tuple[Split, ...] = ("train", "val", "test")
IMAGES, MASKS, FLAME_PARAM, HEAD_PARAM = "images", "fg_masks", "flame_param", "head_param"
CANONICAL = "canonical_flame_param.npz"
CANONICAL_HEAD = "canonical_head_param.npz"
"""The identity of a capture's head that is another person of the default head."""
LAYOUT_REMEDY = (
    "Give a folder as GaussianAvatars and 'gaussianspeech capture' write it (docs/capture.md)."
)

_PARAM_KEYS: dict[Kind, str] = {"flame": "flame_param_path", "head": "head_param_path"}
_FLIP = np.diag([1.0, -1.0, -1.0, 1.0])
"""OpenGL camera axes to OpenCV's, and back."""
_ROTATION_TOLERANCE = 1e-3
_MOST = 10**7
"""Timesteps and cameras."""
_MOST_PIXELS = 1 << 16
_FOCAL = (1e-3, 1e7)
"""Focal lengths in pixels."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a capture, as the JSON describes it.

    Attributes:
        timestep: its index in the capture.
        camera_index: index of the camera.
        camera_id: its name.
        camera: world is the capture's.
        image: path relative to the capture's folder.
        mask: of the foreground, relative too; ``None`` where the picture's own alpha is meant.
        param: of the head at the timestep, relative too.
        kind: whether ``param`` is FLAME's or this project's.
    """

    timestep: int
    camera_index: int
    camera_id: str
    camera: Camera
    image: str
    mask: str | None
    param: str
    kind: Kind


def transforms_path(folder: Path, split: Split) -> Path:
    """Where the frames of a split are listed."""
    return folder / f"transforms_{split}.json"


def image_path(timestep: int, camera_index: int, suffix: str = ".jpg") -> str:
    """Relative path of a picture."""
    return f"{IMAGES}/{timestep:05d}_{camera_index:02d}{suffix}"


def mask_path(timestep: int, camera_index: int) -> str:
    """Relative path of a foreground mask."""
    return f"{MASKS}/{timestep:05d}_{camera_index:02d}.png"


def flame_param_path(timestep: int) -> str:
    """Relative path of FLAME's parameters at a timestep."""
    return f"{FLAME_PARAM}/{timestep:05d}.npz"


def head_param_path(timestep: int) -> str:
    """Relative path of the head's parameters at a timestep."""
    return f"{HEAD_PARAM}/{timestep:05d}.npz"


def write_transforms(path: Path, frames: Iterable[Frame]) -> None:
    """Write the frames of a split, whole or not at all.

    Args:
        path: :func:`transforms_path`.
        frames: in the order to be listed.
    """
    entries = [_entry(frame) for frame in frames]
    content = {
        "frames": entries,
        "timestep_indices": sorted({entry["timestep_index"] for entry in entries}),
        "camera_indices": sorted({entry["camera_index"] for entry in entries}),
    }
    write_text(path, json.dumps(content, indent=1))


def read_transforms(path: Path) -> list[Frame]:
    """Read the frames of a split.

    Raises:
        BadInputError: not such a file; names the frame and the key that is wrong.
    """
    content = read_json(path, LAYOUT_REMEDY)
    shared = {key: value for key, value in content.values.items() if key != "frames"}
    return [
        _frame(
            JsonObject(shared | dict(entry.values), f"{path.name}, frame {number}", LAYOUT_REMEDY)
        )
        for number, entry in enumerate(content.groups("frames"))
    ]


def _entry(frame: Frame) -> dict[str, Any]:
    camera, K = frame.camera, frame.camera.K.astype(np.float64)
    to_world = np.linalg.inv(camera.viewmat.astype(np.float64)) @ _FLIP
    entry: dict[str, Any] = {
        "timestep_index": frame.timestep,
        "camera_index": frame.camera_index,
        "camera_id": frame.camera_id,
        "cx": float(K[0, 2]),
        "cy": float(K[1, 2]),
        "fl_x": float(K[0, 0]),
        "fl_y": float(K[1, 1]),
        "h": camera.height,
        "w": camera.width,
        "camera_angle_x": 2 * math.atan(0.5 * camera.width / float(K[0, 0])),
        "camera_angle_y": 2 * math.atan(0.5 * camera.height / float(K[1, 1])),
        "transform_matrix": to_world.tolist(),
        "file_path": frame.image,
        _PARAM_KEYS[frame.kind]: frame.param,
    }
    if frame.mask is not None:
        entry["fg_mask_path"] = frame.mask
    return entry


def _frame(values: JsonObject) -> Frame:
    kind: Kind = "head" if _PARAM_KEYS["head"] in values else "flame"
    index = values.whole("camera_index", high=_MOST)
    return Frame(
        timestep=values.whole("timestep_index", high=_MOST),
        camera_index=index,
        camera_id=values.label("camera_id", f"{index:02d}"),
        camera=camera_of(values),
        image=values.text("file_path"),
        mask=values.text("fg_mask_path", None),
        param=values.text(_PARAM_KEYS[kind]),
        kind=kind,
    )


def camera_of(values: JsonObject) -> Camera:
    """The camera of a frame's entry.

    Raises:
        BadInputError: names the key that is wrong.
    """
    width, height = (values.whole(name, low=1, high=_MOST_PIXELS) for name in ("w", "h"))
    focal_x = values.number("fl_x", None, *_FOCAL)
    if focal_x is None:
        focal_x = 0.5 * width / math.tan(0.5 * values.number("camera_angle_x", low=1e-3, high=3.14))
    focal_y = values.number("fl_y", focal_x, *_FOCAL)
    centre_x, centre_y = (
        values.number(name, 0.5 * size, -_FOCAL[1], _FOCAL[1])
        for name, size in (("cx", width), ("cy", height))
    )
    K = np.array([[focal_x, 0, centre_x], [0, focal_y, centre_y], [0, 0, 1]])
    to_world = values.matrix("transform_matrix", 4, 4)
    rotation = to_world[:3, :3]
    off = rotation.T @ rotation - np.eye(3), to_world[3] - np.eye(4)[3]
    if max(np.abs(part).max() for part in off) > _ROTATION_TOLERANCE:
        raise values.wrong("transform_matrix is no rotation and translation")
    viewmat = np.linalg.inv(to_world @ _FLIP)
    return Camera(viewmat.astype(np.float32), K.astype(np.float32), width, height)
