# SPDX-License-Identifier: GPL-3.0-or-later
"""A short line of a small head: what it says, and what of it is seen."""

from __future__ import annotations

NAMES = ("jawOpen", "mouthClose", "mouthSmileLeft", "eyeBlinkLeft")
UPPER, LOWER = 1, 0
OFFSETS = {
    "jawOpen": {LOWER: (0, 0, -0.03)},
    "mouthClose": {LOWER: (0, 0, 0.03)},
    "mouthSmileLeft": {UPPER: (0.002, 0, 0.005)},
    "eyeBlinkLeft": {},
}
PHONES = (
    ("SIL", 0.0, 0.2), ("M", 0.2, 0.3), ("AA", 0.3, 0.5), ("P", 0.5, 0.6), ("HH", 0.6, 0.7),
    ("AY", 0.7, 1.0), ("SIL", 1.0, 1.2),
)  # fmt: skip
WORDS = (("map", 0.2, 0.6), ("hi", 0.6, 1.0))
START = 11


def played(blender, head, frame):
    """Values of the keys at a frame, and the metres between the lips."""
    blender.context.scene.frame_set(frame)
    keys = head.data.shape_keys.key_blocks
    values = {name: keys[name].value for name in NAMES}
    gap = sum(
        value * (keys[name].points[UPPER].co.z - keys[name].points[LOWER].co.z)
        for name, value in values.items()
    )
    return values, gap
