# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cameras film which timestep, and what each picture is for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from training.data.layout import Split
from training.synthetic.cameras import Part

_FRONT = 0
_FRONT_EVERY = 3
_VAL_EVERY = 4
_BEHIND_EVERY = 3
_CLOSE_UPS: dict[str, tuple[Part, ...]] = {
    "mouth": ("mouth", "mouth"),
    "speech": ("mouth", "mouth"),
    "eyes": ("forehead",),
    "whole": ("mouth", "forehead"),
}
"""Which close-ups show what moves in a timestep of each kind."""


class Shot(NamedTuple):
    """One picture to take.

    Attributes:
        timestep: its index.
        camera: index in the rig.
        split: train for all but the front camera; of the front camera's, one in four is val.
    """

    timestep: int
    camera: int
    split: Split


def shots(timesteps: int, around: Sequence[float], views: int, behind: int = 0) -> list[list[Shot]]:
    """The pictures of each timestep.

    The cameras of a timestep are spread over the whole arc, and rotate from timestep to timestep:
    after a few of them each camera has been used as often as any other, so that an interrupted
    capture is balanced.

    Args:
        timesteps: number of timesteps.
        around: degrees round the head of each camera of the rig; the first is the front one.
        views: cameras that film each timestep.
        behind: number of further cameras behind the head, which film by turns.
    """
    others = sorted(range(1, len(around)), key=lambda camera: around[camera])
    stride = _stride(len(others), views)
    order = [others[(place * stride) % len(others)] for place in range(len(others))]
    planned, used, fronts = [], 0, 0
    for timestep in range(timesteps):
        taken: list[Shot] = []
        if timestep % _FRONT_EVERY == 0 or views > len(others):
            split: Split = "val" if fronts % _VAL_EVERY == _VAL_EVERY - 1 else "test"
            taken.append(Shot(timestep, _FRONT, split))
            fronts += 1
        count = min(views - len(taken), len(others))
        cameras = [order[(used + number) % len(order)] for number in range(count)]
        used += count
        taken += [Shot(timestep, camera, "train") for camera in cameras]
        if behind and timestep % _BEHIND_EVERY == 1:
            turn = timestep // _BEHIND_EVERY % behind
            taken.append(Shot(timestep, len(around) + turn, "train"))
        planned.append(taken)
    return planned


def _stride(cameras: int, views: int) -> int:
    """A step that visits all cameras, about as long as spreads ``views`` of them evenly."""
    wanted = max(1, round(cameras / max(1, views)))
    candidates = [step for step in range(1, cameras + 1) if math.gcd(step, cameras) == 1]
    return min(candidates, key=lambda step: (abs(step - wanted), step))


def with_close_ups(
    planned: Sequence[list[Shot]], kinds: Sequence[str], parts: Sequence[Part | None]
) -> list[list[Shot]]:
    """The pictures of each timestep, and close-ups of what moves in it, by turns, to train on.

    Args:
        planned: of :func:`shots`.
        kinds: of the timesteps, as :class:`training.synthetic.schedule.TimestepPose` has them.
        parts: what each camera of the rig shows; ``None`` is the whole head.
    """
    cameras: dict[Part, list[int]] = {"mouth": [], "forehead": []}
    for index, part in enumerate(parts):
        if part is not None:
            cameras[part].append(index)
    used = dict.fromkeys(cameras, 0)
    result = []
    for timestep, (taken, kind) in enumerate(zip(planned, kinds, strict=True)):
        close: list[Shot] = []
        for part in _CLOSE_UPS[kind] if any(cameras.values()) else ():
            turn = used[part] % len(cameras[part])
            close.append(Shot(timestep, cameras[part][turn], "train"))
            used[part] += 1
        result.append([*taken, *close])
    return result
