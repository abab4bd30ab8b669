# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m training.assets.lip_correction --people DIR …``: what filmed people's lips add.

Fits :class:`engine.motion.rules.correction.LipCorrection` to films of people, and says how it does
on each of them when it learned from the others alone. A folder is one person: sounds with
``<stem>.mouth.json`` beside them, as ``gaussianspeech evaluate speech --video`` leaves them in
``REPORT/films``.

For each film, at its best lag (:func:`training.metrics.film.film_agreement`), what is filmed, less
its mean and in standard deviations, is that of the rules times their mean correlation with the
films, and a linear function of the sounds and of the rules' lips around; ridge regression finds it,
the opening's on the frames without contacts. A film counts by the root of its length: four minutes
of one person are not worth sixteen others of a quarter of a minute.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from numpy.typing import NDArray

from engine.audio.level import loudness
from engine.audio.loading import SAMPLE_RATE, Speech, load_speech
from engine.core.arrays import Double
from engine.core.errors import BadInputError
from engine.heads.default import load_default_head
from engine.heads.head import Head
from engine.motion.model.ids import RULES
from engine.motion.predict import predict
from engine.motion.rules.coarticulation import blend_targets
from engine.motion.rules.contacts import contact_curves, phones_in_silence
from engine.motion.rules.correction import (
    INPUTS,
    OFFSETS,
    OUTPUTS,
    SOUNDS,
    STEP_RATE,
    LipCorrection,
    between_offsets,
    lips_with_contacts,
    reached,
    sound_columns,
    spoken_sounds,
)
from engine.motion.rules.visemes import viseme_intervals
from engine.motion.style import NEUTRAL
from engine.recognition.recognizer import RecognizedSpeech, recognize
from training.data.filmed_mouth import FILM_SUFFIX, MouthCurve, load_filmed_mouth
from training.metrics.film import FilmAgreement, film_agreement, mouth_curve

_RIDGE = 100.0
_LEAST_IN_COMMON = 0.2
"""Correlation of the rules with films under which they are no base for a correction."""
_FREE = 0.05
"""Part of the opening that contacts leave from which a frame counts."""
_HIGHEST = 99.0
"""Percentile at which a film's opening is cut: laughs and slips of the landmarks."""
_SEEN = 0.99
_IN_SOUND, _IN_LIPS = 0.5, 0.2
"""Scales by which one number of the ridge holds sounds and millimetres back alike."""


@dataclass(frozen=True)
class Training:
    """What to learn from.

    Attributes:
        people: a folder for each person, of sounds with filmed mouths beside them.
        out: the file to write; none is written without.
    """

    people: tuple[Path, ...]
    out: Path | None = None


@dataclass(frozen=True, eq=False)
class Clip:
    """A film and what the rules make of its sound.

    Attributes:
        person: name of the folder.
        name: of the sound.
        speech, recognized: what is said.
        film: the mouth.
        rules: the rules' mouth at 100 Hz.
        agreement: of the rules with the film.
    """

    person: str
    name: str
    speech: Speech
    recognized: RecognizedSpeech
    film: MouthCurve
    rules: MouthCurve
    agreement: FilmAgreement


def load_clips(folders: Sequence[Path], head: Head) -> list[Clip]:
    """The clips of all people, recognised and animated by the rules.

    Raises:
        BadInputError: a folder without films, or a file that cannot be read.
    """
    clips = []
    for folder in folders:
        films = sorted(folder.glob("*" + FILM_SUFFIX))
        if not films:
            raise BadInputError(
                f"{folder} holds no filmed mouths.",
                "Measure some: gaussianspeech evaluate speech --video CLIP --out REPORT.",
            )
        for path in films:
            sound = path.with_name(path.name.removesuffix(FILM_SUFFIX) + ".wav")
            filmed, speech = load_filmed_mouth(path), load_speech(sound)
            recognized = recognize(speech, filmed.text or None)
            made = predict(speech, head, STEP_RATE, recognized=recognized, model=RULES)
            rules = mouth_curve(made, head)
            agreement = film_agreement(rules, filmed.curve)
            found = (speech, recognized, filmed.curve, rules, agreement)
            clips.append(Clip(folder.resolve().name, sound.stem, *found))
    return clips


def fit(clips: Sequence[Clip]) -> LipCorrection:
    """The correction that the clips teach."""
    found = [_fit_one(clips, name) for name in OUTPUTS]
    return LipCorrection(
        np.array([c for c, _ in found]), np.array([kernels for _, kernels in found])
    )


