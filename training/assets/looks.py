# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks of people in films, drawn at random: colours, hair, light, background and camera.

Colours are scene-linear. Directions are those of a camera: x to the right, y down, z away.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from engine.core.arrays import Double, Float
from engine.core.srgb import linear
from engine.rendering.frames import studio_backdrop

_SKINS = (
    *((0.93, 0.80, 0.73), (0.88, 0.70, 0.61), (0.845, 0.65, 0.548), (0.74, 0.55, 0.43)),
    *((0.60, 0.42, 0.31), (0.43, 0.29, 0.21), (0.27, 0.175, 0.13)),
)
_DARK_SKIN = 3.5
"""Tones are mixed of two neighbours; from this one on hair and eyes are dark."""
_HAIRS = (
    *((0.06, 0.05, 0.05), (0.13, 0.09, 0.07), (0.30, 0.20, 0.14), (0.45, 0.24, 0.12)),
    *((0.62, 0.48, 0.30), (0.80, 0.72, 0.58), (0.62, 0.61, 0.60), (0.88, 0.87, 0.86)),
)
_IRISES = (
    *((0.16, 0.09, 0.05), (0.30, 0.19, 0.10), (0.36, 0.40, 0.25)),
    *((0.35, 0.47, 0.58), (0.50, 0.56, 0.60)),
)
"""sRGB; of hairs and irises the first ones are dark."""
_DARK_HAIRS, _DARK_IRISES = 3, 2
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
_CELL = 4
"""Pixels of what is behind, which is out of focus."""


class Lamp(NamedTuple):
    """A light from a direction, (3,); the larger ``focus``, the smaller it is."""

    direction: Double
    focus: float
    power: Double


