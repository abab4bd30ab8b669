# SPDX-License-Identifier: GPL-3.0-or-later
"""Rule-based articulation: timed phones to curves of the 52 ARKit expressions.

Three layers, each with its own kind of rule:

1. Vowels and consonants blend by dominance (:mod:`.coarticulation`); loudness scales the
   jaw (JALI: the jaw carries the effort of speaking, the lips the identity of the sound).
2. Contacts are constraints, not targets, for a target that neighbours can outvote never quite
   closes (:mod:`.contacts`): p, b and m shut the lips for at least one frame at any
   frame rate, f and v bring the lower lip to the upper teeth.
3. Silence longer than a breath rests: every articulator returns exactly to neutral.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.audio.level import LOUDNESS_RATE
from engine.motion.arkit import ARKIT_NAMES, COLUMN, sides
from engine.motion.articulation import Articulation
from engine.motion.rules.coarticulation import Array, TargetIntervals, blend_targets, envelope
from engine.motion.rules.contacts import bilabial_closures, labiodental_contacts, rest_intervals
from engine.phonemes import (
    ARTICULATORS,
    PAUSING,
    RESTING,
    SILENCE,
    VISEMES,
    VOWELS,
    Phone,
    normalize_segments,
)

_LEAD = (0.052, 0.090, 0.095, 0.070, 0.070, 0.060, 0.060, 0.045)
_LAG = (0.055, 0.075, 0.075, 0.065, 0.065, 0.060, 0.060, 0.045)
"""Seconds over which a command builds up and fades, per articulator: rounding is anticipated
furthest (Löfqvist 1990; JALI's lip-heavy rule), the tongue tip least."""
_BUILD_UP = (0.20, 0.035)
_LETTING_GO = (0.40, 0.065)
"""A sound holds its command but for this part of its time at its start and end, at most so many
seconds. The mouth runs ahead of the sound: it is set before the sound is heard and leaves early."""
_JAW_PER_DECIBEL = 0.03
_EFFORT = (0.6, 1.25)
_PAUSE_RESTS_FROM = 0.12
_BEYOND = 0.3
"""Seconds of silence taken to lie before and after a clip that begins or ends silent."""


def articulate(
    phones: Sequence[Phone],
    frames: int,
    fps: float,
    *,
    loudness: NDArray[np.floating[Any]] | None = None,
    settings: Articulation | None = None,
) -> NDArray[np.float32]:
    """Curves of the ARKit expressions for timed phones; frame i is at i / fps seconds.

    Only the mouth moves here; blinks and brows are :mod:`engine.motion.blinks`. Time and memory
    are linear in the frames, and a shift of all phones by whole frames shifts the curves.

    Args:
        phones: ARPAbet phones, normalized here.
        frames: T.
        fps: frames per second.
        loudness: (N,) decibels at 100 Hz from the clip's start, or ``None`` for even effort.
        settings: the speaker; ordinary by default.

    Returns:
        (T, 52) float32 in [0, 1], columns as :data:`engine.motion.arkit.ARKIT_NAMES`.
    """
    settings = settings or Articulation()
    known = _in_silence(phones, frames / fps)
    mouth = blend_targets(
        _segments(known, _effort(known, loudness, settings), settings), frames, fps
    )
    shut = envelope(bilabial_closures(known, fps, settings), frames, fps)
    tucked = envelope(labiodental_contacts(known, fps, settings), frames, fps)
    awake = 1.0 - envelope(rest_intervals(known, fps), frames, fps)
    return _expressions(mouth, shut, tucked * (1.0 - shut), awake, settings)


def lip_closure(phones: Sequence[Phone], frames: int, fps: float, settings: Articulation) -> Array:
    """How far p, b and m shut the lips at each frame: (T,) float64, 0 to 1."""
    known = _in_silence(phones, frames / fps)
    return envelope(bilabial_closures(known, fps, settings), frames, fps)


def lip_tuck(phones: Sequence[Phone], frames: int, fps: float, settings: Articulation) -> Array:
    """How far f and v bring the lower lip to the teeth at each frame: (T,) float64, 0 to 1."""
    known = _in_silence(phones, frames / fps)
    tucked: Array = envelope(labiodental_contacts(known, fps, settings), frames, fps)
    return tucked * (1.0 - envelope(bilabial_closures(known, fps, settings), frames, fps))


def _in_silence(phones: Sequence[Phone], duration: float) -> list[Phone]:
    """Tidied phones; a silence that the clip cuts off goes on beyond it, however little is left."""
    known = list(normalize_segments(phones, duration))
    if known and known[0].label == SILENCE:
        known[0] = known[0]._replace(start=known[0].start - _BEYOND)
    if known and known[-1].label == SILENCE:
        known[-1] = known[-1]._replace(end=known[-1].end + _BEYOND)
    return known


def _segments(phones: Sequence[Phone], effort: Array, settings: Articulation) -> TargetIntervals:
    """The stretches in which each mouth of each phone holds; diphthongs have two."""
    times, commands, jaws = [], [], []
    for phone, scale in zip(phones, effort, strict=True):
        mouths = VISEMES.get(phone.label)
        if mouths is None:
            resting = phone.end - phone.start > _PAUSE_RESTS_FROM
            mouths = (RESTING if resting else PAUSING,)
        length = (phone.end - phone.start) / len(mouths)
        for part, mouth in enumerate(mouths):
            start = phone.start + part * length
            before = min(_BUILD_UP[0] * length, _BUILD_UP[1])
            after = min(_LETTING_GO[0] * length, _LETTING_GO[1])
            times.append((start + before, start + length - after))
            commands.append(mouth)
            jaws.append(scale)
    table = np.array(commands, np.float64).reshape(len(times), len(ARTICULATORS), 2)
    start, end = np.array(times, np.float64).reshape(-1, 2).T
    target = table[:, :, 0].copy()
    target[:, ARTICULATORS.index("jaw")] *= np.array(jaws)
    widths = np.ones((len(times), 1)) * settings.anticipation
    return TargetIntervals(
        start=start,
        end=end,
        target=target,
        dominance=table[:, :, 1],
        lead=widths * np.array(_LEAD),
        lag=widths * np.array(_LAG),
    )


def _effort(
    phones: Sequence[Phone], loudness: NDArray[np.floating[Any]] | None, settings: Articulation
) -> Array:
    """Scale of the jaw for each phone: vowels louder than the clip's median open further."""
    effort = np.ones(len(phones))
    vowels = np.array([phone.label in VOWELS for phone in phones], bool)
    if loudness is None or len(loudness) == 0 or not vowels.any():
        return effort
    level = np.nan_to_num(np.asarray(loudness, np.float64), nan=-120.0, neginf=-120.0)
    summed = np.concatenate([[0.0], np.cumsum(level)])
    first = np.array([int(phone.start * LOUDNESS_RATE) for phone in phones])
    first = np.clip(first, 0, len(level) - 1)
    stop = np.array([round(phone.end * LOUDNESS_RATE) for phone in phones])
    stop = np.clip(stop, first + 1, len(level))
    mean = (summed[stop] - summed[first]) / (stop - first)
    above = mean - np.median(mean[vowels])
    scale = np.clip(1.0 + settings.emphasis * _JAW_PER_DECIBEL * above, *_EFFORT)
    return np.where(vowels, scale, effort)


def _expressions(
    mouth: Array, shut: Array, tucked: Array, awake: Array, settings: Articulation
) -> NDArray[np.float32]:
    """From articulators and contacts to expression weights."""
    named = dict(zip(ARTICULATORS, (mouth * awake[:, None]).T, strict=True))
    shut, tucked = shut * awake, tucked * awake
    parted = 1.0 - shut
    bare = parted * (1.0 - tucked)
    lips = settings.lips
    jaw = settings.jaw * named["jaw"] * (1.0 - 0.7 * tucked) + 0.065 * tucked
    curves = {
        "jawOpen": jaw,
        # On ARKit heads jawOpen = mouthClose is an open jaw behind shut lips.
        "mouthClose": jaw * shut,
        "mouthFunnel": lips * named["funnel"] * bare,
        "mouthPucker": lips * named["pucker"] * (1.0 - 0.3 * shut) * (1.0 - 0.9 * tucked),
        "mouthStretch": lips * named["stretch"] * (1.0 - 0.5 * shut),
        "mouthSmile": lips * named["smile"] * (1.0 - 0.5 * shut),
        "mouthUpperUp": (lips * named["upper"] * (1.0 - tucked) + 0.20 * tucked) * parted,
        "mouthLowerDown": lips * named["lower"] * bare,
        "mouthRollLower": 0.86 * tucked + 0.05 * settings.press * shut,
        "mouthRollUpper": 0.05 * settings.press * shut,
        "mouthPress": 0.14 * settings.press * shut**2,
        "tongueOut": named["tongue"] * bare,
    }
    result = np.zeros((len(mouth), len(ARKIT_NAMES)), np.float32)
    for name, curve in curves.items():
        for side in sides(name):
            result[:, COLUMN[side]] = np.clip(curve, 0.0, 1.0)
    return result
