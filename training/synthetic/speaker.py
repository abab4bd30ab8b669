# SPDX-License-Identifier: GPL-3.0-or-later
"""Another speaker: motion that neither the rules nor any model of this project makes.

A model that learns from the rules' motion is asked to imitate this project itself. This speaker
articulates by task dynamics (Saltzman and Munhall 1989): each tract variable is a critically damped
spring, drawn towards the targets of the sounds that are active, each variable with a stiffness and
a lead of its own. So sounds in fast speech fall short of their targets, lips meet as late as they
are slow, and movement has inertia, where the rules blend targets by dominance and solve contacts.
Targets are those of a wide jaw and lips that protrude rather than narrow; effort follows the voice
from sound to sound, the mouth is crooked, brows rise with the voice, and lids blink.

Only the geometry is shared with the rules: which expressions open the default head's lips by so
many millimetres (:func:`engine.motion.rules.lip_shape.lip_shape`), and where they touch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.audio.level import LOUDNESS_RATE, loudness
from engine.audio.loading import SAMPLE_RATE
from engine.core.arrays import Double
from engine.heads.head import Head
from engine.motion.arkit import ARKIT_NAMES, COLUMN, sides, to_head_weights
from engine.motion.lip_contact import fit_mouth_close, lip_gap
from engine.motion.performance import Performance
from engine.motion.rules.lip_shape import LipShape, lip_shape
from engine.phonemes import BILABIALS, LABIODENTALS, SILENCE, VOWELS, Phone

VARIABLES = ("opening", "jaw", "width", "protrusion", "teeth")
"""Millimetres between the inner lips, millimetres that the jaw parts them, millimetres of the
mouth's width beyond rest, lips forward (0 to 1), lower lip on the upper teeth (0 to 1)."""

_STEPS = 240.0
"""Steps of the springs a second."""
_PRESSED = -4.0
"""Millimetres: closing lips aim beyond each other, and stop where they meet."""
_MET = 0.6
"""Millimetres beyond contact at which lips are closed fully."""
_LEAVES_EARLY = 0.02
"""Seconds before a sound's end at which nothing is asked for it any more."""
_USUAL = 40.0
"""Percentile of a clip's voiced loudness that takes ordinary effort."""
_EFFORT = (0.55, 1.55)

_V = {
    "AA": (17.0, 14.5, 0.5, 0.0),
    "AE": (15.0, 12.0, 5.0, 0.0),
    "AH": (10.0, 7.5, 0.5, 0.0),
    "AO": (10.0, 10.5, -5.0, 0.5),
    "EH": (12.5, 9.0, 4.0, 0.0),
    "ER": (8.0, 4.5, -3.5, 0.35),
    "IH": (8.5, 4.5, 4.0, 0.0),
    "IY": (7.0, 2.0, 7.0, 0.0),
    "UH": (6.0, 3.5, -5.5, 0.5),
    "UW": (4.0, 2.0, -8.0, 0.75),
}
_DIPHTHONGS = {
    "AW": ("AA", "UH"),
    "AY": ("AA", "IH"),
    "EY": ("EH", "IY"),
    "OW": ("AO", "UW"),
    "OY": ("AO", "IH"),
    "UE": ("UW", "UW"),
    "OE": ("ER", "UH"),
}
_C = {
    "W": (2.5, 2.5, -9.0, 0.85),
    "R": (6.5, 3.5, -4.0, 0.45),
    "Y": (6.5, 2.5, 5.0, 0.0),
    "L": (8.5, 5.0, 1.0, 0.0),
    "S": (6.5, 0.8, 4.5, 0.0),
    "Z": (6.5, 0.8, 4.5, 0.0),
    "SH": (8.5, 1.2, -4.0, 0.6),
    "ZH": (8.5, 1.2, -4.0, 0.6),
    "CH": (8.5, 1.2, -4.0, 0.6),
    "JH": (8.5, 1.2, -4.0, 0.6),
    "TH": (8.5, 4.0, 2.0, 0.0),
    "DH": (8.0, 4.0, 2.0, 0.0),
    "T": (7.0, 2.0, 1.5, 0.0),
    "D": (7.0, 2.0, 1.5, 0.0),
    "N": (7.5, 2.5, 1.5, 0.0),
    "K": (8.5, 5.0, 1.0, 0.0),
    "G": (8.5, 5.0, 1.0, 0.0),
    "NG": (8.5, 5.0, 1.0, 0.0),
    "HH": (9.0, 6.0, 0.0, 0.0),
    "BH": (1.5, 2.0, -2.0, 0.2),
}
_INSISTS = {"W": 3.0, "SH": 2.0, "ZH": 2.0, "CH": 2.0, "JH": 2.0, "S": 1.4, "Z": 1.4, "R": 1.0}
"""How much a consonant outweighs a vowel beside it; others leave most to it."""
_LEAVES = 0.45


