# SPDX-License-Identifier: GPL-3.0-or-later
"""Rule-based articulation: timed phones to curves of the 52 ARKit expressions.

Three layers, each with its own kind of rule, and between the first two a learned one where it is
wanted (:mod:`.correction`):

1. Vowels and consonants blend by dominance (:mod:`.coarticulation`); loudness scales the
   jaw (JALI: the jaw carries the effort of speaking, the lips the identity of the sound).
2. Contacts outweigh the blend (:mod:`.contacts`): p, b and m close the lips for at least one frame
   at any frame rate, f and v bring the lower lip to the upper teeth.
3. Silence longer than a breath rests: every articulator returns exactly to neutral.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.audio.level import LOUDNESS_RATE
from engine.core.arrays import Double
from engine.motion.arkit import ARKIT_NAMES, COLUMN, sides
from engine.motion.lip_contact import LABIODENTAL_JAW, LABIODENTAL_ROLL
from engine.motion.rules.coarticulation import TargetIntervals, blend_targets
from engine.motion.rules.contacts import Contacts, contact_curves
from engine.motion.rules.correction import (
    STEP_RATE,
    LipCorrection,
    corrected,
    lips_with_contacts,
)
from engine.motion.rules.lip_shape import LipShape, lip_shape
from engine.motion.rules.targets import TRACT_VARIABLES, VISEMES
from engine.motion.style import NEUTRAL, Style
from engine.phonemes import VOWELS, Phone

_LEAD = (0.055, 0.055, 0.075, 0.090, 0.045)
_LAG = (0.055, 0.055, 0.085, 0.075, 0.045)
"""Seconds over which dominance builds up and fades, per tract variable: rounding is anticipated
furthest (Löfqvist 1990; JALI's lip-heavy rule), the tongue tip least."""
_BUILD_UP = (0.20, 0.035)
_LETTING_GO = (0.30, 0.050)
"""A phone holds its targets but for this part of its time at its start and end, at most so many
seconds. The mouth runs ahead of the sound: it is set before the sound and leaves early."""
_JAW_PER_DECIBEL = 0.03
_EFFORT = (0.6, 1.25)
_AROUND = 3.0
"""Seconds before and after a vowel with whose vowels its loudness is compared."""


def articulate(
    phones: Sequence[Phone],
    contacts: Contacts,
    fps: float,
    *,
    loudness: NDArray[np.floating[Any]] | None = None,
    style: Style = NEUTRAL,
    correction: LipCorrection | None = None,
) -> NDArray[np.float32]:
    """Curves of the ARKit expressions for timed phones; frame i is at i / fps seconds.

    Only the mouth moves here; blinks and brows are :mod:`engine.motion.face`. Time and memory
    are linear in the frames, and a shift of all phones by whole frames shifts the curves.

    Args:
        phones: from :func:`engine.motion.rules.contacts.phones_in_silence`.
        contacts: of the phones at T frames.
        fps: frames per second.
        loudness: (N,) decibels at 100 Hz from the clip's start, or ``None`` for even effort.
        style: the speaker.
        correction: of opening and width by what filmed people do, or ``None`` for the rules alone.

    Returns:
        (T, 52) float32 in [0, 1], columns as :data:`engine.motion.arkit.ARKIT_NAMES`.
    """
    frames = len(contacts.closure)
    intervals = viseme_intervals(phones, loudness, style)
    tract = blend_targets(intervals, frames, fps)
    if correction is not None:
        steps = round(frames / fps * STEP_RATE) + 1
        around = contact_curves(phones, steps, STEP_RATE, style.anticipation)
        finer = blend_targets(intervals, steps, STEP_RATE)
        correcting = correction(phones, lips_with_contacts(finer, around))
        tract = corrected(tract, correcting, contacts, fps)
    return _expressions(tract, contacts, style)


def viseme_intervals(
    phones: Sequence[Phone], loudness: NDArray[np.floating[Any]] | None, style: Style
) -> TargetIntervals:
    """The intervals in which each viseme of each phone holds; diphthongs have two.

    :func:`engine.motion.rules.coarticulation.blend_targets` makes of them the tract variables, in
    the columns :data:`engine.motion.rules.targets.TRACT_VARIABLES`, before contacts and rest.
    Arguments as for :func:`articulate`.
    """
    effort = _effort(phones, loudness, style)
    times, targets, efforts = [], [], []
    for phone, scale in zip(phones, effort, strict=True):
        visemes = VISEMES[phone.label]
        length = (phone.end - phone.start) / len(visemes)
        for part, viseme in enumerate(visemes):
            start = phone.start + part * length
            before = min(_BUILD_UP[0] * length, _BUILD_UP[1])
            after = min(_LETTING_GO[0] * length, _LETTING_GO[1])
            times.append((start + before, start + length - after))
            targets.append(viseme)
            efforts.append(scale)
    table = np.array(targets, np.float64).reshape(len(times), len(TRACT_VARIABLES), 2)
    start, end = np.array(times, np.float64).reshape(-1, 2).T
    target = table[:, :, 0].copy()
    for name in ("jaw", "opening"):
        target[:, TRACT_VARIABLES.index(name)] *= np.array(efforts)
    widths = np.ones((len(times), 1)) * style.anticipation
    return TargetIntervals(
        start=start,
        end=end,
        target=target,
        dominance=table[:, :, 1],
        lead=widths * np.array(_LEAD),
        lag=widths * np.array(_LAG),
    )


def _effort(
    phones: Sequence[Phone], loudness: NDArray[np.floating[Any]] | None, style: Style
) -> Double:
    """Scale of the jaw for each phone: vowels louder than those around open further."""
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
    above = mean - _usual_level(phones, mean, vowels)
    scale = np.clip(1.0 + style.emphasis * _JAW_PER_DECIBEL * above, *_EFFORT)
    return np.where(vowels, scale, effort)


def _usual_level(phones: Sequence[Phone], level: Double, vowels: NDArray[np.bool_]) -> Double:
    """Median level of the vowels around each vowel, so that a part is as the whole; else 0."""
    middle = np.array([(phone.start + phone.end) / 2 for phone in phones])
    times, levels = middle[vowels], level[vowels]
    first = np.searchsorted(times, middle - _AROUND)
    stop = np.searchsorted(times, middle + _AROUND)
    usual = np.zeros(len(phones))
    for i in np.flatnonzero(vowels):
        usual[i] = np.median(levels[first[i] : stop[i]])
    return usual


def _expressions(tract: Double, contacts: Contacts, style: Style) -> NDArray[np.float32]:
    """From tract variables (T, 5) and contacts to expression weights."""
    named = dict(zip(TRACT_VARIABLES, tract.T, strict=True))
    tongue = named.pop("tongue")
    activity = contacts.activity
    shape = LipShape(*(lip_shape(**named, jaws=style.jaw, lips=style.lips) * activity))
    closure, labiodental = contacts.closure, contacts.labiodental * activity
    parted, pressed = 1.0 - closure, style.press * closure * activity
    free_lips = parted * (1.0 - labiodental)
    # Lips that part by themselves meet before the jaw has closed on them.
    lifted = parted**2
    jaw = shape.jaw * (1.0 - labiodental) + LABIODENTAL_JAW * labiodental
    # Neither corners nor rounding take the lip away from the teeth.
    corners = (1.0 - 0.5 * closure) * (1.0 - 0.6 * labiodental)
    curves = {
        "jawOpen": jaw,
        # On ARKit heads jawOpen = mouthClose is an open jaw behind closed lips.
        "mouthClose": jaw * closure + shape.close * free_lips,
        "mouthFunnel": shape.funnel * free_lips,
        "mouthPucker": shape.pucker * (1.0 - 0.3 * closure) * (1.0 - labiodental),
        "mouthStretch": shape.stretch * corners,
        "mouthSmile": shape.smile * corners,
        "mouthUpperUp": (shape.upper * (1.0 - labiodental) + 0.05 * labiodental) * lifted,
        "mouthLowerDown": shape.lower * lifted * (1.0 - labiodental),
        "mouthRollLower": LABIODENTAL_ROLL * labiodental + 0.05 * pressed,
        "mouthRollUpper": 0.05 * pressed,
        "mouthPress": 0.14 * pressed * closure,
        "tongueOut": tongue * activity * free_lips,
    }
    result = np.zeros((len(tract), len(ARKIT_NAMES)), np.float32)
    for name, curve in curves.items():
        for side in sides(name):
            result[:, COLUMN[side]] = np.clip(curve, 0.0, 1.0)
    return result
