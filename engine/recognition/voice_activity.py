# SPDX-License-Identifier: GPL-3.0-or-later
"""Voice activity detection: where somebody speaks, so that noise and music move no lips.

Silero's network (MIT licence, in the faster-whisper package) distinguishes speech from other
sounds, but for whispering, which it takes for speech with little confidence, and the soft
beginnings and ends of what is said. So its probability makes the cores of the regions, a confident
frame or half a second of some confidence, and the level says how far the speech around them
reaches. Everything is judged by the seconds around it: a part of a recording has the same regions
as the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter, uniform_filter1d

from engine.audio.features import FRAME_RATE, HOP, Features
from engine.audio.running import running_percentile, with_gain
from engine.core.arrays import Float, Ids, Mask
from engine.core.progress import Progress, no_progress
from engine.recognition.voice_stream import BLOCK, CONTEXT

_BATCH = 2_000
"""Blocks per call, a minute."""

_INPUT_LEVEL = -20.0
"""dB to which the sound is brought for the network: it takes what is faint for no speech."""
_FAINTEST = -70.0
"""dB that are brought there at the most; noise of a silent recording stays faint."""

_CERTAIN = 0.5
"""Probability of speech that makes a core, in 60 ms; noise reaches 0.2."""
_CORE_FRAMES = 6
_LIKELY = 0.13
"""Mean probability over half a second that makes a core too: whispering has 0.26; breaths, wind,
drums and keyboards have at most 0.09, steady noise 0.18."""
_HALF_SECOND = 50
_SOME = 0.08
"""Probability of each frame of such a core."""

_SPEECH_RANGE = 45.0
"""dB under loud speech down to which sound next to a core belongs to it."""
_CORE_RANGE = 35.0
"""dB under loud speech down to which sound makes a core."""

CONTRAST = 25.0
"""dB that loud speech has over the background, at the least, in a recording with no pause."""
OVER_NOISE = 5.0
"""dB over the noise floor that any sound of speech has."""

_REACH, _UNCERTAIN_REACH = 35, 70
"""Frames from a core that its consonants may reach, and whole syllables where nobody speaks
with certainty."""

_CLOSURE = 15
"""Frames without sound between a core and a consonant of it: the closure of a stop."""

_BRIDGE = 25
"""Frames between two regions that are a closure, not a pause."""

_MODULATION = 3.0
"""dB, the standard deviation of the level of uncertain speech in half a second; noise has 1."""

_MOVEMENT = 0.35
"""Nats by which the spectrum changes its shape within 50 ms, in the middle of a second and a half:
speech has 0.5 and more, notes of instruments at most 0.3."""
_MOVEMENT_FRAMES = 151
_STEP = FRAME_RATE // 20

AUDIBLE = -88.0
"""dB: nothing under it is speech, whatever the recording's level."""


@dataclass(frozen=True, eq=False)
class SpeechRegions:
    """What was found in N frames.

    Attributes:
        regions: frames [start, stop) of speech, in order, apart from each other.
        loud: (N,) float32 dB of loud speech in the seconds around.
        noise: (N,) float32 dB of the background there.
    """

    regions: tuple[tuple[int, int], ...]
    loud: Float
    noise: Float


def detect_voice_activity(
    samples: Float, features: Features, progress: Progress = no_progress
) -> SpeechRegions:
    """Find the stretches of speech.

    Args:
        samples: (n,) at 16 kHz.
        features: of their N frames.
        progress: called with the fraction done; may raise to cancel.
    """
    level = features.level
    around = running_percentile(level, 95)
    gain = 10 ** ((_INPUT_LEVEL - np.maximum(around, _FAINTEST)) / 20)
    probability = speech_probability(samples, gain, progress)
    core = _cores(probability, level, around)
    loud = running_percentile(level, 97, core) if core.any() else around
    noise = np.minimum(running_percentile(level, 10), loud - CONTRAST)
    core &= (level > loud - _CORE_RANGE) & (level > AUDIBLE)
    sound = level > np.maximum(np.maximum(noise + OVER_NOISE, loud - _SPEECH_RANGE), AUDIBLE)
    core &= _moves(features.mel, sound, core)
    return SpeechRegions(tuple(_bridged(_around(core, sound, probability))), loud, noise)