@dataclass(frozen=True, eq=False)
class Look:
    """How a person looks in a film.

    Attributes:
        skin: (3,) colour.
        hair: (3,) colour on the skull, and of the beard.
        bald: whether there is none on the skull.
        beard, moustache: how thick, 0 to 1.
        brows: exponent of what darkens them against the skin; 1 is the avatar's.
        brow_hue: (3,) factors.
        lips: exponent of their contrast to the skin; 1 is the avatar's.
        lip_hue: (3,) factors.
        iris: (3,) colour.
        sclera: factor of the white of the eyes.
        fill: (3,) light from everywhere.
        lamps: besides that.
        exposure: display-referred level of the skin.
        balance: (3,) factors of a camera's colours.
        gamma, contrast: of the camera.
        blur, sharpening: pixels of a Gaussian's deviation, and the amount.
        noise: deviation, of 255.
        quality: of JPEG; ``None`` without compression.
        background: (H, W, 3) float32 display-referred sRGB.
    """

    skin: Double
    hair: Double
    bald: bool
    beard: float
    moustache: float
    brows: float
    brow_hue: Double
    lips: float
    lip_hue: Double
    iris: Double
    sclera: float
    fill: Double
    lamps: tuple[Lamp, ...]
    exposure: float
    balance: Double
    gamma: float
    contrast: float
    blur: float
    sharpening: float
    noise: float
    quality: int | None
    background: Float

    def radiance(self, directions: Double) -> Double:
        """(D, 3) light from directions, (D, 3), that cover the sphere evenly."""
        total = np.broadcast_to(self.fill, (len(directions), 3)).copy()
        for lamp in self.lamps:
            lobe = np.exp(lamp.focus * (directions @ lamp.direction - 1))
            total += lamp.power * (lobe / max(4 * float(lobe.mean()), 1e-9))[:, None]
        return total

    def photographed(self, picture: Float, rng: np.random.Generator) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 what the camera makes of a display-referred picture, (H, W, 3)."""
        seen = np.clip(picture * self.balance, 0, 1) ** self.gamma
        seen = 0.5 + (seen - 0.5) * self.contrast
        if self.blur:
            seen = _blurred(seen, self.blur)
        if self.sharpening:
            seen = seen + self.sharpening * (seen - _blurred(seen, 1.2))
        if self.noise:
            seen = seen + rng.normal(0, self.noise / 255, seen.shape)
        taken = (np.clip(seen, 0, 1) * 255 + 0.5).astype(np.uint8)
        if self.quality is None:
            return taken
        file = io.BytesIO()
        Image.fromarray(taken).save(file, "JPEG", quality=self.quality)
        return np.asarray(Image.open(file).convert("RGB"))


def random_look(rng: np.random.Generator, size: int) -> Look:
    """A look for pictures of so many pixels in square."""
    tone = rng.uniform(0, len(_SKINS) - 1)
    dark = tone >= _DARK_SKIN
    lower = min(int(tone), len(_SKINS) - 2)
    skin = _SKINS[lower] + (tone - lower) * np.subtract(_SKINS[lower + 1], _SKINS[lower])
    hair = _HAIRS[rng.integers(_DARK_HAIRS if dark else len(_HAIRS))]
    iris = _IRISES[rng.integers(_DARK_IRISES if dark else len(_IRISES))]
    thick = rng.uniform(0.15, 0.9) if rng.random() < 0.35 else 0.0
    whole = rng.random() < 0.75
    painted = abs(rng.normal(0, 0.3)) if rng.random() < 0.4 else 0.0
    return Look(
        skin=linear(skin) * _about(rng, 0.06, 3),
        hair=linear(np.array(hair)) * _about(rng, 0.1, 3) * _about(rng, 0.25),
        bald=bool(rng.random() < 0.2),
        beard=thick if whole else 0.0,
        moustache=thick,
        brows=float(np.exp(rng.uniform(-1.6, 0.9))),
        brow_hue=_about(rng, 0.1, 3),
        lips=float(rng.uniform(0.3, 2.2)),
        lip_hue=_about(rng, 0.15) * np.exp(painted * np.array([0.1, -1.0, -0.8])),
        iris=linear(np.array(iris)) * _about(rng, 0.2),
        sclera=float(_about(rng, 0.15)),
        fill=np.exp(rng.normal(-0.9, 0.7)) * _about(rng, 0.07, 3),
        lamps=tuple(_lamp(rng) for _ in range(rng.integers(1, 4))),
        exposure=float(
            rng.uniform(0.28, 0.62) * (0.55 + 0.45 * (brightness(linear(skin)) / 0.45) ** 0.35)
        ),
        balance=_about(rng, (0.05, 0.02, 0.07)),
        gamma=float(_about(rng, 0.15)),
        contrast=float(_about(rng, 0.12)),
        blur=max(0.0, float(rng.uniform(-0.8, 1.8))),
        sharpening=float(rng.uniform(0, 1.2)) if rng.random() < 0.3 else 0.0,
        noise=float(rng.uniform(0, 10)) if rng.random() < 0.5 else 0.0,
        quality=int(rng.integers(25, 96)) if rng.random() < 0.6 else None,
        background=_background(rng, size),
    )


def brightness(color: Double) -> Double:
    """(...,) luminance of scene-linear colours, (..., 3)."""
    result: Double = color @ _LUMINANCE
    return result


def _about(
    rng: np.random.Generator, deviation: float | tuple[float, ...], count: int | None = None
) -> Double:
    """Factors about 1 with so large deviations of their logarithms."""
    factors: Double = np.exp(rng.normal(0, deviation, count))
    return factors


def _lamp(rng: np.random.Generator) -> Lamp:
    """Mostly somewhere before the face; some stand behind it."""
    around = rng.uniform(-110, 110) if rng.random() < 0.85 else rng.uniform(110, 250)
    turn, rise = np.radians([around, rng.uniform(-15, 70)])
    direction = [np.sin(turn) * np.cos(rise), -np.sin(rise), -np.cos(turn) * np.cos(rise)]
    power = _about(rng, 0.6) * _about(rng, (0.08, 0.03, 0.11))
    return Lamp(np.array(direction), float(rng.uniform(1.5, 12)), power)


def _background(rng: np.random.Generator, size: int) -> Float:
    """The studio's, one colour, or a room out of focus; grainy or not."""
    kind = rng.integers(5)
    if kind == 0:
        return studio_backdrop(size, size)
    shown = np.broadcast_to(rng.uniform(0.02, 0.98) * _about(rng, 0.12, 3), (size, size, 3))
    if kind > 1:
        small = -(-size // _CELL)
        for part in (3, 8, 24)[: rng.integers(1, 4)]:
            cloud = rng.standard_normal((small, small, 4))
            cloud = _blurred(cloud, size / part / _CELL)
            cloud /= cloud.std()
            colored = cloud[..., :1] + 0.3 * cloud[..., 1:]
            large = ndimage.zoom(colored, (_CELL, _CELL, 1), order=1)[:size, :size]
            shown = shown + rng.uniform(0.03, 0.18) * large
    if kind == 4:
        shown = shown + rng.normal(0, 0.05, (size, size, 1))
    return np.clip(shown, 0, 1).astype(np.float32)


def _blurred(picture: Double, deviation: float) -> Double:
    result: Double = ndimage.gaussian_filter(picture, (deviation, deviation, 0))
    return result
