# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules as a teacher: true sounds to the motion that the learned model is trained on.

The mouth alone is taught. Blinks and brows are a layer of their own
(:mod:`engine.motion.blinks`), so that they can be turned off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.audio.level import LOUDNESS_RATE, loudness
from engine.audio.loading import SAMPLE_RATE
from engine.heads.head import Head
from engine.motion.arkit import COLUMN, sides
from engine.motion.articulation import Articulation
from engine.motion.lip_contact import sealed
from engine.motion.predict import on_head
from engine.motion.rules.visemes import articulate, lip_closure
from engine.phonemes import Phone

Float = NDArray[np.float32]

VISIBLE_FPS = 25.0
"""The slowest rate at which contacts of the taught motion are still seen on a frame."""

_STRONGER = 0.5
"""What articulation strength 1 adds to the amplitude of jaw and lips."""
_SMILE, _FROWN = 0.35, 0.30


@dataclass(frozen=True)
class Style:
    """What an artist can ask of the model; 0 is an ordinary speaker.

    Attributes:
        articulation: −1 mumbles, 1 over-articulates.
        smile: −1 frowns, 1 smiles.
    """

    articulation: float = 0.0
    smile: float = 0.0


def taught_motion(
    phones: Sequence[Phone],
    samples: Float,
    frames: int,
    rate: float,
    head: Head,
    style: Style | None = None,
    settings: Articulation | None = None,
) -> Float:
    """The rules' motion for true sounds.

    Contacts last as long as they must to be seen at :data:`VISIBLE_FPS`: the rules run at that rate
    once for every frame in between, on a clock shifted by so much.

    Args:
        phones: true sounds with times.
        samples: (N,) clean speech at 16 kHz, for its loudness.
        frames: T.
        rate: frames per second, a whole multiple of 25.
        head: whose expressions the motion is in.
        style: what the artist asks for.
        settings: the speaker; the style comes on top.

    Returns:
        (T, E) float32 weights of the head's expressions.
    """
    style, settings = style or Style(), settings or Articulation()
    amplitude = 1.0 + _STRONGER * style.articulation
    speaker = Articulation(
        jaw=settings.jaw * amplitude,
        lips=settings.lips * amplitude,
        anticipation=settings.anticipation,
        emphasis=settings.emphasis,
        press=settings.press,
        liveliness=0.0,
    )
    phases = round(rate / VISIBLE_FPS)
    assert phases * VISIBLE_FPS == rate
    level = loudness(samples, SAMPLE_RATE)
    curves = np.zeros((-(-frames // phases) * phases, len(COLUMN)), np.float32)
    for phase in range(phases):
        shift = phase / rate
        moved = [Phone(p.label, p.start - shift, p.end - shift) for p in phones if p.end > shift]
        later = level[round(shift * LOUDNESS_RATE) :]
        count = len(curves) // phases
        made = articulate(moved, count, VISIBLE_FPS, loudness=later, settings=speaker)
        shut = lip_closure(moved, count, VISIBLE_FPS, speaker)
        curves[phase::phases] = sealed(made, shut, head)
    curves = curves[:frames]
    for name, amount in (
        ("mouthSmile", _SMILE * max(style.smile, 0.0)),
        ("mouthFrown", _FROWN * max(-style.smile, 0.0)),
    ):
        for side in sides(name):
            curves[:, COLUMN[side]] = np.minimum(curves[:, COLUMN[side]] + amount, 1.0)
    return on_head(curves, head)