def speech_probability(samples: Float, gain: Float, progress: Progress = no_progress) -> Float:
    """Probability of speech by Silero's network, which looks back but not ahead.

    Args:
        samples: (n,) at 16 kHz.
        gain: (N,) factor for each frame.
        progress: called with the fraction done; may raise to cancel.

    Returns:
        (N,) float32: for each frame that of the 32 ms that its centre lies in.
    """
    from faster_whisper.vad import get_vad_model

    network = get_vad_model().session
    windows = -(-len(gain) * HOP // BLOCK)
    state = {name: np.zeros((1, 1, 128), np.float32) for name in ("h", "c")}
    found = []
    for first in range(0, windows, _BATCH):
        progress(first / windows, "Looking for speech")
        begin = first * BLOCK - CONTEXT
        count = min(_BATCH, windows - first)
        sound = with_gain(samples, gain, begin, begin + CONTEXT + count * BLOCK)
        batch = np.lib.stride_tricks.sliding_window_view(sound, CONTEXT + BLOCK)[::BLOCK]
        spoken, *state_after = network.run(None, {"input": np.ascontiguousarray(batch), **state})
        state = dict(zip(("h", "c"), state_after, strict=True))
        found.append(np.asarray(spoken, np.float32).reshape(-1))
    centres = (2 * np.arange(len(gain)) + 1) * HOP // 2
    return np.asarray(np.concatenate(found)[centres // BLOCK], np.float32)


def _cores(probability: Float, level: Float, around: Float) -> Mask:
    """The frames in which certainly, or half a second long probably, somebody speaks."""
    certain = _without_short(probability > _CERTAIN, _CORE_FRAMES)
    mean = uniform_filter1d(probability, _HALF_SECOND, mode="nearest")
    height = np.maximum(level - around, -_SPEECH_RANGE).astype(np.float64)
    square = uniform_filter1d(height**2, _HALF_SECOND, mode="nearest")
    variance = square - uniform_filter1d(height, _HALF_SECOND, mode="nearest") ** 2
    likely = (mean > _LIKELY) & (probability > _SOME) & (variance > _MODULATION**2)
    return np.asarray(certain | likely, bool)


def _moves(mel: Float, sound: Mask, core: Mask) -> Mask:
    """(N,) which frames of a core have the movement of a voice around them.

    Where it lacks, the frames with sound alone are asked: in the silence of a recording that was
    cleaned, round a word or two, nothing moves.
    """
    movement = _movement(mel)
    moves = np.asarray(median_filter(movement, _MOVEMENT_FRAMES, mode="nearest") > _MOVEMENT)
    reach = _MOVEMENT_FRAMES // 2
    padded = np.pad(np.where(sound, movement, np.nan), reach, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, _MOVEMENT_FRAMES)
    still = np.flatnonzero(core & sound & ~moves)
    for first in range(0, len(still), _BATCH):
        frames = still[first : first + _BATCH]
        moves[frames] = np.nanmedian(windows[frames], axis=1) > _MOVEMENT
    return moves


def _movement(mel: Float) -> Float:
    """How much the strong bands change within 50 ms beside each other, in nats: (N,).

    The notes of an instrument rise and fall as a whole, the formants of a voice move.
    """
    if len(mel) <= _STEP:
        return np.full(len(mel), np.inf, np.float32)
    before, after = mel[:-_STEP], mel[_STEP:]
    weight = np.exp(before) + np.exp(after)
    weight /= weight.sum(axis=1, keepdims=True)
    change = after - before
    change -= (weight * change).sum(axis=1, keepdims=True)
    moved = (weight * np.abs(change)).sum(axis=1)
    return np.pad(moved, (_STEP // 2, _STEP - _STEP // 2), mode="edge")


def runs(mask: Mask) -> list[tuple[int, int]]:
    """The [start, stop) stretches where ``mask`` (n,) is true."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def _without_short(mask: Mask, shortest: int) -> Mask:
    kept = np.zeros_like(mask)
    for start, stop in runs(mask):
        kept[start:stop] = stop - start >= shortest
    return kept


def _around(core: Mask, sound: Mask, probability: Float) -> list[tuple[int, int]]:
    """Each core with the sound within its reach."""
    reached = []
    for start, stop in runs(core):
        certain = probability[start:stop].max() > _CERTAIN
        reach = _REACH if certain else _UNCERTAIN_REACH
        gap = _CLOSURE if certain else _REACH
        before = np.flatnonzero(sound[max(0, start - reach) : start][::-1]) + 1
        after = np.flatnonzero(sound[stop : stop + reach]) + 1
        reached.append((start - _extent(before, gap), stop + _extent(after, gap)))
    return reached


def _extent(distances: Ids, gap: int) -> int:
    """How far sound at rising distances from a core belongs to it, across short gaps."""
    steps = np.concatenate(([0], distances))
    jumps = np.flatnonzero(np.diff(steps) > gap + 1)
    return int(steps[jumps[0]] if len(jumps) else steps[-1])


def _bridged(regions: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, stop in regions:
        if joined and start - joined[-1][1] < _BRIDGE:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined
