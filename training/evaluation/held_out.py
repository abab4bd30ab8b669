# SPDX-License-Identifier: GPL-3.0-or-later
"""A speech model on the recordings that its training never saw: vertex errors and lip sync."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from engine.audio.loading import Speech, load_speech
from engine.core.files import write_text
from engine.core.progress import Progress, no_progress
from engine.heads.head import Head
from engine.motion.model.loaded import LoadedModel
from engine.motion.performance import Performance
from engine.motion.predict import predict
from engine.motion.style import NEUTRAL
from engine.recognition.recognizer import RecognizedSpeech, recognize
from training.data.captured_motion import CapturedHead
from training.data.flame_tracking import Tracking
from training.data.recorded_motion import read_motion
from training.data.recordings import Recordings
from training.evaluation.report.html import Note, Picture, Section, Table, page
from training.evaluation.report.speech import averaged
from training.metrics.film import Agreement, film_agreement, mean_agreement, mouth_curve
from training.metrics.lip_sync import lip_sync
from training.metrics.mouth import MM, lip_vertices
from training.metrics.vertex import (
    VertexErrors,
    first_frames,
    paired_chunks,
    upper_face_or_all,
    vertex_errors,
)
from training.run.checkpoints import write_json
from training.run.record import CURVES

SCORES, REPORT = "scores.json", "report.html"
SPOKEN = replace(NEUTRAL, upper_face=0.0, gaze=0.0)
"""What a sound says of a face, and no blinks, brows or gaze that are made up."""
_NO_TEST = "There is no test part: it takes three recordings, or a split.json that names some."


@dataclass(frozen=True)
class HeldOutScores:
    """Means over recordings.

    Attributes:
        names: of the recordings.
        errors: against the captured vertices, metres.
        opening: how the opening of the mouth follows the captured one.
        closed, bilabials: of so many p, b and m that were recognised, the lips met in so many.
    """

    names: tuple[str, ...]
    errors: VertexErrors
    opening: Agreement
    closed: int
    bilabials: int

    def figures(self) -> dict[str, float]:
        """By name, with units; for tables and JSON."""
        return {
            "test LVE (mm)": self.errors.lve * MM,
            "test LVE squared (mm²)": self.errors.lve_squared * MM**2,
            "test mean vertex error (mm)": self.errors.mve * MM,
            "test FDD (mm²)": self.errors.fdd * MM**2,
            "test opening, correlation": self.opening.correlation,
            "test opening, mean difference (mm)": self.opening.difference,
            "test lag (ms)": self.opening.lag_ms,
            "test p, b, m": float(self.bilabials),
            "test p, b, m closed": float(self.closed),
        }


def held_out_scores(
    found: Recordings,
    who: CapturedHead,
    model: LoadedModel | str,
    tracking: Tracking | None = None,
    progress: Progress = no_progress,
    recognized: dict[str, RecognizedSpeech] | None = None,
    *,
    alone: bool = False,
) -> HeldOutScores | None:
    """Predict the test part as it is used, but for made-up blinks, brows and gaze.

    Args:
        found: all recordings; their split says which are the test part.
        who: whose motion it is.
        model: what speaks; an id of :data:`engine.motion.model.ids.MODELS` too.
        tracking: refined parameters of FLAME.
        progress: called with the share done; may raise to cancel.
        recognized: the recordings by name, as far as they were recognised before; takes the rest.
        alone: take what the network itself makes: without contacts of the lips and the teeth, and
            lips in pauses, by the sounds that were recognised. The rules have no such.

    Returns:
        ``None`` where there is no test part.

    Raises:
        BadInputError: a recording that cannot be read, or a head without a landmark of the mouth.
    """
    names = found.split()["test"]
    if not names:
        return None
    head = who.trained
    errors, openings, closed, bilabials = [], [], 0, 0
    recognized = {} if recognized is None else recognized
    for number, name in enumerate(names):
        progress(number / len(names), f"Testing on {name}")
        recording = found.named(name)
        speech = load_speech(recording.audio)
        motion = read_motion(recording, who, speech, tracking)
        if name not in recognized:
            recognized[name] = recognize(speech, recording.text, language=recording.language)
        known = recognized[name]
        if alone and isinstance(model, LoadedModel):
            ours = _alone(model, head, speech, known, motion.fps)
        else:
            ours = predict(speech, head, motion.fps, recognized=known, model=model, style=SPOKEN)
        nothing = np.zeros((len(motion.weights), 0), np.float32)
        true = Performance(motion.fps, motion.weights, motion.basis, nothing, (), head.id)
        frames = min(ours.frames, true.frames)
        ours, true = first_frames(ours, frames), first_frames(true, frames)
        pairs = paired_chunks(ours, true)
        errors.append(vertex_errors(pairs, lip_vertices(head), upper_face_or_all(head)))
        openings.append(film_agreement(mouth_curve(ours, head), mouth_curve(true, head)).opening)
        spoken = lip_sync(ours, head, known.phones, known.words)
        closed, bilabials = closed + spoken.closed, bilabials + spoken.bilabials
    opening = mean_agreement(openings)
    return HeldOutScores(tuple(names), averaged(errors), opening, closed, bilabials)


def _alone(
    model: LoadedModel, head: Head, speech: Speech, known: RecognizedSpeech, fps: float
) -> Performance:
    """The motion of the network, and nothing that is added to it."""
    weights = model.motion(speech, known, fps, SPOKEN).weights
    basis = head.expression_basis if model.basis is None else model.basis
    nothing = np.zeros((len(weights), 0), np.float32)
    return Performance(fps, weights, basis, nothing, (), head.id)


def write_held_out_scores(
    folder: Path, name: str, scores: HeldOutScores | None, others: dict[str, float]
) -> dict[str, Any]:
    """Write ``scores.json``, and ``report.html`` with the table and the curves.

    Args:
        folder: of the run.
        name: of the model.
        scores: of the test part.
        others: figures that go with them, by name.

    Returns:
        What ``scores.json`` holds.
    """
    figures = others | ({} if scores is None else scores.figures())
    content: dict[str, Any] = {key: value for key, value in figures.items() if math.isfinite(value)}
    content["test recordings"] = [] if scores is None else list(scores.names)
    write_json(folder / SCORES, content)
    said = _NO_TEST if scores is None else f"Test part: {', '.join(scores.names)}."
    shown = {
        key: f"{value:.4g}" if math.isfinite(value) else "n/a" for key, value in figures.items()
    }
    rows = list(shown.items())
    sections = [Section("", [Note(said), Table.of(("figure", "value"), rows)])]
    if (folder / CURVES).is_file():
        with Image.open(folder / CURVES) as picture:
            curves = Picture.of(picture.convert("RGB"), "Losses and validation LVE by step.")
        sections.append(Section("Training", [curves]))
    write_text(folder / REPORT, page(f"Speech model {name}", sections))
    return content
