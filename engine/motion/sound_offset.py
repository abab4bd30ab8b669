# SPDX-License-Identifier: GPL-3.0-or-later
"""When motion was captured, by the sound that was recorded with it: the time between their starts.

How far the captured mouth is open is correlated with how far the rules open it for the sound, at
every shift: both close for p, b and m and open for vowels, whoever speaks.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

from engine.core.arrays import Double, Float
from engine.core.errors import BadInputError
from engine.core.progress import Progress, no_progress
from engine.core.timing import frame_count
from engine.motion.joint_pose import JointPose
from engine.motion.lip_contact import OPEN, lip_gap, openness
from engine.motion.performance import Performance

if TYPE_CHECKING:
    from engine.audio.loading import Speech
    from engine.heads.head import Head

LONGEST_OFFSET = 10.0
"""Seconds that are searched on either side."""
RATE = 100.0
"""Frames a second at which both are compared."""

_SMOOTHING, _DRIFT = 0.04, 0.5
"""Seconds: standard deviations of the Gaussians between which syllables lie."""
_LEAST_COMMON = 1.5
"""Seconds that have to overlap, and so has half of the shorter."""
# Another shift that fits this well makes the best one a guess.
_BESIDE, _MARGIN, _LEAST = 0.25, 0.15, 0.6
_HINT = (
    "Give the time between their starts yourself (--offset, or Offset in Blender), 0 where they "
    "start together."
)


class SoundOffset(NamedTuple):
    """Where the sound lies in the motion.

    Attributes:
        seconds: the sound begins so long after the motion; negative, before it.
        correlation: of the openings there.
        second: the best correlation more than a quarter of a second away.
    """

    seconds: float
    correlation: float
    second: float

    @property
    def found(self) -> bool:
        """Whether it stands out clearly enough to be used."""
        return self.correlation >= _LEAST and self.correlation - self.second >= _MARGIN


def estimate_offset(captured: Double, fps: float, spoken: Double) -> SoundOffset:
    """Find the shift at which a captured opening follows the spoken one best.

    Args:
        captured: (T,) how far the mouth was open, any unit.
        fps: frames per second of it.
        spoken: (N,) how far the sound opens it, at :data:`RATE`.

    Returns:
        The best shift to a hundredth of a second; zero with zero correlation where the two have
        less than 1.5 s in common or one of them never moves.
    """
    times = np.arange(len(captured)) / fps
    grid = np.arange(int(times[-1] * RATE) + 1) / RATE if len(times) else np.zeros(0)
    if len(grid) < _LEAST_COMMON * RATE or len(spoken) < _LEAST_COMMON * RATE:
        return SoundOffset(0.0, 0.0, 0.0)
    moved = _syllables(np.interp(grid, times, captured))
    wanted = _syllables(np.asarray(spoken, np.float64))
    common = max(_LEAST_COMMON * RATE, min(len(moved), len(wanted)) / 2)
    lags = np.arange(-int(LONGEST_OFFSET * RATE), int(LONGEST_OFFSET * RATE) + 1)
    overlap = np.minimum(len(wanted), len(moved) - lags) - np.maximum(0, -lags)
    lags = lags[overlap >= common]
    found = np.array([_correlation(moved, wanted, int(lag)) for lag in lags])
    best = int(found.argmax())
    far = found[np.abs(lags - lags[best]) > _BESIDE * RATE]
    return SoundOffset(
        float(lags[best] / RATE), float(found[best]), float(far.max()) if len(far) else 0.0
    )


def _syllables(opening: Double) -> Double:
    """What an opening does from sound to sound, without noise and without how it drifts."""
    slow = gaussian_filter1d(opening, _DRIFT * RATE)
    return np.asarray(gaussian_filter1d(opening, _SMOOTHING * RATE) - slow)


def _correlation(moved: Double, wanted: Double, lag: int) -> float:
    first, last = max(0, -lag), min(len(wanted), len(moved) - lag)
    one, other = wanted[first:last], moved[first + lag : last + lag]
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / size if size > 1e-12 else 0.0


def spoken_opening(
    speech: Speech, text: str | None = None, progress: Progress = no_progress
) -> tuple[Double, Performance]:
    """How far the rules open the default head's mouth for a sound.

    Returns:
        (N,) from 0, closed, to 1, at :data:`RATE`, and the performance, which knows the phones.
    """
    # Deferred: the predictor brings the recognisers in.
    from engine.heads.default import load_default_head
    from engine.motion.model.ids import RULES
    from engine.motion.predict import predict

    head = load_default_head()
    said = predict(speech, head, RATE, text=text, model=RULES, progress=progress)
    names = head.expression_names
    gap = lip_gap(head.expression_basis, names, head.landmarks)
    return openness(said.expression, names, gap), said


def captured_opening(performance: Performance, head: Head) -> Double:
    """(T,) how far a performance opens the mouth: 0 closed, 1 from 4 mm.

    Raises:
        BadInputError: the head does not name the points where its lips meet.
    """
    pair = [head.landmarks.get(f"inner_lip_{side}") for side in ("upper", "lower")]
    if pair[0] is None or pair[1] is None:
        raise BadInputError(f"The head '{head.id}' does not say where its lips meet.", _HINT)
    parting = (performance.basis[:, pair[0], 1] - performance.basis[:, pair[1], 1]).astype(float)
    apart = (performance.weights @ parting).max(axis=1)
    return np.asarray(np.clip(apart / OPEN, 0.0, 1.0), np.float64)


def with_sound(
    performance: Performance, speech: Speech, seconds: float, said: Performance | None = None
) -> Performance:
    """A performance in the time of its sound, as long as that; held still before and after itself.

    Args:
        performance: as captured.
        speech: the sound.
        seconds: the sound begins so long after the motion.
        said: the sound's phones and words, where they are known.
    """
    fps = performance.fps
    at = (np.arange(frame_count(speech.duration, fps)) / fps + seconds) * fps
    pose = performance.pose
    said = performance if said is None else said
    return replace(
        performance,
        phones=said.phones,
        words=said.words,
        language=said.language,
        prosody=said.prosody,
        weights=_sampled(performance.weights, at),
        expression=_sampled(performance.expression, at),
        head_rotation=_sampled(performance.head_rotation, at),
        pose=pose and JointPose(_sampled(pose.rotation, at), _sampled(pose.location, at)),
        source_sha256=speech.sha256,
    )


def _sampled(values: Float, at: Double) -> Float:
    """Values at frames that need not be whole, on straight lines, the ends held."""
    at = np.clip(at, 0, len(values) - 1)
    first = np.minimum(at.astype(int), max(len(values) - 2, 0))
    share = (at - first).reshape(-1, *[1] * (values.ndim - 1))
    following = np.minimum(first + 1, len(values) - 1)
    mixed = values[first] * (1 - share) + values[following] * share
    return np.asarray(mixed, np.float32)


def in_time_of(
    sound: str | Path,
    played: Performance,
    head: Head,
    *,
    text: str | None = None,
    offset: float | None = None,
    progress: Progress = no_progress,
) -> tuple[Performance, dict[str, float]]:
    """A motion in the time of the sound that was recorded with it.

    Args:
        sound: the file.
        played: the motion, of ``head``.
        head: on which it is.
        text: what is said.
        offset: seconds by which the sound begins after the motion; found without it.
        progress: called with the share done; may raise to cancel.

    Returns:
        The performance, and for a report ``offset`` in seconds and, where it was found,
        ``offset_correlation``.

    Raises:
        BadInputError: the sound cannot be read, or its offset does not stand out.
    """
    from engine.audio.loading import load_speech
    from engine.heads.retarget import with_arkit_expressions

    speech = load_speech(sound)
    if offset is not None:
        return with_sound(played, speech, offset), {"offset": offset}
    spoken, said = spoken_opening(speech, text, progress)
    captured = captured_opening(played, with_arkit_expressions(head))
    found = estimate_offset(captured, played.fps, spoken)
    seconds = offset_or_refuse(found, str(sound))
    about = {"offset": seconds, "offset_correlation": found.correlation}
    return with_sound(played, speech, seconds, said), about


def offset_or_refuse(offset: SoundOffset, what: str) -> float:
    """The seconds of an offset.

    Raises:
        BadInputError: it does not stand out.
    """
    if not offset.found:
        raise BadInputError(
            f"{what}: where the sound lies in the motion could not be found (the mouth follows it "
            f"with a correlation of {offset.correlation:.2f} at best, {offset.second:.2f} "
            "elsewhere).",
            _HINT,
        )
    return offset.seconds