@dataclass(frozen=True)
class Speaker:
    """Who speaks.

    Attributes:
        stiffness: of each of :data:`VARIABLES`, radians per second; small is lazy.
        lead: seconds by which each variable sets out for a sound before it is said.
        closing: factor of the lips' stiffness in p, b and m.
        effort: part by which jaw and opening grow with each decibel above the usual.
        parted: millimetres between the lips at rest.
        crooked: part by which the left of the mouth moves less, and the right more.
        smile: weight of a smile that is always there.
        brows: weight of the brows for each decibel above the usual.
        blink: seconds between blinks.
    """

    stiffness: tuple[float, ...] = (42.0, 30.0, 26.0, 24.0, 48.0)
    lead: tuple[float, ...] = (0.055, 0.085, 0.100, 0.150, 0.050)
    closing: float = 1.6
    effort: float = 0.045
    parted: float = 1.4
    crooked: float = 0.18
    smile: float = 0.08
    brows: float = 0.05
    blink: float = 2.7


ANOTHER = Speaker()
"""The speaker of the capture for the paper's tables."""


def speak_as(
    speaker: Speaker,
    phones: Sequence[Phone],
    samples: NDArray[np.float32],
    head: Head,
    fps: float,
    seed: int,
) -> Performance:
    """The speaker's motion for sounds with their times.

    Args:
        speaker: who.
        phones: what is said, over the whole clip.
        samples: (N,) the sound at 16 kHz.
        head: with ARKit's expressions.
        fps: frames per second.
        seed: of the blinks.
    """
    duration = len(samples) / SAMPLE_RATE
    frames = round(duration * fps)
    above = _above_usual(samples, phones)
    tract = _tract(speaker, phones, above, frames, fps)
    curves = _mouth(speaker, tract) | _upper_face(speaker, above, frames, fps, seed)
    values = np.zeros((frames, len(ARKIT_NAMES)), np.float32)
    for name, curve in curves.items():
        for side in sides(name):
            values[:, COLUMN[side]] = np.clip(curve * _sided(speaker, side), 0.0, 1.0)
    names = head.expression_names
    gap = lip_gap(head.expression_basis, names, head.landmarks)
    weights = fit_mouth_close(to_head_weights(values, names), gap, _closure(tract))
    return Performance(
        fps=fps,
        weights=weights,
        basis=head.expression_basis,
        expression=weights,
        expression_names=names,
        head=head.id,
        model="another speaker",
        phones=tuple(phones),
    )


class _Gesture(NamedTuple):
    """What a sound asks of each variable, with which weight, and whether the lips close."""

    start: float
    end: float
    targets: tuple[float, ...]
    weights: tuple[float, ...]
    closes: bool


def _gestures(speaker: Speaker, phones: Sequence[Phone]) -> list[_Gesture]:
    made = []
    for phone in phones:
        parts = _DIPHTHONGS.get(phone.label, (phone.label,))
        length = (phone.end - phone.start) / len(parts)
        for number, label in enumerate(parts):
            start = phone.start + number * length
            targets: tuple[float, ...]
            weights: tuple[float, ...]
            if label in BILABIALS:
                targets, weights = (_PRESSED, 2.0, -1.0, 0.1, 0.0), (8.0, 1.5, 0.3, 0.2, 1.0)
            elif label in LABIODENTALS:
                targets, weights = (3.0, 1.5, 0.0, 0.0, 1.0), (2.0, 1.5, 0.3, 0.3, 6.0)
            elif label == SILENCE:
                targets = (speaker.parted, 0.8 * speaker.parted, 0.0, 0.0, 0.0)
                weights = (1.0,) * 5
            else:
                vowel = label in VOWELS
                insists = 1.0 if vowel else _INSISTS.get(label, _LEAVES)
                targets = (*(_V[label] if vowel else _C[label]), 0.0)
                weights = (insists,) * 4 + (1.0,)
            closes = label in BILABIALS
            made.append(_Gesture(start, start + length, targets, weights, closes))
    return made


def _tract(
    speaker: Speaker, phones: Sequence[Phone], above: Double, frames: int, fps: float
) -> Double:
    """(T, 5) the variables at the frame times."""
    count = math.ceil((frames / fps + 0.1) * _STEPS)
    time = np.arange(count) / _STEPS
    pull, total = np.zeros((count, 5)), np.full((count, 5), 1e-6)
    closes = np.zeros(count, bool)
    for gesture in _gestures(speaker, phones):
        for c in range(5):
            span = (gesture.start - speaker.lead[c], gesture.end - _LEAVES_EARLY)
            first, last = np.searchsorted(time, span)
            pull[first:last, c] += gesture.weights[c] * gesture.targets[c]
            total[first:last, c] += gesture.weights[c]
            if gesture.closes and c == 0:
                closes[first:last] = True
    target = pull / total
    effort = np.interp(time, np.arange(len(above)) / LOUDNESS_RATE, above) * speaker.effort
    scale = np.clip(1.0 + effort, *_EFFORT)
    for c in (0, 1):
        target[:, c] = np.where(target[:, c] > 0.0, target[:, c] * scale, target[:, c])
    stiffness = np.tile(np.array(speaker.stiffness), (count, 1))
    stiffness[closes, 0] *= speaker.closing
    moved = _springs(target, stiffness)
    at = np.minimum(np.round(np.arange(frames) / fps * _STEPS).astype(int), count - 1)
    tract: Double = moved[at]
    return tract


