# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules as a teacher: true sounds to the motion that the learned model is trained on.

The mouth alone is taught. Blinks and brows are a layer of their own
(:mod:`engine.motion.blinks`), so that they can be turned off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engine.audio.level import LOUDNESS_RATE, loudness
from engine.audio.loading import SAMPLE_RATE
from engine.core.arrays import Float
from engine.heads.head import Head
from engine.motion.arkit import to_head_weights
from engine.motion.lip_contact import fit_mouth_close, lip_gap
from engine.motion.rules.contacts import contact_curves, phones_in_silence
from engine.motion.rules.visemes import articulate
from engine.motion.style import NEUTRAL, Style
from engine.phonemes import Phone

VISIBLE_FPS = 25.0
"""The slowest rate at which contacts of the taught motion are still seen on a frame."""

_SMILE, _FROWN = 0.35, 0.30


def taught_motion(
    phones: Sequence[Phone],
    samples: Float,
    frames: int,
    rate: float,
    head: Head,
    style: Style = NEUTRAL,
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
        style: how it is spoken; its articulation is the amplitude of the rules' jaw and lips.

    Returns:
        (T, E) float32 weights of the head's expressions.
    """
    speaker = replace(
        style,
        jaw=min(style.jaw * style.articulation, 3.0),
        lips=min(style.lips * style.articulation, 3.0),
    )
    phases = round(rate / VISIBLE_FPS)
    assert phases * VISIBLE_FPS == rate
    level = loudness(samples, SAMPLE_RATE)
    gap = lip_gap(head.expression_basis, head.expression_names, head.landmarks)
    count = -(-frames // phases)
    weights = np.zeros((count * phases, len(head.expression_names)), np.float32)
    for phase in range(phases):
        shift = phase / rate
        shifted = level[round(shift * LOUDNESS_RATE) :]
        moved = [Phone(p.label, p.start - shift, p.end - shift) for p in phones if p.end > shift]
        known = phones_in_silence(moved, count / VISIBLE_FPS)
        contacts = contact_curves(known, count, VISIBLE_FPS, speaker.anticipation)
        curves = articulate(known, contacts, VISIBLE_FPS, loudness=shifted, style=speaker)
        made = to_head_weights(curves, head.expression_names)
        weights[phase::phases] = fit_mouth_close(made, gap, contacts.closure)
    weights = weights[:frames]
    smile = {
        "mouthSmile": max(style.smile, 0.0) * _SMILE,
        "mouthFrown": -min(style.smile, 0.0) * _FROWN,
    }
    for column, name in enumerate(head.expression_names):
        amount = smile.get(name.removesuffix("Left").removesuffix("Right"), 0.0)
        weights[:, column] = np.minimum(weights[:, column] + amount, 1.0)
    return weights