def follows(clip: Clip, correction: LipCorrection, head: Head) -> FilmAgreement:
    """How the corrected rules follow a film."""
    made = predict(clip.speech, head, STEP_RATE, recognized=clip.recognized, model=correction)
    return film_agreement(mouth_curve(made, head), clip.film)


def _fit_one(clips: Sequence[Clip], name: str) -> tuple[float, Double]:
    """Constant, mm, and (13, 42) kernels of one of the outputs."""
    inputs, targets, weights, spreads, means = [], [], [], [], []
    common = float(np.mean([getattr(clip.agreement, name).correlation for clip in clips]))
    common = max(common, _LEAST_IN_COMMON)
    for clip in clips:
        there, filmed = _filmed(clip, name)
        features, free = _features(clip)
        rules = getattr(clip.rules, name)
        spreads.append(rules[there].std())
        means.append(features[there].mean(axis=0))
        targets.append(_standard(filmed, there) - common * _standard(rules, there))
        inputs.append(features - means[-1])
        counts = there & (free > _FREE) if name == "opening" else there
        weights.append(counts / np.sqrt(there.sum() / STEP_RATE))
    x, y, w = np.vstack(inputs), np.concatenate(targets), np.concatenate(weights)
    normal = (x * w[:, None]).T @ x + _RIDGE * np.eye(x.shape[1])
    found = np.linalg.solve(normal, x.T @ (w * y)) * (np.mean(spreads) / common)
    # Clips together are opened and widened by nothing on average.
    constant = -float(np.mean(means, axis=0) @ found)
    scale = np.where(np.arange(len(INPUTS)) < len(SOUNDS), _IN_SOUND, _IN_LIPS)
    return constant, found.reshape(len(OFFSETS), len(INPUTS)) * scale


def _features(clip: Clip) -> tuple[Double, Double]:
    """(N, 13 · 42) sounds and lips around each step of 10 ms, (N,) how far contacts leave it."""
    steps = len(clip.rules.opening)
    phones = phones_in_silence(clip.recognized.phones, steps / STEP_RATE)
    contacts = contact_curves(phones, steps, STEP_RATE, NEUTRAL.anticipation)
    level = loudness(clip.speech.samples, SAMPLE_RATE)
    tract = blend_targets(viseme_intervals(phones, level, NEUTRAL), steps, STEP_RATE)
    lips = lips_with_contacts(tract, contacts)
    sounds = sound_columns()[spoken_sounds(phones, steps)]
    now = between_offsets(np.concatenate([sounds * _IN_SOUND, lips * _IN_LIPS], axis=1))
    around = [now[reached(steps, int(offset))] for offset in OFFSETS]
    free = (1.0 - contacts.closure) * (1.0 - contacts.labiodental) * contacts.activity
    return np.concatenate(around, axis=1), free


def _filmed(clip: Clip, name: str) -> tuple[NDArray[np.bool_], Double]:
    """(N,) whether the film shows a face at each step of the rules, and what it measures, mm."""
    film, curve = clip.film, getattr(clip.film, name)
    seen = ~np.isnan(curve)
    times = clip.rules.times - clip.agreement.opening.lag_ms / 1000.0
    there = np.interp(times, film.times, seen.astype(float), left=0.0, right=0.0) > _SEEN
    measured = np.interp(times, film.times[seen], curve[seen])
    if name == "opening":
        measured = np.minimum(measured, np.percentile(measured[there], _HIGHEST))
    return there, measured


def _standard(curve: Double, there: NDArray[np.bool_]) -> Double:
    return np.asarray((curve - curve[there].mean()) / curve[there].std())


def main() -> None:
    """The command."""
    plan = tyro.cli(Training, description=__doc__)
    head = load_default_head()
    clips = load_clips(plan.people, head)
    figures: dict[str, list[list[float]]] = defaultdict(list)
    for clip in clips:
        others = [other for other in clips if other.person != clip.person]
        learned = follows(clip, fit(others), head)
        both = [
            getattr(one, name).correlation for name in OUTPUTS for one in (clip.agreement, learned)
        ]
        figures[clip.person].append(both)
        print(f"{clip.person:14s} {clip.name:16s} {clip.speech.duration:6.1f} s  {_line(both)}")
    people = np.mean([np.mean(values, axis=0) for values in figures.values()], axis=0)
    print(f"{len(figures)} people, mean                      {_line(people)}")
    if plan.out is not None:
        fit(clips).save(plan.out)


def _line(both: Iterable[float]) -> str:
    return (
        "opening: rules {:.3f}, with what the others teach {:.3f}; width: {:.3f}, {:.3f}"
    ).format(*both)


if __name__ == "__main__":
    main()
