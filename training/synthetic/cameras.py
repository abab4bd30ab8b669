# SPDX-License-Identifier: GPL-3.0-or-later
"""The cameras of a capture, placed as those of the paper's data: 16 round the front of the head.

NeRSemble's stand in three rows about a metre away and reach to both ears; here the middle row spans
±56° and the rows above and below it stand 20° off. Lenses cover 37.5 cm of height at the head, so
that it fills the picture and may still turn. Close-ups have longer lenses at the same distance.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np

from engine.core.arrays import Float
from engine.heads.head import Head
from engine.splatting.camera import Camera, look_at
from training.synthetic.settings import CaptureSettings

DISTANCE = 1.1
_COVERED = 0.375
"""Metres: from the cameras to the head, and the height that a picture covers there."""
_OFF_CENTRE = 0.01
"""Part of the width by which a sensor may be off its lens's axis: real ones never are exact."""
_ROWS: tuple[tuple[float, tuple[float, ...]], ...] = (
    (0.0, (0.0, -56.0, 56.0, -36.0, 36.0, -18.0, 18.0)),
    (20.0, (-46.0, 46.0, 0.0, -23.0, 23.0)),
    (-20.0, (-40.0, 40.0, -13.0, 13.0)),
)
"""Degrees above the head's middle, and degrees round it to its left."""
_BEHIND = ((0.0, 180.0), (5.0, 95.0), (5.0, -95.0), (20.0, 140.0), (-10.0, -140.0), (50.0, 180.0))
"""The same of the cameras that see what the paper's do not."""

Part = Literal["mouth", "forehead"]
"""What a close-up shows."""
_CLOSE_UPS: tuple[tuple[Part, float, float], ...] = (
    ("mouth", 4.0, -22.0),
    ("mouth", -6.0, 45.0),
    ("mouth", -6.0, 22.0),
    ("mouth", 4.0, -45.0),
    ("mouth", 0.0, 72.0),
    ("mouth", 0.0, -72.0),
    ("forehead", 8.0, -20.0),
    ("forehead", 8.0, 20.0),
)
"""What it shows, and degrees above and round it; none where the front camera stands, which is
kept from training."""
_COVERED_CLOSE: dict[Part, float] = {"mouth": 0.12, "forehead": 0.17}
"""Metres: the height that a close-up covers."""


class RigCamera(NamedTuple):
    """A camera of the rig.

    Attributes:
        id: its name in the capture.
        camera: world is head space of a head that has not moved.
        around: degrees to the head's left.
        part: what a close-up shows; ``None`` for the whole head.
    """

    id: str
    camera: Camera
    around: float
    part: Part | None = None


def camera_rig(head: Head, settings: CaptureSettings) -> list[RigCamera]:
    """The cameras, the front one first.

    The others follow such that each stands as far as can be from those before it: any number of
    them spreads over the whole front.

    Args:
        head: who is filmed; neutral.
        settings: number of cameras, size and seed; those behind the head come after those before
            it, and close-ups last.
    """
    places = _spread([(above, around) for above, row in _ROWS for around in row])
    wanted: list[tuple[Part | None, float, float]] = [
        (None, *place) for place in [*places[: settings.cameras], *_BEHIND[: settings.behind]]
    ]
    if settings.close_ups:
        wanted += _CLOSE_UPS
    rng = np.random.default_rng([settings.seed, 1])
    return [
        RigCamera(f"{index:02d}", _camera(head, part, above, around, settings, rng), around, part)
        for index, (part, above, around) in enumerate(wanted)
    ]


def _spread(places: list[tuple[float, float]]) -> list[tuple[float, float]]:
    chosen, left = [places[0]], places[1:]
    while left:
        farthest = max(left, key=lambda place: min(math.dist(place, other) for other in chosen))
        chosen.append(farthest)
        left.remove(farthest)
    return chosen


def _camera(
    head: Head,
    part: Part | None,
    above: float,
    around: float,
    settings: CaptureSettings,
    rng: np.random.Generator,
) -> Camera:
    target = _middle(head, part)
    covered = _COVERED if part is None else _COVERED_CLOSE[part]
    e, a = math.radians(above), math.radians(around)
    towards = np.array([math.sin(a) * math.cos(e), math.sin(e), math.cos(a) * math.cos(e)])
    width, height = settings.size
    camera = look_at(
        (target + DISTANCE * towards).astype(np.float32),
        target,
        width=width,
        height=height,
        vertical_fov=2 * math.atan(0.5 * covered / DISTANCE),
    )
    K = camera.K.copy()
    K[:2, 2] += rng.uniform(-_OFF_CENTRE, _OFF_CENTRE, 2) * width
    return replace(camera, K=K)


def _middle(head: Head, part: Part | None) -> Float:
    """(3,) metres: what a camera looks at."""
    if part == "mouth":
        # Below the corners, for the jaw opens downwards.
        corners = head.template[head.landmarks["mouth_corners"]].mean(0)
        return np.array([0.0, corners[1] - 0.012, corners[2]], np.float32)
    if part == "forehead":
        brows = head.template[head.regions["brows"]].mean(0)
        return np.array([0.0, brows[1] + 0.012, brows[2]], np.float32)
    middle = 0.5 * (head.template.min(0) + head.template.max(0))
    # Hair rises above the skull; the neck's cut may go.
    return np.array([0.0, middle[1] + 0.006, middle[2]], np.float32)
