# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the shots of setup.py and dialogue.py where the user guide shows them.

python docs/tour/guide_pictures.py SETUP_FOLDER DIALOGUE_FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from pictures import IMAGES, smaller
from PIL import Image

SETUP = {"0-setup": "setup", "0-setup-progress": "setup-progress"}
DIALOGUE = {
    "1-meshes": "meshes",
    "2-arkit": "arkit",
    "3-vrm": "vrm",
    "4-lines": "lines",
    "5-layers": "layers",
    "6-slider": "slider",
    "7-phones": "phones",
    "8-moved-phone": "moved-phone",
    "9-exporting": "exporting",
    "10-imported": "imported",
}
QUALITY = {"quality": 85, "subsampling": 0, "optimize": True}
"""Of the JPEG files: each stays under 200 kB, and small letters keep their colour."""


def main(setup: Path, dialogue: Path) -> None:
    for folder, names in ((setup, SETUP), (dialogue, DIALOGUE)):
        for shot, name in names.items():
            smaller(folder / f"{shot}.png").save(IMAGES / f"guide-{name}.jpg", **QUALITY)
    still = Image.open(dialogue / "12-still.png").convert("RGB")
    still.save(IMAGES / "guide-render.jpg", **QUALITY)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:3]))
