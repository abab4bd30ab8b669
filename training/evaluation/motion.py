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

from engine.audio.loading import load_speech
from engine.core.errors import BadInputError
from engine.core.files import atomic_write
from engine.core.progress import Progress, no_progress
from engine.heads.head import Head
from engine.motion.model.resampling import Resampler
from engine.motion.performance import Performance
from engine.recognition.recognizer import RecognizedSpeech, recognize
from training.data.captured_motion import CapturedHead, CapturedMotion
from training.data.motion_files import KINDS, read_any_motion
from training.data.recorded_motion import with_lips
from training.data.transcripts import transcript_beside
from training.evaluation.report.speech import averaged
from training.metrics.film import Agreement, film_agreement, mouth_curve
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
        truth: file of the captured motion, or folder of such.
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
    sounds = {name: _recognized(wanted.audio, name) for name in clips} if wanted.audio else {}
    pairs = [(name, clip) for name in candidates for clip in clips]
    found: dict[str, list[_Clip]] = {name: [] for name in candidates}
    for number, (name, clip) in enumerate(pairs):
        progress(number / len(pairs), f"Measuring {name}")
        true = _performance(read_any_motion(clips[clip], head, wanted.fps), head.trained)
        path = _of_clip(candidates[name], clip)
        ours = _performance(read_any_motion(path, head, wanted.fps), head.trained)
        found[name].append(_measured(path, ours, true, head.trained, sounds.get(clip)))
    scores = [CandidateScores(name, tuple(clips), _means(of)) for name, of in found.items()]
    _show(scores)
    if out is not None:
        content = [_as_json(score) for score in scores]
        with atomic_write(out / REPORT_NAME) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return scores


@dataclass(frozen=True)
class _Clip:
    errors: VertexErrors
    opening: Agreement | None
    spoken: LipSync | None


def _clips(truth: Path) -> dict[str, Path]:
    """The files of the truth by the name of their clip."""
    if truth.is_file():
        return {_name(truth): truth}
    files = sorted(truth.iterdir()) if truth.is_dir() else []
    clips = {_name(file): file for file in files if file.suffix.lower() in KINDS}
    if not clips:
        raise BadInputError(f"There is no motion {truth}.", "Give a file of motion, or a folder.")
    return clips


def _name(file: Path) -> str:
    """``c0`` of ``c0.performance.npz``."""
    return file.name.partition(".")[0]


def _of_clip(candidate: Path, clip: str) -> Path:
    if not candidate.is_dir():
        return candidate
    found = [f for f in sorted(candidate.iterdir()) if _name(f) == clip and f.suffix in KINDS]
    if not found:
        raise BadInputError(
            f"The candidate {candidate} has no motion of {clip}.",
            f"Name its files as those of the truth, such as {clip}.npy.",
        )
    return found[0]


def _recognized(audio: Path, name: str) -> RecognizedSpeech:
    path = audio
    if audio.is_dir():
        sounds = (audio / f"{name}{kind}" for kind in (".wav", ".flac", ".ogg", ".mp3"))
        path = next((sound for sound in sounds if sound.is_file()), audio / f"{name}.wav")
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
        figures["opening, correlation"] = float(np.mean([o.correlation for o in openings]))
        figures["opening, mean difference (mm)"] = float(np.mean([o.difference for o in openings]))
        figures["lag (ms)"] = float(np.mean([o.lag_ms for o in openings]))
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
    table = Table(title=f"Motion of {len(scores[0].clips)} clips beside the captured one")
    names = list(dict.fromkeys(name for score in scores for name in score.figures))
    table.add_column("figure")
    for score in scores:
        table.add_column(score.name, justify="right")
    for name in names:
        table.add_row(name, *(f"{score.figures.get(name, math.nan):.4g}" for score in scores))
    Console(width=_WIDTH).print(table)
