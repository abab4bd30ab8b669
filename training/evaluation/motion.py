# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech evaluate motion``: motion that any program made, beside the captured one."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.audio.loading import load_speech
from engine.core.errors import BadInputError
from engine.core.files import write_text
from engine.core.progress import Progress, no_progress
from engine.heads.head import Head
from engine.motion.model.resampling import Resampler
from engine.motion.performance import Performance
from engine.recognition.recognizer import RecognizedSpeech, recognize
from training.data.captured_motion import CapturedHead, CapturedMotion
from training.data.motion_files import OwnFace, clip_name, motions_in, own_face, read_any_motion
from training.data.recorded_motion import read_motion, with_lips
from training.data.recordings import SOUNDS, Recording, any_recordings
from training.data.transcripts import transcript_beside
from training.evaluation.report.speech import averaged
from training.metrics.film import Agreement, film_agreement, mean_agreement, mouth_curve
from training.metrics.lip_sync import LipSync, combined, lip_sync
from training.metrics.mouth import MM, lip_vertices
from training.metrics.vertex import (
    VertexErrors,
    first_frames,
    paired_chunks,
    upper_face_or_all,
    vertex_errors,
)

REPORT_NAME = "motion.json"
_APART = 0.5
"""Seconds by which two motions of one clip may differ in length."""
_LANDMARKS = ("inner_lip_upper", "inner_lip_lower", "mouth_corners", "upper_teeth_edge")
_WIDTH = 110


@dataclass(frozen=True)
class Wanted:
    """What to measure with.

    Attributes:
        fps: frames per second of files that do not say theirs.
        audio: the sound, or a folder of sounds by name, for the closures of p, b and m.
    """

    fps: float | None = None
    audio: Path | None = None


@dataclass(frozen=True)
class CandidateScores:
    """Means over clips.

    Attributes:
        name: of the candidate.
        clips: names of what was compared.
        figures: by name, with units; NaN where the head has no landmarks for a figure.
    """

    name: str
    clips: tuple[str, ...]
    figures: Mapping[str, float]


def evaluate(
    truth: Path,
    candidates: Mapping[str, Path],
    head: CapturedHead,
    wanted: Wanted | None = None,
    out: Path | None = None,
    progress: Progress = no_progress,
) -> list[CandidateScores]:
    """Measure candidates against the truth, print a table and write ``motion.json``.

    A candidate of another rate is brought to that of the truth; of two lengths the frames in common
    count.

    Args:
        truth: file of the captured motion, or folder of such, or folder of recordings: of these the
            test part, where ``split.json`` names one, in the time of their sounds.
        candidates: files by name; or folders, with a file of the truth's name for each.
        head: whose motion it is.
        wanted: what to measure with.
        out: folder for the report.
        progress: called with the share done.

    Raises:
        BadInputError: a file that is missing, cannot be read, or is of another head or length.
    """
    wanted = wanted or Wanted()
    head = replace(head, trained=with_lips(head.trained, progress))
    clips = _clips(truth)
    pairs = [
        (name, c, _of_clip(candidates[name], c, len(clips))) for name in candidates for c in clips
    ]
    sounds = (
        {name: _recognized(wanted.audio, name, len(clips)) for name in clips}
        if wanted.audio
        else {}
    )
    found: dict[str, list[_Clip]] = {name: [] for name in candidates}
    for number, (name, clip, path) in enumerate(pairs):
        progress(number / len(pairs), f"Measuring {name}")
        face, motion = _true(clips[clip], head, wanted.fps)
        true = _performance(motion, head.trained)
        ours = _performance(read_any_motion(path, head, wanted.fps, face), head.trained)
        found[name].append(_measured(path, ours, true, head.trained, sounds.get(clip)))
    scores = [CandidateScores(name, tuple(clips), _means(of)) for name, of in found.items()]
    _show(scores)
    if out is not None:
        content = [_as_json(score) for score in scores]
        write_text(out / REPORT_NAME, json.dumps(content, indent=1) + "\n")
    return scores


@dataclass(frozen=True)
class _Clip:
    errors: VertexErrors
    opening: Agreement | None
    spoken: LipSync | None


def _clips(truth: Path) -> dict[str, Path | Recording]:
    """The motions of the truth by the name of their clip.

    Raises:
        BadInputError: there are none, or two of one name.
    """
    if truth.is_file():
        return {clip_name(truth): truth}
    if truth.is_dir() and (recordings := any_recordings(truth)).every:
        tested = recordings.split()["test"] if recordings.split_file.is_file() else []
        return {name: recordings.named(name) for name in tested or recordings.names}
    clips: dict[str, Path | Recording] = {}
    for file in motions_in(truth):
        if clip_name(file) in clips:
            raise _twice(truth, clips[clip_name(file)], file)
        clips[clip_name(file)] = file
    if not clips:
        raise BadInputError(f"There is no motion {truth}.", "Give a file of motion, or a folder.")
    return clips


def _true(
    clip: Path | Recording, head: CapturedHead, fps: float | None
) -> tuple[OwnFace | None, CapturedMotion]:
    """Whose vertices they are, where not the head's, and the motion."""
    if isinstance(clip, Recording):
        return None, read_motion(clip, head, load_speech(clip.audio))
    face = own_face(clip, head)
    return face, read_any_motion(clip, head, fps, face)


