# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion for a head from any file that holds some: a performance, FLAME's parameters, or curves.

Here rather than in :mod:`engine.motion` because FLAME's parameters are read beside avatars.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine.avatar.flame_motion import load_motion
from engine.core.errors import BadInputError
from engine.core.progress import Progress, no_progress
from engine.heads.head import Head
from engine.heads.retarget import with_arkit_expressions
from engine.motion.arkit import ARKIT_NAMES, to_head_weights
from engine.motion.interchange.curve_files import is_curve_file, read_curves
from engine.motion.interchange.face_curves import FaceCurves, curves_of
from engine.motion.performance import Performance

CAPTURED = "captured"
"""Model of performances that no model made."""


def read_motion(
    path: str | Path,
    head: Head,
    near: str | Path,
    fps: float | None = None,
    *,
    rate: float | None = None,
    progress: Progress = no_progress,
) -> Performance:
    """Read motion and put it on a head.

    Args:
        path: a performance of this head or with ARKit weights, a ``.csv`` of Live Link Face, a
            ``.json`` of ARKit weights, or FLAME's parameters for a FLAME head, as one file or a
            folder of GaussianAvatars, or vertices over time (``.npy``).
        head: who moves; one without ARKit expressions gets the default head's where it needs them.
        near: what the head was loaded from.
        fps: frames per second that curves are resampled to; other motion keeps its own.
        rate: frames per second of the clock of Live Link Face's timecodes, found by default; of
            JSON that has neither times nor a rate those of the file.
        progress: called with the fraction done; may raise to cancel.

    Raises:
        BadInputError: a file of another kind, a damaged one, or motion of another head.
    """
    progress(0.0, "reading the motion")
    if is_curve_file(path):
        return performance_of_curves(read_curves(path, fps, rate), head, CAPTURED, progress)
    if Path(path).suffix.lower() not in {".npz", ".npy", ".ply"} and not Path(path).is_dir():
        raise BadInputError(
            f"The kind of {path} is unknown.",
            "Choose a .performance.npz, FLAME's parameters as .npz, a .csv of Live Link Face, a "
            ".json of ARKit weights, or vertices as .npy.",
        )
    performance = load_motion(path, head, near)
    if performance.head == head.id and performance.vertex_count == head.vertex_count:
        return performance
    if set(performance.expression_names) & set(ARKIT_NAMES):
        curves = curves_of(performance)
        return replace(
            performance_of_curves(curves, head, performance.model, progress),
            source_sha256=performance.source_sha256,
            phones=performance.phones,
            words=performance.words,
            language=performance.language,
            prosody=performance.prosody,
        )
    raise BadInputError(
        f"{path} was made for the head {performance.head!r} with {performance.vertex_count} "
        f"vertices; {head.id!r} has {head.vertex_count}.",
        "Choose the head it was made for, or carry it over with 'gaussianspeech retarget'.",
    )


def performance_of_curves(
    curves: FaceCurves, head: Head, model: str, progress: Progress = no_progress
) -> Performance:
    """ARKit curves on a head.

    Args:
        curves: of any face.
        head: who moves.
        model: id of what made the curves.
        progress: called with the fraction done; may raise to cancel.

    Raises:
        BadInputError: a head without ARKit expressions that the default head's face does not fit.
    """
    face = with_arkit_expressions(head, progress=progress)
    weights = to_head_weights(curves.weights, face.expression_names)
    return Performance(
        fps=curves.fps,
        weights=weights,
        basis=face.expression_basis,
        expression=weights,
        expression_names=face.expression_names,
        head=head.id,
        model=model,
        head_rotation=curves.head_rotation,
    )
