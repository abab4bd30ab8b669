# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the demo's still, the tour's shots and a training's preview where the README shows them.

python docs/tour/pictures.py DEMO_FOLDER SCREENSHOTS_FOLDER TRAINING_JOB_FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

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


def smaller(picture: Path) -> Image.Image:
    whole = Image.open(picture).convert("RGB")
    height = round(whole.height * WIDTH / whole.width)
    return whole.resize((WIDTH, height), Image.Resampling.LANCZOS)


def main(demo: Path, screenshots: Path, training: Path) -> None:
    Image.open(demo / "still.png").save(IMAGES / "demo.png", optimize=True)
    for shot, name in NAMES.items():
        smaller(screenshots / f"{shot}.png").save(IMAGES / f"tour-{name}.png", optimize=True)
    smaller(training / "preview.png").save(IMAGES / "avatar-training.jpg", quality=88)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