def _of_clip(candidate: Path, clip: str, clips: int) -> Path:
    """The candidate's file of a clip.

    Raises:
        BadInputError: there is none, there are two, or one file is to be all clips.
    """
    if not candidate.is_dir():
        if clips > 1:
            raise BadInputError(
                f"The candidate {candidate} is one file, but the truth has {clips} clips.",
                "Give a folder with a file for each, or one file as the truth.",
            )
        return candidate
    found = [file for file in motions_in(candidate) if clip_name(file) == clip]
    if len(found) > 1:
        raise _twice(candidate, *found[:2])
    if not found:
        raise BadInputError(
            f"The candidate {candidate} has no motion of {clip}.",
            f"Name its files as those of the truth, such as {clip}.npy.",
        )
    return found[0]


def _twice(folder: Path, first: object, second: Path) -> BadInputError:
    name = first.name if isinstance(first, Path) else first
    return BadInputError(
        f"{folder} has two motions of {clip_name(second)}: {name} and {second.name}.",
        "Leave one of them there.",
    )


def _recognized(audio: Path, name: str, clips: int) -> RecognizedSpeech:
    """The phones of a clip.

    Raises:
        BadInputError: there is no sound of it, or one sound is to be that of all clips.
    """
    path = audio
    if audio.is_dir():
        sounds = (audio / f"{name}{kind}" for kind in SOUNDS)
        path = next((sound for sound in sounds if sound.is_file()), audio / f"{name}.wav")
    elif clips > 1:
        raise BadInputError(
            f"The sound {audio} is one file, but the truth has {clips} clips.",
            "Give a folder with a sound of each clip's name.",
        )
    return recognize(load_speech(path), transcript_beside(path))


def _performance(motion: CapturedMotion, head: Head) -> Performance:
    nothing = np.zeros((len(motion.weights), 0), np.float32)
    return Performance(motion.fps, motion.weights, motion.basis, nothing, (), head.id)


def _measured(
    path: Path, ours: Performance, true: Performance, head: Head, known: RecognizedSpeech | None
) -> _Clip:
    seconds = [motion.frames / motion.fps for motion in (ours, true)]
    if abs(seconds[0] - seconds[1]) > _APART:
        raise BadInputError(
            f"{path} lasts {seconds[0]:.2f} s, the truth {seconds[1]:.2f} s.",
            "Compare motions of one clip, from its beginning; give the true rate with --fps.",
        )
    if ours.fps != true.fps:
        frames = round(seconds[0] * true.fps)
        resampler = Resampler(ours.fps, true.fps, ours.weights.shape[1])
        weights = resampler.push(ours.weights, frames, final=True)
        still = np.zeros((0, 3), np.float32)
        ours = replace(
            ours, fps=true.fps, weights=weights, expression=weights[:, :0], head_rotation=still
        )
    frames = min(ours.frames, true.frames)
    ours, true = first_frames(ours, frames), first_frames(true, frames)
    pairs = paired_chunks(ours, true)
    errors = vertex_errors(pairs, lip_vertices(head), upper_face_or_all(head))
    opening = spoken = None
    if all(name in head.landmarks for name in _LANDMARKS) and "left_eyeball" in head.regions:
        opening = film_agreement(mouth_curve(ours, head), mouth_curve(true, head)).opening
        if known is not None:
            spoken = lip_sync(ours, head, known.phones, known.words)
    return _Clip(errors, opening, spoken)


def _means(clips: Sequence[_Clip]) -> dict[str, float]:
    errors = averaged([clip.errors for clip in clips])
    figures = {
        "LVE (mm)": errors.lve * MM,
        "LVE squared (mm²)": errors.lve_squared * MM**2,
        "mean vertex error (mm)": errors.mve * MM,
        "FDD (mm²)": errors.fdd * MM**2,
    }
    openings = [clip.opening for clip in clips if clip.opening is not None]
    if openings:
        opening = mean_agreement(openings)
        figures["opening, correlation"] = opening.correlation
        figures["opening, mean difference (mm)"] = opening.difference
        figures["lag (ms)"] = opening.lag_ms
    spoken = [clip.spoken for clip in clips if clip.spoken is not None]
    if spoken:
        together = combined(spoken)
        figures["p, b, m"] = float(together.bilabials)
        figures["p, b, m closed"] = float(together.closed)
    return figures


def _as_json(score: CandidateScores) -> dict[str, Any]:
    figures = {name: value for name, value in score.figures.items() if math.isfinite(value)}
    return {"candidate": score.name, "clips": list(score.clips), **figures}


def _show(scores: Sequence[CandidateScores]) -> None:
    clips = len(scores[0].clips)
    table = Table(title=f"Motion of {clips} clip{'s' * (clips > 1)} beside the captured one")
    names = list(dict.fromkeys(name for score in scores for name in score.figures))
    table.add_column("figure")
    for score in scores:
        table.add_column(Text(score.name), justify="right")
    for name in names:
        table.add_row(name, *(_shown(score.figures.get(name)) for score in scores))
    Console(width=_WIDTH).print(table)


def _shown(value: float | None) -> str:
    return "n/a" if value is None or not math.isfinite(value) else f"{value:.4g}"
