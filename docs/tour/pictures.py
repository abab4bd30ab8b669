# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the demo's still and film, the tour's shots and a training's preview into docs/images.

python docs/tour/pictures.py DEMO_FOLDER SCREENSHOTS_FOLDER TRAINING_JOB_FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import av
from PIL import Image

IMAGES = Path(__file__).resolve().parents[1] / "images"
NAMES = {
    "0-setup": "setup",
    "1-head": "head",
    "2-predicting": "speech",
    "3-keys": "keys",
    "4-avatar": "avatar",
}
WIDTH = 1200
"""Pixels of a screenshot."""
FILM = 360
"""Pixels of the film's sides."""
EVERY = 2
"""Frames of the demo's video to a frame of the film, which is to be small."""


def smaller(picture: Path) -> Image.Image:
    whole = Image.open(picture).convert("RGB")
    height = round(whole.height * WIDTH / whole.width)
    return whole.resize((WIDTH, height), Image.Resampling.LANCZOS)


def film(video: Path, out: Path) -> None:
    """A video as a picture that moves, without its sound."""
    with av.open(video) as container:
        rate = container.streams.video[0].average_rate
        frames = [frame.to_image() for frame in container.decode(video=0)][::EVERY]
    first, *others = (
        frame.resize((FILM, FILM * frame.height // frame.width), Image.Resampling.LANCZOS)
        for frame in frames
    )
    shown = round(1000 * EVERY / rate)
    first.save(
        out, save_all=True, append_images=others, duration=shown, loop=0, quality=62, method=6
    )


def main(demo: Path, screenshots: Path, training: Path) -> None:
    Image.open(demo / "still.png").save(IMAGES / "demo.png", optimize=True)
    film(demo / "talk.mp4", IMAGES / "demo.webp")
    for shot, name in NAMES.items():
        smaller(screenshots / f"{shot}.png").save(IMAGES / f"tour-{name}.png", optimize=True)
    smaller(training / "preview.png").save(IMAGES / "avatar-training.jpg", quality=88)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
