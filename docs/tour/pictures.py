# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the demo's still and the tour's screenshots where the README shows them, made smaller.

python docs/tour/pictures.py DEMO_FOLDER SCREENSHOTS_FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

IMAGES = Path(__file__).resolve().parents[1] / "images"
NAMES = {"1-head": "head", "2-predicting": "speech", "3-keys": "keys", "4-avatar": "avatar"}
WIDTH = 1200
"""Pixels of a screenshot."""


def main(demo: Path, screenshots: Path) -> None:
    Image.open(demo / "still.png").save(IMAGES / "demo.png", optimize=True)
    for shot, name in NAMES.items():
        picture = Image.open(screenshots / f"{shot}.png").convert("RGB")
        height = round(picture.height * WIDTH / picture.width)
        smaller = picture.resize((WIDTH, height), Image.Resampling.LANCZOS)
        smaller.save(IMAGES / f"tour-{name}.png", optimize=True)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:3]))
