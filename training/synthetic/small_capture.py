# SPDX-License-Identifier: GPL-3.0-or-later
"""A small capture of the shipped avatar by the CPU backend: ready within a second or two."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image as Picture

from engine.avatar import load_avatar, splats
from engine.core.arrays import Float
from engine.heads import load_head
from engine.splatting.backend import Image
from engine.splatting.camera import Camera, look_at
from engine.splatting.cpu.backend import CpuBackend
from training.data.layout import (
    Frame,
    Split,
    head_param_path,
    image_path,
    mask_path,
    transforms_path,
    write_transforms,
)
from training.data.layout_head_param import HeadParam, save_head_param

FRONT = "front"
ANGLES = {FRONT: (0.0, 5.0), "left": (35.0, 0.0), "right": (-35.0, 0.0), "low": (15.0, -20.0)}
"""Degrees round the head and above it, by camera."""
EXPRESSIONS: tuple[dict[str, float], ...] = (
    {},
    {"jawOpen": 0.7},
    {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0},
)


@dataclass(frozen=True)
class Size:
    """Pixels of the pictures."""

    width: int = 44
    height: int = 64


def write_small_capture(folder: Path, *, size: Size | None = None) -> Path:
    """Write 3 timesteps of 4 cameras; the front camera is listed for test and val alone.

    Args:
        folder: of the capture, in GaussianAvatars' layout.
        size: of its pictures.
    """
    size = size or Size()
    head = load_head("default")
    avatar, backend = load_avatar("default", head), CpuBackend()
    frames: dict[Split, list[Frame]] = {"train": [], "val": [], "test": []}
    for timestep, weights in enumerate(EXPRESSIONS):
        expression = np.zeros(len(head.expression_names), np.float32)
        for name, weight in weights.items():
            expression[head.expression_index(name)] = weight
        matrix = turned(0.1 * timestep)
        param = HeadParam(head.id, expression, head.expression_names, matrix)
        save_head_param(param, folder / head_param_path(timestep))
        for index, (name, (around, above)) in enumerate(ANGLES.items()):
            camera = camera_at(around, above, size)
            gaussians = splats(
                avatar,
                torch.from_numpy(head.deform(expression)),
                torch.from_numpy(expression),
                torch.from_numpy(matrix),
                torch.from_numpy(camera.position),
            )
            with torch.inference_mode():
                picture = backend.render(gaussians, camera)
            save_picture(folder, timestep, index, picture)
            frame = Frame(
                timestep,
                index,
                name,
                camera,
                image_path(timestep, index, ".png"),
                mask_path(timestep, index),
                head_param_path(timestep),
                "head",
            )
            splits: tuple[Split, ...] = ("val", "test") if name == FRONT else ("train",)
            for split in splits:
                frames[split].append(frame)
    for split, listed in frames.items():
        write_transforms(transforms_path(folder, split), listed)
    return folder


def turned(angle: float) -> Float:
    """A head turned to its left by an angle in radians, and shifted a little."""
    c, s = np.cos(angle), np.sin(angle)
    matrix = [[c, 0, s, 0.01 * angle], [0, 1, 0, 0], [-s, 0, c, 0], [0, 0, 0, 1]]
    return np.array(matrix, np.float32)


def camera_at(around: float, above: float, size: Size) -> Camera:
    """A camera at degrees round the head and above it."""
    a, e = np.deg2rad(around), np.deg2rad(above)
    towards = np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])
    eye = (1.2 * towards).astype(np.float32)
    fov = 2 * np.arctan(0.15 / 1.2)
    return look_at(
        eye, np.zeros(3, np.float32), width=size.width, height=size.height, vertical_fov=fov
    )


def save_picture(folder: Path, timestep: int, index: int, picture: Image) -> None:
    """Write a picture and its mask."""
    alpha = picture.alpha[..., None].clamp(min=1e-6)
    straight = torch.where(picture.alpha[..., None] > 0, picture.rgb / alpha, 0.0)
    for path, values in (
        (folder / image_path(timestep, index, ".png"), straight),
        (folder / mask_path(timestep, index), picture.alpha),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        levels = (values.numpy().clip(0, 1) * 255 + 0.5).astype(np.uint8)
        Picture.fromarray(levels).save(path)
