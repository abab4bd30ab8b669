# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws ``docs/images/emotions.jpg``: the default avatar neutral and in each emotion.

Above at rest, below as it says *a*. Run it after the prototypes have changed::

    python docs/face/emotions.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from engine.avatar import load_avatar
from engine.core.runtime import prepare
from engine.heads import load_head
from engine.motion.face.emotion import EMOTIONS, NEUTRAL, emotion_amounts
from engine.motion.lip_contact import lip_gap
from engine.motion.performance import Performance
from engine.motion.style import Style, apply_style
from engine.rendering.frames import portrait_camera, render_still
from engine.splatting.registry import choose_backend

PICTURE = Path(__file__).resolve().parents[1] / "images" / "emotions.jpg"
SIZE = (220, 250)
SAYING_A = {
    "jawOpen": 0.4,
    "mouthUpperUpLeft": 0.1,
    "mouthUpperUpRight": 0.1,
    "mouthLowerDownLeft": 0.1,
    "mouthLowerDownRight": 0.1,
}


def main() -> None:
    prepare()
    head = load_head("default")
    avatar, backend = load_avatar("default", head), choose_backend("auto")
    names, camera = head.expression_names, portrait_camera(head, *SIZE, turn=12)
    mouth = np.zeros((2, len(names)), np.float32)
    for name, weight in SAYING_A.items():
        mouth[1, names.index(name)] = weight
    gap = lip_gap(head.expression_basis, names, head.landmarks)
    columns = []
    for emotion in (NEUTRAL, *EMOTIONS):
        amounts = emotion_amounts(emotion, 1.0, (), (), 2, 25.0)
        weights = apply_style(mouth, names, Style(), gap, amounts)
        made = Performance(25.0, weights, head.expression_basis, weights, names, head.id)
        frames = [render_still(made, head, avatar, backend, camera, i) for i in range(2)]
        column = Image.fromarray(np.concatenate(frames))
        ImageDraw.Draw(column).text((8, 6), emotion, fill=(235, 235, 235), font_size=14)
        columns.append(np.asarray(column))
    Image.fromarray(np.concatenate(columns, axis=1)).save(PICTURE, quality=88)


if __name__ == "__main__":
    main()
