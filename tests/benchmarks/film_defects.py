# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong with videos of people: noise, blur, compression, low rates, hands, cuts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

SMEARED, COVERED, PERIOD = 23, 12, 50
"""One in so many frames is smeared by motion; so many of a period's frames, its last, show a hand
before the mouth."""


def plain(image, _frame, _mouth):
    return image


def noisy(image, frame, _mouth):
    rng = np.random.default_rng(frame)
    return (image + rng.normal(0, 12, image.shape)).clip(0, 255).astype(np.uint8)


def defocused(image, frame, _mouth):
    """Out of focus by 1.5 pixels, and now and then a frame that motion has smeared."""
    sigma = (1.5, 6.0 if smeared(frame) else 1.5, 0)
    return ndimage.gaussian_filter(image, sigma)


def smeared(frame):
    return frame % SMEARED == 7


def covered(frame):
    return frame % PERIOD >= PERIOD - COVERED


def with_hand(image, frame, mouth):
    """A drawn hand that comes before the mouth for half a second of every two."""
    if not covered(frame):
        return image
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    x, y, width = mouth
    unit = width / 3
    for finger in range(4):
        left, top = x + (finger - 2) * 1.1 * unit, y - (2.2 if finger in (1, 2) else 1.8) * unit
        box = [left, top, left + unit, y + 3 * unit]
        pen.rounded_rectangle(box, unit / 2, fill=(205, 155, 130), outline=(150, 100, 80), width=2)
    pen.ellipse([x - 2.6 * unit, y + unit, x + 2.8 * unit, y + 6 * unit], fill=(205, 155, 130))
    return np.asarray(picture)


@dataclass(frozen=True)
class Case:
    """A kind of video.

    Attributes:
        degrade: what is done to a picture, given its number and the mouth's pixel and width, (3,).
        fps: frames per second.
        cut: whether a third of the way the camera jumps nearer and aside.
        quality: x264's constant rate factor.
    """

    degrade: Callable = plain
    fps: float = 25.0
    cut: bool = False
    quality: int = 17


CASES = {
    "plain": Case(),
    "noise": Case(noisy),
    "defocus": Case(defocused),
    "compression": Case(quality=38),
    "15fps": Case(fps=15.0),
    "hand": Case(with_hand),
    "cut": Case(cut=True),
}