def _springs(target: Double, stiffness: Double) -> Double:
    """(N, C) positions of critically damped springs that start at rest on their first target.

    Each step is the exact solution of ``ẍ = −ω²(x − target) − 2ωẋ`` for a target that stands still.
    """
    h = 1.0 / _STEPS
    decay = np.exp(-stiffness * h)
    x, v = target[0].copy(), np.zeros(target.shape[1])
    moved = np.empty_like(target)
    for i in range(len(target)):
        away = x - target[i]
        drift = v + stiffness[i] * away
        x = target[i] + (away + drift * h) * decay[i]
        v = (v - stiffness[i] * drift * h) * decay[i]
        moved[i] = x
    return moved


def _closure(tract: Double) -> Double:
    """(T,) how far the lips press on each other."""
    return np.clip(-tract[:, 0] / _MET, 0.0, 1.0)


def _mouth(speaker: Speaker, tract: Double) -> dict[str, Double]:
    """Curves of the mouth by ARKit's names, without their side."""
    opening, jaw, width, protrusion, teeth = tract.T
    closed, teeth = _closure(tract), np.clip(teeth, 0.0, 1.0)
    measures = (np.maximum(opening, 0.0), np.maximum(jaw, 0.0), width, np.clip(protrusion, 0, 1))
    shape = LipShape(*lip_shape(*measures, jaws=1.0, lips=1.0))
    parted = (1.0 - closed) * (1.0 - teeth)
    return {
        "jawOpen": shape.jaw,
        "mouthClose": shape.close * parted + shape.jaw * closed,
        "mouthFunnel": shape.funnel * parted,
        "mouthPucker": shape.pucker * (1.0 - 0.4 * closed),
        "mouthStretch": shape.stretch * (1.0 - 0.4 * closed),
        "mouthSmile": shape.smile + speaker.smile,
        "mouthUpperUp": shape.upper * parted + 0.15 * teeth,
        "mouthLowerDown": shape.lower * parted,
        "mouthRollLower": 0.8 * teeth + 0.10 * closed,
        "mouthPress": 0.25 * closed,
    }


def _sided(speaker: Speaker, name: str) -> float:
    if not name.startswith("mouth"):
        return 1.0
    side = {"Left": -1.0, "Right": 1.0}
    return 1.0 + speaker.crooked * next((s for end, s in side.items() if name.endswith(end)), 0.0)


def _above_usual(samples: NDArray[np.float32], phones: Sequence[Phone]) -> Double:
    """(N,) decibels above what is usual in full voice, at 100 Hz, smooth over a tenth of a second.

    Silences have none.
    """
    level = loudness(samples, SAMPLE_RATE)
    spoken = np.zeros(len(level), bool)
    for phone in phones:
        if phone.label in VOWELS:
            spoken[round(phone.start * LOUDNESS_RATE) : round(phone.end * LOUDNESS_RATE)] = True
    usual = float(np.percentile(level[spoken], _USUAL)) if spoken.any() else float(level.max())
    above = np.where(level > usual - 25.0, np.maximum(level - usual, -12.0), 0.0)
    window = np.hanning(13)[1:-1]
    return np.convolve(above, window / window.sum(), mode="same")


def _upper_face(
    speaker: Speaker, above: Double, frames: int, fps: float, seed: int
) -> dict[str, Double]:
    """Brows that rise with the voice, and blinks."""
    time = np.arange(frames) / fps
    window = np.hanning(round(0.6 * LOUDNESS_RATE))
    slow = np.convolve(np.maximum(above, 0.0), window / window.sum(), mode="same")
    raised = np.interp(time, np.arange(len(slow)) / LOUDNESS_RATE, slow) * speaker.brows
    rng = np.random.default_rng(seed)
    shut = np.zeros(frames)
    blink = float(rng.uniform(0.4, speaker.blink))
    while blink < frames / fps:
        shut = np.maximum(shut, np.exp(-(((time - blink) / 0.07) ** 2)))
        blink += float(rng.uniform(0.6, 1.4)) * speaker.blink
    return {
        "eyeBlink": shut,
        "browInnerUp": raised,
        "browOuterUp": 0.7 * raised,
        "cheekSquint": np.full(frames, 0.5 * speaker.smile),
    }
