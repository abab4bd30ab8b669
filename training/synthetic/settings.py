# SPDX-License-Identifier: GPL-3.0-or-later
"""What a synthetic capture is made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from engine.core.errors import BadInputError

FULL_WIDTH, FULL_HEIGHT = 1100, 1604
"""Pixels of the paper's pictures (NeRSemble at half size)."""
MOST_CAMERAS = 16
MOST_BEHIND = 6
_MOST_TIMESTEPS = 100_000
"""File names count timesteps with five digits."""


@dataclass(frozen=True)
class CaptureSettings:
    """Everything that decides what the pictures show; two captures of equal settings are equal.

    Attributes:
        scale: of the pictures against 1100×1604 pixels.
        cameras: how many stand round the front of the head, 2 to 16; the first is the front one.
        behind: how many stand at the sides and behind it besides; every third timestep uses one
            of them, for training alone.
        timesteps: their number.
        views_per_timestep: cameras that film each timestep, a rotating choice; every third timestep
            the front camera is one of them.
        samples: of Cycles, per pixel, before denoising.
        turning: how far the head turns, nods and tilts; at 1 it turns by 18°. The studio's light
            stays where it is, and an avatar's light is part of its colours: what turns smears it.
        seed: of head poses, mixed expressions and the cameras' small misalignments.
        faces: whether made faces are filmed between the frames of speech.
        close_ups: whether cameras near mouth and forehead film what moves there besides.
    """

    scale: float = 1.0
    cameras: int = MOST_CAMERAS
    behind: int = 0
    timesteps: int = 72
    views_per_timestep: int = MOST_CAMERAS
    samples: int = 64
    turning: float = 0.3
    seed: int = 0
    faces: bool = True
    close_ups: bool = False

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            BadInputError: names the setting and its range.
        """
        ranges = {
            "cameras": (2, MOST_CAMERAS),
            "behind": (0, MOST_BEHIND),
            "timesteps": (1, _MOST_TIMESTEPS),
            "views_per_timestep": (2, self.cameras),
            "samples": (1, 65536),
            "seed": (0, 2**31 - 1),
        }
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise BadInputError(
                    f"{name} is {getattr(self, name)}.",
                    f"Give --{name.replace('_', '-')} from {low} to {high}.",
                )
        if not 0 <= self.turning <= 2:
            raise BadInputError(
                f"The turning is {self.turning}.", "Give --turning from 0 to 2; 1 turns by 18°."
            )
        if not 0.02 <= self.scale <= 4:
            raise BadInputError(
                f"The scale is {self.scale}.",
                f"Give --scale from 0.02 to 4; 1 is {FULL_WIDTH}×{FULL_HEIGHT} pixels.",
            )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the pictures, pixels."""
        return round(FULL_WIDTH * self.scale), round(FULL_HEIGHT * self.scale)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; what 0.1.0 had no choice of is left out where it is as there."""
        as_ever = {"faces": True, "close_ups": False}
        return {k: v for k, v in asdict(self).items() if as_ever.get(k) is not v}
